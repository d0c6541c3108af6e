"""A part of the screen that is redrawn in place; in a pipe, lines one after the other.

The library that draws is imported only where there is a terminal to draw on.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from reconciler.cli.terminal import drawn, fitting, is_terminal
from reconciler.render.ink import Line

if TYPE_CHECKING:
    from rich.live import Live


class Screen:
    """Shows the latest lines."""

    def __init__(self, stream: TextIO, live: "Live | None") -> None:
        self._stream = stream
        self._live = live

    def show(self, lines: list[Line], *, otherwise: str | None = None) -> None:
        """Replace what is shown; in a pipe print `otherwise`, or the lines if there is nothing else."""
        if self._live is not None:
            from rich.text import Text

            self._live.update(Text.from_ansi(drawn(lines, self._stream)), refresh=True)
            return
        text = drawn(lines, self._stream) if otherwise is None else f"{otherwise}\n"
        self._stream.write(fitting(text, self._stream))
        self._stream.flush()


@contextmanager
def watched(stream: TextIO, *, whole: bool = False) -> Iterator[Screen]:
    """Take over a part of the terminal, or `whole`, until the end of the `with`."""
    if not is_terminal(stream):
        yield Screen(stream, None)
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(file=stream, highlight=False)
    with Live(console=console, screen=whole, auto_refresh=False, vertical_overflow="crop") as live:
        yield Screen(stream, live)
