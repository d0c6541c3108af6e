"""What the controller knows of each node, and the `Observed` that follows from it.

A node's last report is a fact while the node is heard and connected. From a silent node it is only
assumed, and a report of an earlier boot is void: the node itself has said that it began anew. A start whose
result was never learned is a doubt: a copy may run there, so nobody may count on its absence.

Law: nothing here turns silence into absence.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from reconciler.model.ids import BootId, Millis, NodeName, ServiceName
from reconciler.model.intent import Pairs, Role
from reconciler.model.observed import (
    Certainty,
    Copy,
    Failure,
    Liveness,
    NodeState,
    Observed,
    PromotionScore,
)
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
    promotion_scores: tuple[PromotionScore, ...] = ()
    fenced: bool = False
    """Its last boot was ended by a fence, which is proof; no later one has spoken."""

    @property
    def seen(self) -> Liveness:
        """What to tell the planner: a node that cannot be given orders is not alive to it."""
        if self.fenced:
            return Liveness.DOWN
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
    role: Role = Role.STARTED
    """Promoted: the copy was there, and may have been promoted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeReport:
    """What a node says of itself. Failures carry ages, since clocks of machines differ."""

    boot: BootId
    ready: bool
    probed: frozenset[ServiceName]
    copies: tuple[Copy, ...]
    failures: tuple[Failure, ...]
    attributes: Pairs = ()
    promotion_scores: tuple[PromotionScore, ...] = ()


_UTC = Millis(0)
"""How far UTC is ahead of itself."""


def observe(
    nodes: Mapping[NodeName, NodeFacts],
    doubts: tuple[Doubt, ...],
    *,
    quorate: bool,
    now_ms: Millis,
    clock_ahead_ms: Millis = _UTC,
) -> Observed:
    """Put together what is known of the whole cluster.

    Shape: N nodes, C copies: O(N log N + C log C).
    """
    ordered = [nodes[name] for name in sorted(nodes)]
    promotions = {(d.service, d.node, d.instance) for d in doubts if d.role is Role.PROMOTED}
    known = (copy for facts in ordered for copy in facts.known_copies)
    copies = [_perhaps_promoted(copy, promotions) for copy in known]
    copies += _doubtful(doubts, copies)
    failures = [failure for facts in ordered for failure in facts.failures]
    scores = [score for facts in ordered for score in facts.promotion_scores]
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
        promotion_scores=tuple(sorted(scores, key=lambda score: (score.node, score.service))),
        quorate=quorate,
        clock_ahead_ms=clock_ahead_ms,
    )


def _perhaps_promoted(copy: Copy, promotions: set[tuple[ServiceName, NodeName, int]]) -> Copy:
    """A copy that was ordered to be promoted, with no word of the outcome, counts as promoted."""
    if (copy.service, copy.node, copy.instance) not in promotions:
        return copy
    certainty = copy.certainty
    certainty = Certainty.ASSUMED if certainty is Certainty.OBSERVED else certainty
    return replace(copy, role=Role.PROMOTED, certainty=certainty)


def same_facts(one: Observed, other: Observed) -> bool:
    """Whether two observations differ in nothing but the times at which they were made."""
    return (
        one.quorate == other.quorate
        and one.nodes == other.nodes
        and one.copies == other.copies
        and one.failures == other.failures
        and one.promotion_scores == other.promotion_scores
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
            promotion_scores=tuple(s for s in observed.promotion_scores if s.node == state.name),
            fenced=state.liveness is Liveness.DOWN,
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
        promotion_scores=tuple(s for s in report.promotion_scores if s.node == facts.name),
    )


def booted(facts: NodeFacts, boot: BootId) -> NodeFacts:
    """Forget an earlier boot: what ran in it runs no more, what runs now is not known yet."""
    if facts.boot in (None, boot) and not facts.fenced:
        return facts
    return replace(_emptied(facts), fenced=False)


def fenced(facts: NodeFacts) -> NodeFacts:
    """A confirmed fence is proof: nothing of what ran there runs, until another boot speaks."""
    return replace(_emptied(facts), fenced=True)


def _emptied(facts: NodeFacts) -> NodeFacts:
    return replace(
        facts,
        boot=None,
        ready=False,
        probed=frozenset(),
        attributes=(),
        copies=(),
        failures=(),
        promotion_scores=(),
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
