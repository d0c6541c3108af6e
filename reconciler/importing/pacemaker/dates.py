"""Date expressions of Pacemaker's rules, judged at one moment in UTC.

Dates are ISO 8601 in its calendar, ordinal and week forms. A date that cannot be read bounds nothing, and
an expression without any bound does not hold.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from reconciler.importing.pacemaker.document import Element
from reconciler.model.ids import Millis

_DATE = re.compile(
    r"(?P<year>[0-9]{4})"
    r"(?:-?W(?P<week>[0-9]{2})(?:-?(?P<weekday>[1-7]))?"
    r"|-(?P<month>[0-9]{1,2})-(?P<day>[0-9]{1,2})"
    r"|(?P<month2>[0-9]{2})(?P<day2>[0-9]{2})"
    r"|-?(?P<yearday>[0-9]{3}))"
    r"(?:[T ]+(?P<hour>[0-9]{1,2}):?(?P<minute>[0-9]{2})?:?(?P<second>[0-9]{2})?)?"
    r"\s*(?P<zone>Z|[+-][0-9]{1,2}:?(?:[0-9]{2})?)?"
)
_RANGE = re.compile(r"\s*([0-9]*)\s*(-?)\s*([0-9]*)\s*")
_FIELDS: Final[dict[str, Callable[[datetime], int]]] = {
    "seconds": lambda now: now.second,
    "minutes": lambda now: now.minute,
    "hours": lambda now: now.hour,
    "monthdays": lambda now: now.day,
    "weekdays": lambda now: now.isoweekday(),
    "yeardays": lambda now: now.timetuple().tm_yday,
    "months": lambda now: now.month,
    "weeks": lambda now: now.isocalendar().week,
    "years": lambda now: now.year,
    "weekyears": lambda now: now.isocalendar().year,
}


def holds(expression: Element, now_ms: Millis) -> bool:
    """Whether a `date_expression` holds at a moment."""
    now = datetime.fromtimestamp(now_ms // 1000, UTC)
    start, end = read(expression.get("start")), read(expression.get("end"))
    match expression.get("operation", default="in_range").lower():
        case "gt":
            return start is not None and now > start
        case "lt":
            return end is not None and now < end
        case "date_spec":
            spec = expression.first("date_spec")
            return spec is not None and _fits(spec, now)
        case _:
            duration = expression.first("duration")
            if end is None and start is not None and duration is not None:
                end = _later(start, duration)
            if start is None and end is None:
                return False
            return (start is None or start <= now) and (end is None or now <= end)


def read(text: str) -> datetime | None:
    """A date, with a time of day and a zone if it has them; None if it cannot be read."""
    found = _DATE.fullmatch(text.strip())
    if found is None:
        return None
    part = {
        name: int(value) for name, value in found.groupdict().items() if value and name != "zone"
    }
    try:
        return (
            _day(part)
            .replace(
                hour=part.get("hour", 0), minute=part.get("minute", 0), second=part.get("second", 0)
            )
            .replace(tzinfo=_zone(found["zone"]))
        )
    except (ValueError, OverflowError):
        return None


def _day(part: dict[str, int]) -> datetime:
    if "week" in part:
        return datetime.fromisocalendar(part["year"], part["week"], part.get("weekday", 1))
    if "yearday" in part:
        return datetime(part["year"], 1, 1, tzinfo=UTC) + timedelta(days=part["yearday"] - 1)
    month, day = part.get("month", part.get("month2", 1)), part.get("day", part.get("day2", 1))
    return datetime(part["year"], month, day, tzinfo=UTC)


def _zone(text: str | None) -> timezone:
    if not text or text == "Z":
        return UTC
    digits = text[1:].replace(":", "")
    hours, minutes = int(digits[:2]), int(digits[2:] or 0)
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if text[0] == "-" else offset)


def _fits(spec: Element, now: datetime) -> bool:
    return all(
        _in_range(spec.get(name), value(now)) for name, value in _FIELDS.items() if spec.get(name)
    )


def _in_range(text: str, value: int) -> bool:
    found = _RANGE.fullmatch(text)
    if found is None:
        return False
    low, dash, high = found.groups()
    if not dash:
        return bool(low) and value == int(low)
    return (not low or int(low) <= value) and (not high or value <= int(high))


def _later(start: datetime, duration: Element) -> datetime | None:
    def amount(name: str) -> int:
        found = re.match(r"\s*[0-9]{1,9}", duration.get(name))
        return int(found[0]) if found else 0

    months = start.month - 1 + amount("months")
    year, month = start.year + amount("years") + months // 12, months % 12 + 1
    try:
        moved = _clipped(start, year, month)
        return moved + timedelta(
            weeks=amount("weeks"),
            days=amount("days"),
            hours=amount("hours"),
            minutes=amount("minutes"),
            seconds=amount("seconds"),
        )
    except (ValueError, OverflowError):
        return None


def _clipped(start: datetime, year: int, month: int) -> datetime:
    """The same day of another month, or that month's last."""
    for day in range(start.day, start.day - 4, -1):
        try:
            return start.replace(year=year, month=month, day=day)
        except ValueError:
            continue
    raise ValueError(f"no such month: {year}-{month}")
