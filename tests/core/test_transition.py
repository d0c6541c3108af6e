"""Carrying out a plan: what is asked for when, and what ends a branch."""

from collections import Counter
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.transition import (
    Abandon,
    Ask,
    AskAgain,
    Ended,
    Fate,
    Limits,
    NodeGone,
    Over,
    Proceed,
    Progress,
    step,
)
from reconciler.model.plan import Action, ActionKind, Plan

WIDE = Limits(node=100, cluster=100)


def plan(*words: str) -> Plan:
    """`plan("x@a", "y@a < x@a")`: y after x, both on node a."""
    actions = []
    for word in words:
        name, _, after = word.partition(" < ")
        actions.append(
            Action(
                id=name, kind=ActionKind.START, node=name.split("@")[1], after=tuple(after.split())
            )
        )
    return Plan(actions=tuple(actions))


def check(given_plan, events, expected, *, fates=None, limits=WIDE):
    """Feed events; `expected` is what the last one asks for, and `over` or `complete`."""
    progress = Progress(fates=MappingProxyType(fates or {}))
    effects = ()
    for event in events:
        progress, effects = step(given_plan, progress, event, limits)
    words = []
    for effect in effects:
        match effect:
            case Ask(action=action):
                words.append(action.id)
            case Over(complete=complete):
                words.append("complete" if complete else "over")
    assert words == expected.split()
    return progress


def done(name):
    return Ended(action=name, succeeded=True)


def failed(name):
    return Ended(action=name, succeeded=False)


CHAIN = plan("x@a", "y@b < x@a", "z@c < y@b")
FORK = plan("x@a", "y@b", "z@c < x@a", "w@c < y@b")


@pytest.mark.parametrize(
    ("given_plan", "events", "expected"),
    [
        (plan(), [Proceed()], "complete"),
        (CHAIN, [Proceed()], "x@a"),
        (CHAIN, [Proceed(), Proceed()], ""),
        (CHAIN, [Proceed(), done("x@a")], "y@b"),
        (CHAIN, [Proceed(), done("x@a"), done("x@a")], ""),
        (CHAIN, [Proceed(), done("z@c")], ""),
        (CHAIN, [Proceed(), done("x@a"), done("y@b"), done("z@c")], "complete"),
        (CHAIN, [Proceed(), failed("x@a")], "over"),
        (FORK, [Proceed(), failed("x@a")], ""),
        (FORK, [Proceed(), failed("x@a"), done("y@b")], "w@c"),
        (FORK, [Proceed(), failed("x@a"), done("y@b"), done("w@c")], "over"),
        (FORK, [Proceed(), AskAgain(node="a")], "x@a"),
        (FORK, [Proceed(), AskAgain(node="c")], ""),
        (FORK, [Proceed(), NodeGone(node="a")], ""),
        (FORK, [Proceed(), NodeGone(node="a"), done("x@a")], ""),
        (FORK, [Proceed(), NodeGone(node="a"), NodeGone(node="b")], "over"),
        (FORK, [Proceed(), Abandon(reason="moved")], ""),
        (FORK, [Proceed(), Abandon(reason="moved"), done("x@a")], ""),
        (FORK, [Proceed(), Abandon(reason="moved"), done("x@a"), done("y@b")], "over"),
        (FORK, [Abandon(reason="moved")], "over"),
    ],
)
def test_what_is_asked_for(given_plan, events, expected):
    check(given_plan, events, expected)


def test_limits_hold_per_node_and_for_the_cluster():
    many = plan(*(f"s{n}@a" for n in range(5)), *(f"s{n}@b" for n in range(5)))
    check(many, [Proceed()], "s0@a s1@a s0@b s1@b", limits=Limits(node=2, cluster=100))
    check(many, [Proceed()], "s0@a s1@a s0@b", limits=Limits(node=2, cluster=3))
    check(many, [Proceed(), done("s0@a")], "s2@a", limits=Limits(node=2, cluster=4))


def test_the_first_reason_to_abandon_stays():
    progress = check(CHAIN, [Proceed(), Abandon(reason="one"), Abandon(reason="two")], "")
    assert progress.abandoned == "one"


def test_saved_progress_goes_on_where_it_was():
    fates = {"x@a": Fate.DONE, "y@b": Fate.ASKED}
    check(CHAIN, [Proceed()], "", fates=fates)
    check(CHAIN, [AskAgain(node="b")], "y@b", fates=fates)
    check(CHAIN, [AskAgain(node="b"), done("y@b")], "z@c", fates=fates)


@st.composite
def plans(draw):
    names = [f"s{n}@{draw(st.sampled_from('abc'))}" for n in range(draw(st.integers(1, 12)))]
    words = []
    for place, name in enumerate(names):
        after = draw(st.sets(st.sampled_from(names[:place]))) if place else ()
        words.append(f"{name} < {' '.join(sorted(after))}" if after else name)
    return plan(*words)


@given(plans(), st.randoms(use_true_random=False), st.integers(1, 3), st.integers(1, 5))
def test_every_order_of_results_keeps_edges_and_limits_and_ends(given_plan, random, node, cluster):
    limits = Limits(node=node, cluster=cluster)
    progress, effects = step(given_plan, Progress(), Proceed(), limits)
    asked, finished, good = [], set(), set()
    while True:
        asked += [effect.action for effect in effects if isinstance(effect, Ask)]
        under_way = [action for action in asked if action.id not in finished]
        assert len(under_way) <= cluster
        assert all(n <= node for n in Counter(a.node for a in under_way).values())
        assert all(set(action.after) <= good for action in asked)
        over = [effect for effect in effects if isinstance(effect, Over)]
        if over:
            assert not under_way
            assert over[0].complete == (len(good) == len(given_plan.actions))
            break
        action = random.choice(under_way)
        succeeded = random.random() < 0.9
        finished.add(action.id)
        good |= {action.id} if succeeded else set()
        progress, effects = step(
            given_plan, progress, Ended(action=action.id, succeeded=succeeded), limits
        )
    assert len({action.id for action in asked}) == len(asked), "nothing is asked for twice"
