"""When a service needs attention by time alone: monitor, repair in place, release, end of its failures.

All of it is computed from what is known, so that nothing has to be cancelled when the facts change.
"""

import zlib
from dataclasses import dataclass

from reconciler.core.executor.memory import OwnCopy, Phase
from reconciler.core.executor.state import Held
from reconciler.model.ids import Millis, ServiceName
from reconciler.model.intent import Kind, OnFail, Operation, Safety, Service
from reconciler.model.observed import Failure
from reconciler.model.operation import Verdict

RELOOK_MS = Millis(10_000)
"""How soon to look again at what could not be told, for a service without monitors."""
BACK_OFF_MS = 1_000
BACK_OFF_MAX_MS = 60_000
RELEASE_GRACES = 2
"""Cut off for so many times the silence that makes a node lost, its best-effort addresses may have moved."""
_REPAIRED = frozenset({None, OnFail.RESTART, OnFail.DEMOTE})
"""Policies under which a failed copy is restarted where it is; all others want a decision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """Everything about one service that time can change."""

    held: Held
    own: OwnCopy | None
    blocked: bool
    failure: Failure | None
    assigned: bool
    alone_ms: Millis | None
    cut_off_ms: Millis
    """Since when neither a controller nor enough others have certainly been heard."""
    grace_ms: Millis
    now_ms: Millis


def monitor_at(here: Here) -> Millis | None:
    """When the next monitor is due: so long after the last look ended; None while none is.

    Source: capabilities.md G12.1, G12.10.
    """
    held = here.held
    there = here.own is not None or here.blocked or held.seen is not Verdict.STOPPED
    busy = held.under_way is not None or held.look is not None
    every_ms = interval(held, here.own)
    if held.paused or busy or not there or held.seen is None or every_ms is None:
        return None
    return held.monitor_at_ms or Millis(here.now_ms + every_ms)


def monitor_of(held: Held, own: OwnCopy | None) -> Operation:
    """The monitor for the role that the copy has, as far as is known."""
    promoted = held.promoted or (own is not None and own.promoted)
    special = held.definition.monitor_promoted
    return special if promoted and special is not None else held.definition.monitor


def interval(held: Held, own: OwnCopy | None) -> Millis | None:
    """How often a service is looked at."""
    every_ms = monitor_of(held, own).every_ms
    if held.seen is Verdict.UNKNOWN:
        return Millis(min(every_ms or RELOOK_MS, RELOOK_MS))
    return every_ms or None


def spread(name: ServiceName, every_ms: Millis) -> Millis:
    """A part of the interval that differs from service to service, and never between two runs."""
    return Millis(1 + zlib.crc32(name.encode()) % max(1, every_ms))


def repair_at(here: Here) -> Millis | None:
    """When a broken copy is repaired in place, which only a node without a controller does.

    Law: only what ran here and is assigned here; never once its failures ban it from this node.
    """
    held, failure = here.held, here.failure
    broken = here.own is not None and here.own.phase is Phase.BROKEN
    idle = held.under_way is None and held.repair is None
    if here.alone_ms is None or not broken or not here.assigned or here.blocked or held.paused:
        return None
    if not idle or held.seen is None or not _is_repaired(here):
        return None
    if failure is None:
        return here.alone_ms
    if held.definition.gives_up(failure.count):
        return None
    return Millis(max(here.alone_ms, failure.last_ms + back_off(failure.count)))


def _is_repaired(here: Here) -> bool:
    operation = here.own.failed_operation if here.own is not None else ""
    return policy(here.held.definition, operation) in _REPAIRED


def policy(service: Service, operation: str) -> OnFail | None:
    """What a failure of an operation leads to; a look is a monitor."""
    match operation:
        case "start":
            return service.start.on_fail
        case "stop":
            return service.stop.on_fail
        case "promote":
            return service.promote.on_fail
        case "demote":
            return service.demote.on_fail
        case _:
            return service.monitor.on_fail


def release_at(here: Here) -> Millis | None:
    """When this node gives up an address that two nodes may hold for a while, but not for ever.

    Law (B27): by its own clock, so that of two holders the one that is cut off stops answering. A node that
    is not cut off keeps it (B24): then it is the controller that is down, and can have moved nothing.
    """
    held, own = here.held, here.own
    service = own.definition if own is not None else held.definition
    shared = service.kind is Kind.VIP and service.safety is Safety.BEST_EFFORT
    idle = held.under_way is None and not held.release
    if own is None or not shared or not idle or here.blocked or held.paused:
        return None
    return Millis(here.cut_off_ms + RELEASE_GRACES * here.grace_ms)


def back_off(count: int) -> int:
    """How long after the last failure to wait: not at all, then 1 s, 2 s, 4 s, ... up to a minute."""
    if count <= 1:
        return 0
    return min(BACK_OFF_MAX_MS, BACK_OFF_MS << min(count - 2, 16))


def forget_at(here: Here) -> Millis | None:
    """When the failures are forgotten, if no other one comes."""
    if here.failure is None:
        return None
    return here.held.definition.forgets_ms(here.failure.last_ms)


def due(here: Here) -> Millis | None:
    """The first of these times."""
    times = (here.held.monitor_at_ms, repair_at(here), release_at(here), forget_at(here))
    return min((at_ms for at_ms in times if at_ms is not None), default=None)
