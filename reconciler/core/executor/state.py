"""What an agent's brain holds between two events: its memory, and what is known only until it ends.

Frozen, and cheap to change: mappings are replaced and never written to, and a step touches only the
services that its event is about.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TypeVar

from reconciler.core.executor.events import Verb
from reconciler.core.executor.memory import Attribute, Memory
from reconciler.model.ids import Digest, Millis, NodeName, ServiceName
from reconciler.model.intent import Service
from reconciler.model.operation import Step, Verdict

K = TypeVar("K")
V = TypeVar("V")

GRACE_MS = Millis(3_500)
"""How long a new agent waits for a controller before it counts itself as alone."""


def _nothing() -> MappingProxyType[K, V]:
    return MappingProxyType({})


class Look(StrEnum):
    """Why a service is looked at. Only the last two count what they find as failures."""

    FIRST = "first"
    """Nothing is known of it yet, or not any more."""
    AGAIN = "again"
    """After a stop that failed, or a pause."""
    MONITOR = "monitor"
    DEATH = "death"
    """Its watch fired."""


class Lane(StrEnum):
    """Two queues, so that a hundred slow monitors never delay an order."""

    URGENT = "urgent"
    ROUTINE = "routine"


LANE_LIMITS: Mapping[Lane, int] = MappingProxyType({Lane.URGENT: 8, Lane.ROUTINE: 8})
"""Operations under way at one time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderWay:
    """The one operation of a service: for an order, for a look, or (neither) to repair it in place."""

    verb: Verb
    lane: Lane
    step: Step | None = None
    look: Look | None = None
    release: bool = False
    """It gives up what another node may have been given by now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What is known of one service here while this agent lives."""

    definition: Service
    digest: Digest
    wanted: bool = True
    """Among the definitions; if not, it is kept only because something of it is here."""
    paused: bool = False
    seen: Verdict | None = None
    """What the last look found; None until there was one."""
    promoted: bool = False
    """What was last seen of it was promoted."""
    degraded: bool = False
    """It runs, and its last look says that all is not well with it."""
    doubts: int = 0
    """Monitors in a row that could not tell."""
    under_way: UnderWay | None = None
    step: Step | None = None
    """An order that waits for its turn."""
    look: Look | None = None
    """A look that waits for its turn."""
    repair: Verb | None = None
    """What comes next in a repair in place: demote, stop, start, promote."""
    repromote: bool = False
    """The repair under way ends with a promotion, since the copy was promoted."""
    release: bool = False
    """It is to be given up: nobody knows any more whose it is."""
    queued: Lane | None = None
    monitor_at_ms: Millis | None = None
    timer_ms: Millis | None = None
    """What the shell's timer is set to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settling:
    """A value of an attribute that has not been the same for long enough."""

    attribute: Attribute
    began_ms: Millis
    """When it first differed from what counts."""
    due_ms: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Everything an agent's brain knows."""

    node: NodeName
    memory: Memory = Memory()
    services: MappingProxyType[ServiceName, Held] = field(default_factory=_nothing)
    unseen: int = 0
    """How many of them have not been looked at."""
    ready: bool = False
    """Everything known has been looked at once since this agent started."""
    connected: bool = False
    heard_ms: Millis | None = None
    """The controller certainly spoke after this."""
    backed_ms: Millis | None = None
    """Then there were enough others without a controller: nothing of this node's had been moved."""
    grace_ms: Millis = GRACE_MS
    alone_ms: Millis | None = None
    """From when on this node has no controller; None while it has one."""
    unsettled: tuple[Step, ...] = ()
    """Orders begun by an earlier agent of which nobody knows the end; the next look tells."""
    settling: Mapping[str, Settling] = field(default_factory=_nothing)
    """Attributes that changed and do not count yet."""
    queues: Mapping[Lane, tuple[ServiceName, ...]] = field(default_factory=_nothing)
    busy: Mapping[Lane, int] = field(default_factory=_nothing)


def hears_no_controller(state: State, now_ms: Millis) -> bool:
    """Whether this node has heard no controller for as long as makes a node lost."""
    if state.heard_ms is None:
        return state.alone_ms is not None and now_ms > state.alone_ms
    return now_ms - state.heard_ms > state.grace_ms
