"""What a command says, and where: text to standard output, trouble to standard error, one status.

Whether there are colours and how wide a line may be is decided here and nowhere else: colours only on a
terminal, never under NO_COLOR, and a pipe gets whole lines. `told` turns every kind of trouble
into one message and one status; operators never see a traceback for a mistake of theirs.
"""

import os
import sys
from collections.abc import Iterable
from typing import TextIO

from reconciler.cli.exit_codes import ExitCode
from reconciler.model.errors import BrokenLaw, ReconcilerError, Stale
from reconciler.render.ink import PLAIN_LETTERS, Line, Span, Tone, clean, line, paint

_WIDTH_MAX = 120


class Trouble(Exception):  # noqa: N818 - it names what happened
    """Ends a command with a message for the operator and a status. `detail` says what to do."""

    def __init__(self, message: str, *, detail: str = "", code: ExitCode = ExitCode.ERROR) -> None:
        super().__init__(message)
        self.detail = detail
        self.code = code


class AlreadySaid(Trouble):
    """Ends a command whose trouble has been printed in full."""

    def __init__(self, code: ExitCode = ExitCode.ERROR) -> None:
        super().__init__("", code=code)


def is_terminal(stream: TextIO) -> bool:
    """Whether a person reads this stream."""
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def in_colour(stream: TextIO) -> bool:
    """Whether to colour what goes to this stream (https://no-color.org)."""
    return (
        is_terminal(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    )


def width(stream: TextIO) -> int | None:
    """How wide a line may be; None for a pipe, whose lines stay whole."""
    if not is_terminal(stream):
        return None
    import shutil

    return min(shutil.get_terminal_size().columns, _WIDTH_MAX)


def drawn(lines: Iterable[Line], stream: TextIO) -> str:
    """Lines as this stream can take them."""
    text = paint(lines, colour=in_colour(stream), width=width(stream))
    return fitting(text, stream)


def fitting(text: str, stream: TextIO) -> str:
    """Text in letters that this stream's encoding has."""
    encoding = stream.encoding or "ascii"
    if encoding.lower().replace("-", "") == "utf8":
        return text
    return text.translate(PLAIN_LETTERS).encode(encoding, "replace").decode(encoding)


def say(lines: Iterable[Line]) -> None:
    """Print lines to standard output."""
    sys.stdout.write(drawn(lines, sys.stdout))


def say_text(text: str) -> None:
    """Print finished text (JSON, SVG, Markdown) to standard output."""
    sys.stdout.write(fitting(text, sys.stdout))


def note(message: str) -> None:
    """Tell the operator something beside the output proper."""
    sys.stderr.write(drawn([line(body=message, tone=Tone.FAINT)], sys.stderr))


def complain(message: str, detail: str = "") -> None:
    """Print one clear message to standard error."""
    lines = [line(Span("reconcile: ", Tone.LOUD_BAD), body=message)]
    lines += [line("  ", part.rstrip()) for part in detail.splitlines() if part.strip()]
    sys.stderr.write(drawn(lines, sys.stderr))


def told(trouble: Exception) -> ExitCode:
    """Tell the operator of any trouble in one message, and say which status it ends with."""
    match trouble:
        case AlreadySaid():
            return trouble.code
        case Trouble():
            complain(str(trouble), trouble.detail)
            return trouble.code
        case Stale():
            complain(f"stale: {trouble}", "\n".join(trouble.changes))
            return ExitCode.STALE
        case BrokenLaw():
            complain(str(trouble))
        case ReconcilerError():
            complain(str(trouble))
        case OSError() if trouble.filename is not None:
            complain(f"{trouble.filename}: {trouble.strerror}")
        case OSError():
            complain(str(trouble))
        case _:
            _bug(trouble)
    return ExitCode.ERROR


def _bug(trouble: Exception) -> None:
    import traceback

    if os.environ.get("RECONCILE_DEBUG"):
        traceback.print_exception(trouble)
    frames = traceback.extract_tb(trouble.__traceback__)
    place = f" in {frames[-1].name}, line {frames[-1].lineno}" if frames else ""
    complain(
        f"{type(trouble).__name__}{place}: {clean(str(trouble))[:300]}",
        "This is a bug in reconciler. RECONCILE_DEBUG=1 shows where it happened.",
    )
