"""One scenario, tried out: strike, plan, carry the plan out in the model, plan again, compare.

The comparison is between where everything ran before and where it runs in the end, so it does not depend
on how a plan gets there. Fencing is assumed to succeed, as is every other action.

Law: equal baselines and scenarios give equal outcomes; a sweep is nothing but these.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace

from reconciler.core import effects
from reconciler.core.reconcile import reconcile
from reconciler.core.verify import verify
from reconciler.core.whatif.strike import strike
from reconciler.core.whatif.values import (
    Baseline,
    Loss,
    LossKind,
    Move,
    Outcome,
    Quorate,
    Scenario,
    ServiceFault,
    Standing,
    Trial,
)
from reconciler.model.errors import BrokenLaw
from reconciler.model.ids import Millis, NodeName, ServiceName
from reconciler.model.intent import Intent, Role, Service
from reconciler.model.observed import Observed, PromotionScore
from reconciler.model.placement import Placement, Reason, Unplaced, Why
from reconciler.model.plan import ActionKind, Decision, Plan

_AGAIN_MOST = 8
_REASONS_MOST = 3
_FIT = 1
"""The least score of a copy that its agent calls fit for promotion."""
_WAITING = frozenset({Why.NO_PROOF, Why.NO_QUORUM, Why.BLOCKED, Why.UNKNOWN_STATE})


def settle(
    intent: Intent, observed: Observed, now_ms: Millis, quorate: Quorate, *, judged: bool = False
) -> Baseline:
    """Carry out, in the model, whatever is pending: faults strike what results."""
    observed = _fit(intent, observed)
    first = _decide(intent, observed, now_ms, judged=judged)
    after = effects.apply(first.plan, intent, observed)
    then = _decide(intent, after, now_ms, judged=judged) if first.plan.actions else first
    return Baseline(
        intent=intent,
        observed=after,
        standing=_standing(then.placement),
        now_ms=now_ms,
        quorate=quorate,
        pending=len(first.plan.actions),
        again=tuple(action.id for action in then.plan.actions[:_AGAIN_MOST]),
    )


def attempt(baseline: Baseline, scenario: Scenario, *, judged: bool = False) -> Trial:
    """Try one scenario out; `judged`: the independent checker passes each plan, or this raises.

    Errors: `BrokenLaw`.
    """
    intent, now_ms = baseline.intent, baseline.now_ms
    observed = strike(baseline, scenario)
    first = _decide(intent, observed, now_ms, judged=judged)
    after = effects.apply(first.plan, intent, observed)
    # Without actions the facts are the same, and so would be the plan.
    then = _decide(intent, after, now_ms, judged=judged) if first.plan.actions else first
    end = _standing(then.placement)
    outcome = Outcome(
        scenario=scenario,
        losses=tuple(_losses(baseline, scenario, end, then.placement)),
        moves=tuple(_moves(baseline.standing, end, scenario, first.plan)),
        fenced=tuple(a.node for a in first.plan.actions if a.kind is ActionKind.FENCE),
        broken=tuple(s.name for s in intent.services if _breaks(s, scenario, end)),
        again=tuple(a.id for a in then.plan.actions[:_AGAIN_MOST]) if first.plan.actions else (),
        quorate=observed.quorate,
        proven=first.placement.optimal and then.placement.optimal,
    )
    return Trial(observed=observed, decision=first, outcome=outcome)


def _fit(intent: Intent, observed: Observed) -> Observed:
    """Take every copy to be fit for promotion where no agent has said anything of its service yet."""
    told = {score.service for score in observed.promotion_scores}
    fit = [
        PromotionScore(service=service.name, node=node.name, score=_FIT)
        for service in intent.services
        if service.promoted and service.name not in told
        for node in intent.nodes
    ]
    if not fit:
        return observed
    scores = sorted((*observed.promotion_scores, *fit), key=lambda each: (each.node, each.service))
    return replace(observed, promotion_scores=tuple(scores))


def _decide(intent: Intent, observed: Observed, now_ms: Millis, *, judged: bool) -> Decision:
    decision = reconcile(intent, observed, now_ms)
    if judged:
        violations = verify(decision.plan, intent, observed, decision.placement, now_ms)
        if violations:
            raise BrokenLaw(violations[0].law, violations[0].detail)
    return decision


def _standing(placement: Placement) -> Standing:
    seats: defaultdict[ServiceName, list[NodeName]] = defaultdict(list)
    promoted: Counter[ServiceName] = Counter()
    for seat in placement.seats:
        seats[seat.service].append(seat.node)
        if seat.role is Role.PROMOTED:
            promoted[seat.service] += 1
    return Standing(
        seats={name: tuple(sorted(nodes)) for name, nodes in seats.items()}, promoted=promoted
    )


def _losses(
    baseline: Baseline, scenario: Scenario, end: Standing, placement: Placement
) -> Iterator[Loss]:
    unplaced = {item.service: item for item in placement.unplaced}
    gone = frozenset(scenario.nodes)
    for service in baseline.intent.services:
        found = _loss(service, baseline.standing, end, gone)
        if found is None:
            continue
        kind, before, after = found
        item = unplaced.get(service.name)
        yield Loss(
            service=service.name,
            kind=kind,
            before=before,
            after=after,
            deadlock=item is not None and item.blocked,
            reasons=_telling(item, scenario),
        )


def _loss(
    service: Service, start: Standing, end: Standing, gone: frozenset[NodeName]
) -> tuple[LossKind, int, int] | None:
    """What became worse, and the number of copies before and after."""
    before, after = start.seats.get(service.name, ()), end.seats.get(service.name, ())
    if before and not after:
        return LossKind.LOST, len(before), 0
    promoted = start.promoted.get(service.name, 0)
    if promoted and not end.promoted.get(service.name, 0):
        return LossKind.DEMOTED, promoted, 0
    # One on every node: a node less is a copy less, and nobody misses it.
    spared = sum(node in gone for node in before) if service.replicas is None else 0
    missed = len(after) < len(before) - spared
    return (LossKind.FEWER, len(before), len(after)) if missed else None


def _telling(item: Unplaced | None, scenario: Scenario) -> tuple[Reason, ...]:
    """The reasons that say most: what is waited for, then what the faults did, then the rest."""
    if item is None:
        return ()
    struck = {node for fault in scenario.faults for node in fault.nodes}
    struck |= {fault.node for fault in scenario.faults if isinstance(fault, ServiceFault)}
    ordered = sorted(
        item.reasons, key=lambda reason: (reason.why not in _WAITING, reason.node not in struck)
    )
    return tuple(ordered[:_REASONS_MOST])


def _moves(start: Standing, end: Standing, scenario: Scenario, plan: Plan) -> Iterator[Move]:
    gone = frozenset(scenario.nodes)
    failing = {
        (fault.service, fault.node) for fault in scenario.faults if isinstance(fault, ServiceFault)
    }

    def move(service: ServiceName, source: NodeName, target: NodeName) -> Move:
        innocent = source not in gone and (service, source) not in failing
        return Move(service=service, source=source, target=target, disturbed=innocent)

    restarted = _restarts(plan)
    changed = {name for name, nodes in start.seats.items() if end.seats.get(name) != nodes}
    for service in sorted(changed | restarted.keys()):
        before, after = Counter(start.seats.get(service)), Counter(end.seats.get(service))
        left, came = sorted((before - after).elements()), sorted((after - before).elements())
        for source, target in zip(left, came, strict=False):
            yield move(service, source, target)
        for node in restarted.get(service, ()):
            if before[node] and after[node]:
                yield move(service, node, node)


def _restarts(plan: Plan) -> Mapping[ServiceName, list[NodeName]]:
    """Nodes where a service stops and starts again."""
    stopped = {(a.service, a.node) for a in plan.actions if a.kind is ActionKind.STOP}
    found: defaultdict[ServiceName, list[NodeName]] = defaultdict(list)
    for action in plan.actions:
        if action.service is None or action.kind is not ActionKind.START:
            continue
        if (action.service, action.node) in stopped:
            found[action.service].append(action.node)
    return {service: sorted(set(nodes)) for service, nodes in found.items()}


def _breaks(service: Service, scenario: Scenario, end: Standing) -> bool:
    """Whether a promise of this service speaks of this scenario, and does not hold."""
    if service.survive is None or not service.enabled:
        return False
    if not scenario.only_nodes or len(scenario.nodes) > service.survive:
        return False
    if service.promoted and not end.promoted.get(service.name, 0):
        return True
    return not end.seats.get(service.name)
