"""The layout: boxes never overlap, arrows go right, and circles or crowds do no harm."""

from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.render.layered import Gaps, layered
from tests.effort import examples

GAPS = Gaps(across=50, along=20)

names = st.integers(0, 11).map(lambda n: f"n{n}")
links = st.lists(st.tuples(names, names), max_size=30)


def boxes(count=12):
    return {f"n{n}": (60.0 + n, 20.0 + 3 * n) for n in range(count)}


@given(links)
@settings(max_examples=examples(80), deadline=None)
def test_boxes_never_overlap(pairs):
    sizes = boxes()
    corners = layered(sizes, pairs, GAPS).corners
    assert corners.keys() == sizes.keys()
    for one, other in combinations(sizes, 2):
        (x1, y1), (w1, h1) = corners[one], sizes[one]
        (x2, y2), (w2, h2) = corners[other], sizes[other]
        apart = x1 + w1 <= x2 or x2 + w2 <= x1 or y1 + h1 <= y2 + 1e-6 or y2 + h2 <= y1 + 1e-6
        assert apart, (one, other)


@given(links)
@settings(max_examples=examples(80), deadline=None)
def test_arrows_without_circles_go_right(pairs):
    forward = [(a, b) for a, b in pairs if int(a[1:]) < int(b[1:])]
    corners = layered(boxes(), forward, GAPS).corners
    assert all(corners[a][0] < corners[b][0] for a, b in forward)


@given(links)
@settings(max_examples=examples(40), deadline=None)
def test_equal_input_gives_equal_output_within_its_size(pairs):
    drawing = layered(boxes(), pairs, GAPS)
    assert drawing == layered(boxes(), list(pairs), GAPS)
    for name, (width, height) in boxes().items():
        x, y = drawing.corners[name]
        assert -1e-6 <= x <= drawing.width - width + 1e-6
        assert -1e-6 <= y <= drawing.height - height + 1e-6


def test_nothing_to_place():
    drawing = layered({}, [], GAPS)
    assert (drawing.width, drawing.height) == (0.0, 0.0)


def test_a_long_link_has_a_lane_through_each_layer_between():
    sizes = boxes(4)
    drawing = layered(sizes, [("n0", "n1"), ("n1", "n2"), ("n2", "n3"), ("n0", "n3")], GAPS)
    way = drawing.ways["n0", "n3"]
    assert len(way) == 4
    assert [x for x, _ in way] == sorted(x for x, _ in way)
