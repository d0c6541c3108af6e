"""Times of locations against a slow oracle, which asks the calendar of the standard library step by step."""

from datetime import UTC as UNIVERSAL
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.config.document_times import Moment
from reconciler.config.zones import read_zone
from reconciler.core.conditions import LOOK_AHEAD_DAYS, holds, next_change_ms
from reconciler.core.verify.present import at_present
from reconciler.model.conditions import During
from reconciler.model.ids import Millis
from reconciler.model.intent import Location
from tests.builders import intent, observed

QUARTER_MS = 15 * 60_000
ZONES = ("UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Africa/Casablanca")
BEGIN = int(datetime(2026, 1, 1, tzinfo=UNIVERSAL).timestamp()) * 1000
YEARS = 4 * 366 * 96

moments = st.integers(0, YEARS).map(lambda quarter: Millis(BEGIN + quarter * QUARTER_MS))
minutes = st.integers(0, 95).map(lambda quarter: quarter * 15)
spans = st.tuples(minutes, minutes).filter(lambda span: span[0] != span[1])


def some(least: int, most: int) -> st.SearchStrategy[tuple[int, ...]]:
    return st.sets(st.integers(least, most), max_size=most // 2).map(
        lambda found: tuple(sorted(found))
    )


durings = st.builds(
    During,
    from_ms=st.none() | moments,
    until_ms=st.none() | moments,
    months=st.just(()) | some(1, 12),
    days=st.just(()) | some(1, 31),
    weekdays=st.just(()) | some(1, 7),
    hours=st.lists(spans, max_size=3).map(lambda found: tuple(sorted(found))),
    zone=st.sampled_from(ZONES).map(read_zone),
)


def oracle(during: During, at_ms: int) -> bool:
    """Whether it is that time: by the wall clock, and by yesterday's nights."""
    if at_ms < (during.from_ms or at_ms) or (during.until_ms and at_ms >= during.until_ms):
        return False
    clock = datetime.fromtimestamp(at_ms // 1000, ZoneInfo(during.zone.name)).replace(tzinfo=None)
    midnight = clock.replace(hour=0, minute=0, second=0)
    for day in (midnight, midnight - timedelta(days=1)):
        asked = (
            (during.months, day.month),
            (during.days, day.day),
            (during.weekdays, day.isoweekday()),
        )
        if all(not wanted or found in wanted for wanted, found in asked):
            for start, end in during.hours or ((0, 1440),):
                length = timedelta(minutes=end - start if end > start else end - start + 1440)
                begin = day + timedelta(minutes=start)
                if begin <= clock < begin + length:
                    return True
    return False


@settings(deadline=None, max_examples=300)
@given(durings, moments)
def test_it_is_that_time_when_the_calendar_says_so(during: During, now_ms: Millis) -> None:
    assert holds(during, now_ms) == oracle(during, now_ms)
    rule = Location(service="web", nodes=(), during=during)
    judged = at_present(intent("n1", "web", constraints=(rule,)), observed("n1"), now_ms)
    assert bool(judged.locations) == oracle(during, now_ms)


@settings(deadline=None, max_examples=40)
@given(durings, moments)
def test_nothing_changes_before_the_next_change(during: During, now_ms: Millis) -> None:
    then_ms = next_change_ms(during, now_ms)
    horizon_ms = now_ms + LOOK_AHEAD_DAYS * 86_400_000
    before = oracle(during, now_ms)
    assert then_ms is None or then_ms > now_ms
    for at_ms in range(now_ms, min(then_ms or horizon_ms, horizon_ms), QUARTER_MS):
        assert oracle(during, at_ms) == before
    if then_ms is not None and then_ms not in {during.from_ms, during.until_ms, horizon_ms}:
        assert oracle(during, then_ms) != before


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(ZONES), st.integers(0, YEARS))
def test_moments_are_read_on_the_clock_of_their_zone(name: str, quarter: int) -> None:
    clock = datetime(2026, 1, 1, tzinfo=UNIVERSAL) + timedelta(minutes=15 * quarter)
    place, found_ms = ZoneInfo(name), Moment(clock).at_ms(read_zone(name))
    shown = datetime.fromtimestamp(found_ms // 1000, place)
    if shown.replace(tzinfo=None) == clock.replace(tzinfo=None):
        assert shown.fold == 0  # the first of two
    else:  # the clocks skip it: it is the moment at which they do
        before = datetime.fromtimestamp(found_ms // 1000 - 1, place).replace(tzinfo=None)
        assert before < clock.replace(tzinfo=None) < shown.replace(tzinfo=None)
