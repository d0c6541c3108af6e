"""The judge of plans against planted bugs in roles, fences, live moves, tickets, failures and orders."""

from dataclasses import replace

import pytest

from reconciler.core.definition import definition_digest, fixed_digest
from reconciler.core.reconcile import reconcile
from reconciler.core.verify import verify
from reconciler.model.ids import Millis
from reconciler.model.intent import (
    Colocation,
    FenceDevice,
    Fencing,
    Group,
    Health,
    HealthStrategy,
    Location,
    Mandate,
    MultipleActive,
    NegativeScores,
    OnFail,
    OnLoss,
    Operation,
    Ordering,
    OrderingKind,
    Orphans,
    Role,
    Safety,
    TicketRule,
)
from reconciler.model.observed import Liveness, PromotionScore, TicketState
from reconciler.model.placement import Placement, Reason, Seat, Why
from reconciler.model.plan import Action, ActionKind, Plan
from tests.builders import intent, observed

BECAUSE = (Reason(why=Why.WANTED, text="planted"),)
DEVICES = Fencing(devices=(FenceDevice(name="ipmi", agent="fence_virt", nodes=("n1", "n2", "n3")),))
ROLES = {"replicas": 2, "promotable": True, "promoted": 1}
LIVE = {"migratable": True}


def plan(*steps: str) -> Plan:
    """`plan("demote:a@n1", "stop:a@n1 demote:a@n1", "migrate:b@n1>n2", "fence@n3", "start:c#1@n1")`."""
    return Plan(actions=tuple(_action(step) for step in steps))


def _action(step: str) -> Action:
    name, *after = step.split()
    what, _, where = name.partition("@")
    kind, _, service = what.partition(":")
    service, _, number = service.partition("#")
    node, _, target = where.partition(">")
    return Action(
        id=name,
        kind=ActionKind(kind),
        service=service or None,
        instance=int(number or 0),
        node=node,
        target=target or None,
        after=tuple(after),
        reasons=BECAUSE,
    )


def placement(text: str) -> Placement:
    """`placement("a@n1 b@n1/promoted b@n2/unpromoted")`."""
    seats = []
    for word in text.split():
        name, _, rest = word.partition("@")
        node, _, role = rest.partition("/")
        seats.append(Seat(service=name, node=node, role=Role(role or "started")))
    return Placement(seats=tuple(seats))


def seen(nodes: str, running: str = "", **more):
    """Like `observed`, with roles (`a@n1/promoted`), `scores` ("a@n1=5"), `tickets`, `down` and details."""
    roles = {w.partition("/")[0]: w.partition("/")[2] for w in running.split() if "/" in w}
    scores, tickets = more.pop("scores", ""), more.pop("tickets", ())
    down, states, copies = more.pop("down", ""), more.pop("states", {}), more.pop("copies", {})
    facts = observed(nodes, " ".join(w.partition("/")[0] for w in running.split()), **more)
    found = []
    for copy in facts.copies:
        word = f"{copy.service}@{copy.node}"
        if word in roles:
            found.append(replace(copy, role=Role(roles[word]), **copies.get(word, {})))
            continue
        found.append(replace(copy, **copies.get(word, {})))
    return replace(
        facts,
        nodes=tuple(
            replace(
                state,
                liveness=Liveness.DOWN if state.name in down.split() else state.liveness,
                **states.get(state.name, {}),
            )
            for state in facts.nodes
        ),
        copies=tuple(found),
        promotion_scores=tuple(
            PromotionScore(
                service=word.partition("@")[0],
                node=word.partition("@")[2].partition("=")[0],
                score=int(word.partition("=")[2]),
            )
            for word in scores.split()
        ),
        tickets=tuple(TicketState(ticket=name, granted=True) for name in tickets),
    )


def needs(first: str, then: str, **more) -> Ordering:
    return Ordering(first=first, then=then, **more)


def with_ticket(wanted, **rule):
    return replace(wanted, tickets=(TicketRule(ticket="t", service="a", **rule),))


def relabelled(wanted, racks: str):
    nodes = tuple(
        replace(node, labels=(("rack", rack),))
        for node, rack in zip(wanted.nodes, racks.split(), strict=True)
    )
    return replace(wanted, nodes=nodes)


PROMOTABLE = intent("n1 n2", {"a": ROLES})
FIT = "a@n1=5 a@n2=5"
EXCLUSIVE = intent("n1 n2 n3", {"a": {"safety": Safety.EXCLUSIVE}}, fencing=DEVICES)
EXCLUSIVE_ROLES = intent("n1 n2", {"a": {**ROLES, "safety": Safety.EXCLUSIVE}}, fencing=DEVICES)
FENCED = intent("n1 n2 n3", "a b", fencing=DEVICES)
PLAIN = intent("n1 n2", "a b")
MOVES = intent("n1 n2", {"a": {}, "b": LIVE}, constraints=(needs("a", "b"),))
TWO_APIECE = {"replicas": 2, "interleave": False}
WAITING = intent("n1 n2", {"a": TWO_APIECE, "b": TWO_APIECE}, constraints=(needs("a", "b"),))
RELOADS = intent(
    "n1 n2", {"a": {"reloadable": ("cost",), "parameters": (("cost", "1"), ("path", "/"))}}
)
SOFTENED = {"digest": "old", "fixed_digest": fixed_digest(RELOADS.services[0])}
HARDENED = {"digest": "old", "fixed_digest": "old"}
FAILING = Operation(timeout_ms=1000)


def failing(**on_fail) -> dict:
    return {name: replace(FAILING, on_fail=policy) for name, policy in on_fail.items()}


PLANTED = {
    # Roles ------------------------------------------------------------------------------------------
    "a promotion before its start": (
        PROMOTABLE,
        seen("n1 n2", "a@n2/unpromoted", services="a", scores="a@n1=5"),
        plan("start:a@n1", "promote:a@n1"),
        "a@n1/promoted a@n2/unpromoted",
        "a copy starts before it is promoted",
    ),
    "a promotion of nothing": (
        PROMOTABLE,
        seen("n1 n2", "a@n2/unpromoted", services="a", scores=FIT),
        plan("promote:a@n1"),
        "a@n1/promoted a@n2/unpromoted",
        "only a copy that runs is promoted",
    ),
    "a promoted copy that stops as it is": (
        replace(PROMOTABLE, services=(replace(PROMOTABLE.services[0], enabled=False),)),
        seen("n1 n2", "a@n1/promoted", services="a", scores=FIT),
        plan("stop:a@n1"),
        "",
        "a promoted copy is demoted before it stops",
    ),
    "a demotion that comes too late": (
        replace(PROMOTABLE, services=(replace(PROMOTABLE.services[0], enabled=False),)),
        seen("n1 n2", "a@n1/promoted", services="a", scores=FIT),
        plan("demote:a@n1", "stop:a@n1"),
        "",
        "a promoted copy is demoted before it stops",
    ),
    "two promoted at a step": (
        PROMOTABLE,
        seen("n1 n2", "a@n1/promoted a@n2/unpromoted", services="a", scores="a@n1=0 a@n2=900"),
        plan("demote:a@n1", "promote:a@n2"),
        "a@n1/unpromoted a@n2/promoted",
        "never more promoted copies than wanted",
    ),
    "two promoted for good": (
        PROMOTABLE,
        seen("n1 n2", "a@n1/promoted a@n2/unpromoted", services="a", scores=FIT),
        plan("promote:a@n2"),
        "a@n1/promoted a@n2/promoted",
        "no more copies than wanted",
    ),
    "a promotion that nothing asks for": (
        PROMOTABLE,
        seen("n1 n2", "a@n1/unpromoted a@n2/unpromoted", services="a", scores="a@n2=5"),
        plan("promote:a@n1"),
        "a@n1/promoted a@n2/unpromoted",
        "only what is fit for it is promoted",
    ),
    "a promotion that the scores forbid": (
        replace(
            PROMOTABLE,
            locations=(Location(service="a", nodes=("n1",), strength=-10, role=Role.PROMOTED),),
        ),
        seen("n1 n2", "a@n1/unpromoted", services="a", scores="a@n1=5"),
        plan("promote:a@n1", "start:a@n2"),
        "a@n1/promoted a@n2/unpromoted",
        "only what is fit for it is promoted",
    ),
    "a demotion for nothing": (
        PROMOTABLE,
        seen("n1 n2", "a@n1/promoted a@n2/unpromoted", services="a", scores=FIT),
        plan("demote:a@n1", "promote:a@n1 demote:a@n1"),
        "a@n1/promoted a@n2/unpromoted",
        "no healthy copy restarts without need",
    ),
    "a failed promoted copy that stays promoted": (
        intent("n1", {"a": {**ROLES, "replicas": 1, **failing(promote=OnFail.DEMOTE)}}),
        seen(
            "n1",
            "a@n1/promoted",
            services="a",
            scores="a@n1=5",
            copies={"a@n1": {"failed": True, "failed_operation": "promote"}},
        ),
        plan(),
        "a@n1/promoted",
        "what needs a restart is restarted",
    ),
    "a role for a service without": (
        PLAIN,
        seen("n1 n2", "b@n2", services="a b"),
        plan("start:a@n1", "promote:a@n1 start:a@n1"),
        "a@n1/promoted b@n2",
        "only what is understood is planned",
    ),
    "a seat without a role": (
        PROMOTABLE,
        seen("n1 n2", "a@n1/unpromoted a@n2/unpromoted", services="a"),
        plan(),
        "a@n1 a@n2",
        "roles are those of the service",
    ),
    "a dependent far from what is promoted": (
        intent(
            "n1 n2",
            {"a": ROLES, "b": {}},
            constraints=(Colocation(dependent="b", primary="a", primary_role=Role.PROMOTED),),
        ),
        seen("n1 n2", "a@n1/promoted a@n2/unpromoted", services="a b", scores=FIT),
        plan("start:b@n2"),
        "a@n1/promoted a@n2/unpromoted b@n2",
        "required colocation holds",
    ),
    "a dependent that starts before the promotion": (
        intent(
            "n1 n2", {"a": ROLES, "b": {}}, constraints=(needs("a", "b", first_action="promote"),)
        ),
        seen("n1 n2", "a@n1/unpromoted a@n2/unpromoted", services="a b", scores=FIT),
        plan("promote:a@n1", "start:b@n1"),
        "a@n1/promoted a@n2/unpromoted b@n1",
        "nothing starts before what it needs",
    ),
    "a demotion under a dependent": (
        intent(
            "n1 n2", {"a": ROLES, "b": {}}, constraints=(needs("a", "b", first_action="promote"),)
        ),
        seen("n1 n2", "a@n1/promoted a@n2/unpromoted b@n1", services="a b", scores="a@n2=900"),
        plan(
            "demote:a@n1",
            "promote:a@n2 demote:a@n1",
            "stop:b@n1",
            "start:b@n1 stop:b@n1 promote:a@n2",
        ),
        "a@n1/unpromoted a@n2/promoted b@n1",
        "nothing stops before what needs it",
    ),
    "members promoted in the wrong order": (
        intent(
            "n1",
            {"a": {**ROLES, "replicas": 1}, "b": {**ROLES, "replicas": 1}},
            groups={"g": "a b"},
        ),
        seen("n1", "a@n1/unpromoted b@n1/unpromoted", services="a b", scores="a@n1=5 b@n1=5"),
        plan("promote:b@n1", "promote:a@n1 promote:b@n1"),
        "a@n1/promoted b@n1/promoted",
        "nothing starts before what it needs",
    ),
    # Fences -----------------------------------------------------------------------------------------
    "a start before its fence": (
        EXCLUSIVE,
        seen("n1 n2 n3", "a@n1", services="a", lost="n1"),
        plan("fence@n1", "start:a@n2"),
        "a@n2",
        "never more copies than wanted",
    ),
    "a promotion before the fence of the promoted": (
        EXCLUSIVE_ROLES,
        seen("n1 n2", "a@n1/promoted a@n2/unpromoted", services="a", lost="n1", scores=FIT),
        plan("fence@n1", "promote:a@n2"),
        "a@n2/promoted",
        "never more promoted copies than wanted",
    ),
    "a start before the fence of a node never heard": (
        replace(EXCLUSIVE, fencing=replace(DEVICES, unseen=True)),
        seen("n1 n2 n3", "", services="a", unheard="n1"),
        plan("fence@n1", "start:a@n2"),
        "a@n2",
        "nothing starts while a holder is unknown",
    ),
    "a fence without a device": (
        intent("n1 n2", "a"),
        seen("n1 n2", "a@n2", services="a", lost="n1"),
        plan("fence@n1"),
        "a@n2",
        "a fence has a device",
    ),
    "a fence without a majority": (
        FENCED,
        seen("n1 n2 n3", "a@n2 b@n2", services="a b", lost="n1", quorate=False),
        plan("fence@n1"),
        "a@n2 b@n2",
        "a fence has a majority",
    ),
    "a fence without a cause": (
        FENCED,
        seen("n1 n2 n3", "a@n2 b@n2", services="a b"),
        plan("fence@n1"),
        "a@n2 b@n2",
        "a fence has a cause",
    ),
    "a fence of a node in maintenance": (
        intent("n1 n2 n3", "a b", fencing=DEVICES, node={"n1": {"maintenance": True}}),
        seen("n1 n2 n3", "a@n2 b@n2", services="a b", lost="n1"),
        plan("fence@n1"),
        "a@n2 b@n2",
        "a fence has a cause",
    ),
    "a fence forgotten": (
        FENCED,
        seen("n1 n2 n3", "a@n2 b@n2", services="a b", lost="n1"),
        plan(),
        "a@n2 b@n2",
        "what may still act is fenced",
    ),
    "a failed stop that fences nobody": (
        FENCED,
        seen(
            "n1 n2 n3",
            "a@n1 b@n2",
            services="a b",
            copies={"a@n1": {"failed": True, "failed_operation": "stop"}},
        ),
        plan(),
        "a@n1 b@n2",
        "what may still act is fenced",
    ),
    "a condemned node left alone": (
        FENCED,
        seen("n1 n2 n3", "a@n2 b@n2", services="a b", states={"n1": {"condemned": "it lies"}}),
        plan(),
        "a@n2 b@n2",
        "what may still act is fenced",
    ),
    "a stop on a fenced node": (
        FENCED,
        seen("n1 n2 n3", "a@n1 b@n2", services="a b", states={"n1": {"condemned": "it lies"}}),
        plan("stop:a@n1", "fence@n1 stop:a@n1", "start:a@n3 fence@n1"),
        "a@n3 b@n2",
        "nothing is done to what a fence ends",
    ),
    "a start on a fenced node": (
        FENCED,
        seen("n1 n2 n3", "b@n2", services="a b", states={"n1": {"condemned": "it lies"}}),
        plan("fence@n1", "start:a@n1 fence@n1"),
        "a@n1 b@n2",
        "nothing starts on a node that is not alive",
    ),
    "a start on a node that is down": (
        PLAIN,
        seen("n1 n2", "b@n2", services="a b", down="n1"),
        plan("start:a@n1"),
        "a@n1 b@n2",
        "nothing starts on a node that is not alive",
    ),
    "a failed stop without a device, tried again": (
        PLAIN,
        seen(
            "n1 n2",
            "a@n1 b@n2",
            services="a b",
            copies={"a@n1": {"failed": True, "failed_operation": "stop"}},
        ),
        plan("stop:a@n1", "start:a@n1 stop:a@n1"),
        "a@n1 b@n2",
        "only a free running copy is stopped",
    ),
    # Live moves and reloads -------------------------------------------------------------------------
    "a live move while its supplier stops": (
        MOVES,
        seen("n1 n2", "a@n1 b@n1", services="a b", states={"n1": {"standby": True}}),
        plan("stop:a@n1", "start:a@n2 stop:a@n1", "migrate:b@n1>n2 start:a@n2"),
        "a@n2 b@n2",
        "what a live move needs stays until it is over",
    ),
    "a live move before its supplier": (
        intent("n1 n2", {"a": LIVE, "b": LIVE}, constraints=(needs("a", "b"),)),
        seen("n1 n2", "a@n1 b@n1", services="a b", states={"n1": {"standby": True}}),
        plan("migrate:b@n1>n2", "migrate:a@n1>n2"),
        "a@n2 b@n2",
        "nothing starts before what it needs",
    ),
    "a live move of what cannot": (
        PLAIN,
        seen("n1 n2", "a@n1 b@n2", services="a b", states={"n1": {"standby": True}}),
        plan("migrate:a@n1>n2"),
        "a@n2 b@n2",
        "only what can move live does",
    ),
    "a live move of a broken copy": (
        intent("n1 n2", {"a": LIVE}),
        seen("n1 n2", "a@n1", services="a", failed="a@n1", states={"n1": {"standby": True}}),
        plan("migrate:a@n1>n2"),
        "a@n2",
        "only a healthy copy moves live",
    ),
    "a live move of one of several": (
        intent("n1 n2 n3", {"a": {**LIVE, "replicas": 2}}),
        seen("n1 n2 n3", "a@n1 a@n2", services="a", states={"n1": {"standby": True}}),
        plan("migrate:a@n1>n3"),
        "a@n2 a@n3",
        "only a single copy moves live",
    ),
    "a live move to where it may not be": (
        intent(
            "n1 n2 n3",
            {"a": LIVE},
            constraints=(Location(service="a", nodes=("n2",), strength=Mandate.FORBIDDEN),),
        ),
        seen("n1 n2 n3", "a@n1", services="a", states={"n1": {"standby": True}}),
        plan("migrate:a@n1>n2"),
        "a@n2",
        "forbidden locations hold",
    ),
    "a live move to nowhere": (
        intent("n1 n2", {"a": LIVE}),
        seen("n1 n2", "a@n1", services="a"),
        plan("migrate:a@n1"),
        "a@n1",
        "only what is understood is planned",
    ),
    "a reload of what no reload changes": (
        RELOADS,
        seen("n1 n2", "a@n1", services="a", copies={"a@n1": HARDENED}),
        plan("reload:a@n1"),
        "a@n1",
        "a reload takes over what a reload can",
    ),
    "a restart where a reload will do": (
        RELOADS,
        seen("n1 n2", "a@n1", services="a", copies={"a@n1": SOFTENED}),
        plan("stop:a@n1", "start:a@n1 stop:a@n1"),
        "a@n1",
        "no healthy copy restarts without need",
    ),
    "a reload forgotten": (
        RELOADS,
        seen("n1 n2", "a@n1", services="a", copies={"a@n1": SOFTENED}),
        plan(),
        "a@n1",
        "what a reload mends is reloaded",
    ),
    "a reload of what is as it should be": (
        RELOADS,
        seen(
            "n1 n2",
            "a@n1",
            services="a",
            copies={"a@n1": {"digest": definition_digest(RELOADS.services[0])}},
        ),
        plan("reload:a@n1"),
        "a@n1",
        "a reload takes over what a reload can",
    ),
    "a reload of what does not run": (
        RELOADS,
        seen("n1 n2", "a@n1", services="a", copies={"a@n1": SOFTENED}),
        plan("reload:a@n2"),
        "a@n1",
        "only what runs on is reloaded",
    ),
    # Tickets, majorities, failures ------------------------------------------------------------------
    "a start without its ticket": (
        with_ticket(PLAIN),
        seen("n1 n2", "b@n2", services="a b"),
        plan("start:a@n1"),
        "a@n1 b@n2",
        "nothing runs without its ticket",
    ),
    "a copy that outlives its ticket": (
        with_ticket(PLAIN),
        seen("n1 n2", "a@n1 b@n2", services="a b"),
        plan(),
        "a@n1 b@n2",
        "nothing runs without its ticket",
    ),
    "a promotion without its ticket": (
        with_ticket(PROMOTABLE, role=Role.PROMOTED, on_loss=OnLoss.DEMOTE),
        seen("n1 n2", "a@n1/unpromoted a@n2/unpromoted", services="a", scores=FIT),
        plan("promote:a@n1"),
        "a@n1/promoted a@n2/unpromoted",
        "nothing is promoted without its ticket",
    ),
    "a stop of what a ticket freezes": (
        with_ticket(PLAIN, on_loss=OnLoss.FREEZE),
        seen("n1 n2", "a@n1 b@n2", services="a b"),
        plan("stop:a@n1"),
        "b@n2",
        "only a free running copy is stopped",
    ),
    "a ticket that fences nobody": (
        with_ticket(FENCED, on_loss=OnLoss.FENCE),
        seen("n1 n2 n3", "a@n1 b@n2", services="a b"),
        plan("stop:a@n1"),
        "b@n2",
        "what may still act is fenced",
    ),
    "a copy that outlives its majority": (
        replace(PLAIN, on_quorum_loss=OnLoss.STOP),
        seen("n1 n2", "a@n1 b@n2", services="a b", quorate=False),
        plan(),
        "a@n1 b@n2",
        "nothing runs without quorum",
    ),
    "a promotion without a majority": (
        PROMOTABLE,
        seen("n1 n2", "a@n1/unpromoted a@n2/unpromoted", services="a", scores=FIT, quorate=False),
        plan("promote:a@n1"),
        "a@n1/promoted a@n2/unpromoted",
        "nothing is promoted without quorum",
    ),
    "a role that outlives its majority": (
        replace(PROMOTABLE, on_quorum_loss=OnLoss.DEMOTE),
        seen("n1 n2", "a@n1/promoted a@n2/unpromoted", services="a", scores=FIT, quorate=False),
        plan(),
        "a@n1/promoted a@n2/unpromoted",
        "nothing is promoted without quorum",
    ),
    "a start of what a failure keeps stopped": (
        intent("n1 n2", {"a": failing(start=OnFail.STOP), "b": {}}),
        seen(
            "n1 n2",
            "a@n1 b@n2",
            services="a b",
            copies={"a@n1": {"failed": True, "failed_operation": "start"}},
        ),
        plan("stop:a@n1", "start:a@n2 stop:a@n1"),
        "a@n2 b@n2",
        "what a failure stops stays stopped",
    ),
    "a stop of what a failure blocks": (
        intent("n1 n2", {"a": failing(monitor=OnFail.BLOCK), "b": {}}),
        seen("n1 n2", "a@n1 b@n2", services="a b", failed="a@n1"),
        plan("stop:a@n1", "start:a@n1 stop:a@n1"),
        "a@n1 b@n2",
        "only a free running copy is stopped",
    ),
    "a restart of what may be ignored": (
        intent("n1 n2", {"a": failing(monitor=OnFail.IGNORE), "b": {}}),
        seen("n1 n2", "a@n1 b@n2", services="a b", failed="a@n1"),
        plan("stop:a@n1", "start:a@n1 stop:a@n1"),
        "a@n1 b@n2",
        "no healthy copy restarts without need",
    ),
    "a start on a node that a failure empties": (
        intent("n1 n2", {"a": failing(monitor=OnFail.STANDBY), "b": {}}),
        seen("n1 n2", "a@n1", services="a b", failed="a@n1"),
        plan("stop:a@n1", "start:a@n2 stop:a@n1", "start:b@n1"),
        "a@n2 b@n1",
        "nothing starts on a node that everything leaves",
    ),
    "a start on a node that shuts down": (
        PLAIN,
        seen("n1 n2", "b@n2", services="a b", states={"n1": {"leaving": True}}),
        plan("start:a@n1"),
        "a@n1 b@n2",
        "nothing starts on a node that everything leaves",
    ),
    "a touch of what is not managed": (
        intent("n1 n2", {"a": {"managed": False}, "b": {}}),
        seen("n1 n2", "a@n1 b@n2", services="a b", failed="a@n1"),
        plan("stop:a@n1", "start:a@n1 stop:a@n1"),
        "a@n1 b@n2",
        "only a free running copy is stopped",
    ),
    "a start of what is not managed": (
        intent("n1 n2", {"a": {"managed": False}, "b": {}}),
        seen("n1 n2", "b@n2", services="a b"),
        plan("start:a@n1"),
        "a@n1 b@n2",
        "what is not enabled, not managed or in maintenance is not started",
    ),
    "a stop of what is kept though it was removed": (
        replace(PLAIN, orphans=Orphans.KEEP),
        seen("n1 n2", "a@n1 b@n2 zz@n1", services="a b"),
        plan("stop:zz@n1"),
        "a@n1 b@n2",
        "only a free running copy is stopped",
    ),
    "what was removed left running": (
        PLAIN,
        seen("n1 n2", "a@n1 b@n2 zz@n1", services="a b"),
        plan(),
        "a@n1 b@n2",
        "a plan ends at its placement",
    ),
    "one of two that ran at once left alone": (
        intent("n1 n2", {"a": {"multiple_active": MultipleActive.STOP_START}}),
        seen("n1 n2", "a@n1 a@n2", services="a"),
        plan("stop:a@n2"),
        "a@n1",
        "what needs a restart is restarted",
    ),
    "one of two that ran at once touched": (
        intent("n1 n2", {"a": {"multiple_active": MultipleActive.BLOCK}}),
        seen("n1 n2", "a@n1 a@n2", services="a"),
        plan("stop:a@n2"),
        "a@n1",
        "only a free running copy is stopped",
    ),
    "one of two that ran at once started": (
        intent("n1 n2", {"a": {"multiple_active": MultipleActive.STOP_ONLY}}),
        seen("n1 n2", "a@n1 a@n2", services="a"),
        plan("stop:a@n1", "stop:a@n2", "start:a@n1 stop:a@n1 stop:a@n2"),
        "a@n1",
        "what ran too often stays stopped",
    ),
    "a copy on its way up left there": (
        PLAIN,
        seen("n1 n2", "a@n1/stopped b@n2", services="a b"),
        plan(),
        "a@n1 b@n2",
        "what needs a restart is restarted",
    ),
    "remains left where they are": (
        PLAIN,
        seen("n1 n2", "a@n1/stopped b@n2", services="a b", failed="a@n1"),
        plan("start:a@n2"),
        "a@n2 b@n2",
        "a plan ends at its placement",
    ),
    # Orders -----------------------------------------------------------------------------------------
    "a dependent that does not restart with every copy": (
        WAITING,
        seen("n1 n2", "a@n1 a@n2 b@n1 b@n2", services="a b", failed="a@n1"),
        plan("stop:b@n1", "stop:a@n1 stop:b@n1", "start:a@n1 stop:a@n1", "start:b@n1 start:a@n1"),
        "a@n1 a@n2 b@n1 b@n2",
        "what needs a restart is restarted",
    ),
    "a dependent that does not wait for every copy": (
        WAITING,
        seen("n1 n2", "", services="a b"),
        plan("start:a@n1", "start:a@n2", "start:b@n1 start:a@n1", "start:b@n2 start:a@n2"),
        "a@n1 a@n2 b@n1 b@n2",
        "nothing starts before what it needs",
    ),
    "two that may not act at once": (
        intent("n1 n2", "a b", constraints=(needs("a", "b", kind=OrderingKind.SERIALIZE),)),
        seen("n1 n2", "", services="a b"),
        plan("start:a@n1", "start:b@n2"),
        "a@n1 b@n2",
        "what may not happen at once does not",
    ),
    "ordered copies at once": (
        intent("n1 n2", {"a": {"replicas": 2, "ordered": True}}),
        seen("n1 n2", "", services="a"),
        plan("start:a@n1", "start:a@n2"),
        "a@n1 a@n2",
        "ordered copies change one after the other",
    ),
    "a restart with what one does not stop with": (
        intent("n1 n2", "a b", constraints=(needs("a", "b", symmetrical=False),)),
        seen("n1 n2", "a@n1 b@n2", services="a b", failed="a@n1"),
        plan(
            "stop:b@n2",
            "stop:a@n1 stop:b@n2",
            "start:a@n1 stop:a@n1",
            "start:b@n2 stop:b@n2 start:a@n1",
        ),
        "a@n1 b@n2",
        "no healthy copy restarts without need",
    ),
    "too few of what is needed": (
        intent("n1 n2", {"a": {"replicas": 2}, "b": {}}, constraints=(needs("a", "b", minimum=2),)),
        seen("n1 n2", "", services="a b"),
        plan("start:a@n1", "start:a@n2", "start:b@n1 start:a@n1"),
        "a@n1 a@n2 b@n1",
        "nothing starts before what it needs",
    ),
    "none of what would do": (
        intent(
            "n1 n2",
            {"a": {"enabled": False}, "b": {}, "c": {}},
            constraints=(needs("a", "c", any_of=("b",)),),
        ),
        seen("n1 n2", "", services="a b c"),
        plan("start:b@n1", "start:c@n2"),
        "b@n1 c@n2",
        "nothing starts before what it needs",
    ),
    "a dependent placed without what it needs": (
        intent("n1 n2", {"a": {"enabled": False}, "b": {}}, constraints=(needs("a", "b"),)),
        seen("n1 n2", "b@n1", services="a b"),
        plan(),
        "b@n1",
        "what is needed runs",
    ),
    "a start that should wait for a stop": (
        intent(
            "n1 n2",
            {"a": {"enabled": False}, "b": {}},
            constraints=(
                needs("a", "b", first_action="stop", kind=OrderingKind.OPTIONAL, symmetrical=False),
            ),
        ),
        seen("n1 n2", "a@n1", services="a b"),
        plan("stop:a@n1", "start:b@n2"),
        "b@n2",
        "one kind of action comes before another",
    ),
    "two that act in one plan, the wrong way round": (
        intent("n1", "a b", constraints=(needs("a", "b", kind=OrderingKind.OPTIONAL),)),
        seen("n1", "", services="a b"),
        plan("start:b@n1", "start:a@n1"),
        "a@n1 b@n1",
        "nothing starts before what it needs",
    ),
    "a supplier that stops under what nobody may touch": (
        intent(
            "n1 n2",
            {"a": {"enabled": False}, "b": {"managed": False}},
            constraints=(needs("a", "b"),),
        ),
        seen("n1 n2", "a@n1 b@n1", services="a b"),
        plan("stop:a@n1"),
        "b@n1",
        "only a free running copy is stopped",
    ),
    # Places -----------------------------------------------------------------------------------------
    "too many on one node": (
        intent("n1 n2", {"a": {"replicas": 3, "replicas_per_node": 2}}),
        seen("n1 n2", "", services="a"),
        plan("start:a#0@n1", "start:a#1@n1", "start:a#2@n1"),
        "a@n1 a@n1 a@n1",
        "no more copies on a node than wanted",
    ),
    "a copy started under a number that runs": (
        intent("n1 n2", {"a": {"replicas": 2, "replicas_per_node": 2}}),
        seen("n1 n2", "a@n1", services="a"),
        plan("start:a#0@n1"),
        "a@n1 a@n1",
        "what runs is not started",
    ),
    "two in one rack that may not be": (
        relabelled(
            intent(
                "n1 n2 n3",
                "a b",
                constraints=(
                    Colocation(
                        dependent="a", primary="b", strength=Mandate.FORBIDDEN, attribute="rack"
                    ),
                ),
            ),
            "x x y",
        ),
        seen("n1 n2 n3", "b@n1", services="a b"),
        plan("start:a@n2"),
        "a@n2 b@n1",
        "forbidden colocation holds",
    ),
    "two in one rack on the way": (
        relabelled(
            intent(
                "n1 n2 n3",
                "a b",
                constraints=(
                    Colocation(
                        dependent="a", primary="b", strength=Mandate.FORBIDDEN, attribute="rack"
                    ),
                ),
            ),
            "x x y",
        ),
        seen("n1 n2 n3", "b@n1", services="a b", states={"n1": {"standby": True}}),
        plan("stop:b@n1", "start:b@n3 stop:b@n1", "start:a@n2"),
        "a@n2 b@n3",
        "forbidden colocation holds at every step",
    ),
    "two apart that must share a rack": (
        relabelled(
            intent(
                "n1 n2 n3",
                "a b",
                constraints=(Colocation(dependent="a", primary="b", attribute="rack"),),
            ),
            "x x y",
        ),
        seen("n1 n2 n3", "b@n1", services="a b"),
        plan("start:a@n3"),
        "a@n3 b@n1",
        "required colocation holds",
    ),
    "members that wait for nothing, apart": (
        replace(PLAIN, groups=(Group(name="g", members=("a", "b"), ordered=False),)),
        seen("n1 n2", "a@n1", services="a b"),
        plan("start:b@n2"),
        "a@n1 b@n2",
        "required colocation holds",
    ),
    "a start on a node that is ill": (
        replace(PLAIN, health=Health(strategy=HealthStrategy.MIGRATE_ON_RED)),
        seen(
            "n1 n2",
            "b@n2",
            services="a b",
            states={"n1": {"attributes": (("health-disk", "red"),)}},
        ),
        plan("start:a@n1"),
        "a@n1 b@n2",
        "nothing starts on a node that is not healthy",
    ),
    "a start where scores add up to less than nothing": (
        replace(
            PLAIN,
            negative_scores=NegativeScores.FORBID,
            locations=(Location(service="a", nodes=("n1",), strength=-5),),
        ),
        seen("n1 n2", "b@n2", services="a b"),
        plan("start:a@n1"),
        "a@n1 b@n2",
        "no score is negative",
    ),
    "the same done twice": (
        PLAIN,
        seen("n1 n2", "b@n2", services="a b"),
        Plan(
            actions=(*plan("start:a@n1").actions, replace(plan("start:a@n1").actions[0], id="more"))
        ),
        "a@n1 b@n2",
        "nothing is done twice",
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_the_judge_catches(name):
    wanted, facts, bad, seats, law = PLANTED[name]
    laws = {violation.law for violation in verify(bad, wanted, facts, placement(seats))}
    assert law in laws


@pytest.mark.parametrize("name", sorted(PLANTED))
def test_the_planner_does_better(name):
    wanted, facts, *_ = PLANTED[name]
    decision = reconcile(wanted, facts, Millis(0))
    assert verify(decision.plan, wanted, facts, decision.placement) == ()
