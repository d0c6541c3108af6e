"""Observed: what is known of the cluster at one moment, and how well it is known.

Observed, assumed and unknown are three different things, and no code turns one into another by
accident: a copy that a node reported is OBSERVED; a copy that was last reported by a node now silent is
ASSUMED still to run; a probe that timed out or answered nonsense leaves it UNKNOWN. An absent copy on a
node that has been probed for the service is observed stopped; on any other node nothing is known of it.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from reconciler.model.ids import BootId, Digest, Millis, NodeName, ServiceName
from reconciler.model.intent import Pairs, Role


class Liveness(StrEnum):
    """What heartbeats say of a node. Never proof of anything: a lost node may well be running."""

    ALIVE = "alive"
    SUSPECT = "suspect"
    LOST = "lost"
    DOWN = "down"
    """Left the cluster in an orderly way, or was fenced: nothing runs there, and that is proven."""
    UNKNOWN = "unknown"
    """Not heard since this controller started."""


class Certainty(StrEnum):
    """How the state of a copy is known."""

    OBSERVED = "observed"
    ASSUMED = "assumed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeState:
    """A node as heard. `probed` names the services that its present boot has been asked about."""

    name: NodeName
    liveness: Liveness
    boot: BootId | None = None
    probed: frozenset[ServiceName] = frozenset()
    attributes: Pairs = ()
    standby: bool = False
    """An operator's override: nothing may run here."""
    leaving: bool = False
    """It is shutting down: everything leaves, and nothing comes."""
    condemned: str = ""
    """Why it must be fenced whatever else is known of it; empty when it need not."""
    heard_ms: Millis | None = field(default=None, compare=False)
    """When it was last heard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A copy of a service that runs on a node, may run there, or stands in the way there."""

    service: ServiceName
    node: NodeName
    instance: int = 0
    role: Role = Role.STARTED
    certainty: Certainty = Certainty.OBSERVED
    failed: bool = False
    """It runs, or half runs, and its monitor says that it is broken: it needs a stop before a start.

    Together with UNKNOWN: its monitor could not tell, twice. It is stopped like a broken one, and counts
    as running until that stop is verified.
    """
    failed_operation: str = ""
    """Which operation says that it is broken: start, stop, promote, demote or monitor (empty: a look)."""
    digest: Digest | None = None
    """Of the definition that it was started with; None if it was found running (adopted)."""
    fixed_digest: Digest | None = None
    """Of the part of that definition which no reload can change."""
    degraded: bool = False
    """It runs, and its agent says that all is not well with it."""
    migrating_from: NodeName | None = None
    """The node that a live migration to here was under way from, when it was cut off."""
    blocked: str | None = None
    """Why no action may touch it, such as a failed stop; it occupies its node."""

    @property
    def tangible(self) -> bool:
        """Whether there is something to act on: it was seen, or was seen to have gone wrong."""
        return self.certainty is Certainty.OBSERVED or (
            self.certainty is Certainty.UNKNOWN and self.failed
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Failures of one service on one node since they were last forgotten or cleared."""

    service: ServiceName
    node: NodeName
    count: int
    operation: str
    reason: str
    last_ms: Millis = field(compare=False)
    """When the last of them happened."""
    fatal: bool = False
    """No node can do better, since the settings themselves are wrong: it starts nowhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionScore:
    """How fit the copy of a service on a node is to be promoted, as its agent says."""

    service: ServiceName
    node: NodeName
    score: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketState:
    """Whether this site holds a ticket. In standby it is held, and is about to be given up."""

    ticket: str
    granted: bool
    standby: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """Every fact that a decision may rest on.

    Shape: tuples sorted by node and service. Compare two of them with `codec.fingerprint`, which leaves
    out the times.
    """

    taken_at_ms: Millis
    nodes: tuple[NodeState, ...]
    copies: tuple[Copy, ...] = ()
    failures: tuple[Failure, ...] = ()
    promotion_scores: tuple[PromotionScore, ...] = ()
    """A copy without one may not be promoted, unless a location for that role says so."""
    tickets: tuple[TicketState, ...] = ()
    """A ticket that is not here is not held."""
    quorate: bool = True
    """Whether whoever took this hears a majority of the votes."""
    clock_ahead_ms: Millis = field(default=Millis(0), compare=False)
    """What turns the times here, which may count from a boot, into times since 1970 UTC."""
