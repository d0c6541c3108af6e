"""What the controller knows of each node, and the `Observed` that follows from it.

A node's last report is a fact while the node is heard and connected. From a silent node it is only
assumed, and a report of an earlier boot is void: the node itself has said that it began anew. A start whose
result was never learned is a doubt: a copy may run there, so nobody may count on its absence.

Law: nothing here turns silence into absence.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from reconciler.model.ids import BootId, Millis, NodeName, ServiceName
from reconciler.model.intent import Pairs
from reconciler.model.observed import Certainty, Copy, Failure, Liveness, NodeState, Observed
from reconciler.model.operation import StepKey


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """A node by its last report that counts, and by what its heartbeats and its connection say."""

    name: NodeName
    liveness: Liveness = Liveness.UNKNOWN
    """By its heartbeats alone."""
    connected: bool = False
    ready: bool = False
    """A report that counts came over the present connection."""
    boot: BootId | None = None
    probed: frozenset[ServiceName] = frozenset()
    attributes: Pairs = ()
    copies: tuple[Copy, ...] = ()
    failures: tuple[Failure, ...] = ()

    @property
    def seen(self) -> Liveness:
        """What to tell the planner: a node that cannot be given orders is not alive to it."""
        if self.liveness is Liveness.ALIVE and not (self.connected and self.ready):
            return Liveness.UNKNOWN if self.boot is None else Liveness.SUSPECT
        return self.liveness

    @property
    def known_copies(self) -> tuple[Copy, ...]:
        """Its copies, as certain as its silence leaves them."""
        if self.seen is Liveness.ALIVE:
            return self.copies
        return tuple(
            replace(copy, certainty=Certainty.ASSUMED)
            if copy.certainty is Certainty.OBSERVED
            else copy
            for copy in self.copies
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """An order that may have started a copy, and of which no result came."""

    key: StepKey
    node: NodeName
    service: ServiceName
    instance: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeReport:
    """What a node says of itself. Failures carry ages, since clocks of machines differ."""

    boot: BootId
    ready: bool
    probed: frozenset[ServiceName]
    copies: tuple[Copy, ...]
    failures: tuple[Failure, ...]
    attributes: Pairs = ()


def observe(
    nodes: Mapping[NodeName, NodeFacts],
    doubts: tuple[Doubt, ...],
    *,
    quorate: bool,
    now_ms: Millis,
) -> Observed:
    """Put together what is known of the whole cluster.

    Shape: N nodes, C copies: O(N log N + C log C).
    """
    ordered = [nodes[name] for name in sorted(nodes)]
    copies = [copy for facts in ordered for copy in facts.known_copies]
    copies += _doubtful(doubts, copies)
    failures = [failure for facts in ordered for failure in facts.failures]
    return Observed(
        taken_at_ms=now_ms,
        nodes=tuple(
            NodeState(
                name=facts.name,
                liveness=facts.seen,
                boot=facts.boot,
                probed=facts.probed,
                attributes=facts.attributes,
            )
            for facts in ordered
        ),
        copies=tuple(sorted(copies, key=lambda copy: (copy.node, copy.service, copy.instance))),
        failures=tuple(sorted(failures, key=lambda failure: (failure.node, failure.service))),
        quorate=quorate,
    )


def same_facts(one: Observed, other: Observed) -> bool:
    """Whether two observations differ in nothing but the times at which they were made."""
    return (
        one.quorate == other.quorate
        and one.nodes == other.nodes
        and one.copies == other.copies
        and one.failures == other.failures
    )


def facts_of(observed: Observed) -> dict[NodeName, NodeFacts]:
    """Read an observation back into facts by node, to compare later ones with."""
    return {
        state.name: NodeFacts(
            name=state.name,
            liveness=state.liveness,
            connected=True,
            ready=True,
            boot=state.boot,
            probed=state.probed,
            attributes=state.attributes,
            copies=tuple(copy for copy in observed.copies if copy.node == state.name),
            failures=tuple(f for f in observed.failures if f.node == state.name),
        )
        for state in observed.nodes
    }


def reported(facts: NodeFacts, report: NodeReport, now_ms: Millis) -> NodeFacts:
    """Take in a report. One that is not complete yet says only which boot is speaking.

    Law: a node speaks of itself; whatever it says of others is dropped.
    """
    facts = booted(facts, report.boot)
    if not report.ready:
        return replace(facts, ready=False)
    return replace(
        facts,
        boot=report.boot,
        ready=True,
        probed=report.probed,
        attributes=report.attributes,
        copies=_own(report.copies, facts.name),
        failures=tuple(
            replace(failure, last_ms=Millis(now_ms - max(failure.last_ms, 0)))
            for failure in report.failures
            if failure.node == facts.name
        ),
    )


def booted(facts: NodeFacts, boot: BootId) -> NodeFacts:
    """Forget an earlier boot: what ran in it runs no more, what runs now is not known yet."""
    if facts.boot in (None, boot):
        return facts
    return replace(
        facts,
        boot=None,
        ready=False,
        probed=frozenset(),
        attributes=(),
        copies=(),
        failures=(),
    )


def _own(copies: Iterable[Copy], node: NodeName) -> tuple[Copy, ...]:
    """A node's copies, one of each service and instance."""
    single = {(copy.service, copy.instance): copy for copy in copies if copy.node == node}
    return tuple(single[key] for key in sorted(single))


def _doubtful(doubts: tuple[Doubt, ...], copies: list[Copy]) -> list[Copy]:
    known = {(copy.service, copy.node, copy.instance) for copy in copies}
    found = {(doubt.service, doubt.node, doubt.instance) for doubt in doubts} - known
    return [
        Copy(service=service, node=node, instance=instance, certainty=Certainty.UNKNOWN)
        for service, node, instance in sorted(found)
    ]
