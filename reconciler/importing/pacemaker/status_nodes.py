"""How a node stands, as an observation of it.

A node that must be fenced is lost when it is silent and condemned when it is not. A node that was never
seen is unknown if it would be fenced for that, and down if the operators trust that it is.
"""

from typing import Final

from reconciler.importing.pacemaker.nodes import Standing
from reconciler.model.ids import BootId, NodeName, ServiceName
from reconciler.model.observed import Liveness, NodeState

_BOOT: Final = BootId("as-imported")
_HAVE_FIELDS: Final = ("fail-count-", "last-failure-", "master-", "promotion-")
_HAVE_FIELDS_TOO: Final = frozenset({"standby", "maintenance", "shutdown", "terminate"})


def node_state(
    standing: Standing, *, probed: frozenset[ServiceName], may_run_something: bool
) -> NodeState:
    """The observation of a node, once everything that it recorded has been replayed."""
    liveness = _liveness(standing, may_run_something=may_run_something)
    heard = liveness in {Liveness.ALIVE, Liveness.SUSPECT, Liveness.LOST}
    condemned = standing.unclean if standing.online and not standing.by_stop else ""
    return NodeState(
        name=NodeName(standing.name),
        liveness=liveness,
        boot=_BOOT if heard else None,
        probed=probed if heard else frozenset(),
        attributes=_attributes(standing),
        standby=standing.standby,
        leaving=standing.leaving and standing.online,
        condemned=condemned,
    )


def _liveness(standing: Standing, *, may_run_something: bool) -> Liveness:
    if standing.state is None:
        return Liveness.UNKNOWN if standing.unclean else Liveness.DOWN
    if standing.online:
        return Liveness.SUSPECT if standing.pending else Liveness.ALIVE
    if standing.unclean or standing.lost:
        return Liveness.LOST
    return Liveness.SUSPECT if standing.pending or may_run_something else Liveness.DOWN


def _attributes(standing: Standing) -> tuple[tuple[str, str], ...]:
    """What it says of itself, but for what has a field of its own."""
    found = {}
    for name, value in standing.attributes.items():
        if name.startswith(_HAVE_FIELDS) or name in _HAVE_FIELDS_TOO:
            continue
        health = name.removeprefix("#health")
        found["health-" + health.lstrip("-_") if health != name else name] = value
    return tuple(sorted(found.items()))
