"""What is observed once a plan has succeeded, action by action."""

import pytest

from reconciler.core.definition import definition_digest
from reconciler.core.effects import apply
from reconciler.model.errors import BrokenLaw
from reconciler.model.intent import Role
from reconciler.model.observed import Liveness
from reconciler.model.plan import Action, ActionKind, Plan
from tests.builders import intent, observed

WANTED = intent("n1 n2", {"db": {}, "pg": {"replicas": 2, "promoted": 1, "promotable": True}})
FACTS = observed(
    "n1 n2", "db@n1 pg@n1", services="db", failures={"db@n1": 2, "db@n2": 1}, changed="db@n1"
)


def act(kind: str, node: str, service: str | None = "db", **more) -> Action:
    name = f"{kind}:{service}@{node}"
    return Action(id=name, kind=ActionKind(kind), node=node, service=service, **more)


def after(*actions: Action):
    return apply(Plan(actions=actions), WANTED, FACTS)


def running(facts) -> str:
    return " ".join(f"{c.service}@{c.node}:{c.role}" for c in facts.copies)


def test_nothing_to_do_changes_nothing():
    assert after() is FACTS


@pytest.mark.parametrize(
    ("actions", "left"),
    [
        ([act("stop", "n1")], "pg@n1:started"),
        ([act("start", "n2")], "db@n1:started pg@n1:started db@n2:started"),
        ([act("stop", "n1"), act("start", "n2")], "pg@n1:started db@n2:started"),
        ([act("start", "n2", "pg")], "db@n1:started pg@n1:started pg@n2:unpromoted"),
        ([act("promote", "n1", "pg")], "db@n1:started pg@n1:promoted"),
        ([act("demote", "n1", "pg")], "db@n1:started pg@n1:unpromoted"),
        ([act("migrate", "n1", target="n2")], "pg@n1:started db@n2:started"),
        ([act("fence", "n1", None)], ""),
    ],
    ids=lambda value: value if isinstance(value, str) else "+".join(a.kind for a in value),
)
def test_copies(actions, left):
    assert running(after(*actions)) == left


def test_what_is_started_or_reloaded_has_the_definition_in_force():
    digest = definition_digest(WANTED.services[0])
    assert FACTS.copies[0].digest != digest
    assert after(act("reload", "n1")).copies[0].digest == digest
    assert after(act("stop", "n1"), act("start", "n1")).copies[0].digest == digest


def test_a_look_is_remembered_and_finds_nothing_new():
    facts = after(act("probe", "n2", "pg"))
    assert [state.probed for state in facts.nodes] == [{"db"}, {"db", "pg"}]
    assert facts.copies == FACTS.copies


def test_a_fenced_node_is_down_and_its_failures_are_gone():
    facts = after(act("fence", "n1", None))
    assert [state.liveness for state in facts.nodes] == [Liveness.DOWN, Liveness.ALIVE]
    assert [failure.node for failure in facts.failures] == ["n2"]
    assert facts.nodes[0].probed == frozenset()


def test_a_copy_keeps_its_role_when_it_moves():
    facts = after(act("promote", "n1", "pg"), act("migrate", "n1", "pg", target="n2"))
    assert running(facts) == f"db@n1:started pg@n2:{Role.PROMOTED}"


@pytest.mark.parametrize("kind", ["stop", "promote", "demote", "reload", "migrate"])
def test_nothing_happens_to_what_is_not_there(kind):
    with pytest.raises(BrokenLaw, match="acts on what is there"):
        after(act(kind, "n2", target="n1"))


def test_only_what_the_intent_names_can_start():
    with pytest.raises(BrokenLaw, match="names what it acts on"):
        after(act("start", "n1", "stranger"))


def test_what_the_intent_does_not_name_can_be_stopped():
    facts = observed("n1", "old@n1", services="db")
    assert apply(Plan(actions=(act("stop", "n1", "old"),)), WANTED, facts).copies == ()
