"""What a controller hears, and what it has done about it: both as values.

Effects are carried out in their order. `Persist` comes first and has to be durable before anything after
it happens: an order that went out is an order that the next controller knows of.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.core.facts import NodeReport
from reconciler.model.diagnostic import Diagnostic
from reconciler.model.ids import BootId, Digest, Epoch, Incarnation, Millis, NodeName, ServiceName
from reconciler.model.intent import FenceDevice, Fencing, Intent, Service
from reconciler.model.observed import Liveness
from reconciler.model.operation import Outcome, Step, StepKey, StepResult
from reconciler.model.plan import SavedPlan

# Events ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentConnected:
    """An agent opened a connection; its certificate names the node."""

    node: NodeName
    boot: BootId
    incarnation: Incarnation = Incarnation(0)
    epoch: Epoch = Epoch(0)
    """The highest term that it has kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentDisconnected:
    """The connection of an agent ended."""

    node: NodeName


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportArrived:
    """A node said how it stands."""

    node: NodeName
    report: NodeReport


@dataclass(frozen=True, slots=True, kw_only=True)
class LivenessChanged:
    """Heartbeats now say this of these nodes."""

    nodes: tuple[tuple[NodeName, Liveness], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockMoved:
    """Time of day is this far ahead of the clock that decisions are made by: at the start, and when set."""

    ahead_ms: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEnded:
    """An agent reported the result of an order. It does so again until that is acknowledged."""

    node: NodeName
    result: StepResult


@dataclass(frozen=True, slots=True, kw_only=True)
class FenceEnded:
    """A fence was confirmed (STOPPED), or was not; there was a `Fence` of this key."""

    node: NodeName
    key: StepKey
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentFound:
    """A commit was found and read. With errors there is no intent, and nothing changes."""

    revision: str
    intent: Intent | None
    digest: Digest | None
    diagnostics: tuple[Diagnostic, ...] = ()
    held: str = ""
    """Why only an operator may accept it, such as a rewritten history."""
    subject: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyRequested:
    """An operator wants this intent accepted."""

    request: int
    intent: Intent
    digest: Digest
    revision: str
    saved: SavedPlan | None = None
    """Carry out exactly this, once."""
    expect: Digest | None = None
    """Fingerprint of the facts that the operator was shown."""
    confirm_shrink: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WatcherGone:
    """Whoever followed this request has left; what it asked for goes on."""

    request: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearRequested:
    """An operator wants failures forgotten: of one service, or all."""

    request: int
    service: ServiceName | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FenceRequested:
    """An operator wants this node fenced."""

    request: int
    node: NodeName


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmFence:
    """An operator has seen that this node is off."""

    request: int
    node: NodeName


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """Time has passed; nothing else happened."""


Event = (
    AgentConnected
    | AgentDisconnected
    | ReportArrived
    | LivenessChanged
    | ClockMoved
    | StepEnded
    | FenceEnded
    | IntentFound
    | ApplyRequested
    | WatcherGone
    | ClearRequested
    | FenceRequested
    | ConfirmFence
    | Tick
)

# Effects -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Persist:
    """Keep these values durably, all or none, before any effect that follows."""

    values: tuple[tuple[str, object], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Define:
    """Tell a node what it may have to run, and what it keeps running by itself."""

    node: NodeName
    services: tuple[Service, ...]
    assigned: tuple[ServiceName, ...]
    maintenance: tuple[ServiceName, ...]
    devices: tuple[FenceDevice, ...] = ()
    """The fence devices that these services watch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Send a step to a node."""

    node: NodeName
    step: Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Fence:
    """Fence a node by the devices of this intent, and say `FenceEnded`, whatever happens."""

    node: NodeName
    key: StepKey
    fencing: Fencing


@dataclass(frozen=True, slots=True, kw_only=True)
class AcknowledgeStep:
    """Tell a node that the result of this order is known for good."""

    node: NodeName
    key: StepKey


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetFailures:
    """Tell a node to forget the failures of a service, or of all."""

    node: NodeName
    service: ServiceName | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tell:
    """Tell whoever made this request; `last` ends the answer."""

    request: int
    body: Mapping[str, object]
    last: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """Say no to a request; with `changes` it came too late for the facts it was made for."""

    request: int
    reason: str
    changes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Add to the history: what was decided or came to pass, with the plan if there is one."""

    kind: str
    fields: Mapping[str, object]
    saved: SavedPlan | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WakeAt:
    """Send a `Tick` at this time; it replaces any earlier wish. None: no need to."""

    at_ms: Millis | None


Effect = (
    Persist
    | Define
    | Order
    | Fence
    | AcknowledgeStep
    | ForgetFailures
    | Tell
    | Refuse
    | Record
    | WakeAt
)
