"""Laws of every step: how many copies there may be at once, who may still hold one, and what a node holds."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations

from reconciler.core.verify.case import Case
from reconciler.core.verify.permits import Permits
from reconciler.core.verify.values import Place, Track, Violation
from reconciler.model.ids import ActionId
from reconciler.model.intent import Safety
from reconciler.model.observed import Liveness
from reconciler.model.plan import Action, ActionKind

_SUBSETS_OF_MAX = 8


def one_holder(case: Case, permits: Permits) -> Iterator[Violation]:
    """At no step of any order are there more copies than wanted, counting those that may be."""
    for track in case.acting:
        if not track.begins or track.service is None:
            continue
        wanted = track.service.promoted if track.promoted else track.service.replicas
        for place, begin in track.begins.items():
            there = _holders(case, track, begin)
            if wanted is not None and len(there) > wanted:
                law = "never more promoted copies than wanted"
                if not track.promoted:
                    law = "never more copies than wanted"
                yield Violation(law=law, detail=begin.id)
            most = track.service.replicas_per_node
            if sum(1 for node, _ in there if node == place[0]) > most:
                yield Violation(law="no more copies on a node than wanted", detail=begin.id)
            if track.service.safety is Safety.EXCLUSIVE and place not in track.free:
                yield from _unknown_holders(case, permits, track, begin)


def _holders(case: Case, track: Track, begin: Action) -> set[Place]:
    """Where there may be a copy right after this one has begun."""
    found = set(track.held)
    for place in (*track.free, *track.doomed):
        end = track.ends.get(place)
        if end is not begin and not case.gone_before(track, place, begin):
            found.add(place)
    for place, other in track.begins.items():
        if other is begin or not case.before(begin, other):
            found.add(place)
    return found


def _unknown_holders(
    case: Case, permits: Permits, track: Track, begin: Action
) -> Iterator[Violation]:
    """Nobody knows what runs on a node that was never heard: it is waited for, or fenced first."""
    for node, state in case.facts.states.items():
        if state.liveness in (Liveness.ALIVE, Liveness.DOWN) or permits.rule(track.name, node):
            continue
        fence = case.fences.get(node)
        known = state.boot is not None and (track.name in state.probed or fence is None)
        if not known and (fence is None or not case.before(fence, begin)):
            law = "nothing starts while a holder is unknown"
            yield Violation(law=law, detail=f"{begin.id}, {node}")


def probed_first(case: Case) -> Iterator[Violation]:
    """A copy comes only where, and if exclusive only when everywhere, somebody has looked for one."""
    for track in case.acting:
        if track.promoted or not track.begins or track.service is None:
            continue
        exclusive = track.service.safety is Safety.EXCLUSIVE
        there = {node for places in (track.free, track.held) for node, _ in places}
        for node, state in case.facts.states.items():
            if state.liveness is not Liveness.ALIVE or node in case.fences or node in there:
                continue
            if case.facts.nodes[node].maintenance or track.name in state.probed:
                continue
            probe = case.probes.get((track.name, node))
            for place, begin in track.begins.items():
                if place[0] != node and not exclusive:
                    continue
                if probe is None or not case.before(probe, begin):
                    law = "a node is probed before a start"
                    yield Violation(law=law, detail=f"{begin.id}, {node}")


def live_moves(case: Case) -> Iterator[Violation]:
    """Only the one healthy copy of a service moves live, and what it needs stays until it has."""
    moves = [a for a in case.plan.actions if a.kind is ActionKind.MIGRATE and a.service]
    if not moves:
        return
    for action in moves:
        yield from _live_move(case, action)
    for need in case.links.needs:
        if need.required and need.symmetrical:
            first, then = case.track(need.first), case.track(need.then)
            for place, move in then.ends.items():
                if move.kind is ActionKind.MIGRATE and first.ends:
                    yield from _left_alone(case, first, place, move)


def _live_move(case: Case, action: Action) -> Iterator[Violation]:
    track = case.track((str(action.service), False))
    service = track.service
    if service is None or not service.migratable:
        yield Violation(law="only what can move live does", detail=action.id)
        return
    if len(track.free) + len(track.held) != 1 or sum(track.seats.values()) != 1:
        yield Violation(law="only a single copy moves live", detail=action.id)
    for copy in track.free.values():
        if case.facts.restarts(copy) or case.changed(copy) or track.rising:
            yield Violation(law="only a healthy copy moves live", detail=action.id)


def _left_alone(case: Case, first: Track, place: Place, move: Action) -> Iterator[Violation]:
    """What a live move relies on at its source goes live too, or after it."""
    near = [there for there in first.free if there[0] == place[0]]
    if not near and next(first.standing(), None) is not None:
        return
    for there in near or first.ends:
        end = first.ends.get(there)
        if end is not None and end.kind is not ActionKind.MIGRATE and not case.before(move, end):
            law = "what a live move needs stays until it is over"
            yield Violation(law=law, detail=f"{move.id}, {end.id}")


def capacity_holds(case: Case) -> Iterator[Violation]:
    """No order fills a node beyond what it holds.

    What stays or restarts is there throughout. Of what leaves, any part may still be there when all
    that need not wait for that part has arrived.
    """
    limits = {str(node.name): node.capacity for node in case.intent.nodes if node.capacity}
    if not limits:
        return
    here: dict[str, list[tuple[Track, Place]]] = defaultdict(list)
    touched: set[str] = set()
    for track in case.tracks.values():
        if track.promoted or track.service is None or not track.service.demand:
            continue
        for place in {**track.free, **track.held, **track.begins}:
            here[place[0]].append((track, place))
        touched.update(node for node, _ in track.begins)
    for node in sorted(touched):
        for resource, limit in limits.get(node, ()):
            yield from _room(case, node, resource, limit, here[node])


def _room(
    case: Case, node: str, resource: str, limit: int, here: list[tuple[Track, Place]]
) -> Iterator[Violation]:
    staying, leaving, coming = 0, [], []
    for track, place in here:
        need = dict(track.service.demand).get(resource, 0) if track.service else 0
        comes, goes = track.begins.get(place), track.ends.get(place)
        running = place in track.free or place in track.held
        if not need:
            continue
        if running and goes is not None and comes is None:
            leaving.append((need, goes.id))
        elif running:
            staying += need
        elif comes is not None:
            coming.append((need, comes.id))
    for part in _parts(leaving):
        gates = {gate for _, gate in part}
        come = [n for n, name in coming if not any(case.follows(gate, name) for gate in gates)]
        load = staying + sum(need for need, _ in part) + sum(come)
        if come and load > limit:
            yield Violation(
                law="capacity holds at every step", detail=f"{load} {resource} of {limit} on {node}"
            )


_Leaving = tuple[int, ActionId]


def _parts(leaving: list[_Leaving]) -> Iterator[tuple[_Leaving, ...]]:
    """Every subset while they are few; else none of them, each alone, and all."""
    if len(leaving) <= _SUBSETS_OF_MAX:
        for size in range(len(leaving) + 1):
            yield from combinations(leaving, size)
        return
    yield ()
    yield from ((one,) for one in leaving)
    yield tuple(leaving)
