"""When and where a location counts: what is asked of a node's attributes, and of the time.

Values only, each of which says exactly when it holds; `core.conditions` judges them. Names of months,
zones and comparisons are read by `config`; nothing here knows YAML, or what time it is.
"""

from dataclasses import dataclass
from enum import StrEnum

from reconciler.model.ids import Millis

Span = tuple[int, int]
"""Minutes of the day: from the first on, and before the second. Not before it: through midnight."""


class Comparison(StrEnum):
    """What is asked of the value of an attribute."""

    EQUAL = "="
    UNEQUAL = "!="
    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="
    DEFINED = "defined"
    UNDEFINED = "undefined"


class Reading(StrEnum):
    """What the two sides of a comparison are taken for."""

    TEXT = "text"
    """Character by character."""
    NUMBER = "number"
    VERSION = "version"
    """The numbers in a text, one after the other: 6.10 is more than 6.9, and 1.0 equals 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeTest:
    """One question about an attribute of a node.

    Law: a value that is not there, or is no number or version where such are compared, equals nothing, and
    is neither less nor more than anything. Nothing that an agent may say makes a test fail to answer.
    """

    name: str
    comparison: Comparison = Comparison.EQUAL
    value: str = ""
    reading: Reading = Reading.TEXT

    def __str__(self) -> str:
        if self.comparison in {Comparison.DEFINED, Comparison.UNDEFINED}:
            return f"{self.name} is {self.comparison}"
        return f"{self.name} {self.comparison} {self.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """How the clocks of a place differ from UTC."""

    name: str = "UTC"
    offset_s: int = 0
    """Before the first of `changes`; ahead of UTC is positive."""
    changes: tuple[tuple[Millis, int], ...] = ()
    """Each instant at which the clocks change, and how far ahead of UTC they are from then on; sorted."""


UTC = Zone()


@dataclass(frozen=True, slots=True, kw_only=True)
class During:
    """A time that comes once, or again and again. What is empty does not matter; all else must hold."""

    from_ms: Millis | None = None
    until_ms: Millis | None = None
    """The first instant at which it is over."""
    months: tuple[int, ...] = ()
    """1 to 12, sorted."""
    days: tuple[int, ...] = ()
    """Days of the month, 1 to 31, sorted."""
    weekdays: tuple[int, ...] = ()
    """1 (Monday) to 7, sorted."""
    hours: tuple[Span, ...] = ()
    """One through midnight belongs to the day on which it begins."""
    zone: Zone = UTC
    """Whose clocks tell days and hours."""
