"""Places boxes in layers from left to right, so that arrows go one way and cross rarely.

The classic method in four steps (Sugiyama, 1981): turn arrows that close a circle around, give each box
the layer after its last predecessor, order each layer by the middle of its neighbours a few times,
then move boxes towards their neighbours as far as there is room. Long arrows take a narrow lane through
every layer they cross, so that they pass between boxes and not under them. Knows nothing of what a box
means; equal input gives equal output.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

Link = tuple[str, str]
Point = tuple[float, float]

_SWEEPS = 8
_LANE = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaps:
    """Free space between layers and between the boxes of one."""

    across: float
    along: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """Where everything goes: upper left corners of boxes, way points of links, and the whole size."""

    corners: Mapping[str, Point]
    ways: Mapping[Link, tuple[Point, ...]]
    """Points between the two ends, in the direction of the link; empty for neighbours."""
    width: float
    height: float


def layered(sizes: Mapping[str, Point], links: Sequence[Link], gaps: Gaps) -> Drawing:
    """Place boxes of these sizes (width, height); both ends of every link are boxes.

    Shape: links from a box to itself are ignored; cost grows with links times layers.
    """
    forward = _without_circles(list(sizes), [link for link in links if link[0] != link[1]])
    layer = _layers(list(sizes), forward)
    chains = {link: _chain(link, layer) for link in dict.fromkeys(forward)}
    steps = [pair for chain in chains.values() for pair in pairwise(chain)]
    rows = _ordered(layer, chains, steps)
    heights = defaultdict(lambda: _LANE, {name: size[1] for name, size in sizes.items()})
    middles = _settled(rows, heights, steps, gaps.along)
    lefts, width = _columns(rows, sizes, gaps.across)
    top = min((middles[name] - heights[name] / 2 for row in rows for name in row), default=0.0)
    bottom = max((middles[name] + heights[name] / 2 for row in rows for name in row), default=0.0)
    place = {name: index for index, row in enumerate(rows) for name in row}
    corners = {
        name: (lefts[place[name]][0], middles[name] - size[1] / 2 - top)
        for name, size in sizes.items()
    }
    lanes = {
        link: tuple(
            point
            for name in chain[1:-1]
            for point in (
                (lefts[place[name]][0], middles[name] - top),
                (lefts[place[name]][1], middles[name] - top),
            )
        )
        for link, chain in chains.items()
    }
    ways = {
        link: lanes[link] if link in lanes else lanes.get((link[1], link[0]), ())[::-1]
        for link in links
    }
    return Drawing(corners=corners, ways=ways, width=width, height=bottom - top)


def _without_circles(names: list[str], links: list[Link]) -> list[Link]:
    """Turn around every link that leads back to a box still being visited."""
    onward: defaultdict[str, list[str]] = defaultdict(list)
    for source, target in links:
        onward[source].append(target)
    state: dict[str, int] = {}
    back: set[Link] = set()
    for root in names:
        stack = [(root, iter(onward[root]))] if root not in state else []
        state.setdefault(root, 1)
        while stack:
            name, targets = stack[-1]
            found = next(targets, None)
            if found is None:
                state[name] = 2
                stack.pop()
            elif found not in state:
                state[found] = 1
                stack.append((found, iter(onward[found])))
            elif state[found] == 1:
                back.add((name, found))
    return [(link[1], link[0]) if link in back else link for link in links]


def _layers(names: list[str], links: list[Link]) -> dict[str, int]:
    """The longest way to each box; boxes without predecessors move up to their first successor."""
    before: defaultdict[str, set[str]] = defaultdict(set)
    after: defaultdict[str, set[str]] = defaultdict(set)
    for source, target in links:
        before[target].add(source)
        after[source].add(target)
    layer: dict[str, int] = {}
    waiting = {name: len(before[name]) for name in names}
    ready = [name for name in names if not waiting[name]]
    for name in ready:  # grows while it is walked
        layer[name] = max((layer[each] + 1 for each in before[name]), default=0)
        for target in sorted(after[name]):
            waiting[target] -= 1
            if not waiting[target]:
                ready.append(target)
    for name in ready:
        if after[name] and not before[name]:
            layer[name] = min(layer[target] for target in after[name]) - 1
    return layer


def _chain(link: Link, layer: Mapping[str, int]) -> tuple[str, ...]:
    source, target = link
    between = range(layer[source] + 1, layer[target])
    return (source, *(f"\0{source}\0{target}\0{index}" for index in between), target)


def _ordered(
    layer: Mapping[str, int], chains: Mapping[Link, tuple[str, ...]], steps: list[Link]
) -> list[list[str]]:
    place = dict(layer)
    for link, chain in chains.items():
        for offset, name in enumerate(chain[1:-1], 1):
            place[name] = layer[link[0]] + offset
    rows: list[list[str]] = [[] for _ in range(max(place.values(), default=-1) + 1)]
    for name, index in place.items():
        rows[index].append(name)
    neighbours = _neighbours(steps)
    best, fewest = [list(row) for row in rows], _crossings(rows, steps)
    for sweep in range(_SWEEPS):
        indices = range(1, len(rows)) if sweep % 2 == 0 else range(len(rows) - 2, -1, -1)
        for index in indices:
            fixed = rows[index - 1] if sweep % 2 == 0 else rows[index + 1]
            position = {name: n for n, name in enumerate(fixed)}
            own = {name: n for n, name in enumerate(rows[index])}
            rows[index].sort(
                key=lambda name: (_middle(neighbours[name], position, own[name]), own[name])
            )
        if (count := _crossings(rows, steps)) < fewest:
            best, fewest = [list(row) for row in rows], count
    return best


def _neighbours(steps: list[Link]) -> defaultdict[str, list[str]]:
    neighbours: defaultdict[str, list[str]] = defaultdict(list)
    for source, target in steps:
        neighbours[source].append(target)
        neighbours[target].append(source)
    return neighbours


def _middle(names: list[str], position: Mapping[str, int], otherwise: int) -> float:
    known = [position[name] for name in names if name in position]
    return sum(known) / len(known) if known else float(otherwise)


def _crossings(rows: list[list[str]], steps: list[Link]) -> int:
    """How many pairs of links cross, counted per layer with a running insertion sort."""
    position = {name: n for row in rows for n, name in enumerate(row)}
    layer = {name: n for n, row in enumerate(rows) for name in row}
    by_layer: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for source, target in steps:
        by_layer[layer[source]].append((position[source], position[target]))
    total = 0
    for pairs in by_layer.values():
        seen: list[int] = []
        for _, end in sorted(pairs):
            index = bisect_right(seen, end)
            total += len(seen) - index
            seen.insert(index, end)
    return total


def _settled(
    rows: list[list[str]], heights: Mapping[str, float], steps: list[Link], gap: float
) -> dict[str, float]:
    """Middles of all boxes: stacked first, then drawn to their neighbours without overlap."""
    middles: dict[str, float] = {}
    for row in rows:
        total = sum(heights[name] for name in row) + gap * (len(row) - 1)
        edge = -total / 2
        for name in row:
            middles[name] = edge + heights[name] / 2
            edge += heights[name] + gap
    neighbours = _neighbours(steps)
    for sweep in range(_SWEEPS):
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            wished = {
                name: sum(middles[each] for each in neighbours[name]) / len(neighbours[name])
                if neighbours[name]
                else middles[name]
                for name in row
            }
            _spread(row, wished, heights, gap)
            middles |= wished
    return middles


def _spread(
    row: list[str], wished: dict[str, float], heights: Mapping[str, float], gap: float
) -> None:
    """Keep the order and the gaps: push down from the top, then up from the bottom, take the middle."""
    down, up = dict(wished), dict(wished)
    for upper, lower in pairwise(row):
        room = (heights[upper] + heights[lower]) / 2 + gap
        down[lower] = max(down[lower], down[upper] + room)
    for lower, upper in pairwise(row[::-1]):
        room = (heights[upper] + heights[lower]) / 2 + gap
        up[upper] = min(up[upper], up[lower] - room)
    for name in row:
        wished[name] = (down[name] + up[name]) / 2


def _columns(
    rows: list[list[str]], sizes: Mapping[str, Point], gap: float
) -> tuple[list[tuple[float, float]], float]:
    lefts, edge = [], 0.0
    for row in rows:
        width = max((sizes[name][0] for name in row if name in sizes), default=0.0)
        lefts.append((edge, edge + width))
        edge += width + gap
    return lefts, max(edge - gap, 0.0)
