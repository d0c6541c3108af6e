"""Repacking: what has no room takes the place of something smaller, until everything has a place.

An ejection pool. Whoever is without a seat waits in the pool; the last to come is seated where it fits best,
or where the one or two who must leave for it have been asked least often. Who was asked counts, so that the
pool does not go round in circles, and who runs well counts from the beginning. The fullest placement is
remembered; in the end everybody who can goes home, alone or by exchange.

It proves nothing, and it knows no wishes: the caller weighs what comes out against what was before.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from reconciler.core.bonds import supplied
from reconciler.core.loads import Loads
from reconciler.core.problem import Problem
from reconciler.core.relations import Tie
from reconciler.core.world import Mask, bits

STEPS_MAX = 3_000
"""Turns of the pool."""
LOOKS_MAX = 500_000
"""Looks at a tenant who might leave."""
ROUNDS_MAX = 10
"""Rounds of going home."""
COPIES_MAX = 8
"""Services with more copies than this stay as they are."""
_SETTLED, _DISPLACED = 4, 1


@dataclass(slots=True, kw_only=True)
class _Item:
    """What moves as one: a copy, or one copy each of services that must be together."""

    members: tuple[int, ...]
    demand: tuple[tuple[int, int], ...]
    gains: Mapping[int, int]
    """Nodes that it may use as far as it alone is concerned, and what it is worth there."""
    best: int
    tied: bool
    """Links have a say in where it may be."""
    at: int = -1
    penalty: int = _DISPLACED


def repack(
    problem: Problem,
    order: Sequence[int],
    fixed: Mapping[int, Mask],
    loads: Loads,
    before: Mapping[int, Mask],
) -> dict[int, Mask]:
    """Seat more of these variables than `before` does, and move few.

    `loads` is without them. Room, eligibility and replica counts are kept; what links forbid is kept
    as far as the ends are seated, so the caller must look at the whole once more.
    """
    pool = _Pool(problem, order, fixed, loads, before)
    pool.seat_all()
    pool.go_home()
    return pool.chosen


@dataclass(slots=True)
class _Node:
    room: list[int]
    tenants: list[_Item] = field(default_factory=list)


class _Pool:
    def __init__(
        self,
        problem: Problem,
        order: Sequence[int],
        fixed: Mapping[int, Mask],
        loads: Loads,
        before: Mapping[int, Mask],
    ) -> None:
        self._problem = problem
        self._fixed = fixed
        self._looks = 0
        self.chosen = dict(before)
        self._nodes = [_Node(room=list(room)) for room in loads.room]
        self._items = list(_items(problem, order, before))
        moving = {v for item in self._items for v in item.members}
        for v in order:
            for at in bits(before[v]) if v not in moving else ():
                self._occupy(at, problem.variables[v].demand, 1)
        self._waiting: list[_Item] = []
        for item in self._items:
            if item.at < 0:
                self._waiting.append(item)
            else:
                self._nodes[item.at].tenants.append(item)
                self._occupy(item.at, item.demand, 1)
        priority = problem.world.services
        self._waiting.sort(
            key=lambda item: (
                max(priority[v].priority for v in item.members),
                sum(amount for _, amount in item.demand),
            )
        )
        self._gain = sum(item.gains.get(item.at, 0) for item in self._items)

    # The pool -------------------------------------------------------------------------------------

    def seat_all(self) -> None:
        """Empty the pool, or stop after so many turns with the fullest placement there was."""
        best, seats = self._gain, [item.at for item in self._items]
        for _ in range(STEPS_MAX):
            if not self._waiting or self._looks > LOOKS_MAX:
                break
            item = self._waiting.pop()
            at = self._best_fit(item)
            if at is None:
                self._push_in(item)
                continue
            self._seat(item, at)
            if self._gain > best:
                best, seats = self._gain, [one.at for one in self._items]
        self._restore(seats)

    def _push_in(self, item: _Item) -> None:
        """Seat it where others must leave for it; if nobody's leaving would help, it stays out."""
        item.penalty += 1
        cheapest = self._cheapest(item)
        if cheapest is None:
            return
        at, leaving = cheapest
        for tenant in leaving:
            self._leave(tenant)
            self._waiting.append(tenant)
        self._seat(item, at)

    def _restore(self, seats: Sequence[int]) -> None:
        moved = [(item, at) for item, at in zip(self._items, seats, strict=True) if item.at != at]
        for item, _ in moved:
            if item.at >= 0:
                self._leave(item)
        for item, at in moved:
            if at >= 0:
                self._seat(item, at)

    def _best_fit(self, item: _Item) -> int | None:
        fits = (at for at in self._legal(item) if self._fits(at, item.demand))
        return min(fits, key=lambda at: (self._rest(at, item), -item.gains[at], at), default=None)

    def _rest(self, at: int, item: _Item) -> int:
        room = self._nodes[at].room
        return sum(room[resource] - amount for resource, amount in item.demand)

    def _cheapest(self, item: _Item) -> tuple[int, tuple[_Item, ...]] | None:
        """Who leaves, and where: the least asked, one alone if it will do, then the tightest fit."""
        best: tuple[int, int, int] | None = None
        found = None
        for size in (1, 2):
            for at in self._legal(item):
                tenants = sorted(self._nodes[at].tenants, key=lambda tenant: tenant.penalty)
                self._looks += len(tenants)
                if best and sum(tenant.penalty for tenant in tenants[:size]) > best[0]:
                    continue
                for leaving in combinations(tenants, size):
                    self._looks += 1
                    cost = sum(tenant.penalty for tenant in leaving)
                    if best is not None and cost > best[0]:
                        continue
                    rest = self._rest_without(at, item, leaving)
                    if rest is not None and (best is None or (cost, rest, at) < best):
                        best, found = (cost, rest, at), (at, leaving)
        return found

    def _rest_without(self, at: int, item: _Item, leaving: Iterable[_Item]) -> int | None:
        room = self._nodes[at].room
        total = 0
        for resource, amount in item.demand:
            left = room[resource] - amount
            for tenant in leaving:
                for freed, much in tenant.demand:
                    if freed == resource:
                        left += much
            if left < 0:
                return None
            total += left
        return total

    # Going home -----------------------------------------------------------------------------------

    def go_home(self) -> None:
        """Move everybody to where it is worth more, alone or by exchange, until nothing is gained."""
        for _ in range(ROUNDS_MAX):
            busy = False
            for item in self._items:
                if item.at >= 0 and item.gains.get(item.at, 0) < item.best:
                    busy |= self._better_alone(item) or self._better_by_exchange(item)
            if not busy:
                return

    def _better_alone(self, item: _Item) -> bool:
        here = item.at
        self._leave(item)
        better = [
            at
            for at in self._legal(item)
            if item.gains[at] > item.gains[here] and self._fits(at, item.demand)
        ]
        self._seat(item, max(better, key=lambda at: (item.gains[at], -at), default=here))
        return bool(better)

    def _better_by_exchange(self, item: _Item) -> bool:
        here, now = item.at, self._gain
        wanted = sorted(
            (at for at in item.gains if item.gains[at] > item.gains[here]),
            key=lambda at: (-item.gains[at], at),
        )
        for at in wanted[:3]:
            for tenant in tuple(self._nodes[at].tenants):
                if self._exchange(item, tenant, now):
                    return True
        return False

    def _exchange(self, item: _Item, tenant: _Item, now: int) -> bool:
        """Take a tenant's place, if it finds another and both together gain by it."""
        here, there = item.at, tenant.at
        if self._rest_without(there, item, (tenant,)) is None:
            return False
        self._leave(item)
        self._leave(tenant)
        if there in self._legal(item):
            self._seat(item, there)
            fits = [at for at in self._legal(tenant) if self._fits(at, tenant.demand)]
            if fits:
                self._seat(tenant, max(fits, key=lambda at: (tenant.gains[at], -at)))
                if self._gain > now:
                    return True
                self._leave(tenant)
            self._leave(item)
        self._seat(item, here)
        self._seat(tenant, there)
        return False

    # Seats ----------------------------------------------------------------------------------------

    def _legal(self, item: _Item) -> Iterable[int]:
        """Nodes where nothing but room may keep it from being."""
        if not item.tied and self._problem.variables[item.members[0]].want == 1:
            return item.gains.keys()
        mask = sum(1 << at for at in item.gains)
        for v in item.members:
            mask &= ~self.chosen[v]
            for other, allowed in self._bonds(v):
                if other not in item.members:
                    mask &= allowed
        return tuple(bits(mask))

    def _bonds(self, v: int) -> Iterator[tuple[int, Mask]]:
        for link in self._problem.links[v]:
            other = link.other if link.service == v else link.service
            seats = self._seats(other) | self._problem.variables[other].pinned
            match link.tie:
                case Tie.APART if link.service == v:
                    yield other, ~(link.place(seats) & link.where)
                case Tie.APART:
                    yield other, ~link.place(seats & link.where)
                case Tie.TOGETHER if link.service == v:
                    yield other, link.place(seats)
                case Tie.AFTER if link.service == v:
                    if not supplied(link, self._problem.variables, self._seats):
                        yield other, 0

    def _seats(self, v: int) -> Mask:
        chosen = self.chosen.get(v)
        return self._fixed.get(v, 0) if chosen is None else chosen

    def _fits(self, at: int, demand: Iterable[tuple[int, int]]) -> bool:
        room = self._nodes[at].room
        return all(room[resource] >= amount for resource, amount in demand)

    def _occupy(self, at: int, demand: Iterable[tuple[int, int]], sign: int) -> None:
        for resource, amount in demand:
            self._nodes[at].room[resource] -= sign * amount

    def _seat(self, item: _Item, at: int) -> None:
        item.at = at
        self._nodes[at].tenants.append(item)
        self._occupy(at, item.demand, 1)
        self._gain += item.gains.get(at, 0)
        for v in item.members:
            self.chosen[v] |= 1 << at

    def _leave(self, item: _Item) -> None:
        at = item.at
        self._nodes[at].tenants.remove(item)
        self._occupy(at, item.demand, -1)
        self._gain -= item.gains.get(at, 0)
        for v in item.members:
            self.chosen[v] &= ~(1 << at)
        item.at = -1


def _items(problem: Problem, order: Sequence[int], before: Mapping[int, Mask]) -> Iterator[_Item]:
    """What may be moved about; whoever is tied in other ways stays where it is."""
    inside, seen = set(order), set[int]()
    for first in order:
        if first in seen:
            continue
        members = _inseparable(problem, first, inside)
        seen |= members
        unit = tuple(v for v in order if v in members)
        want = problem.variables[first].want
        most = COPIES_MAX if len(unit) == 1 else 1
        if any(_immovable(problem, v, most) for v in unit) or not want:
            continue
        seats = [before[v] for v in unit]
        if any(mask != seats[0] for mask in seats):
            continue  # a part of it runs, and the rest cannot: not to be made worse
        homes = list(bits(seats[0]))
        for number in range(want):
            at = homes[number] if number < len(homes) else -1
            yield _item(problem, unit, at)


def _inseparable(problem: Problem, first: int, inside: set[int]) -> set[int]:
    members, waiting = {first}, [first]
    while waiting:
        for link in problem.links[waiting.pop()]:
            if link.tie is Tie.TOGETHER:
                for end in (link.service, link.other):
                    if end in inside and end not in members:
                        members.add(end)
                        waiting.append(end)
    return members


def _immovable(problem: Problem, v: int, most: int) -> bool:
    variable = problem.variables[v]
    if variable.want > most or variable.pinned or variable.quota >= 0:
        return True
    return any(link.zones or link.any_of for link in problem.links[v])


def _item(problem: Problem, unit: tuple[int, ...], at: int) -> _Item:
    demand: dict[int, int] = {}
    everywhere = -1
    for v in unit:
        everywhere &= problem.variables[v].candidates
        for resource, amount in problem.variables[v].demand:
            demand[resource] = demand.get(resource, 0) + amount
    gains = dict.fromkeys(bits(everywhere & problem.world.everywhere), 0)
    for v in unit:
        variable = problem.variables[v]
        for tier, mask in variable.tiers:
            for node in bits(mask & everywhere):
                gains[node] += tier + (variable.up + variable.kept) // max(1, variable.want)
    return _Item(
        members=unit,
        demand=tuple(sorted(demand.items())),
        gains=gains,
        best=max(gains.values(), default=0),
        tied=any(link.tie is not Tie.WISH for v in unit for link in problem.links[v]),
        at=at,
        penalty=_DISPLACED if at < 0 else _SETTLED,
    )
