"""Drift: what must stop and what must start so that the observed state becomes the placement.

A restart is a stop and a start on the same node; for promoted copies a stop is a demotion and a start a
promotion. What neither fails, changes, moves nor depends on such a copy is steady, and is not touched.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reconciler.core.problem import Problem
from reconciler.core.restarts import undisturbed
from reconciler.core.world import Mask
from reconciler.model.intent import Safety


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Per part (by index) where copies stop, start, stay as they are, and must be looked for first."""

    stop: tuple[Mask, ...]
    start: tuple[Mask, ...]
    steady: tuple[Mask, ...]
    probe: tuple[Mask, ...]
    reload: tuple[Mask, ...]
    migrate: Mapping[int, tuple[int, int]]
    """Parts that move live, from node to node: instead of their stop and their start."""

    def leaving(self, v: int) -> Mask:
        """Nodes that lose their copy for good."""
        return self.stop[v] & ~self.start[v]

    def arriving(self, v: int) -> Mask:
        """Nodes that had no copy and get one."""
        return self.start[v] & ~self.stop[v]

    def restarting(self, v: int) -> Mask:
        """Nodes where a copy stops and starts again."""
        return self.stop[v] & self.start[v]


def find_drift(
    problem: Problem, chosen: Sequence[Mask], immobile: frozenset[int] = frozenset()
) -> Drift:
    """Compare what runs with the chosen nodes of every part; what is immobile does not move live."""
    left_alone = undisturbed(problem, dict(enumerate(chosen)), immobile=immobile)
    copies = problem.world.copies
    steady = tuple(left_alone.steady[v] for v in range(len(chosen)))
    start = tuple(seats & ~kept for seats, kept in zip(chosen, steady, strict=True))
    stop = tuple(
        found.running & ~kept & ~(found.starting & seats) | found.leftover
        for found, kept, seats in zip(copies, steady, chosen, strict=True)
    )
    probed = _probed(problem, start)
    return Drift(
        stop=stop,
        start=start,
        steady=steady,
        probe=tuple(
            _to_probe(problem, v, starts, probed[v]) if v in probed else 0
            for v, starts in enumerate(start)
        ),
        reload=tuple(found.reloadable & kept for found, kept in zip(copies, steady, strict=True)),
        migrate={
            v: (copies[v].running.bit_length() - 1, chosen[v].bit_length() - 1)
            for v in left_alone.migrating
        },
    )


def _probed(problem: Problem, start: Sequence[Mask]) -> dict[int, Mask]:
    """Where the state of each service that starts is known."""
    world = problem.world
    known = {
        v: world.copies[v].running | world.copies[v].pinned
        for v, mask in enumerate(start)
        if mask and world.parts[v].base == v
    }
    for at, state in enumerate(world.states):
        for v in known:
            if world.services[v].name in state.probed:
                known[v] |= 1 << at
    return known


def _to_probe(problem: Problem, v: int, starts: Mask, probed: Mask) -> Mask:
    """At most one means that no other node may hold a copy that nobody has looked for."""
    world = problem.world
    touchable = world.alive & ~world.maintenance
    exclusive = world.services[v].safety is Safety.EXCLUSIVE
    return (touchable if exclusive else starts) & ~probed
