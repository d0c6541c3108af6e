"""Plans and constraint graphs in Graphviz's language, for those who want another layout than ours."""

from collections.abc import Iterator

from reconciler.model.plan import ActionKind, SavedPlan
from reconciler.render import story
from reconciler.render.graph import Graph, Tie, Vertex
from reconciler.render.ink import clean

_PLAN_COLOURS = {
    ActionKind.PROBE: "#8795a6",
    ActionKind.START: "#2f855a",
    ActionKind.STOP: "#c53030",
    ActionKind.PROMOTE: "#2f855a",
    ActionKind.DEMOTE: "#b7791f",
    ActionKind.RELOAD: "#b7791f",
    ActionKind.MIGRATE: "#6b46c1",
    ActionKind.FENCE: "#9b2c2c",
}
_TIES = {
    Tie.ORDER: 'color="#2b6cb0"',
    Tie.ORDER_OPTIONAL: 'color="#2b6cb0" style=dashed',
    Tie.TOGETHER: 'color="#2f855a" dir=none penwidth=3',
    Tie.RATHER_TOGETHER: 'color="#2f855a" dir=none style=dashed',
    Tie.RATHER_APART: 'color="#8795a6" dir=none style=dotted',
    Tie.APART: 'color="#c53030" dir=none penwidth=2',
}  # fmt: skip


def plan(saved: SavedPlan) -> str:
    """The plan's actions as a digraph, one cluster for each node."""
    return "\n".join(_plan(saved)) + "\n"


def graph(drawn: Graph) -> str:
    """The constraint graph as a digraph, one cluster for each group."""
    return "\n".join(_graph(drawn)) + "\n"


def _plan(saved: SavedPlan) -> Iterator[str]:
    told = story.tell(saved.observed, saved.decision)
    yield f"digraph {_quoted(saved.intent.cluster)} {{"
    yield "  rankdir=LR"
    yield f"  label={_quoted(story.headline(told))} labelloc=t"
    yield '  node [shape=box style=rounded fontname="DejaVu Sans" fontsize=11]'
    actions = saved.decision.plan.actions
    for index, node in enumerate(sorted({action.node for action in actions})):
        yield f'  subgraph cluster_{index} {{ label={_quoted(node)} color="#dfe4ea"'
        for action in actions:
            if action.node == node:
                words = f"{action.kind} {action.service or ''}".strip()
                words += f" to {action.target}" if action.target else ""
                tip = "; ".join(reason.text for reason in action.reasons)
                yield (
                    f"    {_quoted(action.id)} [label={_quoted(words)}"
                    f' color="{_PLAN_COLOURS[action.kind]}" tooltip={_quoted(tip)}]'
                )
        yield "  }"
    for action in actions:
        for before in action.after:
            yield f"  {_quoted(before)} -> {_quoted(action.id)}"
    yield "}"


def _graph(drawn: Graph) -> Iterator[str]:
    yield f"digraph {_quoted(drawn.cluster)} {{"
    yield "  rankdir=LR"
    yield "  compound=true"
    yield '  node [shape=box style=rounded fontname="DejaVu Sans" fontsize=11]'
    anchors: dict[str, str] = {}
    clusters: dict[str, str] = {}
    for index, vertex in enumerate(drawn.vertices):
        anchors[vertex.name] = vertex.members[0].name if vertex.members else vertex.name
        if vertex.group:
            clusters[vertex.name] = f"cluster_{index}"
            yield from _cluster(vertex, index)
        else:
            yield from _box(vertex)
    for edge in drawn.edges:
        source, target = anchors.get(edge.first, edge.first), anchors.get(edge.then, edge.then)
        extra = _TIES[edge.tie] + (f" label={_quoted(edge.label)}" if edge.label else "")
        extra += f" ltail={clusters[edge.first]}" if edge.first in clusters else ""
        extra += f" lhead={clusters[edge.then]}" if edge.then in clusters else ""
        yield f"  {_quoted(source)} -> {_quoted(target)} [{extra}]"
    yield "}"


def _cluster(vertex: Vertex, index: int) -> Iterator[str]:
    yield f"  subgraph cluster_{index} {{ label={_quoted(vertex.name)} style=dashed"
    for line in _box(vertex):
        yield f"  {line}"
    names = [_quoted(member.name) for member in vertex.members]
    if len(names) > 1:
        yield f"    {' -> '.join(names)}"
    yield "  }"


def _box(vertex: Vertex) -> Iterator[str]:
    for member in vertex.members:
        text = "\n".join((member.name, member.detail, *member.notes))
        yield f"  {_quoted(member.name)} [label={_quoted(text)}]"


def _quoted(text: str) -> str:
    lines = (clean(part).replace("\\", "\\\\").replace('"', '\\"') for part in text.split("\n"))
    return '"' + "\\n".join(lines) + '"'
