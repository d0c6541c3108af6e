"""Scores of nodes: who says that a node is worth more to a service, or less.

A list of (score, nodes) stands for a sum: each node's score is the total of the entries that name it.
"""

from collections.abc import Iterable, Iterator

from reconciler.core.world import Mask, World
from reconciler.model.intent import HealthStrategy

INFINITY = 1_000_000
"""Scores of this size are mandates in all but name."""
HEALTH = "health-"
"""Begins the name of every node attribute that speaks of health."""
_COLOURS = ("red", "yellow", "green")


def add_scores(nodes: Mask, scores: Iterable[tuple[int, Mask]]) -> list[tuple[int, Mask]]:
    """Split a set of nodes by their total score; the masks are disjoint and none is empty.

    Shape: S scores make at most 2^S parts, and no more than there are nodes.
    """
    parts = [(0, nodes)] if nodes else []
    for score, mask in scores:
        parts = [
            (base + score * inside, part)
            for base, whole in parts
            for inside, part in ((1, whole & mask), (0, whole & ~mask))
            if part
        ]
    totals: dict[int, Mask] = {}
    for score, mask in parts:
        totals[score] = totals.get(score, 0) | mask
    return list(totals.items())


def health_scores(world: World) -> Iterator[tuple[int, Mask]]:
    """What the health of each node is worth to every service, where it is not nothing."""
    health = world.intent.health
    match health.strategy:
        case HealthStrategy.NONE:
            return
        case HealthStrategy.MIGRATE_ON_RED:
            colours = {"red": -INFINITY, "yellow": 0, "green": 0}
        case HealthStrategy.ONLY_GREEN:
            colours = {"red": -INFINITY, "yellow": -INFINITY, "green": 0}
        case _:
            colours = {"red": health.red, "yellow": health.yellow, "green": health.green}
    base = health.base if health.strategy is HealthStrategy.PROGRESSIVE else 0
    totals: dict[int, Mask] = {}
    for i, state in enumerate(world.states):
        told = [value for name, value in state.attributes if name.startswith(HEALTH)]
        points = [colours[value] if value in _COLOURS else _number(value) for value in told]
        total = -INFINITY if min(points, default=0) <= -INFINITY else base + sum(points)
        if total:
            totals[total] = totals.get(total, 0) | 1 << i
    yield from totals.items()


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return 0
