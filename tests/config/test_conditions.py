"""What locations ask of attributes and of the time, as the file says it and as the model holds it."""

from datetime import UTC as UNIVERSAL
from datetime import datetime
from pathlib import Path

import pytest

from reconciler.codec import canonical
from reconciler.config.load import load_files
from reconciler.config.zones import read_zone
from reconciler.model.conditions import UTC, AttributeTest, Comparison, During, Reading, Zone
from reconciler.model.ids import Millis
from reconciler.model.intent import Intent, Location, Mandate

HEAD = """\
version: 1
cluster: c
nodes:
  alpha: {address: 10.0.0.1, labels: {rack: a}}
  bravo: {address: 10.0.0.2, labels: {rack: b}}
fencing: none
accept-split-brain: true
services: {a: {systemd: a}}
constraints:
"""


def read(text: str) -> Location:
    loaded = load_files((("c.yaml", f"{HEAD}  - {text}\n".encode()),), base=Path("/srv/c"))
    assert loaded.diagnostics == ()
    assert loaded.intent is not None
    assert canonical.load(canonical.dump(loaded.intent), Intent) == loaded.intent
    return loaded.intent.locations[0]


def during(text: str) -> During | None:
    return read(f"{{location: a, during: {text}}}").during


def instant(text: str) -> Millis:
    return Millis(int(datetime.fromisoformat(text).replace(tzinfo=UNIVERSAL).timestamp()) * 1000)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("defined", ("defined", "", "text")),
        ("undefined", ("undefined", "", "text")),
        ("north", ("=", "north", "text")),
        ('""', ("=", "", "text")),
        ("5", ("=", "5", "text")),
        ("1.50", ("=", "1.50", "text")),
        ("true", ("=", "true", "text")),
        ('"= defined"', ("=", "defined", "text")),
        ('"!= a b"', ("!=", "a b", "text")),
        ('">5"', (">", "5", "number")),
        ('"<= -1.5"', ("<=", "-1.5", "number")),
        ('"= number 5"', ("=", "5", "number")),
        ('">= version 6.1.0"', (">=", "6.1.0", "version")),
        ('"< text m"', ("<", "m", "text")),
        ('"= version"', ("=", "version", "text")),
    ],
)
def test_a_test(text: str, expected: tuple[str, str, str]) -> None:
    (found,) = read(f"{{location: a, where: {{x: {text}}}}}").where
    assert (found.comparison, found.value, found.reading) == expected


def test_tests_are_sorted_and_none_is_there_twice() -> None:
    found = read('{location: a, where: {ping: ["> 0", "< 9", "> 0"], gpu: defined}}').where
    assert found == (
        AttributeTest(name="gpu", comparison=Comparison.DEFINED),
        AttributeTest(name="ping", comparison=Comparison.LESS, value="9", reading=Reading.NUMBER),
        AttributeTest(name="ping", comparison=Comparison.MORE, value="0", reading=Reading.NUMBER),
    )


def test_nodes_may_be_left_out_and_narrow_all_the_same() -> None:
    assert read("{location: a, where: {x: 1}}").nodes == ("alpha", "bravo")
    assert read("{location: a, nodes: {rack: b}, where: {x: 1}}").nodes == ("bravo",)
    scored = read("{location: a, score: {attribute: ping}}")
    assert (scored.nodes, scored.strength) == (("alpha", "bravo"), 0)
    assert scored.score_attribute == "ping"
    plain = read("{location: a, nodes: alpha, score: forbidden}")
    assert plain.strength is Mandate.FORBIDDEN
    assert not plain.conditional


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{hours: "08:00-17:30"}', During(hours=((480, 1050),))),
        ('{hours: ["22:00-06:00", "00:00-24:00"]}', During(hours=((0, 1440), (1320, 360)))),
        ("{weekdays: mon-fri}", During(weekdays=(1, 2, 3, 4, 5))),
        ("{weekdays: [Sat, fri-mon]}", During(weekdays=(1, 5, 6, 7))),
        ("{months: [nov-feb, 7]}", During(months=(1, 2, 7, 11, 12))),
        ("{days: [1-3, 31]}", During(days=(1, 2, 3, 31))),
        ("{days: 30-2}", During(days=(1, 2, 30, 31))),
        ("{from: 2026-12-24}", During(from_ms=instant("2026-12-24"))),
        ('{until: "2026-12-24 18:30:05"}', During(until_ms=instant("2026-12-24T18:30:05"))),
        ('{from: "2026-12-24T18:00+01:00"}', During(from_ms=instant("2026-12-24T17:00"))),
        ('{from: "2026-12-24T18:00Z", zone: UTC}', During(from_ms=instant("2026-12-24T18:00"))),
        ("{}", None),
    ],
)
def test_a_time(text: str, expected: During | None) -> None:
    assert during(text) == expected


def test_moments_are_those_of_the_zone() -> None:
    found = during('{from: 2026-07-01, until: "2026-12-01T00:00Z", zone: Europe/Berlin}')
    assert found is not None
    assert (found.from_ms, found.until_ms) == (instant("2026-06-30T22:00"), instant("2026-12-01"))
    assert found.zone.name == "Europe/Berlin"


def test_a_zone_carries_the_changes_of_its_clocks() -> None:
    berlin = read_zone("Europe/Berlin")
    assert berlin.offset_s == 3600
    assert (instant("2026-03-29T01:00"), 7200) in berlin.changes
    assert (instant("2026-10-25T01:00"), 3600) in berlin.changes
    assert len(berlin.changes) == 80
    assert read_zone("Asia/Tokyo") == Zone(name="Asia/Tokyo", offset_s=9 * 3600)
    assert read_zone("UTC") is UTC


def test_what_may_change_is_no_contradiction() -> None:
    """No node passes now, or the hour is another: nothing to warn of in the file."""
    read("{location: a, nodes: [alpha, bravo], score: forbidden, where: {x: 1}}")
    read("{location: a, score: forbidden, during: {weekdays: sun}}")
