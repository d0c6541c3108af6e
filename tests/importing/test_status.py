"""What histories lead to: copies and their roles, failures, what blocks and what bans."""

import pytest

from reconciler.importing.pacemaker.status import OTHER_DIGEST
from reconciler.model.ids import NodeName, ServiceName
from reconciler.model.intent import Role
from reconciler.model.observed import PromotionScore, TicketState
from tests.importing.status_cibs import (
    DEVICE,
    DUMMY,
    LOST,
    NO_PARAMETERS,
    NOW_S,
    cib,
    node,
    observe,
    only_copy,
    only_failure,
    op,
    ran,
    resource,
    state,
    where,
)

RESTART = op("start", 2) + op("monitor", 3, every_ms=10_000)
BROKEN = op("monitor", 4, 1, every_ms=10_000, expected=0, name="r_last_failure_0")


def clone(meta: str) -> str:
    said = f'<meta_attributes id="m"><nvpair id="n" name="{meta}" value="true"/></meta_attributes>'
    return f'<clone id="c">{said}<primitive id="r" {DUMMY}/></clone>'


STATEFUL = clone("promotable")
CLONE = clone("interleave")
UNIQUE = clone("globally-unique")


def watched(on_fail: str, name: str = "monitor", every: str = "10s") -> str:
    return f'<op id="o-{name}" name="{name}" interval="{every}" on-fail="{on_fail}"/>'


@pytest.mark.parametrize(
    ("ops", "runs"),
    [
        (op("monitor", 1, 7), False),
        (op("monitor", 1, 0), True),
        (op("start", 1), True),
        (op("stop", 2) + op("start", 1), False),
        (op("start", 2) + op("stop", 1), True),
        (op("monitor", 1, 5), False),
        (op("monitor", 1, 2), False),
        (op("start", 2, 190), True),
        (op("start", 1, status=1), False),
        (op("notify", 1), False),
        ("", False),
    ],
)
def test_the_newest_call_says_whether_it_runs(ops: str, runs: bool) -> None:
    assert where(observe(cib(resource("r"), state("a", ran("r", ops))))) == ("r@a" if runs else "")


def test_the_later_result_of_one_call_counts() -> None:
    fine = op("monitor", 3, every_ms=10_000, at_s=NOW_S - 9)
    bad = op("monitor", 3, 7, every_ms=10_000, expected=0, name="r_last_failure_0", at_s=NOW_S - 5)
    for ops in (fine + bad, bad + fine):
        copy = only_copy(observe(cib(resource("r"), state("a", ran("r", op("start", 2), ops)))))
        assert (copy.failed, copy.failed_operation) == (True, "monitor")


@pytest.mark.parametrize(
    ("ops", "role"),
    [
        (op("start", 1), Role.UNPROMOTED),
        (op("start", 1) + op("promote", 2), Role.PROMOTED),
        (op("promote", 2) + op("demote", 3), Role.UNPROMOTED),
        (op("monitor", 1, 8), Role.PROMOTED),
        (op("start", 1) + op("monitor", 2, 9, every_ms=5, expected=8), Role.PROMOTED),
        (op("start", 1) + op("promote", -1, 193, status=-1), Role.PROMOTED),
        (op("promote", 2) + op("demote", 3, 1), Role.UNPROMOTED),
        (op("start", -1, 193, status=-1), Role.STOPPED),
    ],
)
def test_roles(ops: str, role: Role) -> None:
    assert only_copy(observe(cib(STATEFUL, state("a", ran("r", ops))))).role is role


def test_a_probe_that_cannot_run_the_agent_bans_the_node_and_says_that_nothing_runs() -> None:
    observed = observe(cib(resource("r"), state("a", ran("r", op("monitor", 1, 5)))))
    assert where(observed) == ""
    assert node(observed, "a").probed == {"r"}
    assert (only_failure(observed).node, only_failure(observed).count) == ("a", 1_000_000)


def test_a_hard_failure_bans_the_whole_group() -> None:
    group = f'<group id="g">{resource("q")}{resource("r")}</group>'
    observed = observe(cib(group, state("a", ran("r", op("start", 1, 5)))))
    assert [(f.service, f.fatal) for f in observed.failures] == [("q", False), ("r", False)]


def test_wrong_settings_are_fatal() -> None:
    failure = only_failure(observe(cib(resource("r"), state("a", ran("r", op("start", 1, 6))))))
    assert (failure.fatal, failure.operation) == (True, "start")


def test_a_failed_start_leaves_a_broken_copy() -> None:
    copy = only_copy(observe(cib(resource("r"), state("a", ran("r", op("start", 1, 1))))))
    assert (copy.failed, copy.failed_operation, copy.blocked) == (True, "start", None)


@pytest.mark.parametrize(
    ("on_fail", "failed", "blocked"),
    [("ignore", False, False), ("restart", True, False), ("block", True, True)],
)
def test_what_a_failed_look_leads_to(on_fail: str, *, failed: bool, blocked: bool) -> None:
    found = cib(resource("r", watched(on_fail)), state("a", ran("r", RESTART, BROKEN)))
    copy = only_copy(observe(found))
    assert (copy.failed, copy.blocked is not None) == (failed, blocked)


def test_what_a_failed_look_leads_to_on_its_node() -> None:
    def seen(on_fail: str, **options: str) -> object:
        found = cib(
            resource("r", watched(on_fail)) + DEVICE,
            state("a", ran("r", RESTART, BROKEN)),
            **options,
        )
        observed = observe(found)
        here = node(observed, "a")
        return here.standby, here.condemned, [f.fatal for f in observed.failures]

    assert seen("standby") == (True, "", [])
    assert seen("fence") == (False, "r failed there (monitor)", [])
    assert seen("stop") == (False, "", [True])
    assert seen("migrate") == (False, "", [False])
    assert seen("fence", stonith_enabled="false") == (False, "", [True])


def test_a_success_makes_good_for_a_failure_but_not_for_a_grave_one() -> None:
    healed = BROKEN + op("stop", 5) + op("start", 6, name="r_last_0")
    mild = cib(resource("r", watched("restart")), state("a", ran("r", healed)))
    grave = cib(resource("r", watched("standby")), state("a", ran("r", healed)))
    assert not only_copy(observe(mild)).failed
    assert node(observe(grave), "a").standby


def test_a_failed_stop_is_left_to_the_planner_and_blocks_where_nothing_fences() -> None:
    states = state("a", ran("r", op("start", 1), op("stop", 2, 1)))
    fenced = observe(cib(resource("r") + DEVICE, states))
    assert (only_copy(fenced).failed_operation, node(fenced, "a").condemned) == ("stop", "")
    assert only_copy(fenced).blocked is None
    bare = only_copy(observe(cib(resource("r"), states, stonith_enabled="false")))
    assert (bare.failed_operation, bare.blocked is not None) == ("stop", True)


def test_failures_on_a_lost_node_are_nobodys_concern() -> None:
    observed = observe(cib(resource("r"), state("a", ran("r", RESTART, BROKEN), member=LOST)))
    assert not only_copy(observed).failed


def test_an_expired_failure_is_no_failure() -> None:
    old = op("start", 1, 1, at_s=NOW_S - 100)
    found = cib(resource("r", failure_timeout="60s"), state("a", ran("r", old)))
    assert where(observe(found)) == ""
    still = cib(resource("r", failure_timeout="200s"), state("a", ran("r", old)))
    assert only_copy(observe(still)).failed


def counted(*, at_s: int, operations: str = "", history: str = "", **meta: str) -> list[int]:
    attributes = {
        "fail-count-r#monitor_10000": "2",
        "fail-count-r#start_0": "INFINITY",
        "last-failure-r#start_0": str(at_s),
    }
    found = cib(resource("r", operations, **meta), state("a", history, **attributes))
    return [failure.count for failure in observe(found).failures]


def test_fail_counts_are_added_up_and_forgotten() -> None:
    assert counted(at_s=NOW_S - 100) == [1_000_000]
    assert counted(at_s=NOW_S - 100, failure_timeout="200s") == [1_000_000]
    assert counted(at_s=NOW_S - 100, failure_timeout="60s") == []


def test_a_failure_that_blocks_is_never_forgotten() -> None:
    history = ran("r", RESTART, BROKEN)
    block = watched("block")
    assert counted(at_s=NOW_S - 100, failure_timeout="60s", operations=block, history=history) == [
        1_000_000
    ]


def test_failures_of_instances_count_for_the_clone() -> None:
    said = {"fail-count-r:0#monitor_10000": "2", "fail-count-r:1#monitor_10000": "1"}
    assert only_failure(observe(cib(CLONE, state("a", **said)))).count == 3
    assert only_failure(observe(cib(UNIQUE, state("a", **said)))).count == 2


def test_instances_of_a_clone_are_copies_of_one_service() -> None:
    here = state("a", ran("r:0", op("start", 1)), ran("r:1", op("start", 2)))
    there = state("b", ran("r", op("start", 1)))
    observed = observe(cib(CLONE, here, there))
    assert [(c.service, c.node, c.instance) for c in observed.copies] == [
        ("r", "a", 0),
        ("r", "a", 1),
        ("r", "b", 0),
    ]


def test_orphans_are_kept_and_so_is_what_watches_a_fence_device() -> None:
    gone = ran("old", op("start", 1))
    device = ran("fencer", op("start", 1), more='class="stonith" type="fence_dummy"')
    assert where(observe(cib(DEVICE, state("a", gone, device)))) == "fencer@a old@a"


def test_digests() -> None:
    def started(digest: str, more: str = "") -> object:
        recorded = op("start", 1, more=f'op-digest="{digest}" {more}')
        return only_copy(observe(cib(resource("r"), state("a", ran("r", recorded))))).digest

    assert started(NO_PARAMETERS) is None
    assert started("0" * 32) == OTHER_DIGEST
    kept = f'op-restart-digest="{NO_PARAMETERS}" op-force-restart=" state "'
    assert started("0" * 32, kept) == OTHER_DIGEST


def test_another_agent_than_it_was_started_with_is_a_restart() -> None:
    other = ran("r", op("start", 1), more='class="ocf" provider="heartbeat" type="Dummy"')
    assert only_copy(observe(cib(resource("r"), state("a", other)))).digest == OTHER_DIGEST


def test_what_fails_in_a_container_breaks_the_container() -> None:
    inner = resource("r", container="box")
    here = state("a", ran("box", op("start", 1)), ran("r", RESTART, BROKEN))
    observed = observe(cib(resource("box") + inner, here))
    assert {copy.service: copy.failed for copy in observed.copies} == {"box": True, "r": True}


def test_a_resource_waits_for_the_node_that_was_shut_down() -> None:
    locked = ran("r", op("stop", 2), more=f'{DUMMY} shutdown-lock="{NOW_S - 10}"')
    gone = state("a", locked, member='in_ccm="false" crmd="offline" join="down" expected="down"')
    found = cib(resource("r"), gone, state("b"), state("c"), shutdown_lock="true")
    assert [failure.node for failure in observe(found).failures] == ["b", "c"]
    late = cib(resource("r"), gone, shutdown_lock="true", shutdown_lock_limit="5s")
    assert observe(late).failures == ()


def test_promotion_scores_tickets_and_quorum() -> None:
    said = {"master-r": "INFINITY"}
    tickets = '<tickets><ticket_state id="t" granted="true" standby="true"/></tickets>'
    observed = observe(cib(STATEFUL, state("a", ran("r", op("start", 1)), **said), tickets))
    assert observed.promotion_scores == (
        PromotionScore(service=ServiceName("r"), node=NodeName("a"), score=1_000_000),
    )
    assert observed.tickets == (TicketState(ticket="t", granted=True, standby=True),)
    assert observed.quorate
    assert observed.taken_at_ms == NOW_S * 1000


def test_nothing_in_a_broken_entry_is_believed() -> None:
    broken = '<lrm_rsc_op id="x" operation="start" rc-code="many" op-status="0" call-id="?"/>'
    assert where(observe(cib(resource("r"), state("a", ran("r", broken))))) == ""
