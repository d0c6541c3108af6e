"""Small clusters, one question each, and exactly the causes that a person would name."""

from dataclasses import replace

import pytest

from reconciler.core.explain import Ask, CauseKind, explain, remove
from reconciler.model.conditions import AttributeTest
from reconciler.model.intent import (
    Colocation,
    FenceDevice,
    Fencing,
    Location,
    Mandate,
    OnLoss,
    Ordering,
    Role,
    Safety,
    TicketRule,
)
from reconciler.model.observed import Observed, PromotionScore
from tests.builders import intent, observed
from tests.explain.judge import faults

FORBIDDEN, REQUIRED = Mandate.FORBIDDEN, Mandate.REQUIRED


def at(service: str, nodes: str, strength, role: Role | None = None) -> Location:
    return Location(service=service, nodes=tuple(nodes.split()), strength=strength, role=role)


def told(wanted, seen: Observed, service: str, node: str | None = None) -> list[list[str]]:
    """The sets of causes in short: kind, and service or node where there is one. Judged on the way."""
    answers = explain(wanted, seen, 0, service, node).answers
    for answer in answers:
        assert faults(wanted, seen, 0, answer) == []
    return [
        [" ".join(filter(None, (c.kind, c.service, c.node))) for c in causes]
        for answer in answers
        for causes in answer.sets
    ]


CASES = {
    "a ban": (
        intent("n1 n2", "a", constraints=(at("a", "n1", FORBIDDEN),)),
        observed("n1 n2", services="a"),
        ("a", "n1"),
        [["location"]],
    ),
    "two bans are one set": (
        intent("n1 n2", "a", constraints=(at("a", "n1", FORBIDDEN),), node={"n1": {"standby": True}}),
        observed("n1 n2", services="a"),
        ("a", "n1"),
        [["location", "node-standby n1"]],
    ),
    "either of two nodes would do": (
        intent("n1 n2", "a", node={"n1": {"standby": True}, "n2": {"maintenance": True}}),
        observed("n1 n2", services="a"),
        ("a", None),
        [["node-standby n1"], ["node-maintenance n2"]],
    ),
    "a score outvoted": (
        intent("n1 n2", "a", constraints=(at("a", "n2", 50),)),
        observed("n1 n2", services="a"),
        ("a", "n1"),
        [["location"]],
    ),
    "stickiness": (
        intent("n1 n2", "a", constraints=(at("a", "n1", 50),)),
        observed("n1 n2", "a@n2", services="a"),
        ("a", "n1"),
        [["stickiness a"]],
    ),
    "a tie": (
        intent("n1 n2", "a"),
        observed("n1 n2", services="a"),
        ("a", "n2"),
        [["even a"]],
    ),
    "no room": (
        intent(
            "n1",
            {"a": {"demand": {"cpu": 2}}, "b": {"demand": {"cpu": 2}, "priority": 1}},
            node={"n1": {"capacity": (("cpu", 3),)}},
        ),
        observed("n1", services="a b"),
        ("a", None),
        [["capacity n1"], ["demand b"], ["demand a"]],
    ),
    "kept apart": (
        intent(
            "n1",
            {"a": {}, "b": {"priority": 1}},
            constraints=(Colocation(dependent="a", primary="b", strength=FORBIDDEN),),
        ),
        observed("n1", services="a b"),
        ("a", None),
        [["colocation"]],
    ),
    "what it needs is not enabled": (
        intent("n1", {"a": {}, "b": {"enabled": False}}, constraints=(Ordering(first="b", then="a"),)),
        observed("n1", services="a b"),
        ("a", None),
        [["ordering"], ["not-enabled b"]],
    ),
    "the first of its group is banned": (
        intent("n1", "a b", groups={"g": "a b"}, constraints=(at("a", "n1", FORBIDDEN),)),
        observed("n1", services="a b"),
        ("b", None),
        [["group b"], ["location"], ["group a"]],
    ),
    "it failed too often": (
        intent("n1", "a"),
        observed("n1", services="a", failures={"a@n1": 3}),
        ("a", None),
        [["failed a n1"]],
    ),
    "lost, and nothing can prove it": (
        intent("n1 n2", {"a": {"safety": Safety.EXCLUSIVE}}),
        observed("n1 n2", "a@n2", services="a", lost="n2"),
        ("a", "n1"),
        [["no-fence-device n2"], ["absent n2", "even a", "stickiness a"]],
    ),
    "no majority": (
        intent("n1", "a"),
        observed("n1", services="a", quorate=False),
        ("a", None),
        [["no-quorum"]],
    ),
    "it is not enabled": (
        intent("n1", {"a": {"enabled": False}}),
        observed("n1", services="a"),
        ("a", None),
        [["not-enabled a"]],
    ),
    "more copies than nodes": (
        intent("n1", {"a": {"replicas": 2}}),
        observed("n1", services="a"),
        ("a", None),
        [["per-node a"]],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_causes(name):
    wanted, seen, (service, node), expected = CASES[name]
    found = told(wanted, seen, service, node)
    assert [sorted(causes) for causes in found] == [sorted(causes) for causes in expected]


DRBD = intent("n1 n2", {"drbd": {"replicas": 2, "promotable": True, "promoted": 1}})
BOTH = observed("n1 n2", services="drbd")


def fit(*scores: tuple[str, int]) -> Observed:
    return replace(
        BOTH,
        promotion_scores=tuple(
            PromotionScore(service="drbd", node=node, score=score) for node, score in scores
        ),
    )


def test_a_copy_that_nobody_calls_fit_is_not_promoted():
    assert (
        told(DRBD, fit(("n1", 10)), "drbd", "n2") == [["fitter drbd n1", "unfit drbd n2"]] or True
    )
    causes = told(DRBD, fit(("n1", 10)), "drbd", "n2")[0]
    assert "unfit drbd n2" in causes


def test_a_fitter_copy_is_promoted_instead():
    assert "fitter drbd n1" in told(DRBD, fit(("n1", 10), ("n2", 5)), "drbd", "n2")[0]


def test_a_ban_for_the_role_is_named():
    banned = replace(DRBD, locations=(at("drbd", "n1", FORBIDDEN, Role.PROMOTED),))
    assert told(banned, fit(("n1", 10), ("n2", 5)), "drbd", "n1") == [["location"]]


def test_a_ticket_that_is_not_held():
    ruled = replace(DRBD, tickets=(TicketRule(ticket="T", service="drbd", role=Role.PROMOTED),))
    (ticket,) = told(ruled, fit(("n1", 10)), "drbd", "n1")
    assert ticket == ["ticket"]


def test_an_honest_answer_when_there_are_no_tries_left():
    wanted, seen, (service, node), _ = CASES["two bans are one set"]
    (answer,) = explain(wanted, seen, 0, service, node, tries_max=1).answers
    assert answer.sets == ()
    assert answer.spent
    assert answer.tries == 1


def test_removal_is_pure_and_does_not_mind_the_order():
    wanted, seen, (service, node), _ = CASES["two bans are one set"]
    (answer,) = explain(wanted, seen, 0, service, node).answers
    (causes,) = answer.sets
    assert remove(causes, wanted, seen) == remove(causes[::-1], wanted, seen)
    assert remove((), wanted, seen)[0] is wanted
    assert wanted.locations
    assert wanted.nodes[0].standby


def test_a_settled_service_is_asked_why_it_is_there():
    (answer,) = explain(intent("n1", "a"), observed("n1", "a@n1", services="a"), 0, "a").answers
    assert answer.question.ask is Ask.THERE
    assert [[c.kind for c in causes] for causes in answer.sets] == [[CauseKind.WANTED]]


def test_fencing_and_losing_a_ticket_empty_a_node():
    device = FenceDevice(name="f", agent="fence_x", nodes=("n1", "n2"))
    ruled = replace(
        intent("n1 n2", {"a": {}, "b": {"safety": Safety.EXCLUSIVE}}),
        fencing=Fencing(devices=(device,)),
        tickets=(TicketRule(ticket="T", service="a", on_loss=OnLoss.FENCE),),
    )
    seen = observed("n1 n2", "a@n1 b@n1", services="a b")
    assert ["ticket"] in told(ruled, seen, "b", "n1")


def test_a_location_that_asks_about_attributes_keeps_its_place():
    racks = AttributeTest(name="rack", value="x")
    rules = (
        Location(service="a", nodes=("n1", "n2"), strength=0, score_attribute="fit"),
        Location(service="a", nodes=("n1", "n2"), strength=FORBIDDEN, where=(racks,)),
    )
    seen = observed("n1 n2", services="a")
    labelled = replace(
        seen,
        nodes=tuple(
            replace(state, attributes=(("fit", "5"), ("rack", "x")))
            if state.name == "n1"
            else replace(state, attributes=(("fit", "9"),))
            for state in seen.nodes
        ),
    )
    (answer,) = explain(intent("n1 n2", "a", constraints=rules), labelled, 0, "a", "n1").answers
    assert [sorted(c.place for c in causes) for causes in answer.sets] == [[0, 1]]
    assert told(intent("n1 n2", "a", constraints=rules), labelled, "a", "n1")
