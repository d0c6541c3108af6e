"""Every single failure, or every two at once: which scenarios there are, and what their outcomes add up to.

A sweep only lists scenarios and gathers outcomes; who tries them out, and in how many processes, is not
its business. A pair that is no more than one of its halves (a service on a node that fails with it, a node of
a rack that does) is left out.

Law: the scenarios and the sums depend on the baseline alone, and come in one order.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

from reconciler.core.whatif.trial import attempt
from reconciler.core.whatif.values import (
    Baseline,
    DomainFault,
    Fault,
    Loss,
    NodeFault,
    Outcome,
    Promise,
    Scenario,
    ServiceFault,
    Sweep,
)
from reconciler.model.ids import NodeName, ServiceName
from reconciler.model.observed import Certainty, Liveness

_BROKEN_MOST = 20
_DOMAIN_LEAST = 2


def list_faults(baseline: Baseline, domains: Sequence[str] = ()) -> tuple[Fault, ...]:
    """Whatever can fail alone: nodes, link groups by each label, and services where they run."""
    alive = _alive(baseline)
    nodes = [NodeFault(node=name) for name in sorted(alive)]
    groups = [fault for label in domains for fault in domain_faults(baseline, label)]
    services = sorted(
        (copy.service, copy.node)
        for copy in baseline.observed.copies
        if copy.node in alive and copy.certainty is Certainty.OBSERVED and not copy.failed
    )
    known = {service.name for service in baseline.intent.services}
    runs = dict.fromkeys(spot for spot in services if spot[0] in known)
    return (
        *nodes,
        *(group for group in groups if len(group.nodes) >= _DOMAIN_LEAST),
        *(ServiceFault(service=service, node=node) for service, node in runs),
    )


def domain_faults(baseline: Baseline, label: str) -> tuple[DomainFault, ...]:
    """The link groups of a label, one for each value that living nodes have."""
    alive = _alive(baseline)
    members: defaultdict[str, list[NodeName]] = defaultdict(list)
    for node in baseline.intent.nodes:
        value = dict(node.labels).get(label)
        if value is not None and node.name in alive:
            members[value].append(node.name)
    return tuple(
        DomainFault(label=label, value=value, nodes=tuple(sorted(members[value])))
        for value in sorted(members)
    )


def list_scenarios(faults: Sequence[Fault], depth: int) -> tuple[Scenario, ...]:
    """Every fault alone, and with a depth of two every pair that is more than either half."""
    singles = [Scenario(faults=(fault,)) for fault in faults]
    if depth < _DOMAIN_LEAST:
        return tuple(singles)
    pairs = (Scenario(faults=pair) for pair in combinations(faults, 2) if not _redundant(*pair))
    return (*singles, *pairs)


def gather(
    baseline: Baseline,
    outcomes: Sequence[Outcome],
    *,
    depth: int,
    domains: Sequence[str] = (),
    faults: Sequence[Fault] = (),
) -> Sweep:
    """Put outcomes together with what they mean for the promises of the intent."""
    calm = attempt(baseline, Scenario()).outcome
    return Sweep(
        depth=depth,
        domains=tuple(domains),
        faults=tuple(faults),
        outcomes=tuple(outcomes),
        promises=tuple(_promises(baseline, (calm, *outcomes), depth)),
    )


def news(sweep: Sweep) -> Iterator[tuple[Outcome, tuple[Loss, ...]]]:
    """Outcomes that tell something new, with their losses that no fault of theirs causes alone."""
    alone: dict[Fault, Outcome] = {
        outcome.scenario.faults[0]: outcome
        for outcome in sweep.outcomes
        if len(outcome.scenario.faults) == 1
    }
    for outcome in sweep.outcomes:
        parts = outcome.scenario.faults
        halves = [alone[part] for part in parts if part in alone] if len(parts) > 1 else []
        losses = tuple(loss for loss in outcome.losses if not _known(loss, halves))
        flaps = outcome.flaps and not any(half.flaps for half in halves)
        if losses or flaps:
            yield outcome, losses


def _known(loss: Loss, halves: Iterable[Outcome]) -> bool:
    return any(
        known.service == loss.service and known.kind.severity >= loss.kind.severity
        for half in halves
        for known in half.losses
    )


def _redundant(one: Fault, other: Fault) -> bool:
    gone = {*one.nodes, *other.nodes}
    for fault, rest in ((one, other), (other, one)):
        if isinstance(fault, ServiceFault):
            if fault.node in rest.nodes:
                return True
        elif gone == set(rest.nodes):
            return True
    return False


def _promises(baseline: Baseline, outcomes: Sequence[Outcome], depth: int) -> Iterator[Promise]:
    broken: defaultdict[ServiceName, list[Scenario]] = defaultdict(list)
    for outcome in outcomes:
        for name in outcome.broken:
            faults = set(outcome.scenario.faults)
            # What a smaller scenario breaks, a greater one breaks too, and nobody needs to read it.
            if not any(faults > set(known.faults) for known in broken[name]):
                broken[name].append(outcome.scenario)
    for service in baseline.intent.services:
        if service.survive is not None and service.enabled:
            yield Promise(
                service=service.name,
                survive=service.survive,
                tried=min(service.survive, depth),
                broken_by=tuple(broken[service.name][:_BROKEN_MOST]),
            )


def _alive(baseline: Baseline) -> frozenset[NodeName]:
    known = {node.name for node in baseline.intent.nodes}
    return frozenset(
        state.name
        for state in baseline.observed.nodes
        if state.liveness is Liveness.ALIVE and state.name in known
    )
