"""Lines of coloured text as values, and the one function that turns them into bytes for a terminal.

Renderers say what a word means (`Tone`), never which colour it has. What came from outside (a script's
last words, a path) may hold control characters: `paint` lets none of them through, so nothing that a
service prints can draw on an operator's screen. It knows nothing of files or terminals: whether to
colour and how wide is the caller's to say.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Tone(StrEnum):
    """What a piece of text means to the reader."""

    PLAIN = ""
    STRONG = "1"
    FAINT = "2"
    GOOD = "32"
    CHANGE = "33"
    BAD = "31"
    LOUD_BAD = "1;31"
    LOUD_GOOD = "1;32"
    NAME = "36"
    MOVE = "35"


@dataclass(frozen=True, slots=True)
class Span:
    """A run of text in one tone."""

    text: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line: `lead` stands as it is, `body` wraps below its own beginning when there is little room."""

    lead: tuple[Span, ...] = ()
    body: str = ""
    tone: Tone = Tone.PLAIN
    """Of the body."""


BLANK = Line()

PLAIN_LETTERS = str.maketrans(
    {"→": "->", "↑": "^", "↓": "v", "·": ".", "●": "*", "○": "o", "◐": "~", "…": "...", "─": "-",
     "│": "|", "├": "|", "└": "`", "✓": "+", "✗": "x", "≥": ">="}
)  # fmt: skip
"""For terminals and files that cannot take the letters we draw with."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_BODY_MIN = 28
_HANG = 8


def line(*spans: Span | str, body: str = "", tone: Tone = Tone.PLAIN) -> Line:
    """Make a line of spans and plain strings."""
    lead = tuple(part if isinstance(part, Span) else Span(part) for part in spans)
    return Line(lead=lead, body=body, tone=tone)


def clean(text: str) -> str:
    """One line of harmless text: white space becomes spaces, other control characters a middle dot."""
    return _CONTROL.sub("\N{MIDDLE DOT}", " ".join(text.split()))


def paint(lines: Iterable[Line], *, colour: bool, width: int | None) -> str:
    """Render lines, each ended by a newline.

    Shape: with a width, bodies wrap to it; without one (a pipe) every line stays whole, to be searched.
    """
    return "".join(
        text.rstrip() + "\n"
        for item in lines
        for text in _wrapped(item, colour=colour, width=width)
    )


def plain(lines: Iterable[Line]) -> str:
    """Render lines as for a pipe."""
    return paint(lines, colour=False, width=None)


def _wrapped(item: Line, *, colour: bool, width: int | None) -> list[str]:
    lead_text = "".join(_CONTROL.sub("\N{MIDDLE DOT}", span.text) for span in item.lead)
    lead = "".join(_toned(span.text, span.tone, colour=colour) for span in item.lead)
    body = clean(item.body)
    if not body:
        return [lead]
    if width is None or len(lead_text) + len(body) <= width:
        return [lead + _toned(body, item.tone, colour=colour)]
    import textwrap  # pipes never need it

    room = width - len(lead_text)
    if room >= _BODY_MIN or not lead_text.strip():
        first, *rest = textwrap.wrap(body, max(room, _BODY_MIN))
        hang = " " * len(lead_text)
        parts = [lead + _toned(first, item.tone, colour=colour)]
    else:
        rest = textwrap.wrap(body, max(width - _HANG, _BODY_MIN))
        hang = " " * _HANG
        parts = [lead]
    return parts + [hang + _toned(text, item.tone, colour=colour) for text in rest]


def _toned(text: str, tone: Tone, *, colour: bool) -> str:
    safe = _CONTROL.sub("\N{MIDDLE DOT}", text)
    return f"\x1b[{tone.value}m{safe}\x1b[0m" if colour and tone and safe.strip() else safe
