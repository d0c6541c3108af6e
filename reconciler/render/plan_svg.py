"""A plan as a drawing: nodes are lanes, waves go from left to right, arrows say what waits for what.

Many actions of one kind in one place become one chip with their number, so that a plan of a thousand
actions is still one picture; a pointer at rest on a chip shows the names and the reasons.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from reconciler.model.ids import ActionId, NodeName
from reconciler.model.observed import Liveness
from reconciler.model.plan import Action, ActionKind, SavedPlan
from reconciler.render import story, svg
from reconciler.render.plan_json import in_one
from reconciler.render.story import Story
from reconciler.render.svg import Point
from reconciler.render.words import GLYPHS, amount, listing

_MARGIN, _TOP = 28, 104
_CHIP, _CHIP_GAP, _LANE_PAD = 25, 7, 12
_GAP = 70
_TEXT = 11.5
_CHIPS_MOST = 6
_LANES_MOST = 40
_WAITING_MOST = 8

_COLOURS = {
    ActionKind.PROBE: ("#f1f4f8", "#8795a6", "#52606d"),
    ActionKind.START: ("#e6f6ec", "#2f855a", "#22543d"),
    ActionKind.STOP: ("#fdecec", "#c53030", "#742a2a"),
    ActionKind.PROMOTE: ("#d5f0df", "#2f855a", "#22543d"),
    ActionKind.DEMOTE: ("#fdf3dc", "#b7791f", "#744210"),
    ActionKind.RELOAD: ("#fdf3dc", "#b7791f", "#744210"),
    ActionKind.MIGRATE: ("#f0eafc", "#6b46c1", "#44337a"),
    ActionKind.FENCE: ("#9b2c2c", "#742a2a", "#ffffff"),
}
"""Paper, edge and ink of each kind."""
_ARROW = "#9aa5b1"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chip:
    """One action, or many of one kind in one place."""

    kind: ActionKind
    words: str
    title: str
    actions: tuple[Action, ...]

    @property
    def width(self) -> float:
        return min(svg.text_width(self.words, _TEXT) + 30, 230.0)


_Cells = dict[tuple[NodeName, int], tuple[_Chip, ...]]


def render(saved: SavedPlan) -> str:
    """The plan as an SVG file."""
    told = story.tell(saved.observed, saved.decision)
    cells = _cells(told)
    lanes = _lanes(saved, cells)
    names = max((svg.text_width(name, 13) for name in lanes), default=0.0) + 76
    lefts, right = _columns(cells, len(told.waves), _MARGIN + max(names, 120.0))
    tops, bottom = _rows(cells, lanes, len(told.waves))
    headline = story.headline(told)
    width = max(
        right + _MARGIN,
        svg.text_width(headline, 12.5) + 2 * _MARGIN,
        860.0 if told.blocked or told.impossible else 560.0,
    )
    corners = _corners(cells, lefts, tops)
    parts = [
        svg.text((_MARGIN, 40), f"Plan for {saved.intent.cluster}", size=18, bold=True),
        svg.text((_MARGIN, 61), headline, size=12.5, fill=svg.FAINT),
        *_ground(saved, tops, width),
        *_waves(lefts, cells),
        *_arrows(corners),
        *(part for chip, corner in corners for part in _chip(chip, corner)),
        *_waiting(told, bottom, width),
    ]
    lines = min(len(told.blocked) + len(told.impossible), _WAITING_MOST + 1)
    height = bottom + 24 + (lines * 19 + 10 if lines else 0)
    return svg.picture(
        (width, height), parts, title=f"Plan for {saved.intent.cluster}", arrows=(_ARROW,)
    )


def _cells(told: Story) -> _Cells:
    cells: _Cells = {}
    for index, wave in enumerate(told.waves):
        by_node: defaultdict[NodeName, list[Action]] = defaultdict(list)
        for action in wave:
            by_node[action.node].append(action)
        for node, actions in by_node.items():
            cells[node, index] = tuple(_chips(actions))
    return cells


def _chips(actions: list[Action]) -> Iterator[_Chip]:
    by_kind: defaultdict[ActionKind, list[Action]] = defaultdict(list)
    for action in actions:
        by_kind[action.kind].append(action)
    for kind, alike in by_kind.items():
        if len(alike) > _CHIPS_MOST:
            names = [action.service or action.node for action in alike]
            words = f"{GLYPHS[kind]} {kind} {amount(len(alike), 'service')}"
            yield _Chip(kind=kind, words=words, title=listing(names, most=60), actions=tuple(alike))
            continue
        for action in alike:
            words = f"{GLYPHS[kind]} {kind} {action.service or ''}".strip()
            words += f" to {action.target}" if action.target else ""
            title = f"{words} on {action.node}: {in_one(action.reasons)}"
            yield _Chip(kind=kind, words=words, title=title, actions=(action,))


def _lanes(saved: SavedPlan, cells: _Cells) -> list[NodeName]:
    """Every node of a small cluster; of a large one, those where something happens."""
    busy = {node for node, _ in cells}
    everyone = [node.name for node in saved.intent.nodes]
    everyone += sorted(busy - set(everyone))
    if len(everyone) <= _LANES_MOST // 3:
        return everyone
    return [node for node in everyone if node in busy]


def _columns(cells: _Cells, count: int, left: float) -> tuple[list[float], float]:
    lefts = []
    for index in range(count):
        lefts.append(left)
        widest = max(
            chip.width for (_, wave), held in cells.items() if wave == index for chip in held
        )
        left += widest + _GAP
    return lefts, left - (_GAP if count else 0)


def _rows(
    cells: _Cells, lanes: list[NodeName], waves: int
) -> tuple[dict[NodeName, tuple[float, float]], float]:
    tops: dict[NodeName, tuple[float, float]] = {}
    top = float(_TOP)
    for node in lanes:
        most = max((len(cells.get((node, wave), ())) for wave in range(waves)), default=0)
        height = max(most, 1) * (_CHIP + _CHIP_GAP) - _CHIP_GAP + 2 * _LANE_PAD
        tops[node] = (top, height)
        top += height + 6
    return tops, top


def _corners(
    cells: _Cells, lefts: list[float], tops: dict[NodeName, tuple[float, float]]
) -> list[tuple[_Chip, Point]]:
    placed = []
    for (node, wave), chips in cells.items():
        top, height = tops[node]
        stack = len(chips) * (_CHIP + _CHIP_GAP) - _CHIP_GAP
        y = top + (height - stack) / 2
        for chip in chips:
            placed.append((chip, (lefts[wave], y)))
            y += _CHIP + _CHIP_GAP
    return placed


def _ground(
    saved: SavedPlan, tops: dict[NodeName, tuple[float, float]], width: float
) -> Iterator[str]:
    states = {state.name: state.liveness for state in saved.observed.nodes}
    for node, (top, height) in tops.items():
        state = states.get(node, Liveness.UNKNOWN)
        well = state is Liveness.ALIVE
        paper = "#f7f9fb" if well else "#fdf4f4"
        yield svg.box((_MARGIN - 12, top), (width - 2 * _MARGIN + 24, height), fill=paper, radius=8)
        middle = top + height / 2
        dot = "#38a169" if well else "#c53030"
        yield f"<circle cx='{_MARGIN + 4}' cy='{middle:.1f}' r='4.5' fill='{dot}'/>"
        yield svg.text((_MARGIN + 16, middle + 4.5), node, size=13, bold=True)
        if not well:
            at = (_MARGIN + 22 + svg.text_width(node, 13), middle + 4)
            yield svg.text(at, state.value, size=10.5, fill=dot)


def _waves(lefts: list[float], cells: _Cells) -> Iterator[str]:
    for index, left in enumerate(lefts):
        chips = [chip for (_, wave), held in cells.items() if wave == index for chip in held]
        count = sum(len(chip.actions) for chip in chips)
        yield svg.text((left, _TOP - 14), f"{index + 1}", size=13, bold=True, fill=svg.FAINT)
        at = (left + 10 + svg.text_width(str(index + 1), 13), _TOP - 14)
        yield svg.text(at, amount(count, "action"), size=10.5, fill=svg.FAINT)


def _arrows(corners: list[tuple[_Chip, Point]]) -> Iterator[str]:
    home: dict[ActionId, int] = {
        action.id: index for index, (chip, _) in enumerate(corners) for action in chip.actions
    }
    drawn: set[tuple[int, int]] = set()
    for index, (chip, (x, y)) in enumerate(corners):
        for before in {before: None for action in chip.actions for before in action.after}:
            start = home[before]
            if (start, index) in drawn:
                continue
            drawn.add((start, index))
            other, (left, top) = corners[start]
            source = (left + other.width, top + _CHIP / 2)
            yield svg.curve([source, (x - 1, y + _CHIP / 2)], stroke=_ARROW, arrow=True)


def _chip(chip: _Chip, corner: Point) -> Iterator[str]:
    paper, edge, ink = _COLOURS[chip.kind]
    x, y = corner
    yield svg.box(corner, (chip.width, _CHIP), fill=paper, stroke=edge, title=chip.title)
    words = svg.cut(chip.words, _TEXT, chip.width - 16)
    yield svg.text((x + 10, y + 16.5), words, size=_TEXT, fill=ink)


def _waiting(told: Story, top: float, width: float) -> Iterator[str]:
    items = [("blocked", "#c53030", item) for item in told.blocked]
    items += [("unplaced", "#b7791f", item) for item in told.impossible]
    y = top + 22
    for word, colour, item in items[:_WAITING_MOST]:
        why = item.reasons[0].text if item.reasons else ""
        yield svg.text((_MARGIN, y), f"{item.service} {word}", size=12, bold=True, fill=colour)
        at = (_MARGIN + svg.text_width(f"{item.service} {word}", 13) + 18, y)
        yield svg.text(at, svg.cut(why, 11.5, width - at[0] - _MARGIN), size=11.5, fill=svg.FAINT)
        y += 19
    if len(items) > _WAITING_MOST:
        more = f"… and {len(items) - _WAITING_MOST} more"
        yield svg.text((_MARGIN, y), more, size=11.5, fill=svg.FAINT)
