"""Causes: what bears on where a service runs, as values that can be taken away.

A cause is one line of the intent, or one observed fact, small enough that an operator could change it
alone. It names itself by its kind and by what it concerns; the words beside that are for people and never
compared. It does not know how it is taken away: `removal` does.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from reconciler.model.ids import NodeName, ServiceName
from reconciler.model.intent import Origin


class CauseKind(StrEnum):
    """Closed. docs/explain.md says of each what "without it" means."""

    LOCATION = "location"
    COLOCATION = "colocation"
    ORDERING = "ordering"
    GROUP = "group"
    TICKET = "ticket"
    NOT_ENABLED = "not-enabled"
    UNMANAGED = "unmanaged"
    WANTED = "wanted"
    REPLICAS = "replicas"
    PROMOTED = "promoted"
    PER_NODE = "per-node"
    STICKINESS = "stickiness"
    DEMAND = "demand"
    CAPACITY = "capacity"
    NODE_STANDBY = "node-standby"
    NODE_MAINTENANCE = "node-maintenance"
    NO_FENCE_DEVICE = "no-fence-device"
    HEALTH_RULE = "health-rule"
    STANDBY_ORDER = "standby-order"
    LEAVING = "leaving"
    ABSENT = "absent"
    HEALTH = "health"
    NO_QUORUM = "no-quorum"
    FAILED = "failed"
    STUCK = "stuck"
    RUNS = "runs"
    UNFIT = "unfit"
    FITTER = "fitter"
    EVEN = "even"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One thing without which the result might be another."""

    kind: CauseKind
    service: ServiceName | None = None
    node: NodeName | None = None
    name: str = ""
    """Of the group."""
    place: int = -1
    """Of a constraint, in the intent's own order."""
    nodes: tuple[NodeName, ...] = ()
    """EVEN: where a copy should rather be."""
    text: str = field(default="", compare=False)
    origin: Origin | None = field(default=None, compare=False)
