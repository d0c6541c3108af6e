"""Exit statuses of `reconcile`. Scripts rely on them: they are only ever added to.

Where several hold, 1 comes before 5, 5 before 4, 4 before 3.
"""

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # `validate` answers sooner without the plan's values
    from reconciler.model.plan import Decision


class ExitCode(IntEnum):
    """What the command's status says."""

    DONE = 0
    """Nothing to do, or all of it done."""
    ERROR = 1
    USAGE = 2
    CHANGES_PENDING = 3
    BLOCKED = 4
    """Something wanted does not run, and cannot or must not be started; the output says why."""
    STALE = 5
    """A saved plan that the facts have overtaken."""


def of_decision(decision: "Decision") -> ExitCode:
    """Say what a decision leaves to be done."""
    if decision.placement.unplaced:
        return ExitCode.BLOCKED
    return ExitCode.CHANGES_PENDING if decision.plan.actions else ExitCode.DONE
