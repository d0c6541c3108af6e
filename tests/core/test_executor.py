"""The brain of an agent, one story at a time. The driver checks durability and uniqueness throughout."""

from dataclasses import replace

import pytest

from reconciler.core.definition import definition_digest
from reconciler.core.executor import Acknowledged, ForgetAsked, Heard, Verb
from reconciler.core.executor.looks import AFTER_LOOK
from reconciler.core.executor.memory import Phase
from reconciler.model.ids import Millis, ServiceName
from reconciler.model.intent import Operation
from reconciler.model.observed import Certainty
from reconciler.model.operation import Verdict
from reconciler.model.plan import ActionKind
from tests.core.executor_node import GRACE_MS, Node, order, service, settled

WEB, DB = service("web"), service("db")
START, STOP, PROBE = ActionKind.START, ActionKind.STOP, ActionKind.PROBE


def run(node: Node, of=WEB) -> None:
    """Start a service by an order."""
    node.order(order(START, of, plan="earlier"))
    node.finish(of.name, Verdict.RUNNING)
    node.tell(Acknowledged(key=order(START, of, plan="earlier").key))
    node.sent.clear()
    node.reports.clear()


def running() -> Node:
    node = settled(WEB)
    run(node)
    return node


# Booting, probing, adopting ------------------------------------------------------------------------


def test_a_new_node_is_ready_at_once_and_has_probed_nothing():
    node = Node()
    node.connect()
    assert node.reports[-1].ready
    assert node.reports[-1].probed == ()


def test_everything_known_is_looked_at_before_the_first_ready_report():
    node = settled(WEB, DB)
    node.boot()
    node.connect()
    assert not node.reports[-1].ready
    node.finish("web", Verdict.STOPPED)
    assert not node.seen.ready
    assert len(node.reports) == 1, "no report while the picture is being made"
    node.finish("db", Verdict.STOPPED)
    assert node.reports[-1].ready
    assert node.reports[-1].probed == ("db", "web")


def test_a_new_definition_counts_as_probed_only_after_a_look():
    node = settled(WEB)
    node.define(WEB, DB)
    assert node.seen.probed == ("web",)
    node.finish("db", Verdict.STOPPED)
    assert node.reports[-1].probed == ("db", "web")


def test_what_runs_is_adopted_without_a_digest():
    node = settled(WEB, runs=("web",))
    copy = node.copy("web")
    assert (copy.certainty, copy.digest, copy.failed) == (Certainty.OBSERVED, None, False)
    assert "web" in node.watched


def test_the_next_agent_knows_what_this_one_started():
    node = running()
    node.boot()
    assert node.copy("web").certainty is Certainty.ASSUMED
    node.finish("web", Verdict.RUNNING)
    assert node.copy("web").digest == definition_digest(WEB)
    assert node.copy("web").certainty is Certainty.OBSERVED


def test_a_boot_of_the_node_forgets_what_ran_and_keeps_the_term():
    node = running()
    node.boot(node.journal.of_another_boot())
    node.finish("web", Verdict.STOPPED)
    assert node.copy("web") is None
    assert node.state.memory.term == (1, 1)


def test_a_copy_that_vanished_while_no_agent_lived_is_broken_and_not_counted():
    node = running()
    node.boot()
    node.finish("web", Verdict.STOPPED)
    assert node.copy("web").failed
    assert node.failures("web") == 0


def test_a_changed_definition_of_what_does_not_run_is_looked_at_anew():
    node = settled(WEB)
    other = replace(WEB, parameters=(("pidfile", "other"),))
    node.define(other)
    assert node.seen.probed == ()
    assert node.running["web"].definition == other
    node.finish("web", Verdict.STOPPED)
    assert node.seen.probed == ("web",)


def test_a_look_by_the_earlier_definition_says_nothing_of_the_new_one():
    node = settled(WEB)
    node.order(order(PROBE, WEB))
    other = replace(WEB, parameters=(("pidfile", "other"),))
    node.define(other)
    node.finish("web", Verdict.RUNNING)
    assert node.copy("web") is None
    assert node.running["web"].definition == other


# Orders --------------------------------------------------------------------------------------------


def test_an_order_is_carried_out_reported_and_answered():
    node = settled(WEB)
    node.order(order(START, WEB))
    assert node.verb("web") is Verb.START
    assert node.copy("web").certainty is Certainty.ASSUMED, "active from the moment it is launched"
    node.finish("web", Verdict.RUNNING, output="x" * 9_000)
    assert node.sent[0].outcome.verdict is Verdict.RUNNING
    assert len(node.sent[0].outcome.output) == 4096
    copy = node.reports[-1].copies[0]
    assert (copy.certainty, copy.digest) == (Certainty.OBSERVED, definition_digest(WEB))
    assert "web" in node.watched


def test_a_verified_stop_leaves_nothing():
    node = running()
    node.order(order(STOP, WEB))
    assert "web" not in node.watched
    node.finish("web", Verdict.STOPPED)
    assert node.copy("web") is None
    assert node.sent[0].outcome.verdict is Verdict.STOPPED


def test_a_key_is_done_once_and_answered_again():
    node = running()
    same = order(STOP, WEB)
    node.order(same)
    node.order(same)
    node.finish("web", Verdict.STOPPED)
    node.order(same)
    assert node.running == {}
    assert node.sent[0] == node.sent[1]
    node.tell(Acknowledged(key=same.key))
    node.boot()
    node.finish("web", Verdict.STOPPED)
    node.connect()
    node.order(same)
    assert node.running == {}
    assert node.sent[-1].key == same.key


def test_an_acknowledged_order_is_not_done_again_for_a_newer_term():
    node = settled(WEB, epoch=1)
    node.order(order(START, WEB, epoch=1))
    node.finish("web", Verdict.RUNNING)
    node.tell(Acknowledged(key=order(START, WEB).key))
    node.connect(epoch=2)
    node.order(order(START, WEB, epoch=2))
    assert node.running == {}


def test_a_result_is_sent_at_every_connection_until_it_is_acknowledged():
    node = running()
    node.order(order(STOP, WEB))
    node.disconnect()
    node.finish("web", Verdict.STOPPED)
    assert node.sent == []
    for _ in range(2):
        node.connect()
        node.disconnect()
    assert len(node.sent) == 2
    node.tell(Acknowledged(key=order(STOP, WEB).key))
    node.connect()
    assert len(node.sent) == 2


def test_an_older_term_is_refused_even_by_the_next_agent():
    node = settled(WEB, epoch=7)
    node.order(order(START, WEB, epoch=6))
    assert "newer term" in node.sent[0].refused
    node.boot()
    node.finish("web", Verdict.STOPPED)
    node.connect(epoch=6)
    assert node.hung_up
    node.order(order(START, WEB, epoch=6))
    assert node.running == {}


def test_a_newer_term_is_durable_before_its_order_begins():
    node = settled(WEB, epoch=1)
    node.order(order(START, WEB, epoch=2))
    assert node.verb("web") is Verb.START
    assert node.journal.term == (1, 2)


def test_definitions_of_an_older_term_change_nothing():
    node = settled(WEB, epoch=2)
    before = node.state
    node.define(DB, epoch=1)
    assert node.state == before


def test_an_order_that_waited_in_a_buffer_is_refused():
    node = settled(WEB)
    node.now_ms += GRACE_MS + 1
    node.order(order(START, WEB))
    assert node.running == {}
    assert "expired" in node.sent[0].refused
    node.tell(Heard(sent_ms=Millis(node.now_ms)))
    node.order(order(START, WEB, attempt=2))
    assert node.verb("web") is Verb.START


def test_an_old_answer_does_not_make_an_order_young():
    node = settled(WEB)
    asked_ms = node.now_ms
    node.now_ms += GRACE_MS + 1
    node.tell(Heard(sent_ms=Millis(asked_ms)))
    node.order(order(START, WEB))
    assert "expired" in node.sent[0].refused


def test_an_order_that_waited_for_its_turn_too_long_is_refused():
    node = running()
    node.wait(10_000)
    assert node.verb("web") is Verb.PROBE
    node.tell(Heard(sent_ms=Millis(node.now_ms)))
    node.order(order(STOP, WEB))
    node.now_ms += GRACE_MS + 1
    node.finish("web", Verdict.RUNNING)
    assert node.running == {}
    assert "expired" in node.sent[0].refused


@pytest.mark.parametrize(
    ("kind", "changes", "words"),
    [
        (START, {"definition": "0" * 64}, "definition"),
        (START, {"service": "ghost"}, "not known"),
        (ActionKind.PROMOTE, {}, "nothing of it runs here"),
        (ActionKind.MIGRATE, {}, "does not know how to migrate"),
        (ActionKind.FENCE, {}, "does not know how to fence"),
    ],
)
def test_what_is_not_understood_is_refused_and_stays_so(kind, changes, words):
    node = settled(WEB)
    wrong = order(kind, WEB, **changes)
    node.order(wrong)
    assert words in node.sent[0].refused
    node.order(wrong)
    assert node.sent[0] == node.sent[1]
    assert node.running == {}


def test_nothing_is_done_to_a_service_in_maintenance():
    node = settled(WEB)
    node.define(WEB, maintenance=("web",))
    node.order(order(START, WEB))
    assert "maintenance" in node.sent[0].refused


def test_one_order_waits_behind_another_and_a_third_is_refused():
    node = settled(WEB)
    node.order(order(START, WEB))
    node.order(order(STOP, WEB))
    node.order(order(START, WEB, attempt=2))
    assert "waits already" in node.sent[0].refused
    node.finish("web", Verdict.RUNNING)
    assert node.verb("web") is Verb.STOP


def test_a_start_waits_for_the_first_look():
    node = settled(WEB)
    node.define(WEB, DB)
    node.order(order(START, DB))
    assert node.verb("db") is Verb.PROBE
    node.finish("db", Verdict.STOPPED)
    assert node.verb("db") is Verb.START


def test_a_copy_is_stopped_and_looked_at_by_what_it_was_started_with():
    node = running()
    other = replace(WEB, parameters=(("pidfile", "other"),))
    node.define(other)
    node.order(order(START, other))
    assert "runs by another one" in node.sent[0].refused
    node.order(order(STOP, other))
    assert node.running["web"].definition == WEB
    node.finish("web", Verdict.STOPPED)
    node.order(order(START, other, attempt=2))
    assert node.running["web"].definition == other


def test_a_service_without_definition_is_kept_until_its_copy_is_gone():
    node = running()
    node.define()
    assert node.copy("web") is not None
    node.order(order(STOP, WEB))
    node.finish("web", Verdict.STOPPED)
    assert node.seen.probed == ()
    assert node.state.services == {}
    assert node.timers == {}


def test_a_broken_copy_without_definition_is_kept_too():
    node = running()
    node.die("web")
    node.finish("web", Verdict.STOPPED)
    node.define()
    assert node.copy("web").failed


def test_an_order_of_an_older_term_leaves_no_trace():
    node = settled(WEB, epoch=2)
    before = node.state.memory
    node.order(order(START, WEB, epoch=1))
    assert node.state.memory == before


def test_many_slow_monitors_do_not_delay_an_order():
    many = [service(f"s{number:03}") for number in range(40)]
    node = settled(*many, runs=[s.name for s in many])
    node.wait(10_000)
    assert len(node.running) == 8, "routine looks are limited"
    free = next(s for s in many if s.name not in node.running)
    node.tell(Heard(sent_ms=Millis(node.now_ms)))
    node.order(order(STOP, free))
    assert node.verb(free.name) is Verb.STOP


# What goes wrong -----------------------------------------------------------------------------------


@pytest.mark.parametrize("verdict", [Verdict.FAILED, Verdict.UNKNOWN])
def test_a_start_that_failed_leaves_a_failed_copy_and_a_count(verdict):
    node = settled(WEB)
    node.order(order(START, WEB))
    node.finish("web", verdict, reason="exit 1\nmore")
    assert node.copy("web").failed
    assert node.reports[-1].failures[0].reason == "exit 1 more"
    assert node.failures("web") == 1


def test_a_failure_that_no_other_try_changes_bans_the_node_at_once():
    node = settled(WEB)
    node.order(order(START, WEB))
    node.finish("web", Verdict.FAILED, definite=True)
    assert node.failures("web") == WEB.failures_max


def test_a_look_that_finds_nothing_ends_a_failed_start():
    node = settled(WEB)
    node.order(order(START, WEB))
    node.finish("web", Verdict.FAILED)
    node.wait(10_000)
    node.finish("web", Verdict.STOPPED)
    assert node.copy("web") is None


@pytest.mark.parametrize("verdict", [Verdict.FAILED, Verdict.UNKNOWN, Verdict.RUNNING])
def test_a_stop_that_is_not_verified_blocks_until_somebody_clears(verdict):
    node = running()
    node.order(order(STOP, WEB))
    node.finish("web", verdict, reason="it hangs")
    assert "it hangs" in node.copy("web").blocked
    assert node.copy("web").certainty is Certainty.UNKNOWN
    node.finish("web", Verdict.STOPPED)  # the look that follows: no proof of a stop
    assert node.copy("web").blocked
    node.order(order(START, WEB, attempt=2))
    assert "blocked" in node.sent[-1].refused
    node.boot()
    node.finish("web", Verdict.STOPPED)
    assert node.copy("web").blocked, "the next agent knows"
    node.tell(ForgetAsked(service=ServiceName("web")))
    node.finish("web", Verdict.STOPPED)
    assert node.failures("web") == 0
    assert node.copy("web").blocked is None


def test_a_later_stop_that_succeeds_ends_a_block():
    node = running()
    node.order(order(STOP, WEB))
    node.finish("web", Verdict.UNKNOWN)
    node.finish("web", Verdict.RUNNING)
    node.order(order(STOP, WEB, attempt=2))
    node.finish("web", Verdict.STOPPED)
    assert node.copy("web") is None


def test_unknown_is_never_stopped():
    for (_, verdict), after in AFTER_LOOK.items():
        if verdict is not Verdict.STOPPED:
            assert after is not None


def test_the_table_of_a_copys_life_is_whole():
    looks = set(Verdict) - {Verdict.PROMOTED}
    assert set(AFTER_LOOK) == {(phase, verdict) for phase in Phase for verdict in looks}


def test_a_monitor_that_cannot_tell_is_asked_again_before_it_counts():
    node = running()
    node.wait(10_000)
    node.finish("web", Verdict.UNKNOWN)
    assert not node.copy("web").failed
    assert node.verb("web") is Verb.PROBE
    node.finish("web", Verdict.UNKNOWN)
    assert node.copy("web").failed
    assert node.copy("web").certainty is Certainty.UNKNOWN
    assert node.failures("web") == 1


def test_a_death_is_looked_at_and_reported_at_once():
    node = running()
    node.die("web")
    assert node.verb("web") is Verb.PROBE
    node.finish("web", Verdict.STOPPED)
    assert node.reports[-1].copies[0].failed
    assert node.reports[-1].failures[0].count == 1
    assert node.running == {}, "the controller decides"


def test_a_watch_that_fires_for_nothing_is_set_again_only_by_a_monitor():
    node = running()
    node.die("web")
    node.finish("web", Verdict.RUNNING)
    assert "web" not in node.watched
    node.wait(10_000)
    node.finish("web", Verdict.RUNNING)
    assert "web" in node.watched


def test_a_broken_copy_counts_once_however_often_it_is_looked_at():
    node = running()
    for _ in range(3):
        node.wait(10_000)
        node.finish("web", Verdict.FAILED)
    assert node.failures("web") == 1


def test_the_interval_of_a_monitor_counts_from_the_end_of_the_last():
    node = running()
    node.wait(10_000)
    node.now_ms += 4_000
    node.finish("web", Verdict.RUNNING)
    node.wait(9_999)
    assert node.running == {}
    node.wait(1)
    assert node.verb("web") is Verb.PROBE


def test_first_monitors_are_spread():
    many = [service(f"s{number:03}") for number in range(50)]
    node = settled(*many, runs=[s.name for s in many])
    assert len({at // 1000 for at in node.timers.values()}) >= 8


def test_monitors_pause_in_maintenance_and_a_look_ends_it():
    node = running()
    node.define(WEB, maintenance=("web",))
    assert "web" not in node.watched
    node.wait(60_000)
    assert node.running == {}
    node.define(WEB)
    assert node.verb("web") is Verb.PROBE
    node.finish("web", Verdict.STOPPED)
    assert node.copy("web").failed
    assert node.failures("web") == 0, "what was done in maintenance is no failure"


def test_failures_are_forgotten_after_a_time_without_another():
    node = running()
    node.die("web")
    node.finish("web", Verdict.STOPPED)
    node.tell(Heard(sent_ms=Millis(node.now_ms)))
    node.order(order(STOP, WEB))
    node.finish("web", Verdict.STOPPED)
    node.wait(WEB.failures_forget_ms - 1)
    assert node.failures("web") == 1
    node.wait(1)
    assert node.failures("web") == 0
    assert node.reports[-1].failures == ()


def test_a_changed_definition_clears_its_failures():
    node = settled(WEB)
    node.order(order(START, WEB))
    node.finish("web", Verdict.FAILED)
    node.define(replace(WEB, parameters=(("pidfile", "other"),)))
    assert node.failures("web") == 0


# Crashes of the agent ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "found", "answer"),
    [
        (START, Verdict.RUNNING, Verdict.RUNNING),
        (START, Verdict.STOPPED, Verdict.FAILED),
        (START, Verdict.FAILED, Verdict.FAILED),
        (START, Verdict.UNKNOWN, Verdict.UNKNOWN),
        (STOP, Verdict.STOPPED, Verdict.STOPPED),
        (STOP, Verdict.RUNNING, Verdict.FAILED),
        (STOP, Verdict.UNKNOWN, Verdict.UNKNOWN),
    ],
)
def test_an_order_under_way_at_a_crash_is_settled_by_a_look_and_not_done_again(kind, found, answer):
    node = running() if kind is STOP else settled(WEB)
    interrupted = order(kind, WEB)
    node.order(interrupted)
    node.boot()
    node.connect()
    node.order(interrupted)
    assert node.verb("web") is Verb.PROBE
    node.finish("web", found)
    assert [r.outcome.verdict for r in node.sent] == [answer]
    assert node.verb("web") is None
    if kind is STOP and found is Verdict.STOPPED:
        assert node.copy("web") is None, "stopped on purpose, not broken"


def test_an_order_for_what_nobody_knows_any_more_ends_unknown():
    node = settled(WEB)
    node.order(order(START, WEB))
    node.boot(replace(node.journal, services=()).with_a_gap())
    node.connect()
    assert node.sent[0].outcome.verdict is Verdict.UNKNOWN


def test_a_full_disk_refuses_orders_and_loses_nothing():
    node = running()
    node.full_disk = True
    node.order(order(STOP, WEB))
    assert node.running == {}
    assert "journal" in node.sent[0].refused
    node.die("web")
    node.finish("web", Verdict.STOPPED)
    assert node.failures("web") == 1
    assert node.reports[-1].copies[0].failed


def test_a_stop_that_ended_on_a_full_disk_is_answered_and_settled_again_after_a_crash():
    node = running()
    node.order(order(STOP, WEB))
    node.full_disk = True
    node.finish("web", Verdict.STOPPED)
    assert node.sent[0].outcome.verdict is Verdict.STOPPED
    node.full_disk = False
    node.boot()
    node.finish("web", Verdict.STOPPED)
    assert node.copy("web") is None, "a stop was under way: it is not taken for a death"


# Without a controller ------------------------------------------------------------------------------


def test_alone_a_broken_copy_is_stopped_and_started_after_the_grace():
    node = running()
    node.disconnect()
    node.die("web")
    node.finish("web", Verdict.STOPPED)
    node.wait(GRACE_MS - 1)
    assert node.running == {}
    node.wait(1)
    assert node.verb("web") is Verb.STOP
    node.finish("web", Verdict.STOPPED)
    assert node.copy("web") is not None, "it is being repaired, and not gone"
    assert node.verb("web") is Verb.START
    node.finish("web", Verdict.RUNNING)
    assert not node.copy("web").failed
    assert node.copy("web").digest == definition_digest(WEB)


def test_alone_repairs_back_off_and_end_with_a_ban():
    limited = replace(WEB, failures_max=4)
    node = settled(limited)
    run(node, limited)
    node.disconnect()
    node.wait(GRACE_MS)
    node.die("web")
    node.finish("web", Verdict.STOPPED)
    pauses = []
    while True:
        before = node.now_ms
        if node.verb("web") is None:
            node.wait(node.timers.get("web", before) - before)
        if node.verb("web") is not Verb.STOP:
            break
        pauses.append(node.now_ms - before)
        node.finish("web", Verdict.STOPPED)
        node.finish("web", Verdict.FAILED)
    assert pauses == [0, 1_000, 2_000]
    assert node.failures("web") == 4


def test_alone_nothing_new_starts_and_nothing_that_works_stops():
    node = settled(WEB, DB, assigned=("web", "db"))
    run(node)
    node.disconnect()
    for _ in range(20):
        node.wait(10_000)
        for name in tuple(node.running):
            assert node.verb(name) is Verb.PROBE
            node.finish(name, Verdict.RUNNING if name == "web" else Verdict.STOPPED)


def test_alone_only_what_is_assigned_here_is_repaired():
    node = settled(WEB, assigned=())
    run(node)
    node.disconnect()
    node.die("web")
    node.finish("web", Verdict.STOPPED)
    node.wait(9_000)
    assert node.running == {}


def test_alone_what_was_stopped_by_order_stays_stopped():
    node = running()
    node.order(order(STOP, WEB))
    node.disconnect()
    node.finish("web", Verdict.STOPPED)
    node.boot()
    node.finish("web", Verdict.STOPPED)
    node.wait(60_000)
    assert node.running == {}
    assert node.copy("web") is None


def test_alone_a_stop_that_fails_ends_the_repair():
    node = running()
    node.disconnect()
    node.die("web")
    node.finish("web", Verdict.STOPPED)
    node.wait(GRACE_MS)
    node.finish("web", Verdict.UNKNOWN)
    assert node.copy("web").blocked
    node.finish("web", Verdict.FAILED)
    node.wait(9_000)
    assert node.running == {}


def test_a_full_disk_does_not_keep_a_node_alone_from_repairing():
    node = running()
    node.disconnect()
    node.wait(GRACE_MS)
    node.full_disk = True
    node.die("web")
    node.finish("web", Verdict.STOPPED)
    node.wait(1)
    assert node.verb("web") is Verb.STOP


def test_a_controller_that_returns_decides_again():
    node = running()
    node.disconnect()
    node.die("web")
    node.finish("web", Verdict.STOPPED)
    node.wait(GRACE_MS)
    assert node.verb("web") is Verb.STOP
    node.connect()
    assert node.reports[-1].copies[0].failed
    node.finish("web", Verdict.STOPPED)
    assert node.running == {}, "the start is not ours to begin any more"


def test_a_short_silence_changes_nothing():
    node = running()
    node.disconnect()
    node.die("web")
    node.finish("web", Verdict.STOPPED)
    node.wait(GRACE_MS - 1)
    node.connect()
    node.wait(6_000)
    assert node.running == {}


def test_a_service_without_monitors_is_left_alone_while_it_is_known():
    quiet = service("quiet", monitor=Operation(timeout_ms=Millis(1_000)))
    node = settled(quiet, runs=("quiet",))
    node.wait(3_600_000)
    assert node.running == {}
