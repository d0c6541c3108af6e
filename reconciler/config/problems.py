"""Operators' mistakes: the closed list of codes, and the collector that gives each its place.

A summary is fixed text, so that it can be searched for; docs/diagnostics.md says of each what causes it
and how it is put right. Every check reports here and goes on: the operator sees all problems at once.
"""

from collections.abc import Collection, Iterable
from typing import Final

from reconciler.config.yaml_tree import quoted
from reconciler.model.diagnostic import Diagnostic, Severity
from reconciler.model.intent import Origin

SUMMARIES: Final[dict[str, str]] = {
    # Files
    "R001": "File cannot be read",
    "R002": "Over a limit of size",
    "R003": "Not valid YAML",
    "R004": "YAML feature that is not accepted",
    "R005": "Key written twice",
    # Form
    "R010": "Unknown key",
    "R011": "Key is missing",
    "R012": "Wrong kind of value",
    "R013": "Value is not accepted",
    "R014": "Invalid name",
    "R015": "Unsupported version",
    "R016": "Defined in two files",
    "R017": "Not exactly one kind",
    "R018": "Setting does not fit the kind",
    "R019": "Command is not accepted",
    # Names
    "R020": "Unknown node",
    "R021": "Unknown service or group",
    "R022": "Unknown template",
    "R023": "No node has this label",
    "R024": "Name used twice",
    "R025": "Service in two groups",
    "R026": "Address used twice",
    "R027": "Same thing twice in a constraint",
    "R028": "Role of a service without roles",
    "R029": "Unknown fence device",
    # Contradictions
    "R030": "Orderings form a cycle",
    "R031": "Required together and apart",
    "R032": "No eligible node",
    "R033": "Demand larger than every node",
    "R034": "More promoted copies than replicas",
    "R035": "Members of a group differ in replicas",
    "R036": "Fewer eligible nodes than replicas",
    "R037": "Minimum larger than replicas",
    "R038": "Failure cannot lead to this",
    # Safety
    "R040": "Exclusive service without fencing",
    "R041": "Split brain accepted without need",
    "R042": "Best-effort service required to run with an exclusive one",
    "R043": "Heartbeat limits contradict each other",
    "R044": "Fence asked for without fencing",
    "R045": "Fencing level given twice",
    "R046": "Device of a level does not reach its node",
    # Doubtful, but usable
    "R050": "Template is not used",
    "R051": "Demand that no node limits",
    "R052": "Setting without effect",
}

WARNINGS: Final = frozenset(
    {"R031", "R032", "R033", "R034", "R036", "R037", "R041", "R046", "R050", "R051", "R052"}
)
"""What never endangers anything: at worst something does not run, and the plan says why."""


_COMPARED_MAX: Final = 50_000


class Problems:
    """Collects diagnostics in any order and gives them back sorted by place."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, Origin | None], Diagnostic] = {}
        self._compared = 0

    def add(
        self, code: str, detail: str, origin: Origin | None = None, *, harmless: bool = False
    ) -> None:
        """Note one problem; the same one at the same place is noted once.

        `harmless` makes a warning of what is an error elsewhere.
        """
        severity = Severity.WARNING if harmless or code in WARNINGS else Severity.ERROR
        self._found[code, detail, origin] = Diagnostic(
            code=code, summary=SUMMARIES[code], detail=detail, severity=severity, origin=origin
        )

    def did_you_mean(self, name: str, known: Collection[str]) -> str:
        """What `did_you_mean` says, as long as the names compared are not too many: that takes time."""
        self._compared += len(known)
        return did_you_mean(name, known) if self._compared <= _COMPARED_MAX else ""

    @property
    def errors(self) -> bool:
        """Whether anything found keeps the intent from being used."""
        return any(found.severity is Severity.ERROR for found in self._found.values())

    def sorted(self) -> tuple[Diagnostic, ...]:
        """All of them, by file, line and column."""
        return tuple(sorted(self._found.values(), key=_by_place))


def _by_place(found: Diagnostic) -> tuple[str, int, int, str, str]:
    place = found.origin or Origin(path="", line=0)
    return place.path, place.line, place.column, found.code, found.detail


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` Did you mean "alpha"?` when something known is spelled much like it, else nothing."""
    import difflib  # most files have no mistake

    close = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    return f" Did you mean {quoted(close[0])}?" if close else ""


def listed(names: Iterable[str], most: int = 5) -> str:
    """Names in a sentence: `"a", "b" and 3 more`."""
    every = [quoted(name) for name in names]
    if len(every) > most:
        return f"{', '.join(every[:most])} and {len(every) - most} more"
    return " and ".join([", ".join(every[:-1]), every[-1]] if len(every) > 1 else every)
