"""What the controller is told: a copy of each service that runs here, may run here, or stands in the way.

What is not known is not left out: a start under way and a copy that nobody has looked at yet are ASSUMED,
a look that could not tell is UNKNOWN.
"""

from dataclasses import dataclass, replace

from reconciler.core.executor.memory import OwnCopy, Phase
from reconciler.core.executor.state import Held, State
from reconciler.model.ids import Millis, NodeName, ServiceName
from reconciler.model.intent import Role
from reconciler.model.observed import Certainty, Copy, Failure
from reconciler.model.operation import Verdict

_THERE = frozenset({Verdict.RUNNING, Verdict.PROMOTED, Verdict.FAILED, Verdict.UNKNOWN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The state of a node, all of it sorted by name; `last_ms` of a failure is its age."""

    ready: bool
    probed: tuple[ServiceName, ...]
    copies: tuple[Copy, ...]
    failures: tuple[Failure, ...]


def snapshot(state: State, now_ms: Millis) -> Snapshot:
    """Say what is known of this node."""
    names = sorted(state.services)
    memory = state.memory
    copies = (
        copy_of(
            state.node,
            state.services[name],
            own=memory.copies.get(name),
            blocked=memory.blocks.get(name),
        )
        for name in names
    )
    return Snapshot(
        ready=state.ready,
        probed=tuple(name for name in names if state.services[name].seen is not None),
        copies=tuple(copy for copy in copies if copy is not None),
        failures=tuple(
            replace(failure, last_ms=Millis(max(0, now_ms - failure.last_ms)))
            for _, failure in sorted(memory.failures.items())
        ),
    )


def copy_of(node: NodeName, held: Held, *, own: OwnCopy | None, blocked: str | None) -> Copy | None:
    """The copy of one service as it is reported; None when it is observed stopped or was never seen."""
    if own is None and blocked is None and held.seen not in _THERE:
        return None
    return Copy(
        service=held.definition.name,
        node=node,
        role=_role(held),
        certainty=_certainty(held, own),
        failed=held.seen is Verdict.FAILED
        or (own is not None and own.phase in (Phase.BROKEN, Phase.FAILED)),
        digest=own.digest if own is not None else None,
        blocked=blocked,
    )


def _certainty(held: Held, own: OwnCopy | None) -> Certainty:
    if held.seen is None or (own is not None and own.phase is Phase.STARTING):
        return Certainty.ASSUMED
    if held.seen is Verdict.UNKNOWN:
        return Certainty.UNKNOWN
    return Certainty.OBSERVED


def _role(held: Held) -> Role:
    if held.seen is Verdict.PROMOTED:
        return Role.PROMOTED
    return Role.UNPROMOTED if held.definition.promoted else Role.STARTED
