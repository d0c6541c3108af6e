"""Laws of decisions, on random small worlds: each is a sentence of docs/architecture.md.

The worlds come from seeds that hypothesis draws, so that a failure names one number.
"""

import dataclasses
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core.effects import apply
from reconciler.core.reconcile import reconcile
from reconciler.core.verify import verify
from reconciler.model.intent import Intent
from reconciler.model.observed import Certainty, Liveness, Observed
from reconciler.model.plan import Action, ActionKind, Decision, Plan
from tests.builders import service
from tests.oracle.worlds import world

seeds = st.integers(min_value=0, max_value=10**9)


def some_order(plan: Plan, draw: random.Random) -> list[Action]:
    """An order that the graph allows, drawn at random."""
    left, done, order = list(plan.actions), set(), []
    while left:
        action = draw.choice([a for a in left if done.issuperset(a.after)])
        left.remove(action)
        done.add(action.id)
        order.append(action)
    return order


def decide(seed: int) -> tuple[Intent, Observed, Decision]:
    intent, observed = world(seed)
    return intent, observed, reconcile(intent, observed, 0)


@settings(deadline=None, max_examples=150)
@given(seeds)
def test_every_plan_passes_the_judge(seed):
    intent, observed, decision = decide(seed)
    assert verify(decision.plan, intent, observed, decision.placement) == ()


@settings(deadline=None, max_examples=100)
@given(seeds)
def test_applying_a_plan_leaves_nothing_to_do(seed):
    intent, observed, decision = decide(seed)
    after = apply(decision.plan, intent, observed)
    again = reconcile(intent, after, 0)
    assert again.plan.actions == ()
    # A copy that died with its node may leave a service unplaced as before, never more of them.
    assert {u.service for u in again.placement.unplaced} == {
        u.service for u in decision.placement.unplaced
    }


@settings(deadline=None, max_examples=60)
@given(seeds)
def test_no_action_can_be_left_out(seed):
    intent, observed, decision = decide(seed)
    for left_out in decision.plan.actions:
        rest = tuple(
            dataclasses.replace(a, after=tuple(e for e in a.after if e != left_out.id))
            for a in decision.plan.actions
            if a is not left_out
        )
        assert verify(Plan(actions=rest), intent, observed, decision.placement)


@settings(deadline=None, max_examples=60)
@given(seeds)
def test_no_edge_is_implied_by_others(seed):
    _, _, decision = decide(seed)
    after = {a.id: set(a.after) for a in decision.plan.actions}

    def reached(start):
        found, waiting = set(), list(after[start])
        while waiting:
            one = waiting.pop()
            found.add(one)
            waiting += after[one]
        return found

    for edges in after.values():
        for edge in edges:
            assert all(edge not in reached(other) for other in edges if other != edge)


@settings(deadline=None, max_examples=150)
@given(seeds, st.integers())
def test_never_more_copies_than_wanted_at_any_point(seed, order_seed):
    intent, observed, decision = decide(seed)
    wanted = {s.name: s.replicas for s in intent.services}
    alive = {s.name for s in observed.nodes if s.liveness is Liveness.ALIVE}
    copies = {(c.service, c.node) for c in observed.copies if c.node in alive}
    before = {name: sum(1 for s, _ in copies if s == name) for name in wanted}
    for action in some_order(decision.plan, random.Random(order_seed)):
        spot = (action.service, action.node)
        if action.kind is ActionKind.STOP:
            copies.remove(spot)
        elif action.kind is ActionKind.START:
            assert spot not in copies
            copies.add(spot)
            if wanted[action.service] is not None:
                running = sum(1 for name, _ in copies if name == action.service)
                assert running <= max(wanted[action.service], before[action.service] - 1)


@settings(deadline=None, max_examples=100)
@given(seeds)
def test_without_quorum_nothing_starts_but_restarts(seed):
    intent, observed = world(seed)
    observed = dataclasses.replace(observed, quorate=False)
    decision = reconcile(intent, observed, 0)
    running = {(c.service, c.node) for c in observed.copies}
    for action in decision.plan.actions:
        if action.kind is ActionKind.START:
            assert (action.service, action.node) in running
    assert verify(decision.plan, intent, observed, decision.placement) == ()


@settings(deadline=None, max_examples=100)
@given(seeds)
def test_a_holder_that_nobody_hears_keeps_its_exclusive_service(seed):
    intent, observed = world(seed)
    silent = observed.nodes[0].name
    intent = dataclasses.replace(
        intent,
        services=tuple(
            dataclasses.replace(s, safety=service("x", safety="exclusive").safety)
            for s in intent.services
        ),
    )
    observed = dataclasses.replace(
        observed,
        nodes=tuple(
            dataclasses.replace(s, liveness=Liveness.LOST) if s.name == silent else s
            for s in observed.nodes
        ),
        copies=tuple(
            dataclasses.replace(c, certainty=Certainty.ASSUMED) if c.node == silent else c
            for c in observed.copies
        ),
    )
    decision = reconcile(intent, observed, 0)
    held = {c.service for c in observed.copies if c.node == silent}
    replicas = {s.name: s.replicas for s in intent.services}
    seats = [seat.service for seat in decision.placement.seats]
    for name in held:
        if replicas[name] == 1:
            started = {a.service for a in decision.plan.actions if a.kind is ActionKind.START}
            assert name not in started or name not in seats
    assert verify(decision.plan, intent, observed, decision.placement) == ()


@settings(deadline=None, max_examples=100)
@given(seeds, st.randoms(use_true_random=False))
def test_the_order_of_the_facts_never_matters(seed, draw):
    intent, observed, decision = decide(seed)
    copies, nodes, services = list(observed.copies), list(observed.nodes), list(intent.services)
    for shuffled in (copies, nodes, services):
        draw.shuffle(shuffled)
    other = reconcile(
        dataclasses.replace(intent, services=tuple(services)),
        dataclasses.replace(observed, copies=tuple(copies), nodes=tuple(nodes)),
        0,
    )
    assert other == decision


@settings(deadline=None, max_examples=100)
@given(seeds)
def test_an_unrelated_service_moves_nothing(seed):
    intent, observed, decision = decide(seed)
    settled = apply(decision.plan, intent, observed)
    newcomer = service("zz-unrelated", priority=-1)
    wider = dataclasses.replace(intent, services=(*intent.services, newcomer))
    actions = reconcile(wider, settled, 0).plan.actions
    assert {action.service for action in actions} <= {"zz-unrelated"}
