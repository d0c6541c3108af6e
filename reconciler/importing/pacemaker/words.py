"""How Pacemaker writes truth, scores, durations and roles.

Each function reads one kind of text as Pacemaker's own library does: without regard to case, passing over
what trails a number, and falling back where it falls back. None of them ever fails.
"""

import re
from typing import Final

from reconciler.model.ids import Millis

INFINITY: Final = 1_000_000

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DURATION_MAX_MS: Final = 366 * 86_400_000

_TRUE = frozenset({"true", "on", "yes", "y", "1"})
_FALSE = frozenset({"false", "off", "no", "n", "0"})
_UNITS_US: Final = (
    ("ms", 1_000),
    ("us", 1),
    ("s", 1_000_000),
    ("m", 60_000_000),
    ("h", 3_600_000_000),
)
"""Units by how they begin; the first that fits counts."""
_ROLES: Final = {
    "started": "started",
    "stopped": "stopped",
    "master": "promoted",
    "promoted": "promoted",
    "slave": "unpromoted",
    "unpromoted": "unpromoted",
}
_ISO_PART = re.compile(r"T|(?P<amount>[0-9]{1,12})(?P<unit>[YMWDHS])")
_ISO_UNITS_S: Final = {
    "Y": 365 * 86_400,
    "M": 30 * 86_400,
    "W": 7 * 86_400,
    "D": 86_400,
    "H": 3_600,
    "S": 1,
}
_ISO_MINUTE_S: Final = 60


def truth(text: str, *, default: bool) -> bool:
    """A truth value; what is neither true nor false is the default."""
    word = text.strip().lower()
    if word in _TRUE:
        return True
    return False if word in _FALSE else default


def score(text: str, default: int = 0) -> int:
    """A score between -INFINITY and INFINITY, which is one million."""
    word = text.strip()
    match word.lower():
        case "infinity" | "+infinity":
            return INFINITY
        case "-infinity" | "red":
            return -INFINITY
        case "yellow" | "green":
            return 0
    return max(-INFINITY, min(INFINITY, integer(word, default)))


def integer(text: str, default: int = 0) -> int:
    """The whole number at the beginning of a text."""
    found = re.match(r"\s*([+-]?[0-9]{1,18})", text)
    return int(found[1]) if found else default


def duration_ms(text: str, default_ms: int = 0) -> Millis:
    """A duration: a number with a unit (seconds without one), or ISO 8601."""
    word = text.strip()
    if word.startswith("P"):
        return Millis(_iso_s(word[1:]) * 1000)
    found = re.match(r"([0-9]{1,15})[0-9.]*\s*(.*)", word.lower())
    if found is None:
        return Millis(default_ms)
    unit_us = next((size for unit, size in _UNITS_US if (found[2] or "s").startswith(unit)), None)
    return Millis(default_ms if unit_us is None else int(found[1]) * unit_us // 1000)


def _iso_s(text: str) -> int:
    """The seconds of an ISO 8601 duration: `T` tells minutes from months, and is not needed otherwise."""
    total_s, place, timed = 0, 0, False
    while place < len(text):
        part = _ISO_PART.match(text, place)
        if part is None:
            return 0
        if part["unit"] is None:
            timed = True
        else:
            minutes = timed and part["unit"] == "M"
            total_s += int(part["amount"]) * (
                _ISO_MINUTE_S if minutes else _ISO_UNITS_S[part["unit"]]
            )
        place = part.end()
    return total_s


def role(text: str) -> str:
    """A role by its present name (`promoted` for `Master`); empty for any other text."""
    return _ROLES.get(text.strip().lower(), "")


def is_name(text: str) -> bool:
    """Whether a text can be the name of a node, a service and so on here."""
    return _NAME.fullmatch(text) is not None


def written_duration(span_ms: int) -> str:
    """A duration as it stands in the file, in the largest unit that it is whole in."""
    span_ms = min(max(1, span_ms), _DURATION_MAX_MS)
    units = (("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1))
    unit, size = next((unit, size) for unit, size in units if span_ms % size == 0)
    return f"{span_ms // size}{unit}"
