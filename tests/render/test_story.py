"""What is told of a plan: pairs become moves and restarts, and nothing healthy is disturbed unsaid."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.ids import Millis
from reconciler.model.observed import Certainty, Observed
from reconciler.model.placement import Placement
from reconciler.model.plan import Decision, Plan
from reconciler.render import story
from tests.render.worlds import ALPHA, BRAVO, action, copy, nodes


def told(*actions, copies=()):
    observed = Observed(taken_at_ms=Millis(1), nodes=nodes(), copies=copies)
    return story.tell(observed, Decision(placement=Placement(seats=()), plan=Plan(actions=actions)))


@pytest.mark.parametrize(
    ("actions", "verbs"),
    [
        (["start:a@alpha"], ["start"]),
        (["stop:a@alpha"], ["stop"]),
        (["stop:a@alpha", "start:a@alpha"], ["restart"]),
        (["stop:a@alpha", "start:a@bravo"], ["move"]),
        (["stop:a@alpha", "start:b@bravo"], ["stop", "start"]),
        (["stop:a@alpha", "stop:a@bravo", "start:a@bravo", "start:a@carol"], ["restart", "move"]),
        (["demote:a@alpha", "stop:a@alpha", "start:a@bravo"], ["move"]),
        (["demote:a@alpha", "promote:a@bravo"], ["demote", "promote"]),
        (["migrate:a@alpha>bravo"], ["migrate"]),
        (["probe:a@alpha"], []),
        (["fence:@alpha", "start:a@bravo"], ["fence", "start"]),
    ],
)
def test_changes(actions, verbs):
    assert [change.verb for change in told(*map(action, actions)).changes] == verbs


@pytest.mark.parametrize(
    ("have", "disturbed"),
    [
        (copy("a", ALPHA), 1),
        (copy("a", ALPHA, failed=True), 0),
        (copy("a", ALPHA, certainty=Certainty.ASSUMED), 0),
        (copy("a", ALPHA, certainty=Certainty.UNKNOWN), 0),
        (copy("a", BRAVO), 0),
    ],
)
def test_only_what_runs_well_is_disturbed(have, disturbed):
    story_of_stop = told(action("stop:a@alpha"), copies=(have,))
    assert len(story_of_stop.disturbed) == disturbed
    assert ("nothing healthy is disturbed" in story.headline(story_of_stop)) == (disturbed == 0)


def test_what_is_left_alone_is_counted():
    copies = (copy("a", ALPHA), copy("b", ALPHA), copy("c", BRAVO, failed=True))
    assert told(action("stop:a@alpha"), copies=copies).untouched == 1


def test_nothing_to_do():
    assert story.headline(told()) == "Nothing to do"


@given(st.lists(st.sets(st.integers(0, 30)), max_size=30))
def test_waves_keep_every_edge(edges):
    actions = [
        action(f"start:s{n}@alpha", *(f"start:s{m}@alpha" for m in sorted(befores) if m < n))
        for n, befores in enumerate(edges)
    ]
    layers = story.waves(actions)
    wave_of = {each.id: n for n, wave in enumerate(layers) for each in wave}
    assert len(wave_of) == len(actions)
    for each in actions:
        assert all(wave_of[before] < wave_of[each.id] for before in each.after)
        assert wave_of[each.id] == 0 or any(
            wave_of[before] == wave_of[each.id] - 1 for before in each.after
        )
