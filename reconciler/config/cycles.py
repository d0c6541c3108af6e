"""Circles of orderings: services that all wait for each other.

Groups give orderings too. A circle of required orderings can never start; one that holds an optional
ordering, or one that `any-of` makes easier, merely cannot keep them all.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

from reconciler.config.problems import Problems
from reconciler.config.yaml_tree import quoted
from reconciler.model.intent import Group, Intent, Ordering, OrderingKind, Origin

CYCLES_MAX: Final = 100
"""Most circles that are told of; whoever has more begins with these."""


class Edge(NamedTuple):
    """The line that says that one thing starts before another, and whether it must."""

    line: Origin | None
    required: bool


Edges = dict[str, dict[str, Edge]]
"""From each thing to those that start after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """Things that wait for each other, the first again at the end; a group is a begin and an end."""

    points: tuple[str, ...]
    edges: tuple[Edge, ...]

    @property
    def required(self) -> bool:
        """Whether each of them must wait, so that none can ever start."""
        return all(edge.required for edge in self.edges)

    @property
    def names(self) -> tuple[str, ...]:
        """Services and groups along the circle, a group's two points said once."""
        names = [_bare(point) for point in self.points]
        return tuple(
            name for number, name in enumerate(names) if not number or name != names[number - 1]
        )

    @property
    def line(self) -> Origin | None:
        """The last of its lines: what was written there closed the circle."""
        lines = [edge.line for edge in self.edges if edge.line]
        return max(lines, key=lambda line: (line.path, line.line, line.column), default=None)

    def steps(self) -> Iterator[str]:
        """Each step in words, with its line."""
        for (first, then), edge in zip(pairwise(self.points), self.edges, strict=True):
            if _bare(first) != _bare(then):
                yield f"{quoted(_bare(first))} before {quoted(_bare(then))} ({edge.line})"


def check_cycles(intent: Intent, problems: Problems) -> None:
    """Report each circle of orderings once: an error if all of it is required, else a warning."""
    for cycle in find_cycles(intent.orderings, intent.groups):
        path = " -> ".join(quoted(name) for name in cycle.names)
        advice = (
            "Remove one of them."
            if cycle.required
            else "Not all of them are required, so a plan leaves out one that is not. Remove one."
        )
        problems.add(
            "R030",
            f"Each of these waits for the one before it, in a circle: {path}. "
            f"That is: {'; '.join(cycle.steps())}. {advice}",
            cycle.line,
            harmless=not cycle.required,
        )


def find_cycles(orderings: tuple[Ordering, ...], groups: tuple[Group, ...]) -> tuple[Cycle, ...]:
    """Circles of orderings, those that are wholly required first; empty if and only if there is none."""
    edges = _before(orderings, groups)
    strict = {
        first: {then: edge for then, edge in after.items() if edge.required}
        for first, after in edges.items()
    }
    found = []
    for graph in (strict, edges):
        for points in _circles(graph):
            found.append(
                Cycle(
                    points=points,
                    edges=tuple(edges[first][then] for first, then in pairwise(points)),
                )
            )
            if len(found) == CYCLES_MAX:
                return tuple(found)
        for cycle in found:
            edges[cycle.points[-2]].pop(cycle.points[-1], None)
    return tuple(found)


_BEGIN, _END = "\0begin", "\0end"


def _bare(point: str) -> str:
    return point.split("\0", 1)[0]


def _before(orderings: tuple[Ordering, ...], groups: tuple[Group, ...]) -> Edges:
    """What starts before what. A group is two points around its members, so it costs no more than they."""
    edges: Edges = {}
    names = {group.name for group in groups}
    for group in groups:
        edge = Edge(group.origin, required=True)
        begin, end = group.name + _BEGIN, group.name + _END
        chain = [begin, *group.members, end]
        around = ((begin, name) for name in group.members), ((name, end) for name in group.members)
        for first, then in pairwise(chain) if group.ordered else (*around[0], *around[1]):
            edges.setdefault(first, {}).setdefault(then, edge)
    for ordering in orderings:
        if ordering.kind is OrderingKind.SERIALIZE:
            continue
        if {ordering.first_action, ordering.then_action} & {"stop", "demote"}:
            continue  # such an ordering says nothing of the order in which things start
        required = ordering.kind is OrderingKind.REQUIRED and not ordering.any_of
        then = ordering.then + _BEGIN if ordering.then in names else ordering.then
        for name in (ordering.first, *ordering.any_of):
            first = name + _END if name in names else name
            after = edges.setdefault(first, {})
            if then not in after or (required and not after[then].required):
                after[then] = Edge(ordering.origin, required=required)
    return edges


def _circles(edges: Edges) -> Iterator[tuple[str, ...]]:
    """One circle for each edge that leads back, its first point repeated at its end.

    Shape: one pass over N points and E edges, without recursion; the graph without those edges has none.
    """
    done: set[str] = set()
    for start in edges:
        if start in done:
            continue
        trail = {start: iter(edges[start])}
        while trail:
            here = next(reversed(trail))
            step = next(trail[here], None)
            if step is None:
                done.add(here)
                trail.popitem()
            elif step in trail:
                points = list(trail)
                yield (*points[points.index(step) :], step)
            elif step not in done:
                trail[step] = iter(edges.get(step, ()))
