"""Drift: what must stop and what must start so that the observed state becomes the placement.

A restart is a stop and a start on the same node. What neither fails, changes, moves nor depends on such
a copy is steady, and is not touched.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.core.problem import Problem
from reconciler.core.restarts import steady_copies
from reconciler.core.world import Mask
from reconciler.model.intent import Safety


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Per service (by index) where copies stop, start, stay as they are, and must be looked for first."""

    stop: tuple[Mask, ...]
    start: tuple[Mask, ...]
    steady: tuple[Mask, ...]
    probe: tuple[Mask, ...]

    def leaving(self, v: int) -> Mask:
        """Nodes that lose their copy for good."""
        return self.stop[v] & ~self.start[v]

    def arriving(self, v: int) -> Mask:
        """Nodes that had no copy and get one."""
        return self.start[v] & ~self.stop[v]

    def restarting(self, v: int) -> Mask:
        """Nodes where a copy stops and starts again."""
        return self.stop[v] & self.start[v]


def find_drift(problem: Problem, chosen: Sequence[Mask]) -> Drift:
    """Compare what runs with the chosen nodes of every service."""
    steady_by = steady_copies(problem, dict(enumerate(chosen)))
    steady = tuple(steady_by[v] for v in range(len(chosen)))
    start = tuple(seats & ~kept for seats, kept in zip(chosen, steady, strict=True))
    stop = tuple(
        copies.running & ~kept for copies, kept in zip(problem.world.copies, steady, strict=True)
    )
    probed = _probed(problem, start)
    return Drift(
        stop=stop,
        start=start,
        steady=steady,
        probe=tuple(
            _to_probe(problem, v, starts, probed[v]) if starts else 0
            for v, starts in enumerate(start)
        ),
    )


def _probed(problem: Problem, start: Sequence[Mask]) -> dict[int, Mask]:
    """Where the state of each service that starts is known."""
    world = problem.world
    known = {v: world.copies[v].running | world.copies[v].pinned for v, m in enumerate(start) if m}
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
