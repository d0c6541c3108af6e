"""Ordering: drift becomes actions, and edges say what must be over before each may begin.

  forward     a start comes after the starts of what it depends on
  backward    a stop comes after the stops of what depends on it
  moves       a copy arrives only when those that leave are gone, and restarts after its own stop
  apart       a start comes after the stop of what may not be beside it
  together    services that share a node move together: none arrives while the other still leaves
  room        where a node cannot hold both, arrivals wait for those that leave
  probes      a start comes after the look for copies that nobody has looked for

Starts wait for stops and never the reverse, and required orderings have no cycle: so the graph has none.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from reconciler.core.drift import Drift
from reconciler.core.problem import UNLIMITED, Problem
from reconciler.core.reasons import Because
from reconciler.core.relations import Link
from reconciler.core.world import Mask, bits
from reconciler.model.errors import BrokenLaw
from reconciler.model.ids import ActionId
from reconciler.model.placement import Reason
from reconciler.model.plan import Action, ActionKind, Plan

_KINDS = (ActionKind.STOP, ActionKind.PROBE, ActionKind.START)
STOP, PROBE, START = range(3)


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """An action before it has a name: kind rank, service and node by index."""

    rank: int
    service: int
    node: int


def make_plan(problem: Problem, drift: Drift, because: Because) -> Plan:
    """The actions of this drift, each after what it must wait for, implied edges left out.

    Shape: A actions: sets of A bits per action for the reduction.
    """
    keys = _keys(drift)
    before: dict[Key, set[Key]] = {key: set() for key in keys}
    for earlier, later in _edges(problem, drift):
        if earlier in before and later in before:
            before[later].add(earlier)
    order = _sorted(before)
    _reduce(order, before)
    names = {key: _name(problem, key) for key in order}
    removed = tuple(_removed_stops(problem, because))
    actions = tuple(
        Action(
            id=names[key],
            kind=_KINDS[key.rank],
            service=problem.world.services[key.service].name,
            node=problem.world.node_names[key.node],
            after=tuple(names[earlier] for earlier in sorted(before[key])),
            reasons=_reasons(because, key),
        )
        for key in order
    )
    return Plan(actions=removed + actions)


def _keys(drift: Drift) -> list[Key]:
    keys = []
    for rank, masks in ((STOP, drift.stop), (PROBE, drift.probe), (START, drift.start)):
        keys += [Key(rank, v, at) for v, mask in enumerate(masks) if mask for at in bits(mask)]
    return keys


def _edges(problem: Problem, drift: Drift) -> Iterator[tuple[Key, Key]]:
    for link in (*problem.relations.after, *problem.relations.sequence):
        yield from _forward(problem, drift, link)
        yield from _backward(problem, drift, link)
    for v, starts in enumerate(drift.start):
        if starts:
            yield from _moves(drift, v)
    for link in problem.relations.apart:
        for one, other in ((link.service, link.other), (link.other, link.service)):
            for at in bits(drift.start[one] & drift.stop[other]):
                yield Key(STOP, other, at), Key(START, one, at)
    for link in problem.relations.together:
        yield from _cross(drift, link.service, link.other)
        yield from _cross(drift, link.other, link.service)
    yield from _room_edges(problem, drift)


def _forward(problem: Problem, drift: Drift, link: Link) -> Iterator[tuple[Key, Key]]:
    """`link.service` starts after `link.other`: after the copy here if there is one, else after all."""
    starts, supply = drift.start[link.service], drift.start[link.other]
    if not starts or not supply:
        return
    standing = drift.steady[link.other] | problem.variables[link.other].reliable
    for at in bits(starts):
        here = 1 << at
        if supply & here:
            yield Key(START, link.other, at), Key(START, link.service, at)
        elif not standing:
            for there in bits(supply):
                yield Key(START, link.other, there), Key(START, link.service, at)


def _backward(problem: Problem, drift: Drift, link: Link) -> Iterator[tuple[Key, Key]]:
    """`link.other` stops after `link.service`, in the mirror image of the starts."""
    stops, supply = drift.stop[link.service], drift.stop[link.other]
    if not stops or not supply:
        return
    standing = drift.steady[link.other] | problem.variables[link.other].reliable
    for at in bits(stops):
        here = 1 << at
        if supply & here:
            yield Key(STOP, link.service, at), Key(STOP, link.other, at)
        elif not standing:
            for there in bits(supply):
                yield Key(STOP, link.service, at), Key(STOP, link.other, there)


def _moves(drift: Drift, v: int) -> Iterator[tuple[Key, Key]]:
    for at in bits(drift.restarting(v)):
        yield Key(STOP, v, at), Key(START, v, at)
    for gone in bits(drift.leaving(v)):
        for at in bits(drift.start[v]):
            yield Key(STOP, v, gone), Key(START, v, at)
    for looked in bits(drift.probe[v]):
        for at in bits(drift.start[v]):
            yield Key(PROBE, v, looked), Key(START, v, at)


def _cross(drift: Drift, one: int, other: int) -> Iterator[tuple[Key, Key]]:
    for gone in bits(drift.leaving(one)):
        for at in bits(drift.arriving(other)):
            if at != gone:
                yield Key(STOP, one, gone), Key(START, other, at)


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


def _name(problem: Problem, key: Key) -> ActionId:
    service = problem.world.services[key.service].name
    return ActionId(f"{_KINDS[key.rank]}:{service}@{problem.world.node_names[key.node]}")


def _reasons(because: Because, key: Key) -> tuple[Reason, ...]:
    tell = {STOP: because.stop, PROBE: because.probe, START: because.start}[key.rank]
    return tell(key.service, key.node)


def _removed_stops(problem: Problem, because: Because) -> Iterator[Action]:
    for copy in problem.world.removed:
        yield Action(
            id=ActionId(f"{ActionKind.STOP}:{copy.service}@{copy.node}"),
            kind=ActionKind.STOP,
            service=copy.service,
            instance=copy.instance,
            node=copy.node,
            reasons=because.removed(copy),
        )
