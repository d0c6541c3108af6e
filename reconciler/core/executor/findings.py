"""What an outcome says of a copy, for every kind of operation: its role, its failures, its beginnings.

Law: a copy that was seen promoted, or that a promotion has begun for, counts as promoted until it is seen
not to be: two promoted copies are what nobody may have by mistake.
"""

from dataclasses import replace

from reconciler.core.executor.memory import FailureKept, OwnCopy, Phase
from reconciler.core.executor.state import Held
from reconciler.core.executor.turn import Turn
from reconciler.model.ids import ServiceName
from reconciler.model.observed import Failure
from reconciler.model.operation import Outcome, Verdict

REASON_MAX = 300


def copy_after(own: OwnCopy, phase: Phase | None, outcome: Outcome) -> OwnCopy | None:
    """The copy after a look; one that works has no failed operation and has arrived."""
    if phase is None:
        return None
    copy = replace(own, phase=phase, promoted=_promoted(outcome, before=own.promoted))
    if phase is Phase.RUNNING:
        return replace(copy, failed_operation="", migrating_from=None)
    if own.phase is Phase.RUNNING:
        return replace(copy, failed_operation="monitor")
    return copy


def as_seen(held: Held, outcome: Outcome) -> Held:
    """What is known of a service after an operation that looked at it."""
    promoted = _promoted(outcome, before=held.promoted)
    return replace(held, seen=outcome.verdict, promoted=promoted, degraded=outcome.degraded)


def _promoted(outcome: Outcome, *, before: bool) -> bool:
    """Whether a copy counts as promoted after this; a look that cannot tell changes nothing."""
    if outcome.verdict is Verdict.PROMOTED or outcome.promoted:
        return True
    return before and outcome.verdict not in (Verdict.RUNNING, Verdict.STOPPED)


def fail(turn: Turn, name: ServiceName, operation: str, outcome: Outcome) -> None:
    """Count a failure; one that no other try can change counts as all of them."""
    earlier = turn.failure(name)
    count = 1 + (earlier.count if earlier is not None else 0)
    if outcome.definite:
        count = max(count, turn.services[name].definition.failures_max or 0)
    failure = Failure(
        service=name,
        node=turn.state.node,
        count=count,
        operation=operation,
        reason=reason_of(outcome),
        last_ms=turn.now_ms,
        fatal=outcome.fatal or (earlier is not None and earlier.fatal),
    )
    turn.record(FailureKept(service=name, failure=failure))


def reason_of(outcome: Outcome) -> str:
    """One line that says what went wrong."""
    reason = outcome.reason or f"it was found {outcome.verdict}"
    return reason.replace("\n", " ")[:REASON_MAX]


def adopted(turn: Turn, name: ServiceName, verdict: Verdict) -> OwnCopy:
    """A copy that was found running: nobody knows by which definition."""
    return OwnCopy(
        definition=turn.services[name].definition,
        digest=None,
        phase=Phase.RUNNING,
        promoted=verdict is Verdict.PROMOTED,
    )
