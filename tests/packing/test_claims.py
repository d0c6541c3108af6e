"""A planner that hardly searches still says nothing untrue: its answers are allowed and its bounds hold.

With almost no budget every way around the search is walked, on worlds small enough to look through whole.
"""

import pytest

from reconciler.core import placement, search, solve
from tests.effort import examples
from tests.oracle.judge import Verdict, judge
from tests.oracle.worlds import world

HONEST = {Verdict.BEST, Verdict.MISSED, Verdict.NOT_PROVEN, Verdict.UNBALANCED}


@pytest.fixture(params=[1, 60], ids=["no search", "little search"])
def hasty(request, monkeypatch):
    monkeypatch.setattr(solve, "TRIAL", request.param)
    monkeypatch.setattr(solve, "BUDGET", request.param)
    monkeypatch.setattr(solve, "SEARCHED_MAX", 0)
    monkeypatch.setattr(search, "DESCENT", 2)
    monkeypatch.setattr(placement, "BALANCE_WAYS_MAX", 0)
    monkeypatch.setattr(placement, "BALANCE_NODES_MAX", 0)


@pytest.mark.usefixtures("hasty")
def test_what_is_claimed_is_true():
    verdicts = []
    for seed in range(examples(300)):
        found = judge(*world(seed)).verdict
        assert found in HONEST, f"seed {seed}: {found}"
        verdicts.append(found)
    assert Verdict.BEST in verdicts
    assert verdicts.count(Verdict.BEST) < len(verdicts), "the search was not held back"
