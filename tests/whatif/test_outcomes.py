"""Small clusters with known answers: what one scenario loses, moves, blocks and breaks."""

import dataclasses

import pytest

from reconciler.core.whatif import Scenario, attempt, strike
from reconciler.model.errors import BrokenLaw
from reconciler.model.intent import (
    Colocation,
    Fencing,
    Location,
    Mandate,
    Role,
    Safety,
)
from reconciler.model.observed import Certainty, Liveness
from reconciler.model.plan import Action, ActionKind, Plan
from tests.builders import intent, observed
from tests.whatif import given

RACKS = {"n1": "a", "n2": "a", "n3": "b"}
EXCLUSIVE = {"safety": Safety.EXCLUSIVE}
ALONE = Fencing(accept_split_brain=True)
PINNED = (Location(service="db", nodes=("n1",)),)


def shop(**more):
    """db on n1, web on n2 and n3."""
    return given.baseline(
        intent(
            "n1 n2 n3",
            {"db": {"priority": 1} | more.pop("db", {}), "web": {"replicas": 2}},
            node={name: {"labels": (("rack", rack),)} for name, rack in RACKS.items()},
            **more,
        )
    )


@pytest.mark.parametrize(
    ("words", "lost", "moved"),
    [
        ("", "", ""),
        ("node:n1", "", "db:n1>n2"),
        ("node:n2", "", "web:n2>n1"),
        ("service:db@n1", "", "db:n1>n2"),
        ("service:web@n2", "", "web:n2>n1"),
        ("service:db@n1 service:web@n2", "", "db:n1>n2 web:n2>n1"),
        ("service:db@n2", "", ""),
        ("node:n1 service:db@n2", "", "db:n1>n3"),
        ("node:n1 service:db@n1", "", "db:n1>n2"),
        ("node:n1 node:n2", "db:lost! web:fewer", ""),
        ("domain:rack=a", "db:lost! web:fewer", ""),
    ],
)
def test_three_nodes(words, lost, moved):
    found = given.outcome(shop(), words)
    assert (given.losses(found), given.moves(found)) == (lost, moved)
    assert found.again == ()
    assert found.proven


def test_the_votes_of_lost_nodes_are_missed():
    assert given.outcome(shop(), "node:n1").quorate
    assert not given.outcome(shop(), "node:n1 node:n2").quorate
    base = shop(witnesses=("w1", "w2", "w3"))
    assert given.outcome(base, "node:n1 node:n2").quorate
    assert given.losses(given.outcome(base, "node:n1 node:n2")) == "web:fewer"


def test_a_cluster_without_majority_gets_none_by_losing_more():
    base = shop()
    silent = dataclasses.replace(base, observed=dataclasses.replace(base.observed, quorate=False))
    assert not attempt(silent, Scenario()).outcome.quorate


def test_an_exclusive_service_waits_for_a_proof_for_ever():
    base = shop(db=EXCLUSIVE, fencing=ALONE)
    found = given.outcome(base, "node:n1")
    assert given.losses(found) == "db:lost!"
    assert found.losses[0].reasons[0].why.value == "no-proof"
    assert found.deadlocks == found.lost == ("db",)
    # What fails on a node that is still there can be stopped, which is proof enough.
    assert given.losses(given.outcome(base, "service:db@n1")) == ""


def test_fencing_is_taken_to_succeed():
    base = shop(db=EXCLUSIVE, fencing=given.fenced("n1", "n2", "n3"))
    found = given.outcome(base, "node:n1")
    assert (given.losses(found), given.moves(found), found.fenced) == ("", "db:n1>n2", ("n1",))
    assert found.again == ()


def test_what_may_run_nowhere_else_is_lost_and_is_no_deadlock():
    base = shop(constraints=PINNED)
    assert given.losses(given.outcome(base, "node:n1")) == "db:lost"
    assert given.losses(given.outcome(base, "service:db@n1")) == "db:lost"


def test_a_healthy_companion_is_disturbed():
    base = given.baseline(
        intent(
            "n1 n2",
            "ip db",
            constraints=(Colocation(dependent="ip", primary="db", strength=Mandate.REQUIRED),),
        )
    )
    assert given.moves(given.outcome(base, "service:db@n1")) == "db:n1>n2 ip:n1>n2*"
    assert given.moves(given.outcome(base, "node:n1")) == "db:n1>n2 ip:n1>n2"


def test_a_service_on_every_node_misses_no_lost_one():
    base = given.baseline(intent("n1 n2 n3", {"log": {"replicas": None}}))
    assert given.losses(given.outcome(base, "node:n1")) == ""
    assert given.losses(given.outcome(base, "service:log@n1")) == "log:fewer"
    assert given.losses(given.outcome(base, "node:n1 service:log@n2")) == "log:fewer"


def test_what_never_ran_is_not_lost():
    never = Location(service="db", nodes=("n1", "n2", "n3"), strength=Mandate.FORBIDDEN)
    base = shop(constraints=(never,))
    assert given.losses(given.outcome(base, "node:n1")) == ""


def test_a_promoted_copy_is_promoted_elsewhere():
    base = given.baseline(
        intent("n1 n2 n3", {"pg": {"replicas": 2, "promoted": 1, "promotable": True}})
    )
    (promoted,) = [copy for copy in base.observed.copies if copy.role is Role.PROMOTED]
    found = given.outcome(base, f"node:{promoted.node}")
    assert given.losses(found) == ""
    assert found.again == ()
    lonely = given.outcome(base, " ".join(f"service:pg@n{n}" for n in (1, 2, 3)))
    assert given.losses(lonely) == "pg:lost"


@pytest.mark.parametrize(
    ("survive", "words", "broken"),
    [
        (1, "node:n1", True),
        (0, "node:n1", False),
        (None, "node:n1", False),
        (1, "node:n2", False),
        (1, "node:n1 node:n2", False),
        (2, "node:n1 node:n2", True),
        (1, "service:db@n1", False),
        (2, "domain:rack=a", True),
        (1, "domain:rack=a", False),
    ],
)
def test_promises_speak_of_so_many_nodes_at_once(survive, words, broken):
    base = shop(db={"survive": survive}, constraints=PINNED)
    assert given.outcome(base, words).broken == (("db",) if broken else ())


def test_a_promise_of_nothing_lost_breaks_where_nothing_runs():
    never = Location(service="db", nodes=("n1", "n2", "n3"), strength=Mandate.FORBIDDEN)
    base = shop(db={"survive": 0}, constraints=(never,))
    assert given.outcome(base, "").broken == ("db",)
    disabled = shop(db={"survive": 0, "enabled": False})
    assert given.outcome(disabled, "").broken == ()


def test_failures_strike_once_what_is_pending_has_been_done():
    wanted = intent("n1 n2", "db web")
    base = given.baseline(wanted, observed("n1 n2", "db@n1", services="db web"))
    assert base.pending == 1
    assert base.standing.seats == {"db": ("n1",), "web": ("n2",)}
    assert given.moves(given.outcome(base, "node:n1")) == "db:n1>n2"


def test_the_facts_after_faults():
    base = shop()
    facts = strike(base, given.scenario("node:n1 service:web@n2 service:db@n1", base))
    liveness = {state.name: state.liveness for state in facts.nodes}
    assert liveness == {"n1": Liveness.LOST, "n2": Liveness.ALIVE, "n3": Liveness.ALIVE}
    copies = {(copy.service, copy.node): copy for copy in facts.copies}
    assert copies["db", "n1"].certainty is Certainty.ASSUMED
    assert not copies["db", "n1"].failed
    assert copies["web", "n2"].failed
    assert [(f.service, f.node, f.count) for f in facts.failures] == [("web", "n2", 3)]


def test_a_plan_that_flaps_is_told(monkeypatch):
    from reconciler.core.whatif import trial

    base = shop()
    real = trial.reconcile

    def restless(intent, observed, now_ms):
        decision = real(intent, observed, now_ms)
        action = Action(id="stop:web@n3", kind=ActionKind.STOP, node="n3", service="web")
        away = Action(id="start:web@n3", kind=ActionKind.START, node="n3", service="web")
        return dataclasses.replace(decision, plan=Plan(actions=(action, away)))

    monkeypatch.setattr(trial, "reconcile", restless)
    found = attempt(base, Scenario()).outcome
    assert found.flaps
    assert found.again == ("stop:web@n3", "start:web@n3")


def test_a_plan_that_the_judge_refuses_is_a_bug(monkeypatch):
    from reconciler.core.whatif import trial

    base = shop()
    real = trial.reconcile

    def idle(intent, observed, now_ms):
        return dataclasses.replace(real(intent, observed, now_ms), plan=Plan())

    monkeypatch.setattr(trial, "reconcile", idle)
    with pytest.raises(BrokenLaw):
        given.outcome(base, "node:n1")
