"""Plan: the fewest actions that turn the observed state into the placement, as a graph.

An action may run once every action named in `after` has succeeded. Any order that the graph allows is
safe at every step; `core.verify` checks that independently.
"""

from dataclasses import dataclass
from enum import StrEnum

from reconciler.model.ids import ActionId, Digest, Millis, NodeName, PlanId, ServiceName
from reconciler.model.intent import Intent
from reconciler.model.observed import Observed
from reconciler.model.placement import Placement, Reason


class ActionKind(StrEnum):
    """What an action does. Closed: an agent refuses anything else."""

    PROBE = "probe"
    START = "start"
    STOP = "stop"
    PROMOTE = "promote"
    DEMOTE = "demote"
    RELOAD = "reload"
    MIGRATE = "migrate"
    FENCE = "fence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One step on one node. A fence has no service; a migration has a target."""

    id: ActionId
    kind: ActionKind
    node: NodeName
    service: ServiceName | None = None
    instance: int = 0
    target: NodeName | None = None
    after: tuple[ActionId, ...] = ()
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Actions in an order that respects their edges: each comes after everything in its `after`."""

    actions: tuple[Action, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What `reconcile()` returns: where things should be, how to get there, and when to look again."""

    placement: Placement
    plan: Plan
    wake_at_ms: Millis | None = None
    """When time alone would change the decision; None if it never would."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedPlan:
    """A decision with everything it was made from, so that it can be judged stale, applied once, replayed.

    `id` is the digest of the rest.
    """

    id: PlanId
    intent_digest: Digest
    intent_revision: str
    observed_digest: Digest
    intent: Intent
    observed: Observed
    decision: Decision
