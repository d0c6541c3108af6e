"""Migrations that were cut off: which nodes may run the resource, and what is left to do."""

from reconciler.model.intent import Role
from reconciler.model.observed import Observed
from tests.importing.status_cibs import LOST, cib, observe, op, ran, resource, state, where

ENDS = 'migrate_source="a" migrate_target="b"'
GONE_ELSEWHERE = op("start", 1) + op("migrate_to", 5, more=ENDS)
PROBED = op("monitor", 1, 7, at_s=1)


def after(source: str, target: str, member: str = "") -> Observed:
    there = state("b", ran("r", target), **({"member": member} if member else {}))
    return observe(cib(resource("r"), state("a", ran("r", source)), there))


def test_half_way() -> None:
    observed = after(GONE_ELSEWHERE, PROBED)
    assert where(observed) == "r@a r@b"
    assert [copy.migrating_from for copy in observed.copies] == [None, "a"]


def test_complete_but_for_the_stop_of_the_source() -> None:
    taken_in = PROBED + op("migrate_from", 2, more=ENDS)
    observed = after(GONE_ELSEWHERE, taken_in)
    assert [(copy.node, copy.role, copy.failed) for copy in observed.copies] == [
        ("a", Role.STOPPED, True),
        ("b", Role.STARTED, False),
    ]


def test_complete() -> None:
    taken_in = PROBED + op("migrate_from", 2, more=ENDS)
    assert where(after(GONE_ELSEWHERE + op("stop", 6), taken_in)) == "r@b"


def test_refused_by_the_target() -> None:
    observed = after(GONE_ELSEWHERE, PROBED + op("migrate_from", 2, 1, more=ENDS))
    assert where(observed) == "r@a r@b"
    assert [copy.failed for copy in observed.copies] == [False, True]


def test_refused_by_the_source() -> None:
    observed = after(op("start", 1) + op("migrate_to", 5, 1, more=ENDS), PROBED)
    assert where(observed) == "r@a r@b"
    assert [copy.failed for copy in observed.copies] == [True, False]


def test_a_target_that_was_seen_stopped_since_does_not_run_it() -> None:
    looked = op("monitor", 3, 7, every_ms=0, at_s=2_100_000_000)
    assert where(after(op("start", 1) + op("migrate_to", 5, 1, more=ENDS), looked)) == "r@a"


def test_a_target_without_a_history_is_left_to_a_probe() -> None:
    assert where(after(GONE_ELSEWHERE, "")) == "r@a"


def test_a_target_that_is_lost_leaves_a_broken_source() -> None:
    observed = after(GONE_ELSEWHERE, PROBED, LOST)
    assert [(copy.node, copy.failed) for copy in observed.copies] == [("a", True)]
