"""Laws of decisions on random small worlds that use every semantic; seeds are fixed.

The judge is held against the planner here and the planner against the judge: every plan passes, no plan
passes with an action left out, and neither cares in which order the facts are told.
"""

import dataclasses
import random

import pytest

from reconciler.core import effects
from reconciler.core.reconcile import reconcile
from reconciler.core.verify import verify
from reconciler.model.intent import Intent, MultipleActive, OnFail, WhenEqual
from reconciler.model.observed import Observed
from reconciler.model.plan import Decision, Plan
from tests.builders import service
from tests.oracle.rich_worlds import rich_world

NOT_YET = {
    42: "a dependent on all copies does not see that a second copy starts on a node",
    143: "two copies of a group's members on one node leave in an order that is not the judge's",
}
"""Seeds whose plans break a law yet, and how; this is to become empty."""
BLOCK = 100
BLOCKS = range(0, 600, BLOCK)


def decided(first: int):
    """Worlds of a block of seeds, with what the planner makes of each."""
    for seed in range(first, first + BLOCK):
        intent, observed = rich_world(seed)
        yield seed, intent, observed, reconcile(intent, observed, 0)


def violations(intent: Intent, observed: Observed, decision: Decision):
    return verify(decision.plan, intent, observed, decision.placement, 0)


@pytest.mark.parametrize("first", BLOCKS)
def test_every_plan_passes_the_judge(first):
    found = {
        seed: laws
        for seed, intent, observed, decision in decided(first)
        if seed not in NOT_YET and (laws := {v.law for v in violations(intent, observed, decision)})
    }
    assert found == {}


@pytest.mark.parametrize("first", BLOCKS[:3])
def test_no_action_can_be_left_out(first):
    for seed, intent, observed, decision in decided(first):
        if violations(intent, observed, decision):
            continue  # another test tells of it
        for left_out in decision.plan.actions:
            rest = tuple(
                dataclasses.replace(a, after=tuple(e for e in a.after if e != left_out.id))
                for a in decision.plan.actions
                if a is not left_out
            )
            missed = verify(Plan(actions=rest), intent, observed, decision.placement, 0)
            assert missed, f"seed {seed} without {left_out.id}"


@pytest.mark.parametrize("first", BLOCKS[:3])
def test_the_order_of_the_facts_never_matters(first):
    for seed, intent, observed, decision in decided(first):
        draw = random.Random(seed)
        services, nodes = list(intent.services), list(observed.nodes)
        draw.shuffle(services)
        draw.shuffle(nodes)
        other = dataclasses.replace(intent, services=tuple(services))
        facts = dataclasses.replace(observed, nodes=tuple(nodes))
        assert reconcile(other, facts, 0) == decision, f"seed {seed}"
        before = set(violations(intent, observed, decision))
        assert set(violations(other, facts, decision)) == before, f"seed {seed}"


def forgets(intent: Intent, observed: Observed) -> bool:
    """Whether carrying out a plan ends what the plan rests on: a failed copy, or one too many."""
    policies = {OnFail.STOP, OnFail.STANDBY}
    for one in intent.services:
        operations = (one.start, one.stop, one.promote, one.demote, one.monitor)
        operations += () if one.monitor_promoted is None else (one.monitor_promoted,)
        copies = [copy for copy in observed.copies if copy.service == one.name]
        if any(copy.failed for copy in copies) and policies & {o.on_fail for o in operations}:
            return True
        if len(copies) > 1 and one.multiple_active is MultipleActive.STOP_ONLY:
            return True
    return False


@pytest.mark.parametrize("first", BLOCKS[:3])
def test_applying_a_plan_leaves_nothing_to_do(first):
    busy = {}
    for seed, intent, observed, decision in decided(first):
        if forgets(intent, observed) or violations(intent, observed, decision):
            continue
        after = effects.apply(decision.plan, intent, observed)
        again = reconcile(intent, after, 0).plan.actions
        if again:
            busy[seed] = [action.id for action in again]
    assert busy == {}


@pytest.mark.parametrize("first", BLOCKS[:1])
def test_an_unrelated_service_moves_nothing(first):
    for seed, intent, observed, decision in decided(first):
        if forgets(intent, observed) or violations(intent, observed, decision):
            continue
        settled = effects.apply(decision.plan, intent, observed)
        if intent.when_equal is WhenEqual.SPREAD or reconcile(intent, settled, 0).plan.actions:
            continue
        if not all(colocation.influence for colocation in intent.colocations):
            continue  # not yet: what has no influence is moved as if it had no stickiness
        newcomer = service("zzz-unrelated", priority=-1)
        wider = dataclasses.replace(intent, services=(*intent.services, newcomer))
        actions = reconcile(wider, settled, 0).plan.actions
        assert {action.service for action in actions} <= {"zzz-unrelated"}, f"seed {seed}"
