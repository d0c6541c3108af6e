"""What an agent's brain is told, and what it tells its shell to do.

Effects are carried out in order. `Persist` always comes first and has to be durable before anything after
it happens; when the disk refuses, nothing is carried out, and the shell keeps the old state and says
`NotDurable` with the same event instead.
"""

from dataclasses import dataclass
from enum import StrEnum

from reconciler.core.executor.memory import Memory, Record
from reconciler.model.ids import Epoch, Incarnation, Millis, NodeName, ServiceName
from reconciler.model.intent import FenceDevice, Pairs, Service
from reconciler.model.operation import Outcome, Step, StepKey, StepResult


class Verb(StrEnum):
    """What a hand can do with a service."""

    START = "start"
    STOP = "stop"
    PROBE = "probe"
    PROMOTE = "promote"
    DEMOTE = "demote"
    RELOAD = "reload"
    MIGRATE_TO = "migrate-to"
    MIGRATE_FROM = "migrate-from"


# Events ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Booted:
    """The agent has started, and this is what its journal holds."""

    memory: Memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """A controller of this term answered; `sent_ms` is when it was asked."""

    incarnation: Incarnation
    epoch: Epoch
    grace_ms: Millis
    """How long a silence has to be before this node counts itself as alone."""
    sent_ms: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class Disconnected:
    """The connection to the controller is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """The controller answered what was sent at this time: it spoke after that."""

    sent_ms: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class Backed:
    """At this time, enough other nodes that had no controller either were certainly there.

    Enough: without them and this node, no controller has the majority that it takes to move anything.
    """

    at_ms: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinitionsArrived:
    """Every service that this node may have to run, probe or stop."""

    incarnation: Incarnation
    epoch: Epoch
    services: tuple[Service, ...]
    assigned: frozenset[ServiceName]
    maintenance: frozenset[ServiceName]
    devices: tuple[FenceDevice, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StepArrived:
    """An order."""

    step: Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged:
    """The controller keeps the result of the order with this key."""

    key: StepKey


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetAsked:
    """Forget the failures and the block of a service, or of all."""

    service: ServiceName | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationFinished:
    """The operation of this service has ended; there was one."""

    service: ServiceName
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceDied:
    """The watch of a running service fired; it is over now."""

    service: ServiceName


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenAttribute:
    """An attribute of this node as an agent of a service set it last."""

    name: str
    value: str
    settle_ms: Millis = Millis(0)
    """How long it has to stay the same before it counts."""
    forever: bool = False
    """It outlives a boot of the node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributesSeen:
    """Everything that the agents of services say at this moment; what is missing was taken back."""

    attributes: tuple[SeenAttribute, ...] = ()
    scores: tuple[tuple[ServiceName, int], ...] = ()
    """How fit the copies here are to be promoted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """The time that `SetTimer` named for this service (None: for the attributes) has come."""

    service: ServiceName | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotDurable:
    """What this event asked to persist could not be written."""

    event: "Happening"
    reason: str


Happening = (
    Booted
    | Backed
    | Connected
    | Disconnected
    | Heard
    | DefinitionsArrived
    | StepArrived
    | Acknowledged
    | ForgetAsked
    | OperationFinished
    | ServiceDied
    | AttributesSeen
    | Due
)
Event = Happening | NotDurable


# Effects -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Persist:
    """Write these records and wait until they are durable."""

    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Write these records, without waiting; losing them costs a probe or a count."""

    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOperation:
    """Let the hand of this service do this, and say `OperationFinished`, whatever happens."""

    service: ServiceName
    verb: Verb
    definition: Service
    timeout_ms: Millis
    promoted: bool = False
    """The copy is promoted, as far as is known."""
    peer: NodeName | None = None
    """The other end of a migration."""
    notify: Pairs = ()
    device: FenceDevice | None = None
    """The device that it watches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Say `ServiceDied` once when this running service's main process ends, if its hand can tell.

    Nothing to do while an earlier watch of this service stands.
    """

    definition: Service


@dataclass(frozen=True, slots=True, kw_only=True)
class Unwatch:
    """End the watch, if there is one."""

    service: ServiceName


@dataclass(frozen=True, slots=True, kw_only=True)
class SendReport:
    """Send a report of what is known when it is sent; several may become one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SendDone:
    """Send this result, after any report asked for before it."""

    result: StepResult


@dataclass(frozen=True, slots=True, kw_only=True)
class SetTimer:
    """Say `Due` at this time, in place of any earlier one of this service; None: do not."""

    service: ServiceName | None
    at_ms: Millis | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HangUp:
    """End the connection: this controller has no right to decide any more."""

    reason: str


Effect = Persist | Note | RunOperation | Watch | Unwatch | SendReport | SendDone | SetTimer | HangUp
