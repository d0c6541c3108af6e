"""What the controller is told: a copy of each service that runs here, may run here, or stands in the way.

What is not known is not left out: a start under way and a copy that nobody has looked at yet are ASSUMED,
a look that could not tell is UNKNOWN.
"""

from dataclasses import dataclass, replace

from reconciler.core.definition import fixed_digest
from reconciler.core.executor.events import Verb
from reconciler.core.executor.memory import OwnCopy, Phase
from reconciler.core.executor.state import Held, State
from reconciler.model.ids import Digest, Millis, NodeName, ServiceName
from reconciler.model.intent import Pairs, Role
from reconciler.model.observed import Certainty, Copy, Failure, PromotionScore
from reconciler.model.operation import Verdict

_BROKEN = (Phase.BROKEN, Phase.FAILED)
_THERE = frozenset({Verdict.RUNNING, Verdict.PROMOTED, Verdict.FAILED, Verdict.UNKNOWN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The state of a node, all of it sorted by name; `last_ms` of a failure is its age."""

    ready: bool
    probed: tuple[ServiceName, ...]
    copies: tuple[Copy, ...]
    failures: tuple[Failure, ...]
    promotion_scores: tuple[PromotionScore, ...] = ()
    attributes: Pairs = ()


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
        promotion_scores=tuple(
            PromotionScore(service=name, node=state.node, score=score)
            for name, score in sorted(memory.scores.items())
        ),
        attributes=tuple((name, kept.value) for name, kept in sorted(memory.attributes.items())),
    )


def copy_of(node: NodeName, held: Held, *, own: OwnCopy | None, blocked: str | None) -> Copy | None:
    """The copy of one service as it is reported; None when it is observed stopped or was never seen."""
    if own is None and blocked is None and held.seen not in _THERE:
        return None
    failed = held.seen is Verdict.FAILED or blocked is not None or _is_broken(held, own)
    return Copy(
        service=held.definition.name,
        node=node,
        role=_role(held, own),
        certainty=_certainty(held, own),
        failed=failed,
        failed_operation=_failed_operation(own, blocked) if failed else "",
        digest=own.digest if own is not None else None,
        fixed_digest=_fixed_digest(own),
        degraded=held.degraded and not failed,
        migrating_from=own.migrating_from if own is not None else None,
        blocked=blocked,
    )


def _is_broken(held: Held, own: OwnCopy | None) -> bool:
    if own is None:
        return False
    left = own.phase is Phase.LEAVING and held.under_way is None
    return own.phase in _BROKEN or left


def _failed_operation(own: OwnCopy | None, blocked: str | None) -> str:
    """Blocks come of failed stops, and of nothing else."""
    if blocked is not None:
        return "stop"
    if own is not None and own.phase is Phase.LEAVING:
        return "migrate"
    return own.failed_operation if own is not None else ""


def _fixed_digest(own: OwnCopy | None) -> Digest | None:
    known = own is not None and own.digest is not None
    return fixed_digest(own.definition) if own is not None and known else None


def _certainty(held: Held, own: OwnCopy | None) -> Certainty:
    if held.seen is None or (own is not None and own.phase is Phase.STARTING):
        return Certainty.ASSUMED
    if held.under_way is not None and held.under_way.verb in (Verb.PROMOTE, Verb.MIGRATE_TO):
        return Certainty.ASSUMED
    if held.seen is Verdict.UNKNOWN:
        return Certainty.UNKNOWN
    return Certainty.OBSERVED


def _role(held: Held, own: OwnCopy | None) -> Role:
    """What may be promoted counts as promoted."""
    if held.promoted or (own is not None and own.promoted):
        return Role.PROMOTED
    roles = held.definition.promotable or held.definition.promoted
    return Role.UNPROMOTED if roles else Role.STARTED
