"""Which locations count, where and when: every comparison, every edge of a time, and what is decided."""

from dataclasses import replace
from datetime import UTC as UNIVERSAL
from datetime import datetime

import pytest

from reconciler.config.zones import read_zone
from reconciler.core import conditions
from reconciler.core.reconcile import reconcile
from reconciler.core.verify import verify
from reconciler.core.verify.present import at_present
from reconciler.model.conditions import AttributeTest, Comparison, During, Reading
from reconciler.model.ids import Millis
from reconciler.model.intent import Intent, Location, Mandate
from reconciler.model.observed import Observed
from tests.builders import intent, observed

BERLIN = read_zone("Europe/Berlin")
TEXT, NUMBER, VERSION = Reading.TEXT, Reading.NUMBER, Reading.VERSION


def at(text: str) -> Millis:
    return Millis(int(datetime.fromisoformat(text).replace(tzinfo=UNIVERSAL).timestamp()) * 1000)


def facts(said: dict[str, dict[str, str]], running: str = "", now: str = "") -> Observed:
    seen = observed("n1 n2 n3", running, services="web")
    states = tuple(
        replace(state, attributes=tuple(sorted(said.get(state.name, {}).items())))
        for state in seen.nodes
    )
    return replace(seen, nodes=states, clock_ahead_ms=at(now) if now else Millis(0))


def rule(**body: object) -> Location:
    return Location(service="web", **{"nodes": ("n1", "n2", "n3"), **body})  # type: ignore[arg-type]


def cluster(*rules: Location) -> Intent:
    return intent(
        "n1 n2 n3", "web", constraints=rules, node={"n3": {"labels": (("site", "south"),)}}
    )


def seats(wanted: Intent, seen: Observed, now_ms: int = 0) -> list[str]:
    """Where the copies go, by a plan that the judge accepts."""
    decision = reconcile(wanted, seen, Millis(now_ms))
    assert verify(decision.plan, wanted, seen, decision.placement, Millis(now_ms)) == ()
    return [seat.node for seat in decision.placement.seats]


# Attributes ------------------------------------------------------------------------------------------


def holding(
    comparison: str, wanted: str, reading: Reading, values: tuple[str | None, ...]
) -> list[str | None]:
    """Which of these values pass, by the planner and by the judge alike."""
    test = AttributeTest(name="x", comparison=Comparison(comparison), value=wanted, reading=reading)
    passing = [value for value in values if conditions.passes(test, value)]
    wide = cluster(rule(where=(test,), strength=5))
    for value in values:
        seen = facts({} if value is None else {"n1": {"x": value}})
        chosen = at_present(wide, seen, Millis(0)).locations[0].nodes
        assert ("n1" in chosen) == (value in passing), value
    return passing


def test_defined_and_undefined() -> None:
    values = (None, "", "0")
    assert holding("defined", "", TEXT, values) == ["", "0"]
    assert holding("undefined", "", TEXT, values) == [None]


@pytest.mark.parametrize(
    ("comparison", "passing"),
    [
        ("=", ["5", "5.0", " +5 "]),
        ("!=", [None, "", "4.99", "10", "-7", "x", "5x"]),
        ("<", ["4.99", "-7"]),
        ("<=", ["4.99", "5", "5.0", "-7", " +5 "]),
        (">", ["10"]),
        (">=", ["5", "5.0", "10", " +5 "]),
    ],
)
def test_numbers(comparison: str, passing: list[str]) -> None:
    values = (None, "", "4.99", "5", "5.0", "10", "-7", "x", "5x", " +5 ")
    assert holding(comparison, "5", NUMBER, values) == passing


@pytest.mark.parametrize(
    ("comparison", "passing"),
    [
        ("=", ["m"]),
        ("!=", [None, "", "M", "ma", "z", "5"]),
        ("<", ["", "M", "5"]),
        ("<=", ["", "M", "m", "5"]),
        (">", ["ma", "z"]),
        (">=", ["m", "ma", "z"]),
    ],
)
def test_texts(comparison: str, passing: list[str]) -> None:
    assert holding(comparison, "m", TEXT, (None, "", "M", "m", "ma", "z", "5")) == passing


@pytest.mark.parametrize(
    ("comparison", "passing"),
    [
        ("=", ["6.10", "6.10.0", "v6.10"]),
        ("!=", [None, "", "6.9", "6.10.1", "7", "none"]),
        ("<", ["6.9"]),
        ("<=", ["6.9", "6.10", "6.10.0", "v6.10"]),
        (">", ["6.10.1", "7"]),
        (">=", ["6.10", "6.10.0", "6.10.1", "7", "v6.10"]),
    ],
)
def test_versions(comparison: str, passing: list[str]) -> None:
    values = (None, "", "6.9", "6.10", "6.10.0", "6.10.1", "7", "v6.10", "none")
    assert holding(comparison, "6.10", VERSION, values) == passing


def test_exact_where_floating_numbers_are_not() -> None:
    big = "9007199254740993"
    assert holding(">", "9007199254740992", NUMBER, (big, big[:-1] + "2")) == [big]
    assert holding("=", "0.1", NUMBER, ("0.1000000000000000000001", "0.10")) == ["0.10"]


def test_hostile_values_are_answered() -> None:
    values = ("9" * 100_000, "." * 1000, "1." * 50_000, "\0", "{node}", "\u0661")
    assert holding("<", "5", NUMBER, values) == []
    assert holding("<", "5", VERSION, values) == ["1." * 50_000]


def test_a_label_counts_where_no_agent_says_otherwise() -> None:
    site = AttributeTest(name="site", value="south")
    wanted = cluster(rule(where=(site,)))
    assert seats(wanted, facts({})) == ["n3"]
    assert seats(wanted, facts({"n1": {"site": "south"}, "n3": {"site": "north"}})) == ["n1"]


def test_a_copy_leaves_when_its_node_fails_a_required_test() -> None:
    ping = AttributeTest(name="ping", comparison=Comparison.MORE, value="0", reading=NUMBER)
    wanted = cluster(rule(where=(ping,)))
    seen = facts({"n1": {"ping": "0"}, "n2": {"ping": "100"}}, running="web@n1")
    assert seats(wanted, seen) == ["n2"]
    decision = reconcile(wanted, facts({}, running="web@n1"), Millis(0))
    assert decision.placement.seats == ()
    words = decision.placement.unplaced[0].reasons[0].text
    assert words == '"web" must run on no node (where ping > 0)'


def test_what_is_asked_may_hold_anything_and_is_shown_as_it_stands() -> None:
    wanted = cluster(rule(where=(AttributeTest(name="x", value="{node}{}"),)))
    reasons = reconcile(wanted, facts({}), Millis(0)).placement.unplaced[0].reasons
    assert reasons[0].text.endswith("(where x = {node}{})")


def test_scores_from_an_attribute() -> None:
    said = {"n1": {"p": "100"}, "n2": {"p": "700"}, "n3": {"p": "-5"}}
    wanted = cluster(rule(strength=0, score_attribute="p"))
    assert seats(wanted, facts(said)) == ["n2"]
    counted = conditions.in_force(wanted, facts(said), Millis(0)).locations
    assert [(one.strength, one.nodes) for one in counted] == [
        (-5, ("n3",)),
        (100, ("n1",)),
        (700, ("n2",)),
    ]
    only = AttributeTest(name="p", comparison=Comparison.LESS, value="700", reading=NUMBER)
    assert seats(cluster(rule(strength=0, score_attribute="p", where=(only,))), facts(said)) == [
        "n1"
    ]


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("12", 12),
        (" -12 ", -12),
        ("INFINITY", 1_000_000),
        ("-INFINITY", -1_000_000),
        ("99999999999", 1_000_000),
        ("1.5", 0),
        ("x", 0),
        ("", 0),
        ("9" * 5000, 0),
    ],
)
def test_a_score_is_a_whole_number_within_bounds(text: str, score: int) -> None:
    wanted = cluster(rule(strength=0, score_attribute="p"))
    for read in (conditions.in_force, at_present):
        counted = read(wanted, facts({"n1": {"p": text}}), Millis(0)).locations
        assert [(one.strength, one.nodes) for one in counted] == (
            [(score, ("n1",))] if score else []
        )


def test_an_intent_without_conditions_is_itself_and_outcomes_are_kept() -> None:
    plain = cluster(rule())
    assert conditions.in_force(plain, facts({}), Millis(0)) is plain
    asking = cluster(rule(where=(AttributeTest(name="x", value="1"),)))
    first = conditions.in_force(asking, facts({"n1": {"x": "1"}}), Millis(0))
    assert conditions.in_force(asking, facts({"n1": {"x": "1"}}), Millis(9)) is first
    assert conditions.in_force(asking, facts({}), Millis(9)).locations[0].nodes == ()
    assert conditions.in_force(first, facts({"n1": {"x": "1"}}), Millis(0)) == first


# Time ------------------------------------------------------------------------------------------------

NIGHT = During(hours=((1320, 360),))
FRIDAY_NIGHT = During(hours=((1320, 360),), weekdays=(5,))
LEAP_DAY = During(months=(2,), days=(29,))
OFFICE = During(hours=((480, 1020),), weekdays=(1, 2, 3, 4, 5), zone=BERLIN)


@pytest.mark.parametrize(
    ("during", "moment", "expected"),
    [
        (During(from_ms=at("2026-06-01")), "2026-05-31T23:59:59", False),
        (During(from_ms=at("2026-06-01")), "2026-06-01", True),
        (During(until_ms=at("2026-06-01")), "2026-05-31T23:59:59", True),
        (During(until_ms=at("2026-06-01")), "2026-06-01", False),
        (NIGHT, "2026-06-01T21:59:59", False),
        (NIGHT, "2026-06-01T22:00", True),
        (NIGHT, "2026-06-01T00:00", True),
        (NIGHT, "2026-06-01T05:59:59", True),
        (NIGHT, "2026-06-01T06:00", False),
        (FRIDAY_NIGHT, "2026-06-05T05:00", False),  # the night of Thursday
        (FRIDAY_NIGHT, "2026-06-05T23:00", True),
        (FRIDAY_NIGHT, "2026-06-06T05:59", True),  # Saturday's morning, Friday's night
        (FRIDAY_NIGHT, "2026-06-06T23:00", False),
        (During(hours=((0, 1440),)), "2026-06-01T23:59:59", True),
        (During(hours=((1320, 1440),)), "2026-06-02T00:00", False),
        (During(hours=((1320, 0),)), "2026-06-01T23:59:59", True),
        (During(hours=((1320, 0),)), "2026-06-02T00:00", False),
        (LEAP_DAY, "2028-02-29T12:00", True),
        (LEAP_DAY, "2027-03-01T00:00", False),
        (
            During(days=(31,), hours=((1320, 360),)),
            "2026-11-01T05:00",
            True,
        ),  # October's last night
        (OFFICE, "2026-07-01T05:59:59", False),  # in summer two hours ahead
        (OFFICE, "2026-07-01T06:00", True),
        (OFFICE, "2026-12-01T06:59:59", False),  # in winter one
        (OFFICE, "2026-12-01T07:00", True),
        (OFFICE, "2026-12-05T12:00", False),
    ],
)
def test_edges_of_times(during: During, moment: str, expected: bool) -> None:
    assert conditions.holds(during, at(moment)) is expected
    wanted = cluster(rule(during=during))
    for read in (conditions.in_force, at_present):
        assert len(read(wanted, facts({}, now=moment), Millis(0)).locations) == expected


@pytest.mark.parametrize(
    ("during", "moment", "then"),
    [
        (During(from_ms=at("2026-06-01")), "2026-01-01", "2026-06-01"),
        (During(until_ms=at("2026-06-01")), "2026-01-01", "2026-06-01"),
        (During(until_ms=at("2026-06-01")), "2026-06-01", None),
        (During(from_ms=at("2026-06-01")), "2026-06-01", None),
        (NIGHT, "2026-06-01T12:00", "2026-06-01T22:00"),
        (NIGHT, "2026-06-01T22:00", "2026-06-02T06:00"),
        (FRIDAY_NIGHT, "2026-06-06T06:00", "2026-06-12T22:00"),
        (LEAP_DAY, "2028-02-28T12:00", "2028-02-29"),
        (LEAP_DAY, "2028-02-29", "2028-03-01"),
        (LEAP_DAY, "2028-06-01", "2028-07-03"),  # not so far ahead: look again
        (OFFICE, "2026-03-27T17:00", "2026-03-30T06:00"),  # the clocks change in between
        (
            During(hours=((150, 180),), zone=BERLIN),
            "2026-03-28T12:00",
            "2026-03-30T00:30",
        ),  # skipped
        (During(hours=((150, 180),), zone=BERLIN), "2026-10-25T00:30", "2026-10-25T01:00"),
        (During(hours=((150, 180),), zone=BERLIN), "2026-10-25T01:00", "2026-10-25T01:30"),  # again
    ],
)
def test_the_next_change(during: During, moment: str, then: str | None) -> None:
    assert conditions.next_change_ms(during, at(moment)) == (None if then is None else at(then))


def test_outside_its_time_a_location_says_nothing() -> None:
    day = During(hours=((480, 1020),))
    wanted = cluster(rule(nodes=("n2",), during=day))
    assert seats(wanted, facts({}, now="2026-06-01T12:00")) == ["n2"]
    assert seats(wanted, facts({}, running="web@n1", now="2026-06-01T17:00")) == ["n1"]
    never = cluster(rule(strength=Mandate.FORBIDDEN, during=day))
    assert seats(never, facts({}, running="web@n1", now="2026-06-01T12:00")) == []
    assert seats(never, facts({}, now="2026-06-01T17:00")) == ["n1"]


def test_a_decision_wakes_when_time_alone_would_change_it() -> None:
    wanted = cluster(rule(during=During(hours=((480, 1020),))), rule(nodes=("n1",), during=NIGHT))
    decision = reconcile(wanted, facts({}, now="2026-06-01T12:00"), Millis(60_000))
    assert decision.wake_at_ms == 5 * 3_600_000  # 17:00, by the clock that decisions run on
    assert reconcile(cluster(rule()), facts({}), Millis(0)).wake_at_ms is None


def test_a_plan_of_another_hour_is_recognised() -> None:
    wanted = cluster(rule(during=NIGHT), rule())
    day, night = facts({}, now="2026-06-01T12:00"), facts({}, now="2026-06-01T23:00")
    assert conditions.turned(wanted, day, day) == ()
    assert conditions.turned(wanted, day, night) == ('location of "web": its time has come',)
    assert conditions.turned(wanted, night, day) == ('location of "web": its time is over',)


@pytest.mark.parametrize("ahead_ms", [-(2**53), 2**53, 10**14 - 1])
def test_times_beyond_every_calendar_are_answered(ahead_ms: int) -> None:
    wanted = cluster(rule(nodes=("n2",), during=replace(FRIDAY_NIGHT, zone=BERLIN)))
    seen = replace(facts({}), clock_ahead_ms=Millis(ahead_ms))
    assert seats(wanted, seen) in (["n1"], ["n2"])
