from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.membership import liveness
from reconciler.membership.votes import count
from reconciler.model.errors import BrokenLaw
from reconciler.model.ids import Millis, NodeName
from reconciler.model.intent import Heartbeat
from reconciler.model.observed import Liveness

ALPHA, BRAVO = NodeName("alpha"), NodeName("bravo")
LIMITS = Heartbeat()
HALF_MS = LIMITS.every_ms // liveness.LOOKS_PER_INTERVAL
WORSE = [Liveness.ALIVE, Liveness.SUSPECT, Liveness.LOST]


def heard_at(times, *, nodes=(ALPHA,), limits=LIMITS, start_ms=0):
    """A watcher that was awake all the time and heard alpha at these times."""
    detector = liveness.begin(limits, nodes, Millis(start_ms))
    now_ms = start_ms
    for time_ms in times:
        detector, now_ms = awake_until(detector, now_ms, time_ms)
        detector = liveness.hear(detector, ALPHA, Millis(time_ms))
    return detector


def awake_until(detector, now_ms, end_ms):
    """Look often enough, up to a moment."""
    while now_ms < end_ms:
        now_ms = min(end_ms, now_ms + detector.limits.every_ms // liveness.LOOKS_PER_INTERVAL)
        detector, _ = liveness.look(detector, Millis(now_ms))
    return detector, now_ms


def said_after(detector, now_ms, silence_ms, node=ALPHA):
    detector, _ = awake_until(detector, now_ms, now_ms + silence_ms)
    return liveness.look(detector, Millis(now_ms + silence_ms))[1].of(node)


@pytest.mark.parametrize(
    ("silence_ms", "expected"),
    [
        (0, Liveness.ALIVE),
        (1_499, Liveness.ALIVE),
        (1_500, Liveness.SUSPECT),
        (3_499, Liveness.SUSPECT),
        (3_500, Liveness.LOST),
        (60_000, Liveness.LOST),
    ],
)
def test_a_punctual_node_falls_silent(silence_ms, expected):
    detector = heard_at(range(0, 10_001, 500))
    assert said_after(detector, 10_000, silence_ms) is expected


def test_a_node_never_heard_is_unknown_however_long_the_silence():
    detector = liveness.begin(LIMITS, [ALPHA], Millis(0))
    assert said_after(detector, 0, 100_000) is Liveness.UNKNOWN
    assert liveness.look(detector, Millis(0))[1].of(BRAVO) is Liveness.UNKNOWN


def test_a_heartbeat_of_a_node_that_is_not_watched_means_nothing():
    detector = liveness.begin(LIMITS, [ALPHA], Millis(0))
    after = liveness.hear(detector, BRAVO, Millis(0))
    assert after == detector


def test_time_that_runs_backwards_is_our_bug():
    detector = heard_at([1_000])
    with pytest.raises(BrokenLaw, match="time"):
        liveness.hear(detector, ALPHA, Millis(999))
    with pytest.raises(BrokenLaw, match="time"):
        liveness.look(detector, Millis(999))


def test_a_node_that_was_lost_is_alive_at_its_next_heartbeat_and_its_absence_teaches_nothing():
    before = heard_at(range(0, 10_001, 500))
    after = heard_at([*range(0, 10_001, 500), 40_000])
    assert liveness.look(after, Millis(40_000))[1].of(ALPHA) is Liveness.ALIVE
    assert liveness.suspicion_ms(after.pulses[ALPHA], LIMITS) == liveness.suspicion_ms(
        before.pulses[ALPHA], LIMITS
    )


def test_suspicion_waits_longer_for_a_node_that_is_often_late():
    jittery = [number * 500 + (400 if number % 2 else 0) for number in range(40)]
    patient = liveness.suspicion_ms(heard_at(jittery).pulses[ALPHA], LIMITS)
    punctual = liveness.suspicion_ms(heard_at(range(0, 20_000, 500)).pulses[ALPHA], LIMITS)
    assert punctual == LIMITS.suspect_ms
    assert LIMITS.suspect_ms < patient <= LIMITS.lost_ms - 2 * LIMITS.every_ms


def test_watching_for_other_nodes_forgets_nothing_of_those_that_stay():
    detector = heard_at([0, 500])
    changed = liveness.watch(detector, replace(LIMITS, lost_ms=Millis(5_000)), [ALPHA, BRAVO])
    view = liveness.look(changed, Millis(500))[1]
    assert (view.of(ALPHA), view.of(BRAVO)) == (Liveness.ALIVE, Liveness.UNKNOWN)
    assert liveness.watch(changed, LIMITS, [BRAVO]).pulses == {BRAVO: None}


def test_a_watcher_that_slept_holds_nothing_against_anybody():
    detector = heard_at(range(0, 10_001, 500))
    slept, view = liveness.look(detector, Millis(10_000 + 3_600_000))
    assert view.of(ALPHA) is Liveness.ALIVE
    heard = liveness.hear(slept, ALPHA, Millis(10_000 + 3_600_001))
    assert said_after(heard, 10_000 + 3_600_001, 1_499) is Liveness.ALIVE


def test_a_watcher_that_always_sleeps_a_little_still_sees_a_loss_in_the_end():
    detector, now_ms = heard_at(range(0, 10_001, 500)), 10_000
    looks = 0
    while liveness.look(detector, Millis(now_ms))[1].of(ALPHA) is not Liveness.LOST:
        now_ms += 4 * LIMITS.every_ms
        detector, _ = liveness.look(detector, Millis(now_ms))
        looks += 1
    assert looks == LIMITS.lost_ms // LIMITS.every_ms


def test_the_wake_up_is_when_the_judgement_changes_or_half_an_interval_on():
    detector = heard_at(range(0, 10_001, 500))
    detector, view = liveness.look(detector, Millis(10_000))
    assert view.wake_at_ms == 10_000 + HALF_MS
    detector, _ = awake_until(detector, 10_000, 11_400)
    _, view = liveness.look(detector, Millis(11_400))
    assert view.wake_at_ms == 11_500
    assert view.judgements[0].margin_ms == 100


def test_default_limits_call_a_dead_node_lost_well_within_four_and_a_half_seconds():
    detector, now_ms, view = heard_at(range(0, 10_001, 500)), 10_000, None
    while view is None or view.of(ALPHA) is not Liveness.LOST:
        detector, view = liveness.look(detector, Millis(now_ms))
        now_ms = view.wake_at_ms
    assert now_ms - 10_000 <= 3_500 + HALF_MS


limits_of = st.builds(
    lambda every, suspect, lost: Heartbeat(
        every_ms=Millis(every),
        suspect_ms=Millis(every + suspect),
        lost_ms=Millis(every * 2 + suspect + lost),
    ),
    st.integers(20, 2_000),
    st.integers(0, 5_000),
    st.integers(0, 10_000),
)
gaps = st.lists(st.integers(0, 5_000), min_size=1, max_size=40)


@given(limits_of, gaps, st.integers(0, 20_000))
def test_law_never_suspect_or_lost_before_the_limits(limits, between, silence_ms):
    detector, now_ms = liveness.begin(limits, [ALPHA], Millis(0)), 0
    for gap_ms in between:
        now_ms += gap_ms
        detector = liveness.hear(detector, ALPHA, Millis(now_ms))
    said = said_after(detector, now_ms, silence_ms)
    if silence_ms < limits.lost_ms:
        assert said is not Liveness.LOST
    if silence_ms < limits.suspect_ms:
        assert said is Liveness.ALIVE
    if silence_ms >= limits.lost_ms and limits.every_ms % liveness.LOOKS_PER_INTERVAL == 0:
        assert said is Liveness.LOST


@given(limits_of, st.lists(st.integers(0, 20_000), min_size=1, max_size=40))
def test_law_suspicion_comes_two_intervals_before_loss_however_late_a_node_usually_is(
    limits, between
):
    times = [sum(between[: number + 1]) for number in range(len(between))]
    suspicion_ms = liveness.suspicion_ms(heard_at(times, limits=limits).pulses[ALPHA], limits)
    room_ms = limits.lost_ms - 2 * limits.every_ms
    assert limits.suspect_ms <= suspicion_ms <= max(limits.suspect_ms, room_ms)


def test_the_usual_lateness_can_reach_that_bound():
    often_late = [number * 1_900 for number in range(20)]
    often_late += [often_late[-1] + 500 + number * 2_400 for number in range(5)]
    assert liveness.suspicion_ms(heard_at(often_late).pulses[ALPHA], LIMITS) == 2_500


@given(limits_of, gaps, st.lists(st.integers(0, 3_000), min_size=1, max_size=40))
def test_law_silence_only_ever_makes_it_worse(limits, between, pauses):
    detector, now_ms = liveness.begin(limits, [ALPHA], Millis(0)), 0
    for gap_ms in between:
        now_ms += gap_ms
        detector = liveness.hear(detector, ALPHA, Millis(now_ms))
    said = []
    for pause_ms in pauses:
        now_ms += pause_ms
        detector, view = liveness.look(detector, Millis(now_ms))
        said.append(WORSE.index(view.of(ALPHA)))
    assert said == sorted(said)


@given(limits_of, gaps, st.integers(0, 10**9))
def test_law_of_a_sleep_at_most_one_interval_is_held_against_anybody(limits, between, sleep_ms):
    detector, now_ms = liveness.begin(limits, [ALPHA], Millis(0)), 0
    for gap_ms in between:
        now_ms += gap_ms
        detector = liveness.hear(detector, ALPHA, Millis(now_ms))
    before = liveness.look(detector, Millis(now_ms))[1].judgements[0]
    after = liveness.look(detector, Millis(now_ms + sleep_ms))[1].judgements[0]
    assert after.silent_ms - before.silent_ms <= limits.every_ms


@given(limits_of, gaps, st.integers(0, 4_000))
def test_law_a_watcher_never_sleeps_through_a_change(limits, between, silence_ms):
    """Between one look and its wake-up, the judgement stays what it was."""
    detector, now_ms = liveness.begin(limits, [ALPHA], Millis(0)), 0
    for gap_ms in between:
        now_ms += gap_ms
        detector = liveness.hear(detector, ALPHA, Millis(now_ms))
    detector, now_ms = awake_until(detector, now_ms, now_ms + silence_ms)
    detector, view = liveness.look(detector, Millis(now_ms))
    just_before = Millis(view.wake_at_ms - 1)
    assert now_ms < view.wake_at_ms <= now_ms + max(1, limits.every_ms // 2)
    assert liveness.look(detector, just_before)[1].of(ALPHA) is view.of(ALPHA)


@given(
    st.lists(st.integers(0, 500), min_size=2, max_size=8),
    st.lists(st.integers(0, 400), min_size=1, max_size=20),
)
def test_law_a_watcher_who_was_cut_off_has_no_quorum_when_the_first_node_is_lost(phases, jitters):
    nodes = [NodeName(f"node-{number}") for number in range(len(phases))]
    times = sorted(
        (beat * 500 + phase + jitters[beat % len(jitters)], node)
        for beat in range(20)
        for node, phase in zip(nodes, phases, strict=True)
    )
    detector, now_ms = liveness.begin(LIMITS, nodes, Millis(0)), 0
    for time_ms, node in times:
        detector, now_ms = awake_until(detector, now_ms, time_ms)
        detector = liveness.hear(detector, node, Millis(time_ms))
    while True:
        detector, view = liveness.look(detector, Millis(now_ms))
        said = {judgement.node: judgement.liveness for judgement in view.judgements}
        if Liveness.LOST in said.values():
            break
        now_ms = view.wake_at_ms
    assert not count(nodes, said).quorate
