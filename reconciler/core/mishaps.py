"""Mishaps: what failures and lost nodes demand before anything is placed.

Each failed copy is read by the policy of the operation that failed: restarted, ignored, demoted, left
alone, its service stopped, its node emptied or fenced. Nodes that may still act and can no longer be
trusted are fenced, where a device can do it and a majority allows it.

Law: nothing is fenced without a device, and without a majority only what this side itself still holds.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from reconciler.core.blueprint import Blueprint
from reconciler.model.ids import NodeName, ServiceName
from reconciler.model.intent import Intent, OnFail, OnLoss, Operation, Role, Service
from reconciler.model.observed import Copy, Liveness, NodeState, Observed

STOP = "stop"


@dataclass(frozen=True, slots=True)
class Mishaps:
    """What failures lead to."""

    fenced: Mapping[NodeName, str] = field(default_factory=dict)
    """Nodes to fence, and why."""
    standby: Mapping[NodeName, str] = field(default_factory=dict)
    """Nodes that everything leaves, and why."""
    stopped: Mapping[ServiceName, str] = field(default_factory=dict)
    """Services that run nowhere until an operator clears them, and why."""
    blocked: frozenset[Copy] = frozenset()
    """Failed copies that nobody touches until an operator clears them."""
    frozen: frozenset[ServiceName] = frozenset()
    """Services that are left as they are for want of a ticket."""
    policies: Mapping[Copy, OnFail] = field(default_factory=dict)
    """What the failure of a copy leads to, for all that failed."""

    def restarts(self, copy: Copy) -> bool:
        """Whether this copy must be stopped because it is broken."""
        return copy.failed and self.policies.get(copy) not in (OnFail.IGNORE, OnFail.DEMOTE)

    def demotes(self, copy: Copy) -> bool:
        """Whether this promoted copy must be demoted because it is broken."""
        return copy.failed and self.policies.get(copy) is OnFail.DEMOTE


def read_mishaps(intent: Intent, observed: Observed, blueprint: Blueprint) -> Mishaps:
    """Read every failure and every lost node by its policy."""
    fenced = _lost_nodes(intent, observed)
    standby, stopped = dict[NodeName, str](), dict[ServiceName, str]()
    _read_failures(observed, blueprint, standby, stopped)
    policies: dict[Copy, OnFail] = {}
    blocked: set[Copy] = set()
    untouchable = {node.name for node in intent.nodes if node.maintenance}
    for copy in sorted(filter(_failed, observed.copies), key=_place):
        index = blueprint.service_index.get(copy.service)
        if index is None:
            continue
        service = blueprint.services[index]
        policy = policies[copy] = _policy(intent, service, copy)
        what = f'"{copy.service}" failed there ({copy.failed_operation or "monitor"})'
        held = copy.node in untouchable or service.maintenance or not service.managed
        match policy:
            case OnFail.BLOCK:
                blocked.add(copy)
            case OnFail.STOP:
                stopped[copy.service] = f"it failed on {copy.node}"
            case OnFail.STANDBY:
                standby[copy.node] = what
            case OnFail.FENCE if not held and _may_fence(intent, observed, copy.node):
                fenced.setdefault(copy.node, what)
            case OnFail.FENCE if not held:
                blocked.add(copy)
    frozen = _tickets_lost(intent, observed, blueprint, fenced)
    return Mishaps(
        fenced=fenced,
        standby=standby,
        stopped=stopped,
        blocked=frozenset(blocked),
        frozen=frozenset(frozen),
        policies=policies,
    )


def _read_failures(
    observed: Observed,
    blueprint: Blueprint,
    standby: dict[NodeName, str],
    stopped: dict[ServiceName, str],
) -> None:
    """Failures outlive the copies that failed: their policies hold until they are forgotten or cleared."""
    for failure in observed.failures:
        index = blueprint.service_index.get(failure.service)
        if index is None:
            continue
        match _operation(blueprint.services[index], failure.operation).on_fail:
            case OnFail.STOP:
                stopped.setdefault(failure.service, f"it failed on {failure.node}")
            case OnFail.STANDBY:
                cause = f'"{failure.service}" failed there ({failure.operation})'
                standby.setdefault(failure.node, cause)
            case _:
                pass


def _tickets_lost(
    intent: Intent, observed: Observed, blueprint: Blueprint, fenced: dict[NodeName, str]
) -> Iterator[ServiceName]:
    """What lost tickets freeze; nodes that they fence are added to `fenced`."""
    held = {state.ticket for state in observed.tickets if state.granted}
    for rule in intent.tickets:
        if rule.ticket in held or rule.on_loss not in (OnLoss.FREEZE, OnLoss.FENCE):
            continue
        names = blueprint.members(rule.service)
        if rule.on_loss is OnLoss.FREEZE:
            yield from names
            continue
        for copy in observed.copies:
            role_matters = rule.role is not Role.PROMOTED or copy.role is Role.PROMOTED
            if copy.service in names and role_matters and _may_fence(intent, observed, copy.node):
                text = f'"{copy.service}" lost its ticket "{rule.ticket}"'
                fenced.setdefault(copy.node, text)


def _policy(intent: Intent, service: Service, copy: Copy) -> OnFail:
    operation = _operation(service, copy.failed_operation, copy.role)
    if operation.on_fail is not None:
        return operation.on_fail
    if copy.failed_operation == STOP:
        return OnFail.FENCE if intent.fencing.devices else OnFail.BLOCK
    if copy.failed_operation == "demote":
        promoted = service.monitor_promoted
        given = promoted.on_fail if promoted is not None else None
        return given if given not in (None, OnFail.DEMOTE) else OnFail.RESTART
    return OnFail.RESTART


def _failed(copy: Copy) -> bool:
    return copy.failed


def _place(copy: Copy) -> tuple[str, str, int]:
    return copy.service, copy.node, copy.instance


def _operation(service: Service, name: str, role: Role = Role.STARTED) -> Operation:
    match name:
        case "start":
            return service.start
        case "stop":
            return service.stop
        case "promote":
            return service.promote
        case "demote":
            return service.demote
        case _ if role is Role.PROMOTED and service.monitor_promoted is not None:
            return service.monitor_promoted
        case _:
            return service.monitor


def _lost_nodes(intent: Intent, observed: Observed) -> dict[NodeName, str]:
    heard = {state.name: state for state in observed.nodes}
    fenced = {}
    for node in intent.nodes:
        state = heard.get(node.name, NodeState(name=node.name, liveness=Liveness.UNKNOWN))
        why = _why_fenced(intent, observed, state)
        if why and not node.maintenance and _may_fence(intent, observed, node.name):
            fenced[node.name] = why
    return fenced


def _why_fenced(intent: Intent, observed: Observed, state: NodeState) -> str:
    if state.condemned:
        return state.condemned
    if state.liveness is Liveness.LOST:
        return "it is lost, and may still act"
    if state.liveness is Liveness.UNKNOWN and intent.fencing.unseen:
        return "it was never heard, and anything may run there"
    if not observed.quorate and intent.on_quorum_loss is OnLoss.FENCE:
        return "this side has lost its majority" if state.liveness is Liveness.ALIVE else ""
    return ""


def _may_fence(intent: Intent, observed: Observed, node: NodeName) -> bool:
    if not any(node in device.nodes for device in intent.fencing.devices):
        return False
    if observed.quorate or intent.on_quorum_loss is OnLoss.IGNORE:
        return True
    return any(s.name == node and s.liveness is Liveness.ALIVE for s in observed.nodes)
