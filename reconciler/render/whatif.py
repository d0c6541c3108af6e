"""What a simulation of failures found, worked out once for every form that it is shown in.

A sweep has thousands of outcomes and few of them say anything new: a row stands for every node and link group
alone, and beyond these only for what is lost, deadlocks or flaps through no smaller cause. JSON has them all.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from reconciler.core.whatif import (
    Baseline,
    Loss,
    LossKind,
    Outcome,
    Promise,
    Scenario,
    Sweep,
    news,
)
from reconciler.model.ids import Digest, ServiceName
from reconciler.model.plan import SavedPlan
from reconciler.render.words import amount, listing

Facts = Literal["cold", "file", "controller"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """Failures tried out: one scenario with its plan, or a sweep."""

    baseline: Baseline
    sweep: Sweep
    facts: Facts
    """Where the facts came from; cold: everything where a cold plan puts it."""
    revision: str
    intent_digest: Digest
    observed_digest: Digest
    plan: SavedPlan | None = None
    """What would be done after the given scenario; None for a sweep."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One outcome as a line of a table."""

    outcome: Outcome
    losses: tuple[Loss, ...]
    """Those that no smaller cause explains."""

    @property
    def lost(self) -> tuple[str, ...]:
        """Services of which nothing runs any more."""
        return tuple(loss.service for loss in self.losses if loss.kind is LossKind.LOST)

    @property
    def worse(self) -> tuple[str, ...]:
        """Services that run with fewer copies, or without a promoted one."""
        return tuple(worse(loss) for loss in self.losses if loss.kind is not LossKind.LOST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frail:
    """A service that some scenario loses."""

    service: ServiceName
    times: int
    """Scenarios that lose it."""
    smallest: Scenario


def rows(sweep: Sweep) -> Iterator[Row]:
    """The outcomes that anyone would want to read, in the order of the sweep."""
    fresh = {outcome.scenario: losses for outcome, losses in news(sweep)}
    for outcome in sweep.outcomes:
        scenario = outcome.scenario
        whole = len(scenario.faults) <= 1 and scenario.only_nodes
        if whole or scenario in fresh:
            yield Row(outcome=outcome, losses=fresh.get(scenario, ()))


def frail(sweep: Sweep) -> list[Frail]:
    """Services that some scenario loses: those that the least is needed for first, then the most often."""
    smallest: dict[ServiceName, Scenario] = {}
    times: Counter[ServiceName] = Counter()
    for outcome in sweep.outcomes:
        for name in outcome.lost:
            times[name] += 1
            known = smallest.get(name)
            if known is None or len(known.faults) > len(outcome.scenario.faults):
                smallest[name] = outcome.scenario
    found = [Frail(service=s, times=times[s], smallest=smallest[s]) for s in smallest]
    return sorted(found, key=lambda each: (len(each.smallest.faults), -each.times, each.service))


def headline(sweep: Sweep) -> str:
    """One sentence: of how many scenarios what becomes."""
    total = len(sweep.outcomes)
    counts = [
        (
            sum(bool(outcome.lost) for outcome in sweep.outcomes),
            "lose a service",
            "loses a service",
        ),
        (sum(bool(o.deadlocks) for o in sweep.outcomes), "deadlock", "deadlocks"),
        (sum(outcome.flaps for outcome in sweep.outcomes), "flap", "flaps"),
        (sum(bool(o.broken) for o in sweep.outcomes), "break a promise", "breaks a promise"),
    ]
    said = ", ".join(f"{n} {one if n == 1 else many}" for n, many, one in counts if n)
    if said:
        return f"Of {amount(total, 'scenario')} {said}"
    return f"Nothing is lost in any of {amount(total, 'scenario')}"


def tried(sweep: Sweep) -> str:
    """What a sweep went through."""
    kinds = Counter(str(fault).partition(":")[0] for fault in sweep.faults)
    parts = [amount(kinds["node"], "node")] if kinds["node"] else []
    if kinds["domain"]:
        parts.append(f"{amount(kinds['domain'], 'link group')} by {listing(sweep.domains)}")
    if kinds["service"]:
        parts.append(f"{amount(kinds['service'], 'copy')} of services")
    which = "single" if sweep.depth == 1 else "single and double"
    return f"every {which} failure of {', '.join(parts) or 'nothing'}"


def premise(simulation: Simulation) -> str:
    """What the failures strike."""
    baseline = simulation.baseline
    if simulation.facts == "cold":
        return "everything where a cold plan puts it"
    where = "the facts of the file" if simulation.facts == "file" else "the cluster as it is now"
    if not baseline.pending:
        return where
    return f"{where}, once {amount(baseline.pending, 'pending action')} are carried out"


def remarks(outcome: Outcome) -> tuple[str, ...]:
    """What else an outcome has to say, the worst first."""
    said = []
    if outcome.broken:
        said.append(f"breaks a promise: {listing(outcome.broken, most=3)}")
    if outcome.flaps:
        said.append(f"flaps: {listing(outcome.again, most=3)}")
    if outcome.deadlocks:
        said.append(f"deadlock: {listing(outcome.deadlocks, most=3)}")
    if not outcome.quorate:
        said.append("no majority")
    if not outcome.proven:
        said.append("not proven the best")
    return tuple(said)


def worse(loss: Loss) -> str:
    """A service that still runs, and how far."""
    if loss.kind is LossKind.DEMOTED:
        return f"{loss.service} not promoted"
    return f"{loss.service} {loss.after}/{loss.before}"


def moved(outcome: Outcome) -> str:
    """How many copies move or restart, and how many of them ran well."""
    if not outcome.moves:
        return ""
    disturbed = sum(move.disturbed for move in outcome.moves)
    return f"{len(outcome.moves)}" + (f" ({disturbed} healthy)" if disturbed else "")


def verdict(promise: Promise, sweep: Sweep) -> str:
    """Whether a promise holds, and how far that is known."""
    if promise.broken_by:
        return f"broken by {listing(map(str, promise.broken_by), most=3)}"
    if not sweep.depth:
        only = sweep.outcomes[0].scenario
        spoken = only.only_nodes and len(only.nodes) <= promise.survive
        return "holds" if spoken else "says nothing of this"
    if promise.tried < promise.survive:
        return f"holds for up to {promise.tried} at once; more was not tried"
    return "holds"
