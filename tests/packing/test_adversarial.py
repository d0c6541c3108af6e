"""Constraint sets made to be hard: an answer within the limit, twice the same, and a plan that is safe."""

import pytest

from benchmarks.packing import apart, chain, packing
from reconciler.core.reconcile import reconcile
from reconciler.core.verify import verify
from reconciler.model.ids import Millis


@pytest.mark.parametrize(
    ("drawn", "out", "proven"),
    [
        (apart(40, 20), 20, True),
        (apart(12, 11), 1, True),
        (chain(200, 50), 0, True),
        (packing(5, 40, 0.98), 0, True),
        (packing(20, 200, 0.96), 0, False),
    ],
    ids=["40 apart on 20", "12 apart on 11", "200 wishes in a row", "5 x 40", "20 x 200"],
)
def test_hard_sets_end_with_an_honest_answer(drawn, out, proven):
    decision = reconcile(*drawn, Millis(0))
    assert reconcile(*drawn, Millis(0)) == decision
    assert len(decision.placement.unplaced) == out
    assert decision.placement.optimal is proven
    assert verify(decision.plan, *drawn, decision.placement) == ()
