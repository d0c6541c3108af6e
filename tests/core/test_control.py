"""What a controller does about what happens, in a whole cluster made of values."""

from collections import Counter
from dataclasses import replace

import pytest

from reconciler.core import control
from reconciler.model.diagnostic import Diagnostic
from reconciler.model.intent import Ordering, Safety
from reconciler.model.observed import Liveness
from reconciler.model.plan import ActionKind
from tests.builders import intent
from tests.core.cluster import Cluster, edited

SHOP = intent(
    "a b c",
    {
        "db": {"safety": Safety.EXCLUSIVE},
        "vip": {},
        "web": {"replicas": 2},
    },
    constraints=(Ordering(first="db", then="web"),),
)


def running(nodes="a b c", of=SHOP, **more) -> Cluster:
    cluster = Cluster(nodes, **more).run(ms=100)
    cluster.apply(of).run()
    assert cluster.events()[-1] == "converged", cluster.told
    return cluster


# Applying ----------------------------------------------------------------------------------------


def test_an_apply_starts_everything_and_says_so():
    cluster = running()
    assert Counter(word.split("@")[0] for word in cluster.runs().split()) == {
        "db": 1,
        "vip": 1,
        "web": 2,
    }
    events = cluster.events()
    assert events[:2] == ["accepted", "planned"]
    assert events.count("started") == events.count("finished")
    assert len(cluster.effects()) == 4
    assert cluster.told[-1][2], "the last one says that it is the last"


def test_dependents_start_only_after_what_they_need():
    cluster = running()
    told = [(b["event"], b.get("action", "").split("@")[0]) for _, b, _ in cluster.told]
    assert told.index(("finished", "start:db")) < told.index(("started", "start:web"))


def test_nothing_happens_before_anything_is_accepted():
    cluster = Cluster("a b c").run()
    assert cluster.runs() == ""
    cluster.commit(SHOP, revision="c1").run()
    assert cluster.runs() == "", "a commit is only a candidate"
    assert cluster.state.candidate.revision == "c1"


def test_a_controller_that_accepts_by_itself_takes_a_valid_commit():
    cluster = Cluster("a b c", accept_auto=True)
    cluster.commit(SHOP, revision="c1").run()
    assert len(cluster.runs().split()) == 4
    assert cluster.state.accepted.revision == "c1"


def test_a_bad_commit_changes_nothing_and_is_reported():
    cluster = running(accept_auto=True)
    before, effects = cluster.runs(), len(cluster.effects())
    mistake = Diagnostic(code="R001", summary="Unknown key", detail="...")
    cluster.commit(None, revision="bad", diagnostics=(mistake,)).run()
    assert (cluster.runs(), len(cluster.effects())) == (before, effects)
    assert cluster.state.candidate.diagnostics == (mistake,)
    assert cluster.state.accepted.revision == "r1"


def test_a_commit_with_errors_is_not_used_even_if_it_has_an_intent():
    cluster = running(accept_auto=True)
    mistake = Diagnostic(code="R001", summary="Unknown key", detail="...")
    other = edited(SHOP, vip={"enabled": False})
    cluster.commit(other, revision="bad", diagnostics=(mistake,)).run()
    assert cluster.state.accepted.revision == "r1"


def test_a_rewritten_history_waits_for_an_operator():
    cluster = running(accept_auto=True)
    other = edited(SHOP, vip={"enabled": False})
    cluster.commit(other, revision="c2", held="the branch was rewritten").run()
    assert "vip" in cluster.runs()
    cluster.apply(other, request=2).run()
    assert "vip" not in cluster.runs()


def test_the_same_intent_under_a_newer_name_does_nothing():
    cluster = running()
    effects = len(cluster.effects())
    cluster.commit(SHOP, revision="c9").run()
    assert cluster.state.accepted.revision == "c9"
    assert len(cluster.effects()) == effects


# Not by mistake ----------------------------------------------------------------------------------

MANY = intent("a b", " ".join(f"s{n}" for n in range(10)))


def without(of, *names):
    return replace(of, services=tuple(s for s in of.services if s.name not in names))


@pytest.mark.parametrize(
    ("removed", "held"),
    [(1, False), (2, False), (3, True), (10, True)],
    ids=["one", "a fifth", "more than a fifth", "all"],
)
def test_an_intent_that_ends_much_of_what_runs_needs_a_second_word(removed, held):
    cluster = running("a b", MANY)
    less = without(MANY, *(f"s{n}" for n in range(removed)))
    cluster.apply(less, request=2).run()
    assert len(cluster.runs().split()) == (10 if held else 10 - removed)
    if held:
        assert "--confirm-shrink" in cluster.refused[-1].reason
        cluster.apply(less, request=3, confirm_shrink=True).run()
        assert len(cluster.runs().split()) == 10 - removed
        assert cluster.events(3)[-1] == "converged"


def test_two_of_three_is_much_one_of_three_is_not():
    small = intent("a", "x y z")
    cluster = running("a", small)
    cluster.apply(without(small, "x"), request=2).run()
    assert cluster.runs() == "y@a z@a"
    cluster.apply(without(small, "x", "y", "z"), request=3).run()
    assert cluster.runs() == "y@a z@a"


def test_a_controller_that_accepts_by_itself_does_not_take_an_empty_intent():
    cluster = running("a b", MANY, accept_auto=True)
    cluster.commit(replace(MANY, services=()), revision="empty").run()
    assert len(cluster.runs().split()) == 10
    assert "it would end 10 of 10" in cluster.state.candidate.held


# Saved plans -------------------------------------------------------------------------------------


def test_a_saved_plan_is_carried_out_exactly_and_once():
    cluster = Cluster("a b c").run(ms=100)
    saved = cluster.plan(SHOP)
    digest = saved.intent_digest
    cluster.apply(SHOP, saved=saved).run()
    assert cluster.events()[-1] == "converged"
    shown = {action.id for action in saved.decision.plan.actions}
    done = [key for _, key, _ in cluster.done]
    assert sorted(key.action for key in done if key.plan == saved.id) == sorted(shown)
    cluster.apply(SHOP, request=2, saved=saved).run()
    assert cluster.refused[-1].changes, "the facts have changed"
    empty = cluster.plan(SHOP)
    assert empty.intent_digest == digest
    assert not empty.decision.plan.actions
    cluster.apply(SHOP, request=3, saved=empty).run()
    assert cluster.events(3)[-1] == "converged"
    cluster.apply(SHOP, request=4, saved=empty).run()
    assert "applied before" in cluster.refused[-1].reason


def test_a_saved_plan_is_refused_with_what_changed():
    cluster = running()
    other = edited(SHOP, vip={"enabled": False})
    saved = cluster.plan(other)
    cluster.agents["a"].failures["web"] = 1
    cluster.agents["a"].report()
    cluster.run(ms=10)
    before = cluster.runs()
    cluster.apply(other, request=2, saved=saved).run()
    assert cluster.refused[-1].changes == ("failures of web on a: was not there, now 1",)
    assert cluster.runs() == before


def test_a_plan_that_was_tampered_with_is_refused():
    cluster = running()
    other = edited(SHOP, vip={"enabled": False})
    saved = cluster.plan(other)
    action = replace(saved.decision.plan.actions[0], service="db", id="stop:db")
    forged = replace(
        saved,
        decision=replace(saved.decision, plan=replace(saved.decision.plan, actions=(action,))),
    )
    cluster.apply(other, request=2, saved=forged).run()
    assert "breaks a law" in cluster.refused[-1].reason
    assert "vip" in cluster.runs()


def test_facts_that_the_operator_did_not_see_refuse_an_apply():
    cluster = running()
    cluster.apply(edited(SHOP, vip={"enabled": False}), request=2, expect="0" * 64).run()
    assert cluster.refused[-1].changes
    assert "vip" in cluster.runs()


# Two at once, and nobody left ----------------------------------------------------------------------


def test_a_later_apply_takes_the_place_of_an_earlier_one():
    cluster = Cluster("a b c").run(ms=100)
    cluster.apply(SHOP, request=1).run(ms=10)
    other = edited(SHOP, web={"enabled": False})
    cluster.apply(other, request=2).run()
    assert cluster.events(1)[-1] == "superseded"
    assert cluster.events(2)[-1] == "converged"
    assert "web" not in cluster.runs()


def test_the_same_apply_twice_is_one_with_two_followers():
    cluster = Cluster("a b c").run(ms=100)
    cluster.apply(SHOP, request=1).run(ms=10)
    cluster.apply(SHOP, request=2).run()
    assert cluster.events(1)[-1] == cluster.events(2)[-1] == "converged"
    assert len(cluster.effects()) == 4


def test_an_apply_goes_on_when_its_operator_leaves():
    cluster = Cluster("a b c").run(ms=100)
    cluster.apply(SHOP, request=1).run(ms=5)
    cluster.hear(control.WatcherGone(request=1))
    cluster.run()
    assert len(cluster.runs().split()) == 4


# Bad days ----------------------------------------------------------------------------------------


def test_a_service_that_dies_is_restarted_in_the_same_millisecond():
    cluster = running()
    agent = next(agent for agent in cluster.agents.values() if "db" in agent.running)
    effects = len(cluster.effects())
    agent.kill_service("db")
    cluster.run(ms=1)
    assert cluster.state.transition is not None, "planned as soon as the report arrives"
    cluster.run()
    assert "db" in agent.running
    assert not agent.failed
    kinds = [kind.value for _, kind in cluster.effects()[effects:]]
    assert kinds.count("start") == kinds.count("stop")


def test_best_effort_moves_off_a_lost_node_and_exclusive_is_blocked():
    cluster = running()
    home = next(a.name for a in cluster.agents.values() if "db" in a.running)
    cluster.lose(home).run()
    assert "db" not in cluster.runs(), "no proof, no start"
    assert any(u.service == "db" and u.blocked for u in _unplaced(cluster))
    cluster.boot(home).run()
    assert cluster.runs().count("db@") == 1, "a new boot is proof enough of the old one's end"
    assert not _unplaced(cluster)


def _unplaced(cluster):
    return cluster.state.decision.placement.unplaced


def test_without_a_majority_nothing_starts_elsewhere_and_nothing_stops():
    cluster = running()
    home = next(a.name for a in cluster.agents.values() if "vip" in a.running)
    others = [name for name in cluster.agents if name != home]
    before = set(cluster.runs().split())
    cluster.agents[home].power_off()
    lost = {home: Liveness.LOST, others[0]: Liveness.SUSPECT, others[1]: Liveness.SUSPECT}
    cluster.heartbeats(lost)
    cluster.run()
    assert set(cluster.runs().split()) == {word for word in before if not word.endswith(home)}


def test_facts_that_move_under_a_plan_drop_what_is_left_of_it():
    cluster = Cluster("a b c").run(ms=100)
    cluster.apply(SHOP).run(ms=20)
    assert cluster.state.transition is not None
    cluster.agents["c"].kill_service("other")
    cluster.agents["c"].failures["vip"] = 1
    cluster.agents["c"].report()
    cluster.run()
    assert "replanned" in cluster.events()
    assert cluster.events()[-1] == "converged"
    assert len(cluster.runs().split()) == 4


def test_a_service_that_will_not_start_fails_its_branch_only_and_ends_up_elsewhere():
    one = intent("a b", {"x": {"failures_max": 1}, "y": {}})
    cluster = Cluster("a b").run(ms=100)
    home = next(s.node for s in cluster.plan(one).decision.placement.seats if s.service == "x")
    cluster.agents[home].refuses_to_start = {"x"}
    cluster.apply(one).run()
    assert "y@" in cluster.runs()
    assert f"x@{({'a', 'b'} - {home}).pop()}" in cluster.runs()
    assert "failed" in cluster.events()
    assert cluster.events()[-1] == "converged"


def test_a_service_that_starts_nowhere_does_not_make_a_storm():
    one = intent("a b", {"x": {}})
    cluster = Cluster("a b").run(ms=100)
    for agent in cluster.agents.values():
        agent.refuses_to_start = {"x"}
    cluster.apply(one).run(ms=300_000)
    assert len(cluster.effects()) <= 6, "three tries on each node, then a ban"
    assert cluster.events()[-1] == "blocked"


def test_a_lying_agent_is_retried_with_growing_patience():
    """It says that the service runs, and never reports it: the same plan comes out again and again."""
    one = intent("a", {"x": {}})
    cluster = Cluster("a").run(ms=100)

    class Forgetful(dict):
        def __setitem__(self, key, value):
            pass

    cluster.agents["a"].running = Forgetful()
    cluster.apply(one).run(ms=100_000)
    assert 3 <= len(cluster.effects()) <= 12
    assert cluster.events()[-1] == "failed"


def test_a_planner_with_a_bug_stops_nothing(monkeypatch):
    cluster = running()
    before = cluster.runs()

    def broken(*_):
        raise KeyError("oops")

    monkeypatch.setattr("tests.core.cluster.MEANS", replace(_means(), plan=broken))
    cluster.agents["a"].failures["vip"] = 1
    cluster.agents["a"].report()
    cluster.run(ms=1_000)
    assert "bug in reconciler" in cluster.state.broken
    assert cluster.runs() == before
    cluster.apply(edited(SHOP, vip={"enabled": False}), request=2).run(ms=100)
    assert "bug in reconciler" in cluster.refused[-1].reason


def test_a_plan_that_breaks_a_law_is_not_carried_out(monkeypatch):
    cluster = running()
    verdict = replace(_means(), verify=lambda *_: ("one-holder",))
    monkeypatch.setattr("tests.core.cluster.MEANS", verdict)
    effects = len(cluster.effects())
    next(iter(cluster.agents.values())).kill_service("vip")
    cluster.run(ms=1_000)
    assert len(cluster.effects()) == effects
    assert "one-holder" in cluster.state.broken


def _means():
    from tests.core import cluster

    return cluster.MEANS


def test_an_agent_of_a_later_term_silences_this_controller():
    cluster = running()
    effects = len(cluster.effects())
    agent = cluster.agents["a"]
    cluster.hear(
        control.AgentConnected(node="a", boot=agent.boot, incarnation=9, epoch=1),
    )
    agent.report()
    agent.kill_service(next(iter(agent.running)))
    cluster.run(ms=1_000)
    assert cluster.state.outranked
    assert len(cluster.effects()) == effects


def test_what_a_node_says_of_another_is_not_believed():
    cluster = running()
    agent = cluster.agents["a"]
    agent.name = "b"
    lie = next(iter(cluster.agents["b"].running), "vip")
    agent.running[lie] = None
    report = []
    agent.say = report.append
    agent.report()
    agent.name = "a"
    before = cluster.state.nodes["b"]
    cluster.hear(replace(report[0], node="a", report=replace(report[0].report, boot=agent.boot)))
    assert cluster.state.nodes["b"] == before
    assert all(copy.node == "a" for copy in cluster.state.nodes["a"].copies)


def test_clearing_forgets_failures_and_counts_them():
    cluster = running()
    cluster.agents["a"].failures["vip"] = 2
    cluster.agents["a"].report()
    cluster.run(ms=10)
    cluster.hear(control.ClearRequested(request=5, service="vip"))
    cluster.run()
    assert (5, {"cleared": 1}, True) in cluster.told
    assert not cluster.agents["a"].failures


def test_time_alone_plans_again():
    """A ban ends with the failures that it stands on."""
    one = intent("a", {"x": {"failures_max": 1, "failures_forget_ms": 5_000}})
    cluster = Cluster("a").run(ms=100)
    cluster.agents["a"].refuses_to_start = {"x"}
    cluster.apply(one).run(ms=1_000)
    assert cluster.runs() == ""
    cluster.agents["a"].refuses_to_start = set()
    cluster.run(ms=10_000)
    assert cluster.runs() == "x@a"


# In doubt ----------------------------------------------------------------------------------------

ONE = intent("a b c", {"db": {"safety": Safety.EXCLUSIVE}})


def starting() -> tuple[Cluster, str]:
    """A cluster in which a node was told to start `db` and has not answered yet."""
    cluster = Cluster("a b c").run(ms=100)
    cluster.apply(ONE)
    while not any(b.get("action", "").startswith("start:") for _, b, _ in cluster.told):
        cluster.run(ms=1)
    cluster.run(ms=3)
    return cluster, next(b["node"] for _, b, _ in cluster.told if b.get("kind") == "start")


def test_a_start_on_a_node_that_fell_silent_is_in_doubt_and_not_repeated_elsewhere():
    cluster, home = starting()
    cluster.disconnect(home)
    cluster.heartbeats({home: Liveness.LOST})
    cluster.run(ms=20_000)
    assert cluster.runs() == f"db@{home}", "it did start, though nobody was told"
    assert [doubt.node for doubt in cluster.state.ledger.doubts] == [home]
    assert _unplaced(cluster)[0].blocked
    cluster.agents[home].connect()
    cluster.heartbeats({home: Liveness.ALIVE})
    cluster.run()
    assert cluster.runs() == f"db@{home}"
    assert not cluster.state.ledger.doubts
    assert not _unplaced(cluster)


def test_a_start_that_never_arrived_is_settled_by_a_stop_before_anything_else():
    cluster, home = starting()
    agent = cluster.agents[home]
    cluster.disconnect(home)
    agent.lose_orders()
    cluster.heartbeats({home: Liveness.LOST})
    cluster.run(ms=20_000)
    assert cluster.runs() == ""
    agent.connect()
    cluster.heartbeats({home: Liveness.ALIVE})
    cluster.run()
    assert any(key.action.startswith("settle:") for key, _ in cluster.effects())
    assert not cluster.state.ledger.doubts
    assert len(cluster.runs().split()) == 1


def test_a_doubt_outlives_its_controller():
    cluster, home = starting()
    cluster.disconnect(home)
    cluster.heartbeats({home: Liveness.LOST})
    cluster.run(ms=100)
    assert cluster.state.ledger.doubts
    cluster.agents[home].power_off()
    cluster.kill_controller()
    cluster.later(10, cluster.begin_controller)
    cluster.run(ms=20_000)
    assert cluster.runs() == "", "it may have started there, for all that anybody knows"
    cluster.boot(home).run()
    assert len(cluster.runs().split()) == 1, "a new boot ends the doubt"


def test_an_order_under_way_is_in_doubt_for_the_next_controller_if_its_node_stays_silent():
    cluster, home = starting()
    cluster.kill_controller()
    back = cluster.agents[home].connect
    cluster.agents[home].connect = lambda: None
    cluster.begin_controller()
    cluster.run(ms=20_000)
    assert cluster.runs() == f"db@{home}", "and nowhere else"
    assert cluster.state.ledger.doubts
    cluster.agents[home].connect = back
    back()
    cluster.heartbeats({home: Liveness.ALIVE})
    cluster.run()
    assert cluster.runs() == f"db@{home}"
    assert not cluster.state.ledger.doubts


def test_an_order_that_is_never_answered_is_repeated_once_and_then_given_up():
    cluster, home = starting()
    agent = cluster.agents[home]
    orders = []
    agent._order = orders.append
    agent.lose_orders()
    cluster.run(ms=200_000)
    starts = [step.key for step in orders if step.kind is ActionKind.START]
    assert len(starts) == len(set(starts)) == 1, "under the same key"
    assert cluster.state.ledger.doubts, "then nobody relies on it any more"
    assert cluster.runs() == ""


# Starting ----------------------------------------------------------------------------------------


def test_a_fresh_controller_waits_for_every_node_before_it_acts():
    cluster = running()
    home = next(a for a in cluster.agents.values() if "vip" in a.running)
    slow = next(a for a in cluster.agents.values() if a is not home)
    slow_connect = slow.connect
    slow.connect = lambda: None
    cluster.kill_controller()
    effects = len(cluster.effects())
    home.kill_service("vip")
    cluster.begin_controller()
    cluster.run(ms=1_000)
    assert not cluster.state.settled
    assert len(cluster.effects()) == effects
    slow.connect = slow_connect
    slow.connect()
    cluster.heartbeats({slow.name: Liveness.ALIVE})
    cluster.run()
    assert cluster.state.settled
    kinds = [kind for _, kind in cluster.effects()[effects:]]
    assert kinds == [ActionKind.STOP, ActionKind.START], "the repair, and nothing else"


def test_and_then_counts_the_silent_as_lost():
    cluster = running()
    home = next(a.name for a in cluster.agents.values() if "vip" in a.running)
    cluster.kill_controller()
    cluster.agents[home].power_off()
    cluster.later(10, cluster.begin_controller)
    cluster.run(ms=3_000)
    assert "vip" not in cluster.runs()
    cluster.run()
    assert "vip" in cluster.runs(), "it died while nobody looked, and is taken over all the same"


def test_no_controller_stops_nothing():
    cluster = running()
    before = cluster.runs()
    cluster.kill_controller()
    cluster.run(ms=86_400_000)
    assert cluster.runs() == before
    effects = len(cluster.effects())
    cluster.begin_controller()
    cluster.run()
    assert (cluster.runs(), len(cluster.effects())) == (before, effects)
