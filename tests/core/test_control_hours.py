"""A controller and the time of day: services move when their hours come, or when somebody sets the clock."""

from reconciler.core import control
from reconciler.model.conditions import During
from reconciler.model.intent import Location
from tests.builders import intent
from tests.core.cluster import Cluster

HOUR_MS = 3_600_000
DAY = During(hours=((8 * 60, 17 * 60),))
OFFICE = intent(
    "a b",
    {"web": {"stickiness": 0}},
    constraints=(Location(service="web", nodes=("b",), during=DAY),),
)


def at(hour: int) -> Cluster:
    """A cluster whose clocks on the wall show this hour while its own begins at zero."""
    cluster = Cluster("a b")
    cluster.hear(control.ClockMoved(ahead_ms=hour * HOUR_MS))
    cluster.run(ms=100)
    cluster.apply(OFFICE).run()
    return cluster


def test_a_service_moves_by_itself_when_its_hours_come():
    cluster = at(7)
    assert cluster.runs() == "web@a"
    cluster.run(ms=HOUR_MS)
    assert cluster.runs() == "web@b"


def test_it_is_let_be_when_they_are_over():
    cluster = at(16)
    assert cluster.runs() == "web@b"
    before = len(cluster.effects())
    cluster.run(ms=2 * HOUR_MS)
    assert (cluster.runs(), len(cluster.effects())) == ("web@b", before)


def test_a_clock_that_is_set_counts_at_once():
    cluster = at(3)
    assert cluster.runs() == "web@a"
    cluster.hear(control.ClockMoved(ahead_ms=12 * HOUR_MS))
    cluster.run(ms=10_000)
    assert cluster.runs() == "web@b"


def test_a_saved_plan_is_stale_in_another_hour():
    cluster = at(3)
    saved = cluster.plan(OFFICE)
    cluster.hear(control.ClockMoved(ahead_ms=12 * HOUR_MS))
    cluster.run(ms=10_000)
    cluster.apply(OFFICE, request=2, saved=saved).run()
    assert cluster.refused[-1].reason == "stale"
    assert any("its time has come" in change for change in cluster.refused[-1].changes)
