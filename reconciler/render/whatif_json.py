"""A simulation as JSON: a format that programs rely on, so it is a type, and its JSON Schema comes from it.

Only ever add fields. Every outcome is there, also those that no table shows.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from reconciler.core.whatif import Loss, LossKind, Outcome, Promise, Sweep
from reconciler.render.plan_json import (
    IntentPart,
    ObservedPart,
    PlanDocument,
    ReasonPart,
    indented,
)
from reconciler.render.plan_json import (
    document as plan_document,
)
from reconciler.render.whatif import Facts, Simulation, headline

VERSION: Literal[1] = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LossPart:
    """A service that is worse off than before."""

    service: str
    kind: LossKind
    """`lost`: nothing runs; `demoted`: nothing is promoted any more; `fewer`: fewer copies run."""
    before: int
    after: int
    deadlock: bool
    """It never starts again by itself: it waits for a proof, a majority or an operator."""
    reasons: tuple[ReasonPart, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MovePart:
    """A copy that runs elsewhere afterwards, or was restarted where it is."""

    service: str
    source: str
    target: str
    disturbed: bool
    """It ran well, on a node that did not fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomePart:
    """What one scenario leads to."""

    faults: tuple[str, ...]
    """`node:NAME`, `domain:LABEL=VALUE` or `service:NAME@NODE`, as `--fail` takes them."""
    nodes: tuple[str, ...]
    """Every node that is gone."""
    losses: tuple[LossPart, ...]
    moves: tuple[MovePart, ...]
    fenced: tuple[str, ...]
    """Nodes whose fencing was assumed to succeed."""
    broken: tuple[str, ...]
    """Services whose promise (`survive`) is broken."""
    flaps: bool
    again: tuple[str, ...]
    """The first actions of the plan that the first plan calls for, if it flaps."""
    quorate: bool
    optimal: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PromisePart:
    """A `survive` of the intent."""

    service: str
    survive: int
    tried: int
    """Up to how many lost nodes every combination was tried."""
    broken_by: tuple[tuple[str, ...], ...]
    """The smallest scenarios that break it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPart:
    """What was tried."""

    depth: int
    domains: tuple[str, ...]
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CountsPart:
    """Scenarios, and how many of them lead to what."""

    scenarios: int
    lose: int
    deadlock: int
    flap: int
    break_promises: int
    unproven: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationDocument:
    """What `reconcile simulate --format json` prints."""

    version: Literal[1]
    cluster: str
    intent: IntentPart
    observed: ObservedPart
    facts: Facts
    pending: int
    """Actions that were carried out in the model before anything failed."""
    sweep: SweepPart | None
    summary: str
    counts: CountsPart
    promises: tuple[PromisePart, ...]
    outcomes: tuple[OutcomePart, ...]
    plan: PlanDocument | None = field(default=None)
    """What would be done after the given failures; none for a sweep."""


def document(simulation: Simulation) -> SimulationDocument:
    """Lay a simulation out as its document."""
    baseline, sweep = simulation.baseline, simulation.sweep
    return SimulationDocument(
        version=VERSION,
        cluster=baseline.intent.cluster,
        intent=IntentPart(digest=simulation.intent_digest, revision=simulation.revision),
        observed=ObservedPart(digest=simulation.observed_digest, taken_at=baseline.now_ms),
        facts=simulation.facts,
        pending=baseline.pending,
        sweep=_sweep(sweep) if sweep.depth else None,
        summary=headline(sweep),
        counts=_counts(sweep),
        promises=tuple(_promise(promise) for promise in sweep.promises),
        outcomes=tuple(_outcome(outcome) for outcome in sweep.outcomes),
        plan=plan_document(simulation.plan) if simulation.plan else None,
    )


def render(simulation: Simulation) -> str:
    """The document as indented JSON, ended by a newline."""
    return indented(document(simulation))


def schema() -> dict[str, Any]:
    """The JSON Schema of the document."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Output of `reconcile simulate --format json`",
        **msgspec.json.schema(SimulationDocument),
    }


def _sweep(sweep: Sweep) -> SweepPart:
    return SweepPart(depth=sweep.depth, domains=sweep.domains, faults=tuple(map(str, sweep.faults)))


def _counts(sweep: Sweep) -> CountsPart:
    outcomes = sweep.outcomes
    return CountsPart(
        scenarios=len(outcomes),
        lose=sum(bool(outcome.lost) for outcome in outcomes),
        deadlock=sum(bool(outcome.deadlocks) for outcome in outcomes),
        flap=sum(outcome.flaps for outcome in outcomes),
        break_promises=sum(bool(outcome.broken) for outcome in outcomes),
        unproven=sum(not outcome.proven for outcome in outcomes),
    )


def _promise(promise: Promise) -> PromisePart:
    return PromisePart(
        service=promise.service,
        survive=promise.survive,
        tried=promise.tried,
        broken_by=tuple(tuple(map(str, scenario.faults)) for scenario in promise.broken_by),
    )


def _outcome(outcome: Outcome) -> OutcomePart:
    return OutcomePart(
        faults=tuple(map(str, outcome.scenario.faults)),
        nodes=outcome.scenario.nodes,
        losses=tuple(_loss(loss) for loss in outcome.losses),
        moves=tuple(
            MovePart(
                service=move.service,
                source=move.source,
                target=move.target,
                disturbed=move.disturbed,
            )
            for move in outcome.moves
        ),
        fenced=outcome.fenced,
        broken=outcome.broken,
        flaps=outcome.flaps,
        again=outcome.again,
        quorate=outcome.quorate,
        optimal=outcome.proven,
    )


def _loss(loss: Loss) -> LossPart:
    return LossPart(
        service=loss.service,
        kind=loss.kind,
        before=loss.before,
        after=loss.after,
        deadlock=loss.deadlock,
        reasons=tuple(
            ReasonPart(
                code=reason.why.value,
                text=reason.text,
                node=reason.node,
                at=str(reason.origin) if reason.origin else None,
            )
            for reason in loss.reasons
        ),
    )
