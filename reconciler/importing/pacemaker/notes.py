"""What an import has to say: the closed list of codes, and the collector of diagnostics.

Three kinds of sayings, never mixed: the file is not a CIB; something in it cannot be carried over, which
stops the import unless it is to be partial; and something was carried over otherwise than it was written,
or left out because Pacemaker ignores it too.
"""

from typing import Final

from reconciler.model.diagnostic import Diagnostic, Severity
from reconciler.model.intent import Origin

HEADLINE: Final = "Imported from a Pacemaker cluster."
"""The first line of every file that an import writes, as a comment."""

SUMMARIES: Final[dict[str, str]] = {
    "R070": "Not a CIB",
    "R071": "Cannot be imported (unsupported)",
    "R072": "Not carried over",
    "R073": "Carried over in another form",
    "R074": "Ignored, as Pacemaker does",
}

WARNINGS: Final = frozenset({"R072", "R073", "R074"})


def diagnostic(code: str, detail: str, origin: Origin | None = None) -> Diagnostic:
    """One diagnostic; its severity follows from the code."""
    severity = Severity.WARNING if code in WARNINGS else Severity.ERROR
    return Diagnostic(
        code=code, summary=SUMMARIES[code], detail=detail, severity=severity, origin=origin
    )


class Notes:
    """Collects diagnostics in any order and gives them back, each once, sorted by place."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, Origin | None], Diagnostic] = {}

    def unsupported(self, detail: str, origin: Origin) -> None:
        """Note what cannot be imported at all."""
        self._add("R071", detail, origin)

    def left_out(self, detail: str, origin: Origin) -> None:
        """Note what has no counterpart, and does not change what runs where."""
        self._add("R072", detail, origin)

    def changed(self, detail: str, origin: Origin) -> None:
        """Note what is written otherwise than the CIB had it."""
        self._add("R073", detail, origin)

    def ignored(self, detail: str, origin: Origin) -> None:
        """Note a mistake in the CIB that Pacemaker passes over."""
        self._add("R074", detail, origin)

    def sorted(self) -> tuple[Diagnostic, ...]:
        """All of them, by line."""
        return tuple(
            sorted(
                self._found.values(),
                key=lambda found: (found.origin.line if found.origin else 0, found.code),
            )
        )

    def _add(self, code: str, detail: str, origin: Origin) -> None:
        self._found[code, detail, origin] = diagnostic(code, detail, origin)
