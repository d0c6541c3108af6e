"""The shape of the time at which a location counts: moments, and what comes again and again.

Every key must fit, and what is left out does not matter. Words become the model's numbers here; only
`from` and `until` wait for the zone, on whose clocks they are read.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from pydantic import Field, WithJsonSchema

from reconciler.config.reader import Reader
from reconciler.config.shapes import Maybe, Strict
from reconciler.config.values import read_text, shown, wrong
from reconciler.config.zones import read_zone
from reconciler.model.conditions import Span, Zone
from reconciler.model.ids import Millis

SPANS_MAX: Final = 24
MONTHS: Final = (
    *("jan", "feb", "mar", "apr", "may", "jun"),
    *("jul", "aug", "sep", "oct", "nov", "dec"),
)
WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_MOMENT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(Z|[+-][0-9]{2}:[0-9]{2})?)?"
)
_HOURS = re.compile(
    r"([01][0-9]|2[0-3]):([0-5][0-9])-(?:([01][0-9]|2[0-3]):([0-5][0-9])|(24):(00))"
)
_YEARS = range(2000, 2200)


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant as written: without an offset it waits for the zone."""

    clock: datetime
    """As on a wall; its own offset means nothing."""
    offset: timedelta | None = None

    def at_ms(self, zone: Zone) -> Millis:
        """The instant; without an offset of its own, when the zone's clocks show it for the first time.

        A moment that they skip is that of the change.
        """
        wall_ms = int(self.clock.timestamp()) * 1000
        if self.offset is not None:
            return Millis(wall_ms - int(self.offset.total_seconds()) * 1000)
        found_ms = wall_ms - zone.offset_s * 1000
        for changed_ms, ahead_s in zone.changes:
            if found_ms < changed_ms:
                break
            found_ms = max(wall_ms - ahead_s * 1000, changed_ms)
        return Millis(found_ms)


def _moment(value: object) -> Moment:
    text = read_text(value)
    found = _MOMENT.fullmatch(text)
    moment = _parsed(found) if found else None
    if moment is None:
        raise wrong(
            "A moment is a day of the years 2000 to 2199, alone (its beginning) or with a time: 2026-12-24, "
            f'"2026-12-24 18:00" or "2026-12-24T18:00+01:00", not {shown(text)}.'
        )
    return moment


def _parsed(found: re.Match[str]) -> Moment | None:
    """A moment of the right form; None for one that no calendar or clock has."""
    day, clock, offset = found.groups()
    try:
        shows = datetime.fromisoformat(f"{day}T{clock or '00:00'}+00:00")
        ahead = datetime.fromisoformat(f"{day}T00:00{offset}").utcoffset() if offset else None
    except ValueError:
        return None
    return Moment(shows, ahead) if shows.year in _YEARS else None


def _hours(value: object) -> tuple[Span, ...]:
    items = value if isinstance(value, list) else [value]
    if not 0 < len(items) <= SPANS_MAX:
        raise wrong(f"One to {SPANS_MAX} spans of hours are needed here, not {len(items)}.")
    return tuple(sorted({_span(item) for item in items}))


def _span(value: object) -> Span:
    found = _HOURS.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise wrong(
            f'Hours are written as "08:00-17:00" (from 08:00 on, and before 17:00), not {shown(value)}.'
        )
    start = int(found[1]) * 60 + int(found[2])
    end = int(found[3] or found[5]) * 60 + int(found[4] or found[6])
    if start == end:
        raise wrong(f'{shown(value)} begins when it ends. A whole day is "00:00-24:00".')
    return start, end


def _numbered(most: int, words: tuple[str, ...], example: str) -> Reader:
    """Names or numbers that go round, alone, as ranges, or as a list of such."""
    meanings = {word: number for number, word in enumerate(words, start=1)}
    if words != WEEKDAYS:  # of which some begin with Sunday
        meanings |= {str(number): number for number in range(1, most + 1)}

    def one(text: str, item: object) -> int:
        found = meanings.get(text.strip().lower())
        if found is None:
            raise wrong(f"{example}, not {shown(item)}.")
        return found

    def read(value: object) -> tuple[int, ...]:
        items = value if isinstance(value, list) else [value]
        if not 0 < len(items) <= most:
            raise wrong(f"{example}; one to {most} of them.")
        found: set[int] = set()
        for item in items:
            first, dash, last = read_text(item).partition("-")
            start = one(first, item)
            end = one(last, item) if dash else start
            found |= {
                (number - 1) % most + 1 for number in range(start, end + most * (end < start) + 1)
            }
        return tuple(sorted(found))

    return Reader(read)


def _several(item: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [item, {"type": "array", "items": item, "minItems": 1}]})


_WORDS = {"type": ["string", "integer"]}
MomentText = Annotated[
    Moment,
    Reader(_moment),
    WithJsonSchema({"type": "string", "pattern": f"^{_MOMENT.pattern}$"}),
]


class During(Strict):
    """The time at which a location counts; everything that is said must fit."""

    from_: Maybe[MomentText] = Field(
        default=None,
        alias="from",
        description='Not before this: 2026-12-24, or "2026-12-24 18:00".',
    )
    until: Maybe[MomentText] = Field(
        default=None, description="Not from this on: 2026-12-27 is over when that day begins."
    )
    months: Annotated[
        tuple[int, ...],
        _numbered(12, MONTHS, "Months are written as dec, nov-feb or 11"),
        _several(_WORDS),
    ] = Field(default=(), description="Months: dec, nov-feb, or a list.")
    days: Annotated[
        tuple[int, ...],
        _numbered(31, (), "Days of the month are written as 1, 1-7 or 28-3"),
        _several(_WORDS),
    ] = Field(default=(), description="Days of the month: 1, 1-7, or a list.")
    weekdays: Annotated[
        tuple[int, ...],
        _numbered(7, WEEKDAYS, "Weekdays are written as sat, mon-fri or fri-mon"),
        _several({"type": "string"}),
    ] = Field(default=(), description="Days of the week: sat, mon-fri, or a list.")
    hours: Annotated[
        tuple[Span, ...],
        Reader(_hours),
        _several({"type": "string", "pattern": f"^{_HOURS.pattern}$"}),
    ] = Field(
        default=(),
        description='Hours: "08:00-17:00", or a list. "22:00-06:00" belongs to the day on which it begins.',
    )
    zone: Maybe[Annotated[Zone, Reader(read_zone), WithJsonSchema({"type": "string"})]] = Field(
        default=None, description="Whose clocks tell all this: Europe/Berlin. Default UTC."
    )
