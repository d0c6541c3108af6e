"""Facts after faults: what a controller would observe once something has failed.

A lost node says nothing any more: its copies are assumed still to run, which is why what is exclusive there
waits for a fence or another proof. A service that keeps failing on a node has used up its failures there.
Votes are counted anew, since lost nodes have one each.
"""

from collections.abc import Iterable
from dataclasses import replace

from reconciler.core.whatif.values import Baseline, Scenario, ServiceFault
from reconciler.model.ids import NodeName, ServiceName
from reconciler.model.observed import Certainty, Copy, Failure, Liveness, NodeState, Observed

REASON = "supposed to fail"


def strike(baseline: Baseline, scenario: Scenario) -> Observed:
    """Let the faults of a scenario happen to a cluster.

    Shape: N nodes, C copies: O(N + C).
    """
    observed = baseline.observed
    gone = frozenset(scenario.nodes)
    failing = frozenset(
        (fault.service, fault.node)
        for fault in scenario.faults
        if isinstance(fault, ServiceFault) and fault.node not in gone
    )
    nodes = tuple(_lost(state) if state.name in gone else state for state in observed.nodes)
    return replace(
        observed,
        taken_at_ms=baseline.now_ms,
        nodes=nodes,
        copies=tuple(_struck(copy, gone, failing) for copy in observed.copies),
        failures=_failures(baseline, failing) if failing else observed.failures,
        quorate=observed.quorate and _majority(baseline, nodes),
    )


def _lost(state: NodeState) -> NodeState:
    return replace(state, liveness=Liveness.LOST)


def _struck(
    copy: Copy, gone: frozenset[NodeName], failing: frozenset[tuple[ServiceName, NodeName]]
) -> Copy:
    if copy.node in gone and copy.certainty is Certainty.OBSERVED:
        return replace(copy, certainty=Certainty.ASSUMED)
    if (copy.service, copy.node) in failing:
        return replace(copy, failed=True)
    return copy


def _failures(
    baseline: Baseline, failing: Iterable[tuple[ServiceName, NodeName]]
) -> tuple[Failure, ...]:
    """Failures as they were, and for what fails so many that its node is given up."""
    limits = {service.name: service.failures_max or 1 for service in baseline.intent.services}
    found = {(each.node, each.service): each for each in baseline.observed.failures}
    for service, node in failing:
        before = found.get((node, service))
        found[node, service] = Failure(
            service=service,
            node=node,
            count=max(limits.get(service, 1), before.count if before else 0),
            operation="monitor",
            reason=REASON,
            last_ms=baseline.now_ms,
        )
    return tuple(found[key] for key in sorted(found))


def _majority(baseline: Baseline, nodes: Iterable[NodeState]) -> bool:
    """Whether the votes that are left are enough; witnesses are taken to be well."""
    heard = {str(state.name): state.liveness for state in nodes}
    heard |= dict.fromkeys(baseline.intent.witnesses, Liveness.ALIVE)
    members = [*(str(node.name) for node in baseline.intent.nodes), *baseline.intent.witnesses]
    return baseline.quorate(members, heard)
