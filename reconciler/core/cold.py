"""The observation to assume when there is nothing to observe: nothing runs anywhere.

It answers "what would an empty cluster do with this intent?", and nothing else: a plan made from it can
be read and drawn, never applied. It knows no clock, so its time is zero.
"""

from reconciler.model.ids import BootId, Millis
from reconciler.model.intent import Intent
from reconciler.model.observed import Liveness, NodeState, Observed

COLD_BOOT = BootId("cold")
"""No real boot has this id, so no plan that was made from a cold observation ever fits a cluster."""


def cold(intent: Intent) -> Observed:
    """Observe a cluster in which every node is alive, has been probed, and runs nothing."""
    services = frozenset(service.name for service in intent.services)
    return Observed(
        taken_at_ms=Millis(0),
        nodes=tuple(
            NodeState(name=node.name, liveness=Liveness.ALIVE, boot=COLD_BOOT, probed=services)
            for node in intent.nodes
        ),
    )
