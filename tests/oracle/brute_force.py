"""Every placement there is, judged by the words of DESIGN section 5. Its own code, from facts to value.

`Oracle.value` says how good one placement is, level by level; `Oracle.broken` what it breaks. `Oracle.best`
walks all of them, service by service. It leaves out a branch only where what is decided breaks a rule, or
where the most that each undecided service and wish could bring is less than a placement already seen.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from reconciler.model.intent import Intent, Packing, Role, Service, WhenEqual
from reconciler.model.observed import Observed
from reconciler.model.placement import Seat
from tests.oracle.facts import Choice, Facts, Mask
from tests.oracle.ties import Beside, Chosen, End, Need, Ties, Wish

_WIDTH = 40
"""Bits of one level in a packed value: no sum of small worlds comes near."""


class TooManyError(Exception):
    """More placements than the caller wants to wait for."""


@dataclass(frozen=True, slots=True, order=True)
class Value:
    """Levels 1 to 3 packed into one number, and level 4; greater is better."""

    worth: int
    even: int
    """Minus the sum over nodes of squared copies."""


@dataclass(slots=True)
class _Way:
    choice: Choice
    worth: int
    copies: int


@dataclass(slots=True)
class _Walk:
    """What a walk through all placements has found so far."""

    best: Value
    seats: dict[str, Choice] | None
    limit: int
    cut: bool
    seen: int = 0
    chosen: dict[str, Choice] = field(default_factory=dict)


class Oracle:
    """One world, and what any placement in it is worth."""

    def __init__(self, intent: Intent, observed: Observed) -> None:
        self.facts = Facts(intent, observed)
        self.ties = Ties(self.facts)
        self.intent = intent
        self._nodes = range(len(self.facts.nodes))
        self._order = self._in_order()
        self._classes = sorted({s.priority for s in intent.services}, reverse=True)
        self.spread = intent.when_equal is WhenEqual.SPREAD
        self.names = self._level_names()
        self._relied = bool(self.ties.needs) or any(s.promotable for s in intent.services)
        self._wish_most = {wish: self._most(wish) for wish in self.ties.wishes}
        self._ways = {s.name: self._ways_of(s) for s in self._order}
        self._demand = {s.name: dict(s.demand) for s in self._order}
        self._room = [dict(node.capacity) for node in intent.nodes]
        self._by_depth()

    # Value ------------------------------------------------------------------------------------------

    def _level_names(self) -> list[str]:
        names = [
            f"{word} at {priority}"
            for priority in self._classes
            for word in ("still running", "services", "copies", "promoted")
        ]
        # Where balance comes first, what follows it is no part of what is proven.
        return names + (["preference"] if self.spread else ["preference", "disturbed", "home"])

    def _pack(self, levels: Mapping[str, int]) -> int:
        worth = 0
        for name in self.names:
            worth = (worth << _WIDTH) + levels.get(name, 0)
        return worth

    def pack(self, levels: Iterable[int]) -> int:
        """Levels as the planner reports them (four per class, then three), as one number."""
        worth = 0
        for level in list(levels)[: len(self.names)]:
            worth = (worth << _WIDTH) + level
        return worth

    def tell(self, worth: int) -> dict[str, int]:
        """A worth, level by level."""
        half, told = 1 << (_WIDTH - 1), {}
        for name in reversed(self.names):
            level = ((worth + half) & ((1 << _WIDTH) - 1)) - half
            told[name] = level
            worth = (worth - level) >> _WIDTH
        return dict(reversed(told.items()))

    def value(self, chosen: Chosen) -> Value:
        """How good a placement is."""
        worth = sum(self._alone(self.facts.services[name], one) for name, one in chosen.items())
        wishes = sum(wish.worth(chosen) for wish in self.ties.wishes)
        worth += self._pack({"preference": wishes}) - self._restarts(chosen)
        loads = [sum(one.counts[at] for one in chosen.values()) for at in self._nodes]
        return Value(worth, -sum(load * load for load in loads))

    def _alone(self, service: Service, choice: Choice) -> int:
        """The value of one service's seats, whatever the others do."""
        found, at_class = self.facts.found[service.name], f"at {service.priority}"
        points = disturbed = home = 0
        for at, count in enumerate(choice.counts):
            points += count * self.facts.score(service, at)
            gone = found.well[at] - min(found.well[at], count)
            points -= gone * service.stickiness
            disturbed += gone
            home += min(found.ran[at], count)
            if choice.promoted >> at & 1:
                points += self.facts.asked(service, at) + self.facts.score(service, at)
        demoted = (found.well_promoted & ~choice.promoted).bit_count()
        points -= demoted * _held_promoted(service)
        total = sum(choice.counts)
        return self._pack(
            {
                f"still running {at_class}": int(total > 0 and any(found.ran)),
                f"services {at_class}": int(total > 0),
                f"copies {at_class}": total,
                f"promoted {at_class}": choice.promoted.bit_count(),
                "preference": points,
                "disturbed": -disturbed - demoted,
                "home": home + (found.ran_promoted & choice.promoted).bit_count(),
            }
        )

    def _restarts(self, chosen: Chosen) -> int:
        """What it costs that healthy copies restart where they are, with what they rely on."""
        if not self._relied:
            return 0
        kept = self._kept(chosen)
        steady = self._undisturbed(chosen)
        points = count = 0
        for end, before in kept.items():
            service = self.facts.services[end.service]
            lost = sum(before) - sum(steady[end])
            points += lost * (_held_promoted(service) if end.promoted else service.stickiness)
            count += lost
        return self._pack({"preference": points, "disturbed": count})

    def _kept(self, chosen: Chosen) -> dict[End, list[int]]:
        """Healthy copies that have a seat where they are."""
        kept = {}
        for name, choice in chosen.items():
            found = self.facts.found[name]
            kept[End(name)] = [min(*pair) for pair in zip(found.well, choice.counts, strict=True)]
            if self.facts.services[name].promotable:
                both = found.well_promoted & choice.promoted
                kept[End(name, promoted=True)] = [both >> at & 1 for at in self._nodes]
        return kept

    def _undisturbed(self, chosen: Chosen) -> dict[End, list[int]]:
        """Copies that neither stop nor restart: what falls takes along what relies on it."""
        steady = self._kept(chosen)
        moving = {name for name in chosen if self._moves_live(name, chosen[name])}
        needs = [need for need in self.ties.needs if need.symmetrical and need.minimum is None]
        needs += [Need(End(e.service), e) for e in steady if e.promoted]
        falling = True
        while falling:
            falling = False
            for need in needs:
                if any(self._standing(end, chosen, steady, moving) for end in need.others):
                    continue
                then = need.then
                if then.service in moving and self._torn(need, chosen, steady, moving):
                    moving.discard(then.service)
                    falling = True
                for at in self._nodes:
                    if steady[then][at] and not self._borne(need, at, chosen, steady, moving):
                        steady[then][at] = 0
                        falling = True
        return steady

    def _standing(
        self, end: End, chosen: Chosen, steady: dict[End, list[int]], moving: set[str]
    ) -> Mask:
        """Nodes where a supplier runs throughout; one that moves live does so on both of its."""
        if end.service in moving:
            ran = self.facts.found[end.service].ran
            return end.seats(chosen) | sum(1 << at for at, count in enumerate(ran) if count)
        return sum(1 << at for at, count in enumerate(steady[end]) if count)

    def _borne(
        self, need: Need, at: int, chosen: Chosen, steady: dict[End, list[int]], moving: set[str]
    ) -> bool:
        standing = self._standing(need.first, chosen, steady, moving)
        if need.every:
            wanted = need.first.counts(chosen, len(self._nodes))
            return need.first.service in moving or wanted == tuple(steady[need.first])
        if need.first.seats(chosen) >> at & 1:
            return bool(standing >> at & 1)
        return bool(standing)

    def _moves_live(self, name: str, choice: Choice) -> bool:
        """One healthy copy, now on one node and wanted on another, of a service that can."""
        service, found = self.facts.services[name], self.facts.found[name]
        return (
            service.migratable
            and not service.promotable
            and service.replicas == service.replicas_per_node == 1
            and found.well == found.ran
            and sum(found.ran) == sum(choice.counts) == 1
            and tuple(found.ran) != choice.counts
        )

    def _torn(
        self, need: Need, chosen: Chosen, steady: dict[End, list[int]], moving: set[str]
    ) -> bool:
        """Whether what a live move relies on stops where it is before it starts where it goes."""
        found = self.facts.found[need.first.service]
        ran = found.ran_promoted
        if not need.first.promoted:
            ran = sum(1 << at for at, count in enumerate(found.ran) if count)
        standing = self._standing(need.first, chosen, steady, moving)
        seats = need.first.seats(chosen)
        stops, starts = ran & ~standing, seats & ~standing
        source, target = self.facts.found[need.then.service].healthy, need.then.seats(chosen)
        if not need.every:
            stops = stops & source if ran & source else stops
            starts = starts & target if seats & target else starts
        return bool(stops and starts)

    # What is never violated -------------------------------------------------------------------------

    def broken(self, chosen: Chosen) -> list[str]:
        """Every rule that a placement breaks, in words."""
        found = [f"{tie} does not hold" for tie in self.ties.beside if not tie.holds(chosen)]
        found += [f"{need} is not met" for need in self.ties.needs if not self._met(need, chosen)]
        for name, choice in chosen.items():
            if choice not in {way.choice for way in self._ways[name]}:
                found.append(f"{name} may not be {choice}")
        for at, room in enumerate(self._room):
            for resource, limit in room.items():
                used = sum(
                    choice.counts[at] * self._demand[name].get(resource, 0)
                    for name, choice in chosen.items()
                )
                if used > limit:
                    found.append(f"{used} {resource} of {limit} on {self.facts.nodes[at]}")
        return found

    def _met(self, need: Need, chosen: Chosen) -> bool:
        wanted = need.then.counts(chosen, len(self._nodes))
        if not need.symmetrical:
            # What runs well goes on without; what has to start does not.
            found = self.facts.found[need.then.service]
            well = found.well
            if need.then.promoted:
                well = [found.well_promoted >> at & 1 for at in self._nodes]
            wanted = tuple(n - min(n, w) for n, w in zip(wanted, well, strict=True))
        if not any(wanted):
            return True
        ends = {need.first, *need.others}
        enough = sum(sum(end.counts(chosen, len(self._nodes))) for end in ends)
        return enough >= max(1, need.minimum or 1)

    # All placements ---------------------------------------------------------------------------------

    def best(
        self, seats: Mapping[str, Choice] | None = None, *, limit: int = 10**9, cut: bool = True
    ) -> tuple[Value, dict[str, Choice]]:
        """The best placement there is; with `seats`, nothing worse than those is looked at.

        Errors: `TooManyError` when more than `limit` choices were looked at.
        """
        empty = {s.name: Choice((0,) * len(self._nodes)) for s in self._order}
        start = empty if seats is None else dict(seats)
        walk = _Walk(best=self.value(start), seats=start, limit=limit, cut=cut)
        self._walk(walk, 0, 0, [0] * len(self._nodes), [dict(room) for room in self._room])
        assert walk.seats is not None
        return walk.best, walk.seats

    def _walk(
        self, walk: _Walk, depth: int, worth: int, loads: list[int], room: list[dict[str, int]]
    ) -> None:
        if depth == len(self._order):
            final = worth - self._restarts(walk.chosen)
            value = Value(final, -sum(load * load for load in loads))
            if value > walk.best:
                walk.best, walk.seats = value, dict(walk.chosen)
            return
        name = self._order[depth].name
        demand = self._demand[name]
        for way in self._ways[name]:
            if walk.cut and worth + way.worth + self._rest[depth] < walk.best.worth:
                return  # they come best first
            walk.seen += 1
            if walk.seen > walk.limit:
                raise TooManyError
            walk.chosen[name] = way.choice
            if not self._holds(walk.chosen, depth):
                continue
            counts = way.choice.counts
            left = [
                {r: free - count * demand.get(r, 0) for r, free in here.items()} if count else here
                for here, count in zip(room, counts, strict=True)
            ]
            if any(free < 0 for here in left for free in here.values()):
                continue
            total = worth + way.worth
            for wish in self._decided[depth]:
                total += self._pack({"preference": wish.worth(walk.chosen)})
            now = [load + count for load, count in zip(loads, counts, strict=True)]
            if walk.cut and not self._promising(walk, total + self._after[depth], now):
                continue
            self._walk(walk, depth + 1, total, now, left)
        walk.chosen.pop(name, None)

    def _promising(self, walk: _Walk, bound: int, loads: list[int]) -> bool:
        """Whether something better may yet come: more worth, or as much and better balanced."""
        if bound != walk.best.worth:
            return bound > walk.best.worth
        # Equal worth means equal copies: spread those still to come as evenly as can be.
        left = self._copies_in(bound) - sum(loads)
        even = list(loads)
        for _ in range(left):
            even[even.index(min(even))] += 1
        return -sum(load * load for load in even) > walk.best.even

    def _copies_in(self, worth: int) -> int:
        return sum(n for name, n in self.tell(worth).items() if name.startswith("copies"))

    def _holds(self, chosen: Chosen, depth: int) -> bool:
        return all(
            tie.holds(chosen) if isinstance(tie, Beside) else self._met(tie, chosen)
            for tie in self._checks[depth]
        )

    def _in_order(self) -> list[Service]:
        """Highest priority first; what most others turn on before them."""
        ties = [*self.ties.beside, *self.ties.needs, *self.ties.wishes]
        count = {s.name: sum(s.name in tie.services for tie in ties) for s in self.intent.services}
        return sorted(
            self.intent.services,
            key=lambda s: (-s.priority, -count[s.name], not s.demand, s.name),
        )

    def _ways_of(self, service: Service) -> list[_Way]:
        ways = [
            _Way(choice, self._alone(service, choice), sum(choice.counts))
            for choice in self.facts.choices(service)
        ]
        return sorted(ways, key=lambda way: -way.worth)

    def _most(self, wish: Wish) -> int:
        """The most that a wish can bring."""
        service = self.facts.services[wish.one.service]
        ends = [choice.counts for choice in self.facts.choices(service)]
        most = service.promoted if wish.one.promoted else max(sum(counts) for counts in ends)
        return max(0, wish.score) * most

    def _by_depth(self) -> None:
        """What is decided with each service in turn, and what those after it could bring at most."""
        place = {service.name: i for i, service in enumerate(self._order)}

        def decided(tie: Beside | Need | Wish) -> int:
            return max(place[name] for name in tie.services)

        depths = range(len(self._order))
        ties = [*self.ties.beside, *self.ties.needs]
        self._checks = [[tie for tie in ties if decided(tie) == depth] for depth in depths]
        self._decided = [[w for w in self.ties.wishes if decided(w) == depth] for depth in depths]
        self._after, self._rest = [], []
        for depth in depths:
            alone = sum(self._ways[s.name][0].worth for s in self._order[depth + 1 :])
            points = {
                now: sum(self._wish_most[w] for w in self.ties.wishes if decided(w) >= depth + now)
                for now in (0, 1)
            }
            self._after.append(alone + self._pack({"preference": points[1]}))
            self._rest.append(alone + self._pack({"preference": points[0]}))


def _held_promoted(service: Service) -> int:
    held = service.promoted_stickiness
    return service.stickiness if held is None else held


def seats_of(oracle: Oracle, seats: Iterable[Seat]) -> dict[str, Choice]:
    """The planner's seats as the oracle reads them."""
    counts = {name: [0] * len(oracle.facts.nodes) for name in oracle.facts.services}
    promoted = dict.fromkeys(counts, 0)
    for seat in seats:
        at = oracle.facts.at[seat.node]
        counts[seat.service][at] += 1
        promoted[seat.service] |= (seat.role is Role.PROMOTED) << at
    return {name: Choice(tuple(found), promoted[name]) for name, found in counts.items()}


def balances(intent: Intent) -> bool:
    """Whether level 4 is judged: with `spread` it comes before level 3, and stickiness before it."""
    return intent.packing is Packing.COUNT and intent.when_equal is WhenEqual.STAY


def every_placement(oracle: Oracle) -> Iterator[dict[str, Choice]]:
    """Every allowed placement, none left out: the slow way, to try the walk against."""
    chosen: dict[str, Choice] = {}

    def walk(depth: int) -> Iterator[dict[str, Choice]]:
        if depth == len(oracle._order):
            if not oracle.broken(chosen):
                yield dict(chosen)
            return
        name = oracle._order[depth].name
        for choice in oracle.facts.choices(oracle.facts.services[name]):
            chosen[name] = choice
            yield from walk(depth + 1)

    yield from walk(0)
