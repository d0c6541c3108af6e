"""Time zones by name, read from this machine's database into plain values when an intent is loaded.

The planner must not read files, and must decide the same wherever it runs; so an intent carries the
changes of its zones' clocks with it, from 2020 to 2060. After that the last one stays in force.
"""

import re
from collections.abc import Iterator
from datetime import UTC as UNIVERSAL
from datetime import datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final

from reconciler.config.problems import did_you_mean
from reconciler.config.values import read_text, wrong
from reconciler.config.yaml_tree import quoted
from reconciler.model.conditions import UTC, Zone
from reconciler.model.ids import Millis

FIRST: Final = datetime(2020, 1, 1, tzinfo=UNIVERSAL)
LAST: Final = datetime(2060, 1, 1, tzinfo=UNIVERSAL)

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]{0,31}(?:/[A-Za-z0-9_+-]{1,31}){0,2}")
_OF_A_MACHINE = re.compile(r"localtime|posixrules|(?:posix|right)/.*")
"""Files beside the zones that mean another thing on another machine, or count leap seconds."""
_STRIDE: Final = timedelta(days=7)
"""No zone changes its clocks forth and back within a week."""


def read_zone(value: object) -> Zone:
    """A time zone by its name, such as Europe/Berlin."""
    name = read_text(value)
    zone = _looked_up(name)
    if zone is None:
        from zoneinfo import available_timezones

        known = (each for each in available_timezones() if not _OF_A_MACHINE.fullmatch(each))
        raise wrong(
            f"{quoted(name)} is not a time zone that this machine knows (package `tzdata`). Write UTC, or a "
            f"name such as Europe/Berlin.{did_you_mean(name, known)}"
        )
    return zone


@lru_cache(maxsize=64)
def _looked_up(name: str) -> Zone | None:
    if name == UTC.name:
        return UTC
    if not _NAME.fullmatch(name) or _OF_A_MACHINE.fullmatch(name):
        return None
    from zoneinfo import ZoneInfo  # few clusters name a zone, and every command would wait for it

    try:
        place = ZoneInfo(name)
    except (OSError, ValueError, LookupError):  # no such file, a folder, or no zone in it
        return None
    return Zone(name=name, offset_s=_ahead_s(FIRST, place), changes=tuple(_changes(place)))


def _changes(place: tzinfo) -> Iterator[tuple[Millis, int]]:
    """Each instant at which the clocks of a zone change, by halving the week in which they do."""
    start = FIRST
    while start < LAST:
        end = start + _STRIDE
        if _ahead_s(start, place) != _ahead_s(end, place):
            before, after = int(start.timestamp()), int(end.timestamp())
            old = _ahead_s(start, place)
            while after - before > 1:
                middle = (before + after) // 2
                at = datetime.fromtimestamp(middle, UNIVERSAL)
                before, after = (middle, after) if _ahead_s(at, place) == old else (before, middle)
            yield Millis(after * 1000), _ahead_s(end, place)
        start = end


def _ahead_s(at: datetime, place: tzinfo) -> int:
    ahead = at.astimezone(place).utcoffset()
    return 0 if ahead is None else int(ahead.total_seconds())
