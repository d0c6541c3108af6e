"""Ordering: drift becomes actions, and edges say what must be over before each may begin.

  forward     a start comes after the starts of what it depends on
  backward    a stop comes after the stops of what depends on it
  moves       a copy arrives only when those that leave are gone, and restarts after its own stop
  apart       a start comes after the stop of what may not be beside it
  together    services that share a node move together: none arrives while the other still leaves
  room        where a node cannot hold both, arrivals wait for those that leave
  probes      a start comes after the look for copies that nobody has looked for
  fences      a start comes after the fence of every node where a copy may still run

For promoted copies a start is a promotion and a stop a demotion. A migration stands for its stop and its
start. Starts wait for stops and never the reverse, and required orderings have no cycle: so the graph
has none. Optional orderings are added one by one, where they make none. What may merely not happen at
once (`serialize`, `ordered`) follows the order that the rest gives.
"""

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise, product

from reconciler.core.drift import Drift
from reconciler.core.keys import FENCE, MIGRATE, PROBE, RELOAD, START, STOP, Key, Namer
from reconciler.core.problem import UNLIMITED, Problem
from reconciler.core.reasons import Because
from reconciler.core.relations import Link, Turn
from reconciler.core.world import Mask, bits
from reconciler.model.errors import BrokenLaw
from reconciler.model.plan import Plan


def make_plan(problem: Problem, drift: Drift, because: Because) -> Plan:
    """The actions of this drift, each after what it must wait for, implied edges left out.

    Shape: A actions: sets of A bits per action for the reduction.
    """
    live = _live_moves(drift)
    before = _graph(problem, drift, live)
    for earlier, later in _wishes(problem, drift):
        before_it, after_it = live.get(earlier, earlier), live.get(later, later)
        if not _reaches(before, before_it, after_it):
            _connect(before, before_it, after_it)
    order = _sorted(before)
    if turns := tuple(_turns_of_one(problem, order)):
        for earlier, later in turns:
            _connect(before, earlier, later)
        order = _sorted(before)
    _reduce(order, before)
    namer = Namer(problem, drift)
    return Plan(
        actions=tuple(namer.removed(because))
        + tuple(namer.action(key, before[key], because) for key in order)
    )


def stuck_moves(problem: Problem, drift: Drift) -> frozenset[int]:
    """Parts whose live move would wait for itself, as a stop and a start apart would not."""
    if not drift.migrate:
        return frozenset()
    before = _graph(problem, drift, _live_moves(drift))
    while free := {key for key, earlier in before.items() if earlier.isdisjoint(before)}:
        for key in free:
            del before[key]
    return frozenset(key.part for key in before if key.rank == MIGRATE)


def _graph(problem: Problem, drift: Drift, live: dict[Key, Key]) -> dict[Key, set[Key]]:
    """The actions of a drift, each with what it must wait for."""
    before: dict[Key, set[Key]] = {key: set() for key in _keys(problem, drift, live)}
    for earlier, later in _edges(problem, drift):
        _connect(before, live.get(earlier, earlier), live.get(later, later))
    return before


def _reaches(before: dict[Key, set[Key]], start: Key, goal: Key) -> bool:
    """Whether `start` waits for `goal` already, so that the reverse would be a circle."""
    seen, waiting = {start}, [start]
    while waiting:
        for key in before.get(waiting.pop(), ()):
            if key == goal:
                return True
            if key not in seen:
                seen.add(key)
                waiting.append(key)
    return False


def _connect(before: dict[Key, set[Key]], earlier: Key, later: Key) -> None:
    if earlier in before and later in before and earlier != later:
        before[later].add(earlier)


def _live_moves(drift: Drift) -> dict[Key, Key]:
    """The stop and the start that each migration stands for."""
    found = {}
    for v, (source, target) in drift.migrate.items():
        move = Key(MIGRATE, v, source)
        found[Key(STOP, v, source)] = move
        found[Key(START, v, target)] = move
    return found


def _keys(problem: Problem, drift: Drift, live: dict[Key, Key]) -> list[Key]:
    keys = [Key(FENCE, -1, at) for at in bits(problem.world.fenced)]
    by_rank = ((STOP, drift.stop), (PROBE, drift.probe), (RELOAD, drift.reload))
    for rank, masks in (*by_rank, (START, drift.start)):
        keys += [Key(rank, v, at) for v, mask in enumerate(masks) if mask for at in bits(mask)]
    return [key for key in keys if key not in live] + sorted(set(live.values()))


def _edges(problem: Problem, drift: Drift) -> Iterator[tuple[Key, Key]]:
    for link in problem.relations.after:
        yield from _forward(problem, drift, link)
        if link.reverse:
            yield from _backward(problem, drift, link)
    for v, starts in enumerate(drift.start):
        if starts:
            yield from _moves(problem, drift, v)
    for link in problem.relations.apart:
        yield from _apart(problem, drift, link)
    for link in problem.relations.together:
        parts = problem.world.parts
        live = {link.service, link.other} & drift.migrate.keys()
        if parts[link.service].base != parts[link.other].base and not live:
            yield from _cross(drift, link.service, link.other)
            yield from _cross(drift, link.other, link.service)
    yield from _room_edges(problem, drift)
    yield from _fence_edges(problem, drift)


def _wishes(problem: Problem, drift: Drift) -> Iterator[tuple[Key, Key]]:
    """Edges of optional orderings, each left out where the rest demands the reverse."""
    for link in problem.relations.sequence:
        yield from _forward(problem, drift, link)
        if link.reverse:
            yield from _backward(problem, drift, link)
    for turn in problem.relations.turns:
        yield from _turn(problem, drift, turn)


def _forward(problem: Problem, drift: Drift, link: Link) -> Iterator[tuple[Key, Key]]:
    """`link.service` starts after `link.other`: after the copy here if there is one, else after all."""
    starts, supply = drift.start[link.service], drift.start[link.other]
    if link.any_of and starts:
        yield from _after_any(problem, drift, link)
        return
    if not starts or not supply:
        return
    standing = drift.steady[link.other] | problem.variables[link.other].reliable
    for at in bits(starts):
        here = 1 << at
        if supply & here and not link.every and not link.minimum:
            yield Key(START, link.other, at), Key(START, link.service, at)
        elif link.every or standing.bit_count() < link.least:
            for there in bits(supply):
                yield Key(START, link.other, there), Key(START, link.service, at)


def _after_any(problem: Problem, drift: Drift, link: Link) -> Iterator[tuple[Key, Key]]:
    """Any of several will do: where too few of them stand, all that come are waited for."""
    suppliers = (link.other, *link.any_of)
    standing = (drift.steady[i] | problem.variables[i].reliable for i in suppliers)
    if sum(mask.bit_count() for mask in standing) >= link.least:
        return
    for supplier in suppliers:
        for there in bits(drift.start[supplier]):
            for at in bits(drift.start[link.service]):
                yield Key(START, supplier, there), Key(START, link.service, at)


def _backward(problem: Problem, drift: Drift, link: Link) -> Iterator[tuple[Key, Key]]:
    """`link.other` stops after `link.service`, in the mirror image of the starts."""
    stops, supply = drift.stop[link.service], drift.stop[link.other]
    if not stops or not supply:
        return
    if link.service in drift.migrate and link.other in drift.migrate:
        return  # two live moves follow each other forward
    standing = drift.steady[link.other] | problem.variables[link.other].reliable
    for at in bits(stops):
        here = 1 << at
        if supply & here and not link.every and not link.minimum:
            yield Key(STOP, link.service, at), Key(STOP, link.other, at)
        elif link.every or standing.bit_count() < link.least:
            for there in bits(supply):
                yield Key(STOP, link.service, at), Key(STOP, link.other, there)


def _moves(problem: Problem, drift: Drift, v: int) -> Iterator[tuple[Key, Key]]:
    siblings = [v]
    quota = problem.variables[v].quota
    if quota >= 0:
        siblings = [quota, *problem.world.layers[quota]]
    for at in bits(drift.restarting(v)):
        yield Key(STOP, v, at), Key(START, v, at)
    for sibling in siblings:
        for gone in bits(drift.leaving(sibling)):
            for at in bits(drift.start[v]):
                yield Key(STOP, sibling, gone), Key(START, v, at)
    for looked in bits(drift.probe[problem.world.parts[v].base]):
        for at in bits(drift.start[v]):
            yield Key(PROBE, problem.world.parts[v].base, looked), Key(START, v, at)


def _apart(problem: Problem, drift: Drift, link: Link) -> Iterator[tuple[Key, Key]]:
    layers = problem.world.layers
    mine = (link.service, *layers.get(link.service, ()))
    theirs = (link.other, *layers.get(link.other, ()))
    for one, other in (*product(mine, theirs), *product(theirs, mine)):
        for at in bits(drift.start[one]):
            for there in bits(drift.stop[other] & link.place(1 << at)):
                yield Key(STOP, other, there), Key(START, one, at)


def _turn(problem: Problem, drift: Drift, turn: Turn) -> Iterator[tuple[Key, Key]]:
    first = _every(problem, drift, turn.first, starts=turn.first_starts)
    return product(first, _every(problem, drift, turn.then, starts=turn.then_starts))


def _every(problem: Problem, drift: Drift, part: int, *, starts: bool) -> list[Key]:
    """Every start, or every stop, of a part and of the further copies on each node."""
    masks, rank = (drift.start, START) if starts else (drift.stop, STOP)
    parts = (part, *problem.world.layers.get(part, ()))
    return [Key(rank, one, at) for one in parts for at in bits(masks[one])]


def _cross(drift: Drift, one: int, other: int) -> Iterator[tuple[Key, Key]]:
    for gone in bits(drift.leaving(one)):
        for at in bits(drift.arriving(other)):
            if at != gone:
                yield Key(STOP, one, gone), Key(START, other, at)


def _fence_edges(problem: Problem, drift: Drift) -> Iterator[tuple[Key, Key]]:
    """Whatever may still run on a node comes elsewhere only once the node is fenced."""
    world = problem.world
    for at in bits(world.fenced):
        there = {
            copy.service for copy in world.observed.copies if copy.node == world.node_names[at]
        }
        state = world.states[at]
        for v, starts in enumerate(drift.start):
            name = world.services[v].name
            known = state.boot is not None and name in state.probed
            if starts and (name in there or not known):
                for come in bits(starts):
                    yield Key(FENCE, -1, at), Key(START, v, come)
        for link in problem.relations.after:
            if link.reverse and world.services[link.service].name in there:
                for gone in bits(drift.stop[link.other]):
                    yield Key(FENCE, -1, at), Key(STOP, link.other, gone)


def _turns_of_one(problem: Problem, order: list[Key]) -> Iterator[tuple[Key, Key]]:
    """Actions that may not happen at once, one after the other in the order given."""
    layers = problem.world.layers
    teams: list[set[int]] = [{link.service, link.other} for link in problem.relations.serial]
    teams += [
        {v, *layers.get(v, ())}
        for v, service in enumerate(problem.world.services[: problem.world.count])
        if service.ordered
    ]
    for team in teams:
        ours = [key for key in order if key.part in team and key.rank in (STOP, MIGRATE, START)]
        yield from pairwise(ours)


def _room_edges(problem: Problem, drift: Drift) -> Iterator[tuple[Key, Key]]:
    crowded = _crowded(problem, drift)
    for at in bits(crowded):
        here = 1 << at
        leaving = [v.index for v in problem.variables if v.demand and drift.leaving(v.index) & here]
        arriving = [
            v.index for v in problem.variables if v.demand and drift.arriving(v.index) & here
        ]
        for gone in leaving:
            for come in arriving:
                yield Key(STOP, gone, at), Key(START, come, at)


def _crowded(problem: Problem, drift: Drift) -> Mask:
    """Nodes that cannot hold what arrives beside all that runs there now."""
    room = [list(row) for row in problem.room]
    for variable in problem.variables:
        v = variable.index
        if variable.demand:
            for at in bits(drift.steady[v] | drift.stop[v] | drift.arriving(v)):
                for resource, amount in variable.demand:
                    room[at][resource] -= amount
    return sum(
        1 << at for at, row in enumerate(room) if any(left < 0 for left in row if left < UNLIMITED)
    )


def _sorted(before: dict[Key, set[Key]]) -> list[Key]:
    """Topological order by waves: what can go first goes first, stops before starts, then by index."""
    waiting = {key: len(earlier) for key, earlier in before.items()}
    following: dict[Key, list[Key]] = defaultdict(list)
    for key, earlier in before.items():
        for one in earlier:
            following[one].append(key)
    order: list[Key] = []
    wave = sorted(key for key, count in waiting.items() if not count)
    while wave:
        order += wave
        released = []
        for key in wave:
            for later in following[key]:
                waiting[later] -= 1
                if not waiting[later]:
                    released.append(later)
        wave = sorted(released)
    if len(order) != len(before):
        raise BrokenLaw(
            "a plan has no cycle", f"{len(before) - len(order)} actions wait in a circle"
        )
    return order


def _reduce(order: list[Key], before: dict[Key, set[Key]]) -> None:
    """Leave out every edge that others imply."""
    place = {key: i for i, key in enumerate(order)}
    ancestors: dict[Key, int] = {}
    for key in order:
        reached, kept = 0, set()
        # From the latest on: an earlier one that a later one already implies is not needed.
        for earlier in sorted(before[key], key=lambda k: place[k], reverse=True):
            if not reached >> place[earlier] & 1:
                kept.add(earlier)
                reached |= ancestors[earlier] | 1 << place[earlier]
        before[key] = kept
        ancestors[key] = reached
