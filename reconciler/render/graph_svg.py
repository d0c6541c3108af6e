"""The constraint graph as a drawing: boxes for services and groups, arrows for orders, lines for the rest.

What is tied together is laid out together, one island beside the next; what nothing ties stands below
in rows. An exclusive service has a dark edge, since a second copy of it would be a disaster.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from reconciler.render import svg
from reconciler.render.graph import Edge, Graph, Member, Tie, Vertex
from reconciler.render.layered import Gaps, layered
from reconciler.render.svg import Point
from reconciler.render.words import amount

_TITLE, _SMALL = 13.0, 10.5
_ROW = 15
_PAD = 12
_HEAD = 24
_MARGIN = 28
_WIDTH_MAX = 3_200
_BOX_WIDTH = (140.0, 340.0)
_LANE_OFFSET = 7
_GAPS = Gaps(across=150, along=26)

_GREEN, _RED, _BLUE, _GREY = "#2f855a", "#c53030", "#2b6cb0", "#8795a6"
_NOTE_COLOURS = {"never": _RED, "demands": svg.FAINT}
_EXCLUSIVE, _EASY = "#1a365d", "#7fb3c8"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stroke:
    colour: str
    dash: str
    width: float
    arrow: bool
    meaning: str


_STROKES = {
    Tie.ORDER: _Stroke(colour=_BLUE, dash="", width=1.8, arrow=True, meaning="first → then"),
    Tie.ORDER_OPTIONAL: _Stroke(
        colour=_BLUE, dash="6 4", width=1.4, arrow=True, meaning="first → then, if both change"
    ),
    Tie.TOGETHER: _Stroke(colour=_GREEN, dash="", width=4, arrow=False, meaning="same node"),
    Tie.RATHER_TOGETHER: _Stroke(
        colour=_GREEN, dash="5 4", width=1.6, arrow=False, meaning="rather the same node"
    ),
    Tie.RATHER_APART: _Stroke(
        colour=_GREY, dash="2 4", width=1.8, arrow=False, meaning="rather apart"
    ),
    Tie.APART: _Stroke(colour=_RED, dash="", width=2.2, arrow=False, meaning="never the same node"),
}


def render(graph: Graph) -> str:
    """The graph as an SVG file."""
    tied = graph.tied
    islands = [_island(vertices, edges) for vertices, edges in _islands(graph)]
    islands += [_Block(size=_size(each), parts=tuple(_vertex(each, (0, 0)))) for each in graph.vertices
                if each.name not in tied]  # fmt: skip
    blocks, size = _shelved(islands)
    legend = list(_legend(graph))
    width = max(size[0] + 2 * _MARGIN, 560.0)
    parts = [
        svg.text((_MARGIN, 40), f"{graph.cluster}: what depends on what", size=18, bold=True),
        svg.text((_MARGIN, 60), _subtitle(graph), size=11.5, fill=svg.FAINT),
        *_moved(blocks, (_MARGIN, 84)),
    ]
    rows = _legend_rows(legend, width)
    for index, row in enumerate(rows):
        parts += _legend_row(row, 84 + size[1] + 34 + index * 20)
    height = 84 + size[1] + 34 + len(rows) * 20 + 8
    arrows = sorted({_STROKES[edge.tie].colour for edge in graph.edges if _STROKES[edge.tie].arrow})
    return svg.picture(
        (width, height), parts, title=f"Constraints of {graph.cluster}", arrows=arrows
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """A finished piece of drawing, with its size."""

    size: Point
    parts: tuple[str, ...]


def _subtitle(graph: Graph) -> str:
    members = sum(len(vertex.members) for vertex in graph.vertices)
    return f"{amount(members, 'service')}, {amount(len(graph.nodes), 'node')}"


def _islands(graph: Graph) -> Iterator[tuple[list[Vertex], list[Edge]]]:
    """Vertices that edges connect, however far, with those edges."""
    leader = {vertex.name: vertex.name for vertex in graph.vertices}

    def find(name: str) -> str:
        while leader[name] != name:
            leader[name] = leader[leader[name]]
            name = leader[name]
        return name

    for edge in graph.edges:
        leader[find(edge.target)] = find(edge.source)
    vertices: defaultdict[str, list[Vertex]] = defaultdict(list)
    edges: defaultdict[str, list[Edge]] = defaultdict(list)
    for vertex in graph.vertices:
        if vertex.name in graph.tied:
            vertices[find(vertex.name)].append(vertex)
    for edge in graph.edges:
        edges[find(edge.source)].append(edge)
    for name in sorted(vertices, key=lambda each: (-len(vertices[each]), each)):
        yield vertices[name], edges[name]


def _island(vertices: list[Vertex], edges: list[Edge]) -> _Block:
    sizes = {vertex.name: _size(vertex) for vertex in vertices}
    drawn = [edge for edge in edges if edge.source != edge.target]
    orders_first = sorted(drawn, key=lambda edge: edge.tie not in {Tie.ORDER, Tie.ORDER_OPTIONAL})
    drawing = layered(sizes, [(edge.source, edge.target) for edge in orders_first], _GAPS)
    parts: list[str] = []
    labels: list[str] = []
    ends = _ends(drawn, drawing.corners, sizes)
    beside = _beside([(edge.source, edge.target) for edge in drawn])
    for index, edge in enumerate(drawn):
        way = drawing.ways[edge.source, edge.target]
        points = [ends[index][0], *((x, y + beside[index]) for x, y in way), ends[index][1]]
        parts.append(_line(edge, points))
        labels += _label(edge, points)
    for vertex in vertices:
        parts += _vertex(vertex, drawing.corners[vertex.name])
    return _Block(size=(drawing.width, drawing.height), parts=(*parts, *labels))


def _ends(
    edges: list[Edge], corners: Mapping[str, Point], sizes: Mapping[str, Point]
) -> list[tuple[Point, Point]]:
    """Where each edge leaves and enters, spread over the sides of its boxes without crossing there."""
    sides: defaultdict[tuple[str, bool], list[tuple[float, int, bool]]] = defaultdict(list)
    for index, edge in enumerate(edges):
        right = corners[edge.source][0] <= corners[edge.target][0]
        for name, other, on_right, begins in (
            (edge.source, edge.target, right, True),
            (edge.target, edge.source, not right, False),
        ):
            middle = corners[other][1] + sizes[other][1] / 2
            sides[name, on_right].append((middle, index, begins))
    found: dict[tuple[int, bool], Point] = {}
    for (name, on_right), uses in sides.items():
        x = corners[name][0] + (sizes[name][0] if on_right else 0)
        step = sizes[name][1] / (len(uses) + 1)
        for number, (_, index, begins) in enumerate(sorted(uses), 1):
            found[index, begins] = (x, corners[name][1] + number * step)
    return [(found[index, True], found[index, False]) for index in range(len(edges))]


def _beside(links: list[tuple[str, str]]) -> list[float]:
    """How far each edge keeps from the middle of the lane that it shares with edges of its own ends."""
    total = Counter(links)
    seen: Counter[tuple[str, str]] = Counter()
    offsets = []
    for link in links:
        offsets.append((seen[link] - (total[link] - 1) / 2) * _LANE_OFFSET)
        seen[link] += 1
    return offsets


def _line(edge: Edge, points: list[Point]) -> str:
    stroke = _STROKES[edge.tie]
    return svg.curve(
        points, stroke=stroke.colour, width=stroke.width, dash=stroke.dash, arrow=stroke.arrow
    )


def _label(edge: Edge, points: list[Point]) -> Iterator[str]:
    if not edge.label:
        return
    (x1, y1), (x2, y2) = points[0], points[1]
    at = ((x1 + x2) / 2, (y1 + y2) / 2 - 8)
    colour = _STROKES[edge.tie].colour
    yield svg.text(at, edge.label, size=_SMALL, fill=colour, anchor="middle", halo=True)


def _size(vertex: Vertex) -> Point:
    texts = [(member.name, _TITLE) for member in vertex.members]
    texts += [(member.detail, _SMALL) for member in vertex.members]
    texts += [(note, _SMALL) for member in vertex.members for note in member.notes]
    texts += [(note, _SMALL) for note in vertex.notes]
    texts += [(f"{vertex.name}  group", _TITLE)] if vertex.group else []
    room = max(svg.text_width(*each) for each in texts) + 2 * _PAD + (20 if vertex.group else 0)
    width = min(max(room, _BOX_WIDTH[0]), _BOX_WIDTH[1])
    inner = sum(_height(member) for member in vertex.members)
    if not vertex.group:
        return width, inner
    gaps = 10 * (len(vertex.members) - 1)
    return width, inner + gaps + _HEAD + 6 + _ROW * len(vertex.notes) + 10


def _height(member: Member) -> float:
    return 22 + _ROW * (1 + len(member.notes)) + 6


def _vertex(vertex: Vertex, corner: Point) -> Iterator[str]:
    width, height = _size(vertex)
    if not vertex.group:
        yield from _member(vertex.members[0], corner, width)
        return
    x, y = corner
    yield svg.box(corner, (width, height), fill="#f3f6fa", stroke="#b8c4d2", radius=10, dashed=True)
    name = svg.cut(vertex.name, _TITLE, width - 70)
    yield svg.text((x + 10, y + 18), name, size=_TITLE, bold=True)
    yield svg.text((x + width - 10, y + 18), "group", size=_SMALL, fill=svg.FAINT, anchor="end")
    y += _HEAD
    for note in vertex.notes:
        yield svg.text((x + 10, y + 10), note, size=_SMALL, fill=_BLUE)
        y += _ROW
    y += 4
    for index, member in enumerate(vertex.members):
        if index:
            start, end = (x + width / 2, y - 10), (x + width / 2, y)
            yield svg.segment(start, end, stroke=_BLUE, width=1.8)
            yield _head(end)
        yield from _member(member, (x + 10, y), width - 20)
        y += _height(member) + 10


def _head(tip: Point) -> str:
    x, y = tip
    return f"<path d='M{x - 4:.1f},{y - 6:.1f} L{x + 4:.1f},{y - 6:.1f} L{x:.1f},{y:.1f} z' fill='{_BLUE}'/>"


def _member(member: Member, corner: Point, width: float) -> Iterator[str]:
    x, y = corner
    height = _height(member)
    edge = _EXCLUSIVE if member.exclusive else _EASY
    title = "\n".join((member.name, member.detail, *member.notes))
    yield svg.box(corner, (width, height), fill=svg.PAPER, stroke="#b8c4d2", title=title)
    yield svg.box((x, y), (4, height), fill=edge, radius=2)
    room = width - 2 * _PAD
    name = svg.cut(member.name, _TITLE, room)
    yield svg.text((x + _PAD, y + 19), name, size=_TITLE, bold=True)
    detail = svg.cut(member.detail, _SMALL, room)
    yield svg.text((x + _PAD, y + 34), detail, size=_SMALL, fill=svg.FAINT)
    for index, note in enumerate(member.notes):
        colour = _NOTE_COLOURS.get(note.partition(" ")[0], _BLUE)
        words = svg.cut(note, _SMALL, room)
        yield svg.text((x + _PAD, y + 34 + _ROW * (index + 1)), words, size=_SMALL, fill=colour)


def _shelved(blocks: list[_Block]) -> tuple[list[tuple[_Block, Point]], Point]:
    """Put blocks on shelves from left to right, each shelf as high as its highest block."""
    widest = max((block.size[0] for block in blocks), default=0.0)
    area = sum((block.size[0] + 40) * (block.size[1] + 30) for block in blocks)
    room = max(widest, min(_WIDTH_MAX, (area * 1.5) ** 0.5), 700.0)
    placed: list[tuple[_Block, Point]] = []
    x = y = shelf = right = 0.0
    for block in blocks:
        if x and x + block.size[0] > room:
            x, y, shelf = 0.0, y + shelf + 30, 0.0
        placed.append((block, (x, y)))
        right = max(right, x + block.size[0])
        x += block.size[0] + 40
        shelf = max(shelf, block.size[1])
    return placed, (right, y + shelf)


def _moved(blocks: Iterable[tuple[_Block, Point]], by: Point) -> Iterator[str]:
    for block, (x, y) in blocks:
        inner = "\n".join(block.parts)
        yield f"<g transform='translate({x + by[0]:.1f} {y + by[1]:.1f})'>\n{inner}\n</g>"


def _legend(graph: Graph) -> Iterator[tuple[str, _Stroke | str]]:
    used = {edge.tie for edge in graph.edges}
    yield from ((stroke.meaning, stroke) for tie, stroke in _STROKES.items() if tie in used)
    kinds = {member.exclusive for vertex in graph.vertices for member in vertex.members}
    if True in kinds:
        yield "exclusive: never a second copy", _EXCLUSIVE
    if False in kinds:
        yield "best effort", _EASY


_Legend = list[tuple[str, _Stroke | str]]


def _legend_rows(items: _Legend, width: float) -> list[_Legend]:
    rows: list[_Legend] = [[]]
    used = 0.0
    for item in items:
        room = 44 + svg.text_width(item[0], _SMALL) + 16
        if used + room > width - 2 * _MARGIN and rows[-1]:
            rows.append([])
            used = 0.0
        rows[-1].append(item)
        used += room
    return rows


def _legend_row(items: _Legend, y: float) -> Iterator[str]:
    x = float(_MARGIN)
    for words, sample in items:
        if isinstance(sample, str):
            yield svg.box((x + 12, y - 11), (4, 14), fill=sample, radius=2)
        else:
            yield svg.curve(
                [(x, y - 4), (x + 30, y - 4)], stroke=sample.colour, width=sample.width,
                dash=sample.dash, arrow=sample.arrow,
            )  # fmt: skip
        yield svg.text((x + 38, y), words, size=_SMALL, fill=svg.FAINT)
        x += 44 + svg.text_width(words, _SMALL) + 16
