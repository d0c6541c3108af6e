"""Every set of causes that is given is sufficient and minimal, in worlds drawn at random."""

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core.explain import explain
from reconciler.core.reconcile import reconcile
from tests.explain.judge import faults, judged
from tests.oracle.rich_worlds import rich_world
from tests.oracle.worlds import world

seeds = st.integers(min_value=0, max_value=10**9)


@settings(deadline=None, max_examples=40)
@given(seeds)
def test_what_does_not_run_or_moves_is_explained_by_minimal_sets(seed):
    _, wrong = judged(*world(seed), 0)
    assert wrong == []


@settings(deadline=None, max_examples=40)
@given(seeds)
def test_the_same_with_every_semantic(seed):
    intent, observed = rich_world(seed)
    _, wrong = judged(intent, observed, observed.taken_at_ms)
    assert wrong == []


@settings(deadline=None, max_examples=15)
@given(seeds, st.data())
def test_so_is_any_service_on_any_node(seed, data):
    intent, observed = world(seed)
    service = data.draw(st.sampled_from([each.name for each in intent.services]))
    node = data.draw(st.sampled_from([each.name for each in intent.nodes]))
    for answer in explain(intent, observed, 0, service, node).answers:
        assert answer.sets
        assert faults(intent, observed, 0, answer) == []


@settings(deadline=None, max_examples=15)
@given(seeds)
def test_the_same_question_has_the_same_answer_and_disturbs_no_decision(seed):
    intent, observed = world(seed)
    before = reconcile(intent, observed, 0)
    name = intent.services[0].name
    assert explain(intent, observed, 0, name) == explain(intent, observed, 0, name)
    assert reconcile(intent, observed, 0) == before
