"""The judge of plans against planted bugs: each is a plan that a careless planner could make."""

import dataclasses

import pytest

from reconciler.core.reconcile import reconcile
from reconciler.core.verify import verify
from reconciler.model.ids import Millis
from reconciler.model.intent import Colocation, Location, Mandate, Ordering, Safety
from reconciler.model.placement import Placement, Reason, Seat, Why
from reconciler.model.plan import Action, ActionKind, Plan
from tests.builders import intent, observed

BECAUSE = (Reason(why=Why.WANTED, text="planted"),)


def plan(*steps: str) -> Plan:
    """`plan("stop:a@n1", "start:a@n2 stop:a@n1")`: an action, then what it comes after."""
    return Plan(actions=tuple(_action(step) for step in steps))


def _action(step: str) -> Action:
    name, *after = step.split()
    kind, _, spot = name.partition(":")
    service, _, node = spot.partition("@")
    return Action(
        id=name,
        kind=ActionKind(kind),
        service=service,
        node=node,
        after=tuple(after),
        reasons=BECAUSE,
    )


def placement(text: str) -> Placement:
    seats = [word.split("@") for word in text.split()]
    return Placement(seats=tuple(Seat(service=name, node=node) for name, node in seats))


ABC = intent("n1 n2", "a b c")
EXCLUSIVE = intent("n1 n2", {"a": {"safety": Safety.EXCLUSIVE}})
CHAIN = intent("n1 n2", "a b", constraints=(Ordering(first="a", then="b"),))
APART = intent(
    "n1 n2",
    "a b",
    constraints=(Colocation(dependent="a", primary="b", strength=Mandate.FORBIDDEN),),
)
TOGETHER = intent("n1 n2", "a b", constraints=(Colocation(dependent="a", primary="b"),))
TIGHT = intent(
    "n1 n2",
    {"a": {"demand": {"cpu": 2}}, "b": {"demand": {"cpu": 2}}},
    node={"n1": {"capacity": (("cpu", 3),)}, "n2": {"capacity": (("cpu", 3),)}},
)
STANDBY = intent("n1 n2", "a", node={"n1": {"standby": True}})
MAINTENANCE = intent("n1 n2", "a", node={"n1": {"maintenance": True}})
BANNED = intent(
    "n1 n2",
    "a",
    constraints=(Location(service="a", nodes=("n1",), strength=Mandate.FORBIDDEN),),
)
RUN_A_B = observed("n1 n2", "a@n1 b@n2", services="a b c")
NOTHING = observed("n1 n2", "", services="a b c")

PLANTED = {
    "an action twice": (
        ABC,
        NOTHING,
        plan("start:a@n1", "start:a@n1"),
        "a@n1",
        "ids are unique",
    ),
    "an edge to nowhere": (
        ABC,
        NOTHING,
        plan("start:a@n1 stop:a@n2"),
        "a@n1",
        "edges lead to actions",
    ),
    "a circle": (
        ABC,
        NOTHING,
        plan("start:a@n1 start:b@n1", "start:b@n1 start:a@n1"),
        "a@n1 b@n1",
        "a plan has no cycle",
    ),
    "a forgotten start": (
        ABC,
        NOTHING,
        plan("start:a@n1"),
        "a@n1 b@n2",
        "a plan ends at its placement",
    ),
    "a forgotten stop": (
        ABC,
        RUN_A_B,
        plan(),
        "b@n2",
        "a plan ends at its placement",
    ),
    "a stop of nothing": (
        ABC,
        NOTHING,
        plan("stop:a@n1"),
        "",
        "only a free running copy is stopped",
    ),
    "a start of what runs": (
        ABC,
        RUN_A_B,
        plan("start:a@n1"),
        "a@n1 b@n2",
        "what runs is not started",
    ),
    "a needless restart": (
        ABC,
        RUN_A_B,
        plan("stop:a@n1", "start:a@n1 stop:a@n1"),
        "a@n1 b@n2",
        "no healthy copy restarts without need",
    ),
    "a broken copy left alone": (
        ABC,
        observed("n1 n2", "a@n1", services="a b c", failed="a@n1"),
        plan(),
        "a@n1",
        "what needs a restart is restarted",
    ),
    "a move that starts before it stops": (
        EXCLUSIVE,
        observed("n1 n2", "a@n1", services="a"),
        plan("stop:a@n1", "start:a@n2"),
        "a@n2",
        "never more copies than wanted",
    ),
    "a restart that does not stop first": (
        ABC,
        observed("n1 n2", "a@n1", services="a b c", failed="a@n1"),
        plan("stop:a@n1", "start:a@n1"),
        "a@n1",
        "a restart stops first",
    ),
    "a second copy beside one that nobody hears": (
        EXCLUSIVE,
        observed("n1 n2", "a@n1", services="a", lost="n1"),
        plan("start:a@n2"),
        "a@n2",
        "never more copies than wanted",
    ),
    "a second copy beside one of unknown state": (
        EXCLUSIVE,
        observed("n1 n2", "a@n1", services="a", unknown="a@n1"),
        plan("start:a@n2"),
        "a@n2",
        "never more copies than wanted",
    ),
    "a start while a node was never heard": (
        EXCLUSIVE,
        observed("n1 n2", "", services="a", unheard="n1"),
        plan("start:a@n2"),
        "a@n2",
        "nothing starts while a holder is unknown",
    ),
    "a start that nobody looked for": (
        EXCLUSIVE,
        observed("n1 n2", "", services="a", unprobed="n1"),
        plan("start:a@n2"),
        "a@n2",
        "a node is probed before a start",
    ),
    "a probe that comes too late": (
        EXCLUSIVE,
        observed("n1 n2", "", services="a", unprobed="n1"),
        plan("probe:a@n1", "start:a@n2"),
        "a@n2",
        "a node is probed before a start",
    ),
    "a probe of what is known": (
        EXCLUSIVE,
        observed("n1 n2", "", services="a"),
        plan("probe:a@n1", "start:a@n2 probe:a@n1"),
        "a@n2",
        "what is known is not probed",
    ),
    "a probe for no start": (
        EXCLUSIVE,
        observed("n1 n2", "", services="a", unprobed="n1"),
        plan("probe:a@n1"),
        "",
        "no probe without a start",
    ),
    "a start on a lost node": (
        ABC,
        observed("n1 n2", "", services="a b c", lost="n1"),
        plan("start:a@n1"),
        "a@n1",
        "nothing starts on a node that is not alive",
    ),
    "a start without quorum": (
        ABC,
        observed("n1 n2", "", services="a b c", quorate=False),
        plan("start:a@n1"),
        "a@n1",
        "nothing starts without quorum",
    ),
    "a start in standby": (
        STANDBY,
        observed("n1 n2", "", services="a"),
        plan("start:a@n1"),
        "a@n1",
        "nothing starts on a node in standby or maintenance",
    ),
    "a stop in maintenance": (
        MAINTENANCE,
        observed("n1 n2", "a@n1", services="a"),
        plan("stop:a@n1"),
        "",
        "only a free running copy is stopped",
    ),
    "a start where it is forbidden": (
        BANNED,
        observed("n1 n2", "", services="a"),
        plan("start:a@n1"),
        "a@n1",
        "forbidden locations hold",
    ),
    "a start where it failed too often": (
        ABC,
        observed("n1 n2", "", services="a b c", failures={"a@n1": 3}),
        plan("start:a@n1"),
        "a@n1",
        "nothing starts where it failed too often",
    ),
    "a dependent that starts first": (
        CHAIN,
        observed("n1 n2", "", services="a b"),
        plan("start:a@n1", "start:b@n2"),
        "a@n1 b@n2",
        "nothing starts before what it needs",
    ),
    "a dependent that starts without": (
        CHAIN,
        observed("n1 n2", "", services="a b"),
        plan("start:b@n2"),
        "b@n2",
        "nothing starts before what it needs",
    ),
    "a supplier that stops first": (
        CHAIN,
        observed("n1 n2", "a@n1 b@n2", services="a b"),
        plan("stop:a@n1", "stop:b@n2"),
        "",
        "nothing stops before what needs it",
    ),
    "a restart that forgets its dependent": (
        CHAIN,
        observed("n1 n2", "a@n1 b@n2", services="a b", failed="a@n1"),
        plan("stop:a@n1", "start:a@n1 stop:a@n1"),
        "a@n1 b@n2",
        "nothing stops before what needs it",
    ),
    "two that may not meet": (
        APART,
        observed("n1 n2", "", services="a b"),
        plan("start:a@n1", "start:b@n1"),
        "a@n1 b@n1",
        "forbidden colocation holds",
    ),
    "two that meet on the way": (
        APART,
        observed("n1 n2", "a@n1", services="a b"),
        plan("stop:a@n1", "start:a@n2 stop:a@n1", "start:b@n1"),
        "a@n2 b@n1",
        "forbidden colocation holds at every step",
    ),
    "two that must meet and do not": (
        TOGETHER,
        observed("n1 n2", "", services="a b"),
        plan("start:a@n1", "start:b@n2"),
        "a@n1 b@n2",
        "required colocation holds",
    ),
    "a node that holds too much": (
        TIGHT,
        observed("n1 n2", "", services="a b"),
        plan("start:a@n1", "start:b@n1"),
        "a@n1 b@n1",
        "capacity holds at every step",
    ),
    "a node that holds too much on the way": (
        TIGHT,
        observed("n1 n2", "a@n1", services="a b"),
        plan("stop:a@n1", "start:a@n2 stop:a@n1", "start:b@n1"),
        "a@n2 b@n1",
        "capacity holds at every step",
    ),
    "more copies than wanted": (
        ABC,
        NOTHING,
        plan("start:a@n1", "start:a@n2"),
        "a@n1 a@n2",
        "no more copies than wanted",
    ),
    "an action that nobody understands": (
        ABC,
        NOTHING,
        plan("promote:a@n1"),
        "",
        "only what is understood is planned",
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_the_judge_catches(name):
    wanted, seen, bad, seats, law = PLANTED[name]
    laws = {violation.law for violation in verify(bad, wanted, seen, placement(seats))}
    assert law in laws


@pytest.mark.parametrize("name", PLANTED)
def test_the_planner_does_better(name):
    wanted, seen, *_ = PLANTED[name]
    decision = reconcile(wanted, seen, Millis(0))
    assert verify(decision.plan, wanted, seen, decision.placement) == ()


def test_an_action_without_a_reason():
    silent = Plan(
        actions=tuple(dataclasses.replace(a, reasons=()) for a in plan("start:a@n1").actions)
    )
    laws = {
        v.law
        for v in verify(silent, intent("n1", "a"), observed("n1", services="a"), placement("a@n1"))
    }
    assert laws == {"every action says why"}
