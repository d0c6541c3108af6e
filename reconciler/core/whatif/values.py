"""What may go wrong, what becomes of the cluster then, and what a sweep over many such cases found.

A fault is one cause: a node, a link group (all nodes that share a label, such as a rack), or a service on
a node that fails there until the node is given up for it. A scenario is faults that strike at once.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from reconciler.model.ids import ActionId, Millis, NodeName, ServiceName
from reconciler.model.intent import Intent
from reconciler.model.observed import Liveness, Observed
from reconciler.model.placement import Reason
from reconciler.model.plan import Decision

Quorate = Callable[[Collection[str], Mapping[str, Liveness]], bool]
"""Whether a controller that hears these members like this holds the majority."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFault:
    """A node falls silent for good."""

    node: NodeName

    @property
    def nodes(self) -> tuple[NodeName, ...]:
        """Nodes that are gone."""
        return (self.node,)

    def __str__(self) -> str:
        return f"node:{self.node}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainFault:
    """All nodes with one label fall silent at once: a rack, a switch, a room."""

    label: str
    value: str
    nodes: tuple[NodeName, ...]

    def __str__(self) -> str:
        return f"domain:{self.label}={self.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFault:
    """A service fails on a node, again and again, until that node is given up for it."""

    service: ServiceName
    node: NodeName

    @property
    def nodes(self) -> tuple[NodeName, ...]:
        """Nodes that are gone: none."""
        return ()

    def __str__(self) -> str:
        return f"service:{self.service}@{self.node}"


Fault = NodeFault | DomainFault | ServiceFault


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Faults that strike at once; none of them: the cluster as it stands."""

    faults: tuple[Fault, ...] = ()

    @property
    def nodes(self) -> tuple[NodeName, ...]:
        """Every node that is gone, sorted."""
        return tuple(sorted({node for fault in self.faults for node in fault.nodes}))

    @property
    def only_nodes(self) -> bool:
        """Whether nothing but nodes fails: what promises speak of."""
        return not any(isinstance(fault, ServiceFault) for fault in self.faults)

    def __str__(self) -> str:
        return " + ".join(map(str, self.faults)) or "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where everything runs: nodes of each service's copies, sorted, and how many of them are promoted."""

    seats: Mapping[ServiceName, tuple[NodeName, ...]]
    promoted: Mapping[ServiceName, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The cluster before anything fails: what was observed, once its own plan has been carried out."""

    intent: Intent
    observed: Observed
    standing: Standing
    now_ms: Millis
    quorate: Quorate
    pending: int = 0
    """Actions that were carried out first, in the model."""
    again: tuple[ActionId, ...] = ()
    """What a second plan would do right after them; empty unless the planner flaps."""


class LossKind(StrEnum):
    """What became of a service that ran before, the worst first."""

    LOST = "lost"
    """No copy runs."""
    DEMOTED = "demoted"
    """Copies run, and none is promoted any more."""
    FEWER = "fewer"
    """Fewer copies run, though the intent wants as many as before."""

    @property
    def severity(self) -> int:
        """Greater is worse."""
        return {LossKind.LOST: 3, LossKind.DEMOTED: 2, LossKind.FEWER: 1}[self]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A service that is worse off after a scenario."""

    service: ServiceName
    kind: LossKind
    before: int
    """Copies that ran; promoted ones where it was demoted."""
    after: int
    deadlock: bool
    """It never starts again by itself: it waits for a proof, a majority or an operator."""
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A copy that runs elsewhere afterwards, or was restarted where it is."""

    service: ServiceName
    source: NodeName
    target: NodeName
    disturbed: bool
    """It ran well on a node that is still there: the failure of something else interrupts it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one scenario leads to, once the plan made after it has been carried out."""

    scenario: Scenario
    losses: tuple[Loss, ...] = ()
    moves: tuple[Move, ...] = ()
    fenced: tuple[NodeName, ...] = ()
    """Nodes whose fencing was assumed to succeed."""
    broken: tuple[ServiceName, ...] = ()
    """Services whose promise to survive this is broken."""
    again: tuple[ActionId, ...] = ()
    """What a second plan would do; anything at all means that the plan flaps."""
    quorate: bool = True
    proven: bool = True
    """Whether both placements are proven to be the best."""

    @property
    def lost(self) -> tuple[ServiceName, ...]:
        """Services of which nothing runs any more."""
        return tuple(loss.service for loss in self.losses if loss.kind is LossKind.LOST)

    @property
    def deadlocks(self) -> tuple[ServiceName, ...]:
        """Services that wait for a proof, a majority or an operator."""
        return tuple(loss.service for loss in self.losses if loss.deadlock)

    @property
    def flaps(self) -> bool:
        """Whether carrying out the plan calls for yet another one."""
        return bool(self.again)

    @property
    def calm(self) -> bool:
        """Whether nothing is lost, breaks or flaps."""
        return not (self.losses or self.broken or self.again)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One scenario with everything that was worked out for it."""

    observed: Observed
    """The facts right after the faults."""
    decision: Decision
    """What is decided then."""
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """A `survive` of the intent, as far as it was tried."""

    service: ServiceName
    survive: int
    tried: int
    """Up to how many lost nodes, at most, every combination was tried."""
    broken_by: tuple[Scenario, ...] = ()
    """The smallest scenarios that break it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """What all scenarios of a kind lead to."""

    depth: int
    """How many faults strike at once, at most; 0 where the scenario was given."""
    domains: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    promises: tuple[Promise, ...] = field(default=())

    @property
    def broken(self) -> tuple[Promise, ...]:
        """Promises that do not hold."""
        return tuple(promise for promise in self.promises if promise.broken_by)
