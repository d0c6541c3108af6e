"""The intent as it counts at the time of the plan: the judge's own answers to attributes and clocks.

What a location asks is answered node by node, in words of its own, so that a planner that misreads a
clock or a version does not find its mistake here again.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from fractions import Fraction

from reconciler.model.conditions import AttributeTest, During, Reading
from reconciler.model.ids import Millis
from reconciler.model.intent import Intent, Location
from reconciler.model.observed import Observed

_START = datetime(1970, 1, 1, tzinfo=timezone.utc)  # noqa: UP017 - the zone, not the model's UTC
_DAY = 24 * 60
_MOST = 1_000_000
_LAST_MS = 10**14
"""Later than any clock shows, and before calendars end."""


def at_present(intent: Intent, observed: Observed, now_ms: Millis) -> Intent:
    """The intent with plain locations only."""
    if not any(rule.where or rule.during or rule.score_attribute for rule in intent.locations):
        return intent
    known: dict[str, dict[str, str]] = {node.name: dict(node.labels) for node in intent.nodes}
    for state in observed.nodes:
        known.setdefault(state.name, {}).update(state.attributes)
    utc_ms = Millis(now_ms + observed.clock_ahead_ms)
    plain = (one for rule in intent.locations for one in _plain(rule, known, utc_ms))
    return replace(intent, locations=tuple(plain))


def _plain(
    rule: Location, known: Mapping[str, Mapping[str, str]], utc_ms: Millis
) -> Iterator[Location]:
    if rule.during and not _is_time(rule.during, utc_ms):
        return
    nodes = tuple(
        node
        for node in rule.nodes
        if not any(_fails(test, known.get(node, {})) for test in rule.where)
    )
    if not rule.score_attribute:
        yield replace(rule, nodes=nodes, where=(), during=None)
        return
    for node in nodes:
        score = _points(known.get(node, {}).get(rule.score_attribute, ""))
        if score:
            plain = replace(rule, nodes=(node,), where=(), during=None)
            yield replace(plain, strength=score, score_attribute="")


def _fails(test: AttributeTest, known: Mapping[str, str]) -> bool:
    there = test.name in known
    if test.comparison in {"defined", "undefined"}:
        return there is (test.comparison == "undefined")
    one = _weighed(known[test.name], test.reading) if there else None
    other = _weighed(test.value, test.reading)
    if one is None or other is None:
        return test.comparison != "!="
    return not {
        "=": one == other,
        "!=": one != other,
        "<": one < other,
        "<=": one <= other,
        ">": one > other,
        ">=": one >= other,
    }[test.comparison]


def _weighed(text: str, reading: Reading) -> tuple[int | str | Fraction, ...] | None:
    """What a text weighs in a comparison; None if nothing."""
    if reading is Reading.TEXT:
        return (text,)
    if reading is Reading.VERSION:
        numbers = [int(digits) for digits in re.findall("[0-9]{1,40}", text)]
        if not numbers:
            return None
        while numbers and numbers[-1] == 0:
            numbers.pop()
        return tuple(numbers)
    found = re.fullmatch(r"([+-]?)([0-9]{0,40})\.?([0-9]{0,40})", text.strip())
    if found is None or not (found[2] or found[3]):
        return None
    size = Fraction(int(found[2] + found[3]), 10 ** len(found[3]))
    return (-size if found[1] == "-" else size,)


def _points(text: str) -> int:
    text = text.strip()
    if text.lstrip("+-") == "INFINITY" and len(text) <= len("+INFINITY"):
        return -_MOST if text[0] == "-" else _MOST
    whole = re.fullmatch(r"[+-]?[0-9]{1,40}", text)
    return min(max(int(text), -_MOST), _MOST) if whole else 0


def _is_time(during: During, utc_ms: Millis) -> bool:
    begin = utc_ms if during.from_ms is None else during.from_ms
    end = utc_ms + 1 if during.until_ms is None else during.until_ms
    if not begin <= utc_ms < end:
        return False
    ahead_s = [during.zone.offset_s, *(s for at, s in during.zone.changes if at <= utc_ms)][-1]
    since_ms = min(max(utc_ms + ahead_s * 1000, 0), _LAST_MS)
    clock = _START + timedelta(milliseconds=since_ms)
    minute = clock.hour * 60 + clock.minute
    for start, end_minute in during.hours or ((0, _DAY),):
        length = (end_minute - start) % _DAY or _DAY
        if (minute - start) % _DAY < length:
            # Minutes before the start are those of a span that began the day before.
            began = clock if minute >= start else clock - timedelta(days=1)
            if _is_day(during, began):
                return True
    return False


def _is_day(during: During, day: datetime) -> bool:
    asked = (
        (during.months, day.month),
        (during.days, day.day),
        (during.weekdays, day.weekday() + 1),
    )
    return all(not wanted or found in wanted for wanted, found in asked)
