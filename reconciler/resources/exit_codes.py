"""What exit codes mean, as literal tables: one for OCF agents, one for the status of a script.

Law (B25): a code that is not in a table, a signal, a deadline and a program that never ran are all UNKNOWN.
Nothing but the code defined for it ever reads as stopped.
Source: OCF resource agent API 1.1; LSB 5, "Init Script Actions"; capabilities G9.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import assert_never

from reconciler.model.operation import Verdict
from reconciler.resources.runner import Ending, Exited, Killed, NotBegun, TimedOut

OCF_LOOK: Mapping[int, Verdict] = MappingProxyType(
    {
        0: Verdict.RUNNING,
        1: Verdict.FAILED,
        2: Verdict.FAILED,
        3: Verdict.FAILED,
        4: Verdict.FAILED,
        5: Verdict.STOPPED,  # not installed, so not running here; no proof of a stop, see `OCF_DEFINITE`
        6: Verdict.FAILED,
        7: Verdict.STOPPED,
        8: Verdict.PROMOTED,
        9: Verdict.FAILED,
        190: Verdict.RUNNING,
        191: Verdict.PROMOTED,
    }
)
"""What an OCF agent's `monitor` saw."""

OCF_DEFINITE = frozenset({2, 3, 4, 5, 6})
"""OCF failures that another try on the same node cannot change."""

OCF_FATAL = frozenset({6})
"""OCF failures that no other node can change: the settings themselves are wrong."""

OCF_DEGRADED = frozenset({190, 191})

OCF_FAILED_PROMOTED = 9

OCF_NAMES: Mapping[int, str] = MappingProxyType(
    {
        1: "failed",
        2: "wrong parameters on this node",
        3: "does not know this action",
        4: "not permitted",
        5: "not installed on this node",
        6: "wrong parameters on every node",
        7: "not running",
        9: "promoted and failed",
        190: "degraded",
        191: "promoted and degraded",
    }
)

SCRIPT_LOOK: Mapping[int, Verdict] = MappingProxyType(
    {
        0: Verdict.RUNNING,
        1: Verdict.FAILED,  # dead, its pid file is left; also what a crashed script exits with
        2: Verdict.FAILED,  # dead, its lock file is left
        3: Verdict.STOPPED,
        4: Verdict.UNKNOWN,
    }
)
"""What a script's `status` saw. A half-dead service needs a stop before its start, hence 1 and 2."""

SCRIPT_DEFINITE = frozenset({5, 6})
"""Not installed, not configured. Other LSB codes are used by too many scripts for ordinary failures."""

SCRIPT_NAMES: Mapping[int, str] = MappingProxyType(
    {
        1: "failed",
        3: "not running",
        4: "its state is unknown",
        5: "not installed on this node",
        6: "not configured on this node",
    }
)


def look(ending: Ending, table: Mapping[int, Verdict]) -> Verdict:
    """Translate the end of a look into a verdict."""
    match ending:
        case Exited(code=code):
            return table.get(code, Verdict.UNKNOWN)
        case Killed() | TimedOut() | NotBegun():
            return Verdict.UNKNOWN
        case _:
            assert_never(ending)


def action(ending: Ending) -> Verdict | None:
    """Translate the end of a start or a stop: None where it says that it worked.

    Past its deadline anything may have happened, so that is UNKNOWN; any other failure is FAILED.
    """
    match ending:
        case Exited(code=0):
            return None
        case Exited() | Killed() | NotBegun():
            return Verdict.FAILED
        case TimedOut():
            return Verdict.UNKNOWN
        case _:
            assert_never(ending)


def words(ending: Ending, names: Mapping[int, str]) -> str:
    """Say how something ended."""
    match ending:
        case Exited(code=code):
            name = names.get(code)
            return f"{name} (exit code {code})" if name else f"exit code {code}"
        case _:
            return str(ending)
