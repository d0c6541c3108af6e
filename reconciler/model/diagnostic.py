"""Diagnostics: operator mistakes as values, all of them at once, each with its place.

The summary is fixed text, so that it can be searched for; the detail says what, why and how to fix.
"""

from dataclasses import dataclass
from enum import StrEnum

from reconciler.model.intent import Origin


class Severity(StrEnum):
    """An error keeps an intent from being used; a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostic:
    """One problem in the operators' files."""

    code: str
    """`R001` and so on; docs/diagnostics.md lists them."""
    summary: str
    detail: str
    severity: Severity = Severity.ERROR
    origin: Origin | None = None

    def __str__(self) -> str:
        place = (
            f"{self.origin.path}:{self.origin.line}:{self.origin.column}: " if self.origin else ""
        )
        return f"{place}{self.severity}[{self.code}]: {self.summary}\n  {self.detail}"
