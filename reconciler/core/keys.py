"""Actions before they have a name, and how they get one.

A key says what is done to which part on which node, by index; the order of the ranks is the order of a
plan where nothing else decides.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from reconciler.core.drift import Drift
from reconciler.core.problem import Problem
from reconciler.core.reasons import Because
from reconciler.core.world import bits, in_layers
from reconciler.model.ids import ActionId, NodeName
from reconciler.model.placement import Reason
from reconciler.model.plan import Action, ActionKind

FENCE, STOP, PROBE, RELOAD, MIGRATE, START = range(6)

_KINDS = {
    FENCE: ActionKind.FENCE,
    STOP: ActionKind.STOP,
    PROBE: ActionKind.PROBE,
    RELOAD: ActionKind.RELOAD,
    MIGRATE: ActionKind.MIGRATE,
    START: ActionKind.START,
}
_OF_ROLE = {STOP: ActionKind.DEMOTE, START: ActionKind.PROMOTE}


class Key(NamedTuple):
    """An action before it has a name: rank, part and node by index; a fence has no part."""

    rank: int
    part: int
    node: int


class Namer:
    """Makes actions of keys."""

    def __init__(self, problem: Problem, drift: Drift) -> None:
        self._problem, self._drift = problem, drift
        self._numbers = {base: _instances(problem, drift, base) for base in problem.world.layers}

    def action(self, key: Key, after: Iterable[Key], because: Because) -> Action:
        """The action of a key, after those of other keys."""
        world = self._problem.world
        fence = key.rank == FENCE
        return Action(
            id=self._id(key),
            kind=self._kind(key),
            service=None if fence else world.services[key.part].name,
            instance=0 if fence else self._instance(key),
            node=world.node_names[key.node],
            target=self._target(key),
            after=tuple(self._id(earlier) for earlier in sorted(after)),
            reasons=_reasons(because, key),
        )

    def removed(self, because: Because) -> Iterator[Action]:
        """Stops of copies that the intent does not name."""
        for copy in self._problem.world.removed:
            number = f":{copy.instance}" if copy.instance else ""
            yield Action(
                id=ActionId(f"{ActionKind.STOP}:{copy.service}{number}@{copy.node}"),
                kind=ActionKind.STOP,
                service=copy.service,
                instance=copy.instance,
                node=copy.node,
                reasons=because.removed(copy),
            )

    def _kind(self, key: Key) -> ActionKind:
        if key.rank in _OF_ROLE and self._problem.world.parts[key.part].promoted:
            return _OF_ROLE[key.rank]
        return _KINDS[key.rank]

    def _id(self, key: Key) -> ActionId:
        world = self._problem.world
        node = world.node_names[key.node]
        if key.rank == FENCE:
            return ActionId(f"{ActionKind.FENCE}@{node}")
        number = f":{self._instance(key)}" if self._layered(key.part) else ""
        return ActionId(f"{self._kind(key)}:{world.services[key.part].name}{number}@{node}")

    def _target(self, key: Key) -> NodeName | None:
        if key.rank != MIGRATE:
            return None
        return self._problem.world.node_names[self._drift.migrate[key.part][1]]

    def _layered(self, part: int) -> bool:
        return self._problem.world.parts[part].base in self._problem.world.layers

    def _instance(self, key: Key) -> int:
        if not self._layered(key.part):
            return 0
        base = self._problem.world.parts[key.part].base
        numbers = self._numbers[base]
        if self._problem.world.parts[key.part].promoted:
            # The first copy of a node is the one with the role, when it comes and when it goes.
            first = numbers.get((key.rank, base, key.node))
            return numbers.get((STOP, base, key.node), 0) if first is None else first
        rank = START if key.rank == START else STOP
        return numbers.get((rank, key.part, key.node), 0)


def _reasons(because: Because, key: Key) -> tuple[Reason, ...]:
    if key.rank == FENCE:
        return because.fence(key.node)
    tell = {PROBE: because.probe, RELOAD: because.reload, START: because.start}
    return tell.get(key.rank, because.stop)(key.part, key.node)


def _instances(problem: Problem, drift: Drift, base: int) -> dict[tuple[int, int, int], int]:
    """Numbers of the copies of a service with several on a node: what runs keeps its own."""
    world = problem.world
    name = world.services[base].name
    parts = (base, *world.layers[base])
    found = (copy for copy in world.observed.copies if copy.service == name)
    ordered = in_layers(world.services[base], found, world.mishaps)
    running = [(copy.node, copy.instance) for copy in ordered]
    numbers: dict[tuple[int, int, int], int] = {}
    used = {number for _, number in running}
    for at, node in enumerate(world.node_names):
        here = [number for other, number in running if other == node]
        for part, number in zip(parts, here, strict=False):
            numbers[STOP, part, at] = number
            if drift.leaving(part) >> at & 1:
                used.discard(number)
    free = (
        number
        for number in range(len(used) + len(world.node_names) * len(parts) + 1)
        if number not in used
    )
    for part in parts:
        for at in bits(drift.start[part]):
            restarted = numbers.get((STOP, part, at))
            staying = (drift.restarting(part) | world.copies[part].starting) >> at & 1
            numbers[START, part, at] = (
                restarted if staying and restarted is not None else next(free)
            )
    return numbers
