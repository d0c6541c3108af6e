"""Which locations count now, and on which nodes: rules on attributes and on time, resolved into plain ones.

A location that asks about attributes keeps those of its nodes that pass; one whose time it is not says
nothing; one that takes its score from an attribute becomes one location for each score. What comes out
is an intent without any question left, which the planner reads like any other.

Times of decisions count from a boot; `Observed.clock_ahead_ms` turns them into UTC, which all of `During` is.

Law: the same intent, facts and time give the same locations; between `now_ms` and `wake_at_ms` no
location begins or ends by time. Attributes are those that agents report, and labels where none does.
Hours are those on the clock of the zone: one that the clock skips does not come, one that it repeats
comes twice.
"""

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from itertools import zip_longest
from operator import itemgetter
from typing import Final

from reconciler.model.conditions import AttributeTest, Comparison, During, Reading, Zone
from reconciler.model.ids import Millis, NodeName
from reconciler.model.intent import Intent, Location
from reconciler.model.observed import Observed

Attributes = Mapping[NodeName, Mapping[str, str]]
"""What is known of each node: its labels, and over them what its agents say."""

LOOK_AHEAD_DAYS: Final = 32
"""How far the next change is looked for; if it is further, the answer is to look again then."""
SCORE_MAX: Final = 1_000_000

_MINUTE_MS: Final = 60_000
_DAY_MS: Final = 86_400_000
_CALENDAR_MS: Final = 100_000_000_000_000
"""Times from 1970 to the year 5138 have a date; others, which no clock shows, count as the nearest such."""
_EPOCH: Final = date(1970, 1, 1).toordinal()
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})", re.ASCII)
_PART = re.compile(r"[0-9]{1,40}", re.ASCII)
_SIGNS = {
    Comparison.EQUAL: (0,),
    Comparison.UNEQUAL: (-1, 1),
    Comparison.LESS: (-1,),
    Comparison.AT_MOST: (-1, 0),
    Comparison.MORE: (1,),
    Comparison.AT_LEAST: (0, 1),
}
"""How the value may stand to what it is compared with."""
_INFINITE = {"INFINITY": SCORE_MAX, "+INFINITY": SCORE_MAX, "-INFINITY": -SCORE_MAX}

_REMEMBERED_MAX: Final = 8
_remembered: dict[int, tuple[Intent, Intent]] = {}
"""By identity the last intents asked about, which are frozen, and what came out."""


def in_force(intent: Intent, observed: Observed, now_ms: Millis) -> Intent:
    """The intent with each location as it counts now; itself, where none depends on facts or time.

    While the outcome stays the same it is the same object, so that what was worked out from it is kept.
    """
    if not any(location.conditional for location in intent.locations):
        return intent
    attributes = attributes_of(intent, observed)
    utc_ms = Millis(now_ms + observed.clock_ahead_ms)
    counted = (narrowed(location, attributes, utc_ms) for location in intent.locations)
    locations = tuple(one for found in counted for one in found)
    known = _remembered.get(id(intent))
    if known is not None and known[0] is intent and known[1].locations == locations:
        return known[1]
    if len(_remembered) >= _REMEMBERED_MAX:
        _remembered.pop(next(iter(_remembered)), None)
    outcome = replace(intent, locations=locations)
    _remembered[id(intent)] = intent, outcome
    return outcome


def wake_at_ms(intent: Intent, observed: Observed, now_ms: Millis) -> Millis | None:
    """When time alone may next change what `in_force` says; None: never."""
    times = {location.during for location in intent.locations if location.during is not None}
    ahead_ms = observed.clock_ahead_ms
    ends = (next_change_ms(during, Millis(now_ms + ahead_ms)) for during in times)
    first_ms = min((end for end in ends if end is not None), default=None)
    return None if first_ms is None else Millis(first_ms - ahead_ms)


def turned(intent: Intent, before: Observed, now: Observed) -> tuple[str, ...]:
    """Say in words which locations count now and did not before, or the other way round."""
    before_ms = Millis(before.taken_at_ms + before.clock_ahead_ms)
    now_ms = Millis(now.taken_at_ms + now.clock_ahead_ms)
    lines = []
    for rule in intent.locations:
        counts = rule.during is None or holds(rule.during, now_ms)
        if rule.during is not None and counts != holds(rule.during, before_ms):
            place = f" ({rule.origin})" if rule.origin else ""
            word = "its time has come" if counts else "its time is over"
            lines.append(f'location of "{rule.service}"{place}: {word}')
    return tuple(lines)


def attributes_of(intent: Intent, observed: Observed) -> Attributes:
    """Labels of each node, and over them what its agents say."""
    known: dict[NodeName, Mapping[str, str]] = {
        node.name: dict(node.labels) for node in intent.nodes
    }
    for state in observed.nodes:
        if state.attributes:
            known[state.name] = {**known.get(state.name, {}), **dict(state.attributes)}
    return known


def narrowed(location: Location, attributes: Attributes, utc_ms: Millis) -> tuple[Location, ...]:
    """A location as it counts now: none, itself with fewer nodes, or one for each score."""
    if location.during is not None and not holds(location.during, utc_ms):
        return ()
    nodes = chosen_nodes(location, attributes)
    if not location.score_attribute:
        return (location if nodes == location.nodes else replace(location, nodes=nodes),)
    scored: dict[int, list[NodeName]] = defaultdict(list)
    for node in nodes:
        scored[score_on(location, attributes.get(node, {}))].append(node)
    return tuple(
        replace(location, nodes=tuple(scored[score]), strength=score, score_attribute="")
        for score in sorted(scored)
        if score
    )


def asked(location: Location) -> str:
    """What a location asks of its nodes, as words that follow their names; empty, if nothing."""
    tests = " and ".join(map(str, location.where))
    return f" (where {tests})" if tests else ""


# Attributes ------------------------------------------------------------------------------------------


def chosen_nodes(location: Location, attributes: Attributes) -> tuple[NodeName, ...]:
    """The nodes of a location that pass every test of it."""
    if not location.where:
        return location.nodes
    return tuple(
        node
        for node in location.nodes
        if all(passes(test, attributes.get(node, {}).get(test.name)) for test in location.where)
    )


def score_on(location: Location, known: Mapping[str, str]) -> int:
    """What a node's own attribute adds to its score; nothing, where that is no whole number."""
    text = known.get(location.score_attribute, "").strip()
    if text in _INFINITE:
        return _INFINITE[text]
    if not _NUMBER.fullmatch(text) or "." in text:
        return 0
    return max(-SCORE_MAX, min(SCORE_MAX, int(text)))


def passes(test: AttributeTest, value: str | None) -> bool:
    """Whether what is known of an attribute (None: nothing) is what a test asks for."""
    match test.comparison:
        case Comparison.DEFINED:
            return value is not None
        case Comparison.UNDEFINED:
            return value is None
    sign = None if value is None else _order(value, test.value, test.reading)
    if sign is None:
        return test.comparison is Comparison.UNEQUAL
    return sign in _SIGNS[test.comparison]


def is_readable(text: str, reading: Reading) -> bool:
    """Whether a text can be compared in this way at all."""
    match reading:
        case Reading.TEXT:
            return True
        case Reading.NUMBER:
            return _NUMBER.fullmatch(text.strip()) is not None
        case Reading.VERSION:
            return _PART.search(text) is not None


def _order(one: str, other: str, reading: Reading) -> int | None:
    """-1, 0 or 1; None where one of the two cannot be read in this way."""
    if not is_readable(one, reading) or not is_readable(other, reading):
        return None
    match reading:
        case Reading.TEXT:
            return (one > other) - (one < other)
        case Reading.NUMBER:
            first, second = Decimal(one.strip()), Decimal(other.strip())
            return (first > second) - (first < second)
        case Reading.VERSION:
            pairs = zip_longest(_parts(one), _parts(other), fillvalue=0)
            return next(((a > b) - (a < b) for a, b in pairs if a != b), 0)


def _parts(text: str) -> list[int]:
    return [int(part) for part in _PART.findall(text)]


# Time ------------------------------------------------------------------------------------------------


def holds(during: During, utc_ms: Millis) -> bool:
    """Whether it is that time."""
    if during.from_ms is not None and utc_ms < during.from_ms:
        return False
    if during.until_ms is not None and utc_ms >= during.until_ms:
        return False
    clock_ms = utc_ms + _ahead_ms(during.zone, utc_ms)
    day, rest_ms = divmod(min(max(clock_ms, 0), _CALENDAR_MS), _DAY_MS)
    if not during.hours:
        return _on_day(during, day)
    minute = rest_ms // _MINUTE_MS
    return any(_in_span(during, span, day, minute) for span in during.hours)


def next_change_ms(during: During, utc_ms: Millis) -> Millis | None:
    """When to look again: it holds, or does not, without a break until then. None: for ever.

    Shape: S hours cost at most 32 S^2.
    """
    if during.until_ms is not None and utc_ms >= during.until_ms:
        return None
    if during.from_ms is not None and utc_ms < during.from_ms:
        return during.from_ms
    if not (during.months or during.days or during.weekdays or during.hours):
        return during.until_ms
    holds_now, found = holds(during, utc_ms), utc_ms
    for at_ms in _edges(during, utc_ms):
        found = at_ms
        if holds(during, at_ms) is not holds_now:
            break
    return found if during.until_ms is None else min(found, during.until_ms)


def _ahead_ms(zone: Zone, utc_ms: Millis) -> int:
    """How far the clocks of a zone are ahead of UTC."""
    number = bisect_right(zone.changes, utc_ms, key=itemgetter(0))
    return 1000 * (zone.changes[number - 1][1] if number else zone.offset_s)


def _on_day(during: During, day: int) -> bool:
    """Whether a day, counted from the first of 1970, is one of those that are meant."""
    if not (during.months or during.days or during.weekdays):
        return True
    found = date.fromordinal(_EPOCH + day)
    return (
        (not during.months or found.month in during.months)
        and (not during.days or found.day in during.days)
        and (not during.weekdays or found.isoweekday() in during.weekdays)
    )


def _in_span(during: During, span: tuple[int, int], day: int, minute: int) -> bool:
    start, end = span
    if start < end:
        return start <= minute < end and _on_day(during, day)
    if minute >= start:
        return _on_day(during, day)
    return minute < end and _on_day(during, day - 1)


def _edges(during: During, utc_ms: Millis) -> Iterator[Millis]:
    """Every instant ahead at which it may begin or end, in order, and last how far it was looked."""
    last_ms = utc_ms + LOOK_AHEAD_DAYS * _DAY_MS
    minutes = sorted({0, *(minute % 1440 for span in during.hours for minute in span)})
    turns = [at for at, _ in during.zone.changes if utc_ms < at < last_ms]
    for begin, end in _stretches(utc_ms, turns, last_ms):
        ahead_ms = _ahead_ms(during.zone, Millis(begin))
        first, last = (begin + ahead_ms) // _DAY_MS, (end + ahead_ms) // _DAY_MS
        for day in range(first, last + 1):
            for minute in minutes:
                at_ms = day * _DAY_MS + minute * _MINUTE_MS - ahead_ms
                if begin < at_ms < end:
                    yield Millis(at_ms)
        yield Millis(end)


def _stretches(begin: int, turns: Iterable[int], end: int) -> Iterator[tuple[int, int]]:
    """The time from `begin` to `end`, cut where the clocks change."""
    for turn in turns:
        yield begin, turn
        begin = turn
    yield begin, end
