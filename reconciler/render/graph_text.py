"""The constraint graph as text: what runs with what, in which order, where; and as JSON.

Text for people, one constraint a line in words; JSON for programs, the same facts as values.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from reconciler.render.graph import Edge, Graph, Member, Tie, Vertex
from reconciler.render.ink import BLANK, Line, Span, Tone, line
from reconciler.render.plan_json import indented
from reconciler.render.words import amount, listing

_TONES = {Tie.APART: Tone.BAD, Tie.TOGETHER: Tone.GOOD, Tie.ORDER: Tone.NAME}
_SECTIONS = (
    ("Order", (Tie.ORDER, Tie.ORDER_OPTIONAL)),
    ("Together", (Tie.TOGETHER, Tie.RATHER_TOGETHER)),
    ("Apart", (Tie.APART, Tie.RATHER_APART)),
)


def render(graph: Graph) -> list[Line]:
    """The graph in words."""
    members = sum(len(vertex.members) for vertex in graph.vertices)
    lines = [
        line(
            Span(graph.cluster, Tone.STRONG),
            f"  {amount(members, 'service')} on {amount(len(graph.nodes), 'node')}: ",
            body=listing(graph.nodes, most=8),
            tone=Tone.FAINT,
        ),
        BLANK,
    ]
    width = max((len(each.name) for one in graph.vertices for each in one.members), default=0)
    for vertex in graph.vertices:
        lines += _vertex(vertex, width + 4)
    for title, ties in _SECTIONS:
        chosen = [edge for edge in graph.edges if edge.tie in ties]
        if chosen:
            lines += [BLANK, line("  ", Span(title, Tone.STRONG))]
            lines += [_edge(edge) for edge in chosen]
    return lines


def _vertex(vertex: Vertex, width: int) -> Iterator[Line]:
    if not vertex.group:
        yield from _member(vertex.members[0], "  ", width)
        return
    notes = "; ".join(vertex.notes)
    yield line("  ", Span(vertex.name, Tone.STRONG), Span("  group  ", Tone.FAINT), body=notes)
    for index, member in enumerate(vertex.members):
        mark = "  └ " if index == len(vertex.members) - 1 else "  ├ "
        yield from _member(member, mark, width - 2)


def _member(member: Member, mark: str, width: int) -> Iterator[Line]:
    notes = "; ".join(member.notes)
    yield line(
        mark,
        Span(f"{member.name:<{width}}", Tone.NAME),
        body=" · ".join(part for part in (member.detail, notes) if part),
    )


def _edge(edge: Edge) -> Line:
    return line("    ", body=edge.words, tone=_TONES.get(edge.tie, Tone.PLAIN))


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphDocument:
    """What `reconcile graph --format json` prints."""

    version: int
    cluster: str
    nodes: tuple[str, ...]
    vertices: tuple[Vertex, ...]
    edges: tuple[Edge, ...]


def render_json(graph: Graph) -> str:
    """The graph as JSON."""
    return indented(
        GraphDocument(
            version=1,
            cluster=graph.cluster,
            nodes=graph.nodes,
            vertices=graph.vertices,
            edges=graph.edges,
        )
    )
