"""Roles, reloads, migrations, attributes and given-up addresses on one node, one story at a time."""

from dataclasses import replace

import pytest

from reconciler.core.definition import definition_digest, fixed_digest
from reconciler.core.executor import (
    AttributesSeen,
    Backed,
    Heard,
    SeenAttribute,
    Verb,
    hears_no_controller,
)
from reconciler.core.executor.attributes import BOUND
from reconciler.core.executor.memory import condense, remember
from reconciler.model.ids import Millis, NodeName, ServiceName
from reconciler.model.intent import Kind, OnFail, Operation, Role, Safety
from reconciler.model.observed import Certainty
from reconciler.model.operation import Verdict
from reconciler.model.plan import ActionKind
from tests.core.executor_node import GRACE_MS, Node, order, service, settled

DB = service("db", promotable=True, promoted=1, reloadable=("level",))
VM = service("vm", migratable=True)
VIP = service("ip", kind=Kind.VIP, safety=Safety.BEST_EFFORT)
PROMOTE, DEMOTE, RELOAD = ActionKind.PROMOTE, ActionKind.DEMOTE, ActionKind.RELOAD
MIGRATE, START, STOP = ActionKind.MIGRATE, ActionKind.START, ActionKind.STOP
ENDS = {"source": NodeName("alpha"), "target": NodeName("bravo")}
ARRIVES = {"source": NodeName("bravo"), "target": NodeName("alpha")}


def running(of=DB) -> Node:
    node = settled(of)
    node.order(order(START, of, plan="earlier"))
    node.finish(of.name, Verdict.RUNNING)
    node.sent.clear()
    return node


def promoted() -> Node:
    node = running()
    node.order(order(PROMOTE, DB))
    node.finish("db", Verdict.PROMOTED)
    node.sent.clear()
    return node


# Roles ---------------------------------------------------------------------------------------------


def test_a_started_copy_of_a_promotable_service_is_not_promoted():
    assert running().copy("db").role is Role.UNPROMOTED


def test_a_promotion_is_assumed_from_its_beginning_and_a_fact_at_its_end():
    node = running()
    node.order(order(PROMOTE, DB))
    assert node.verb("db") is Verb.PROMOTE
    assert (node.copy("db").role, node.copy("db").certainty) == (Role.PROMOTED, Certainty.ASSUMED)
    node.finish("db", Verdict.PROMOTED)
    assert (node.copy("db").role, node.copy("db").certainty) == (Role.PROMOTED, Certainty.OBSERVED)
    assert node.sent[0].outcome.verdict is Verdict.PROMOTED


def test_a_demotion_counts_only_once_it_has_succeeded():
    node = promoted()
    node.order(order(DEMOTE, DB))
    assert node.copy("db").role is Role.PROMOTED
    node.finish("db", Verdict.FAILED)
    copy = node.copy("db")
    assert (copy.role, copy.failed, copy.failed_operation) == (Role.PROMOTED, True, "demote")
    node.finish("db", Verdict.RUNNING)  # the look that follows
    assert (node.copy("db").role, node.copy("db").failed) == (Role.UNPROMOTED, False)


def test_a_promotion_that_failed_counts_as_promoted_until_a_look():
    node = running()
    node.order(order(PROMOTE, DB))
    node.finish("db", Verdict.UNKNOWN)
    copy = node.copy("db")
    assert (copy.role, copy.failed, copy.failed_operation) == (Role.PROMOTED, True, "promote")
    assert node.failures("db") == 1
    assert node.verb("db") is Verb.PROBE
    node.finish("db", Verdict.RUNNING)
    assert node.copy("db").role is Role.UNPROMOTED


def test_the_next_agent_takes_a_promotion_that_was_begun_for_done_until_it_has_looked():
    node = running()
    node.order(order(PROMOTE, DB))
    node.boot()
    node.connect()
    assert (node.copy("db").role, node.copy("db").certainty) == (Role.PROMOTED, Certainty.ASSUMED)
    node.finish("db", Verdict.RUNNING)
    assert node.copy("db").role is Role.UNPROMOTED
    assert node.sent[-1].outcome.verdict is Verdict.FAILED, "settled by the look"


def test_a_monitor_that_cannot_tell_demotes_nobody():
    node = promoted()
    for _ in range(2):
        node.wait(10_001)
        node.finish("db", Verdict.UNKNOWN)
    copy = node.copy("db")
    assert (copy.role, copy.failed, copy.certainty) == (Role.PROMOTED, True, Certainty.UNKNOWN)


def test_a_role_that_was_lost_is_a_failure():
    node = promoted()
    node.wait(10_001)
    node.finish("db", Verdict.RUNNING)
    assert (node.copy("db").role, node.copy("db").failed) == (Role.UNPROMOTED, False)
    assert node.seen.failures[0].reason == "it is not promoted any more"


def test_failed_and_promoted_is_told_apart_from_failed():
    node = settled(DB)
    node.wait(0)
    node.order(order(ActionKind.PROBE, DB))
    node.finish("db", Verdict.FAILED, promoted=True)
    assert node.copy("db").role is Role.PROMOTED


def test_what_was_found_promoted_is_adopted_promoted():
    node = Node()
    node.connect()
    node.define(DB)
    node.finish("db", Verdict.PROMOTED)
    assert node.copy("db").role is Role.PROMOTED


def test_a_promoted_copy_has_monitors_of_its_own():
    quick = Operation(timeout_ms=Millis(1_000), every_ms=Millis(2_000))
    db = replace(DB, monitor_promoted=quick)
    node = running(db)
    node.order(order(PROMOTE, db))
    node.finish("db", Verdict.PROMOTED)
    node.wait(2_001)
    assert node.running["db"].promoted
    assert node.running["db"].timeout_ms == 1_000


@pytest.mark.parametrize("kind", [PROMOTE, RELOAD])
def test_a_copy_that_is_not_well_is_not_changed(kind):
    node = running()
    node.die("db")
    node.finish("db", Verdict.STOPPED)
    node.order(order(kind, DB))
    assert "not well" in node.sent[-1].refused


def test_a_promoted_copy_is_repaired_in_place_by_its_node_alone():
    node = promoted()
    node.disconnect()
    node.die("db")
    node.finish("db", Verdict.FAILED)
    node.wait(GRACE_MS + 1)
    for verb, verdict in (
        (Verb.DEMOTE, Verdict.FAILED),  # it cannot: the stop follows all the same
        (Verb.STOP, Verdict.STOPPED),
        (Verb.START, Verdict.RUNNING),
        (Verb.PROMOTE, Verdict.PROMOTED),
    ):
        assert node.verb("db") is verb
        node.finish("db", verdict)
    assert (node.copy("db").role, node.copy("db").failed) == (Role.PROMOTED, False)


@pytest.mark.parametrize("policy", [OnFail.IGNORE, OnFail.BLOCK, OnFail.STOP, OnFail.STANDBY])
def test_a_node_alone_repairs_nothing_that_wants_a_decision(policy):
    monitor = Operation(timeout_ms=Millis(1_000), every_ms=Millis(60_000), on_fail=policy)
    node = running(replace(DB, monitor=monitor))
    node.disconnect()
    node.die("db")
    node.finish("db", Verdict.STOPPED)
    node.wait(GRACE_MS + 1)
    assert node.verb("db") is None


# Failures ------------------------------------------------------------------------------------------


def test_each_failed_operation_is_named():
    node = running()
    node.wait(10_001)
    node.finish("db", Verdict.FAILED)
    assert node.copy("db").failed_operation == "monitor"
    node.tell(Heard(sent_ms=Millis(node.now_ms)))
    node.order(order(STOP, DB))
    node.finish("db", Verdict.FAILED, reason="it holds on")
    copy = node.copy("db")
    assert (copy.failed, copy.failed_operation) == (True, "stop")
    assert "it holds on" in copy.blocked


def test_a_failure_that_no_node_can_change_is_fatal_until_it_is_forgotten():
    node = settled(DB)
    node.order(order(START, DB))
    node.finish("db", Verdict.FAILED, definite=True, fatal=True)
    assert node.seen.failures[0].fatal
    node.finish("db", Verdict.STOPPED) if node.running else None
    node.order(order(START, DB, attempt=2))
    node.finish("db", Verdict.FAILED)
    assert node.seen.failures[0].fatal


def test_a_degraded_copy_runs_and_says_so():
    node = running()
    node.wait(10_001)
    node.finish("db", Verdict.RUNNING, degraded=True)
    assert (node.copy("db").degraded, node.copy("db").failed) == (True, False)
    assert node.failures("db") == 0
    node.wait(10_001)
    node.finish("db", Verdict.RUNNING)
    assert not node.copy("db").degraded


# Reloads -------------------------------------------------------------------------------------------


def test_a_reload_takes_over_the_new_definition_and_only_by_succeeding():
    node = running()
    newer = replace(DB, parameters=(("level", "2"),))
    node.define(newer)
    assert node.copy("db").digest == definition_digest(DB)
    assert node.copy("db").fixed_digest == fixed_digest(newer), "nothing else changed"
    node.order(order(RELOAD, newer))
    assert node.running["db"].definition == newer
    node.finish("db", Verdict.FAILED)
    copy = node.copy("db")
    assert (copy.digest, copy.failed_operation) == (definition_digest(DB), "reload")
    node.finish("db", Verdict.RUNNING)
    node.order(order(RELOAD, newer, attempt=2))
    node.finish("db", Verdict.RUNNING)
    assert (node.copy("db").digest, node.copy("db").failed) == (definition_digest(newer), False)


# Migrations ----------------------------------------------------------------------------------------


def test_a_copy_that_was_sent_is_here_until_it_is_stopped():
    node = running(VM)
    node.order(order(MIGRATE, VM, **ENDS))
    assert (node.verb("vm"), node.running["vm"].peer) == (Verb.MIGRATE_TO, "bravo")
    assert node.copy("vm").certainty is Certainty.ASSUMED
    node.finish("vm", Verdict.RUNNING)
    copy = node.copy("vm")
    assert (copy.failed, copy.failed_operation) == (True, "migrate")
    assert node.failures("vm") == 0
    node.order(order(STOP, VM))
    node.finish("vm", Verdict.STOPPED)
    assert node.copy("vm") is None


def test_what_could_not_be_sent_is_looked_at():
    node = running(VM)
    node.order(order(MIGRATE, VM, **ENDS))
    node.finish("vm", Verdict.FAILED)
    assert node.copy("vm").failed_operation == "migrate"
    node.finish("vm", Verdict.RUNNING)
    assert not node.copy("vm").failed
    assert node.failures("vm") == 1


def test_what_arrives_says_where_it_comes_from_until_it_runs():
    node = settled(VM)
    node.order(order(MIGRATE, VM, **ARRIVES))
    assert node.verb("vm") is Verb.MIGRATE_FROM
    assert node.copy("vm").migrating_from == "bravo"
    node.finish("vm", Verdict.RUNNING)
    assert (node.copy("vm").migrating_from, node.copy("vm").failed) == (None, False)


def test_what_did_not_arrive_is_broken_and_known_as_such():
    node = settled(VM)
    node.order(order(MIGRATE, VM, **ARRIVES))
    node.finish("vm", Verdict.FAILED)
    copy = node.copy("vm")
    assert (copy.failed, copy.failed_operation, copy.migrating_from) == (True, "migrate", "bravo")


def test_an_agent_that_died_while_sending_knows_that_a_stop_is_due():
    node = running(VM)
    node.order(order(MIGRATE, VM, **ENDS))
    node.boot()
    node.finish("vm", Verdict.STOPPED)
    assert (node.copy("vm").failed, node.copy("vm").failed_operation) == (True, "migrate")


# What agents say -----------------------------------------------------------------------------------


def said(*attributes: tuple, scores=()) -> AttributesSeen:
    found = tuple(
        SeenAttribute(name=name, value=value, settle_ms=Millis(ms))
        for name, value, ms in attributes
    )
    return AttributesSeen(attributes=found, scores=tuple((ServiceName(n), s) for n, s in scores))


def test_scores_and_attributes_are_reported_journaled_and_taken_back():
    node = running()
    node.tell(said(("ping", "100", 0), scores=[("db", 10), ("stranger", 5)]))
    assert [(s.service, s.score) for s in node.reports[-1].promotion_scores] == [("db", 10)]
    assert node.reports[-1].attributes == (("ping", "100"),)
    reports = len(node.reports)
    node.tell(said(("ping", "100", 0), scores=[("db", 10)]))
    assert len(node.reports) == reports, "nothing new is no report"
    node.boot()
    assert node.seen.attributes == (("ping", "100"),)
    assert len(node.seen.promotion_scores) == 1
    node.tell(said())
    assert (node.seen.attributes, node.seen.promotion_scores) == ((), ())


def test_a_boot_forgets_what_does_not_last():
    node = running()
    node.tell(
        AttributesSeen(
            attributes=(
                SeenAttribute(name="kept", value="1", forever=True),
                SeenAttribute(name="lost", value="1"),
            ),
            scores=((ServiceName("db"), 5),),
        )
    )
    memory = node.journal
    again = type(memory)()
    for record in condense(memory):
        again = remember(again, record)
    assert again == memory
    node.boot(memory.of_another_boot())
    assert node.seen.attributes == (("kept", "1"),)
    assert node.seen.promotion_scores == ()


def test_a_value_counts_once_it_has_settled():
    node = running()
    node.tell(said(("ping", "100", 5_000)))
    node.wait(4_999)
    assert node.seen.attributes == ()
    node.wait(2)
    assert node.seen.attributes == (("ping", "100"),)
    node.tell(said(("ping", "0", 5_000)))
    node.wait(3_000)
    node.tell(said(("ping", "100", 5_000)))
    node.wait(20_000)
    assert node.seen.attributes == (("ping", "100"),), "it was back in time"


def test_a_value_that_keeps_changing_counts_after_the_bound():
    node = running()
    for number in range(BOUND * 5 + 1):
        node.tell(said(("ping", str(number), 5_000)))
        node.wait(1_000)
    assert node.seen.attributes != ()


# Addresses of which two nodes may have one ------------------------------------------------------------


def holding() -> Node:
    node = running(VIP)
    node.tell(Heard(sent_ms=Millis(node.now_ms)))
    return node


def test_a_best_effort_address_is_given_up_by_its_holder_s_own_clock():
    node = holding()  # the connection stands, and nobody answers on it
    node.wait(2 * GRACE_MS - 1)
    assert node.verb("ip") is not Verb.STOP
    if node.running:
        node.finish("ip", Verdict.RUNNING)
    node.wait(2)
    assert node.verb("ip") is Verb.STOP
    node.finish("ip", Verdict.STOPPED)
    assert node.copy("ip") is None
    node.disconnect()
    node.wait(60_000)
    assert node.verb("ip") is not Verb.START, "without a controller nothing new starts"


def test_an_address_is_kept_while_the_controller_is_heard():
    node = holding()
    for _ in range(20):
        node.wait(GRACE_MS)
        node.tell(Heard(sent_ms=Millis(node.now_ms)))
        if node.running:
            assert node.verb("ip") is Verb.PROBE
            node.finish("ip", Verdict.RUNNING)
    assert node.copy("ip") is not None


def test_an_address_is_kept_while_enough_others_have_no_controller_either():
    """B24: then it is the controller that is down. Once they fall silent too, this node is cut off."""
    node = holding()
    node.disconnect()
    for _ in range(20):
        node.wait(GRACE_MS)
        node.tell(Backed(at_ms=Millis(node.now_ms - 100)))
        if node.running:
            assert node.verb("ip") is Verb.PROBE
            node.finish("ip", Verdict.RUNNING)
    assert node.copy("ip") is not None
    node.wait(2 * GRACE_MS - 101)
    assert node.verb("ip") is not Verb.STOP
    if node.running:
        node.finish("ip", Verdict.RUNNING)
    node.wait(2)
    assert node.verb("ip") is Verb.STOP


def test_a_node_says_that_it_is_alone_after_one_silence_and_not_at_its_start():
    node = holding()
    assert not hears_no_controller(node.state, node.now_ms + GRACE_MS)
    assert hears_no_controller(node.state, node.now_ms + GRACE_MS + 1)
    node.boot()
    assert not hears_no_controller(node.state, node.now_ms + GRACE_MS)
    assert hears_no_controller(node.state, node.now_ms + GRACE_MS + 1)


def test_an_agent_that_never_heard_a_controller_gives_it_up_too():
    node = holding()
    node.boot()
    node.finish("ip", Verdict.RUNNING)
    node.wait(2 * GRACE_MS + 1)
    if node.verb("ip") is Verb.PROBE:  # one operation at a time: the look ends first
        node.finish("ip", Verdict.RUNNING)
        node.wait(1)
    assert node.verb("ip") is Verb.STOP


def test_a_full_disk_does_not_keep_it():
    node = holding()
    node.full_disk = True
    node.wait(2 * GRACE_MS + 1)
    if node.verb("ip") is Verb.PROBE:
        node.finish("ip", Verdict.RUNNING)
        node.wait(1)
    assert node.verb("ip") is Verb.STOP


@pytest.mark.parametrize(
    "other", [replace(VIP, safety=Safety.EXCLUSIVE), service("ip", safety=Safety.BEST_EFFORT)]
)
def test_nothing_else_is_given_up(other):
    node = running(other)
    node.disconnect()
    for _ in range(3):
        node.wait(2 * GRACE_MS + 1)
        assert node.verb("ip") in (None, Verb.PROBE)
        if node.running:
            node.finish("ip", Verdict.RUNNING)
