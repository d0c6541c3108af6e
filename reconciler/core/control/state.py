"""The state of a controller: one frozen value, of which a part is durable.

`changed_records` names that part: whatever it returns has to be kept before the effects of the same step
happen. Heartbeats, connections and waiting requests are not in it: they begin anew with each controller.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from reconciler.core.facts import Doubt, NodeFacts, facts_of
from reconciler.core.transition import Fate, Limits, Progress
from reconciler.model.diagnostic import Diagnostic
from reconciler.model.ids import (
    ActionId,
    BootId,
    Digest,
    Epoch,
    Incarnation,
    Millis,
    NodeName,
    PlanId,
    ServiceName,
)
from reconciler.model.intent import Heartbeat, Intent, Pairs, Service
from reconciler.model.observed import Copy, Failure, Liveness, Observed, PromotionScore
from reconciler.model.placement import Placement
from reconciler.model.plan import Action, Decision, Plan, SavedPlan

from .budget import FenceBegun
from .events import ApplyRequested

USED_MAX = 1_000
"""Plans applied from a file that are remembered, so that none is applied twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """The pure functions that a controller thinks with; some live above `core`, so they are handed in."""

    plan: Callable[[Intent, Observed, Millis], Decision]
    verify: Callable[[Plan, Intent, Observed, Placement, Millis], tuple[object, ...]]
    bind: Callable[[Decision, Intent, str, Observed], SavedPlan]
    fingerprint: Callable[[Observed], Digest]
    changes: Callable[[Observed, Observed], tuple[str, ...]]
    quorate: Callable[[Collection[str], Mapping[str, Liveness]], bool]
    """Whether a controller that hears these members like this holds the majority."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The intent in force."""

    intent: Intent
    digest: Digest
    revision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """The last commit found. It is planned, and nothing more, until it is accepted."""

    revision: str
    intent: Intent | None
    digest: Digest | None
    diagnostics: tuple[Diagnostic, ...] = ()
    held: str = ""
    """Why it was not accepted by itself."""
    subject: str = ""
    judged: bool = False
    """Whether a controller that accepts by itself has made up its mind about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """The plan being carried out. `number` is in every step's key, so that no two are ever alike."""

    number: int
    saved: SavedPlan
    progress: Progress = Progress()
    base: Mapping[NodeName, NodeFacts] = field(compare=False)
    """The facts that the plan rests on."""
    asked_ms: Mapping[ActionId, Millis] = field(
        default_factory=lambda: MappingProxyType({}), compare=False
    )
    repeated: frozenset[ActionId] = field(default=frozenset(), compare=False)
    """Orders (by their names) that went out once more, because no result came in time."""

    @property
    def plan(self) -> Plan:
        """Its actions."""
        return self.saved.decision.plan

    def action(self, name: ActionId) -> Action | None:
        """One of its actions."""
        return next((action for action in self.plan.actions if action.id == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Durable odds and ends, each small and bounded."""

    number: int = 0
    """Of the last transition."""
    used: tuple[PlanId, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    retired: tuple[Service, ...] = ()
    """Services that no intent names any more and that may still run somewhere."""
    fences: tuple[FenceBegun, ...] = ()
    """Those that still count against the budget."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What the last decision was made for, and when to look again at the latest."""

    digest: Digest
    observed: Observed
    again_ms: Millis | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Setback:
    """A plan that was carried out and came out of the planner again: it waits, longer each time."""

    plan: PlanId
    count: int
    until_ms: Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Everything that a controller knows and is about to do."""

    incarnation: Incarnation
    epoch: Epoch
    accept_auto: bool = False
    limits: Limits = Limits()
    began_ms: Millis
    settled: bool = False
    """Whether enough is known after the start to act."""
    nodes: Mapping[NodeName, NodeFacts] = field(default_factory=lambda: MappingProxyType({}))
    quorate: bool = False
    accepted: Accepted | None = None
    candidate: Candidate | None = None
    decision: Decision | None = None
    planned: Planned | None = None
    transition: Transition | None = None
    ledger: Ledger = Ledger()
    setback: Setback | None = None
    waiting: tuple[ApplyRequested, ...] = ()
    watchers: tuple[int, ...] = ()
    clock_ahead_ms: Millis = Millis(0)
    """What turns times here into times since 1970 UTC."""
    broken: str | None = None
    """Which law of ours does not hold: nothing is ordered on the strength of the present plan."""
    fence_troubles: Mapping[NodeName, str] = field(default_factory=lambda: MappingProxyType({}))
    """Why nodes that should be fenced are not."""
    by_hand: Mapping[int, BootId | None] = field(default_factory=lambda: MappingProxyType({}))
    """Fences that operators ordered, by their requests, and the boots that they are to end."""
    outranked: str | None = None
    """Who has seen a higher term than ours: another controller decides."""
    catalog: Mapping[ServiceName, Service] = field(default_factory=lambda: MappingProxyType({}))
    """Every service that a node may have to know of, by name."""
    defined: Mapping[NodeName, object] = field(default_factory=lambda: MappingProxyType({}))
    """What each connected node was last told to know."""

    @property
    def heartbeat(self) -> Heartbeat:
        """How long a silence means what."""
        return self.accepted.intent.heartbeat if self.accepted else Heartbeat()


# What is durable ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRecord:
    """The last that a node reported."""

    name: NodeName
    boot: BootId | None
    probed: frozenset[ServiceName]
    attributes: Pairs
    copies: tuple[Copy, ...]
    failures: tuple[Failure, ...]
    promotion_scores: tuple[PromotionScore, ...] = ()
    fenced: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitionRecord:
    """A plan that was begun."""

    number: int
    saved: SavedPlan
    abandoned: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FateRecord:
    """How far the action at this place of the plan came, in the transition of this number."""

    number: int
    fate: Fate
    part: int = 0
    """Which of its orders it had come to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a new controller finds of the one before it."""

    accepted: Accepted | None = None
    ledger: Ledger = Ledger()
    transition: TransitionRecord | None = None
    fates: tuple[FateRecord | None, ...] = ()
    """By the place of the action in the plan."""
    nodes: tuple[NodeRecord, ...] = ()


def changed_records(old: State, new: State) -> tuple[tuple[str, object], ...]:
    """The durable values that differ, by key."""
    return tuple(_changes(old, new))


def _changes(old: State, new: State) -> Iterator[tuple[str, object]]:
    if new.accepted is not old.accepted:
        yield "accepted", new.accepted
    if new.ledger != old.ledger:
        yield "ledger", new.ledger
    yield from _transition_changes(old.transition, new.transition)
    if new.nodes is old.nodes:
        return
    if new.nodes.keys() != old.nodes.keys():
        yield "nodes", tuple(sorted(new.nodes))
    for name, facts in new.nodes.items():
        before = old.nodes.get(name)
        if before is not facts and (before is None or _record(before) != _record(facts)):
            yield f"node/{name}", _record(facts)


def _transition_changes(
    old: Transition | None, new: Transition | None
) -> Iterator[tuple[str, object]]:
    if new is old:
        return
    if new is None:
        yield "transition", None
        return
    same = old is not None and old.number == new.number
    if not same or (old and old.progress.abandoned != new.progress.abandoned):
        yield (
            "transition",
            TransitionRecord(number=new.number, saved=new.saved, abandoned=new.progress.abandoned),
        )
    before = old.progress if old and same else Progress()
    now = new.progress
    if (now.fates, now.parts) == (before.fates, before.parts):
        return
    for place, action in enumerate(new.plan.actions):
        fate, part = now.fates.get(action.id), now.part(action.id)
        if fate is not None and (before.fates.get(action.id), before.part(action.id)) != (
            fate,
            part,
        ):
            yield f"fate/{place}", FateRecord(number=new.number, fate=fate, part=part)


def _record(facts: NodeFacts) -> NodeRecord:
    return NodeRecord(
        name=facts.name,
        boot=facts.boot,
        probed=facts.probed,
        attributes=facts.attributes,
        copies=facts.copies,
        failures=facts.failures,
        promotion_scores=facts.promotion_scores,
        fenced=facts.fenced,
    )


def restored_nodes(records: tuple[NodeRecord, ...], now_ms: Millis) -> dict[NodeName, NodeFacts]:
    """Nodes as they last reported to an earlier controller.

    Its clock may have been another boot's, so their failures count as new.
    """
    return {
        record.name: NodeFacts(
            name=record.name,
            boot=record.boot,
            probed=record.probed,
            attributes=record.attributes,
            copies=record.copies,
            failures=tuple(replace(failure, last_ms=now_ms) for failure in record.failures),
            promotion_scores=record.promotion_scores,
            fenced=record.fenced,
        )
        for record in records
    }


def restored_transition(restored: Restored, now_ms: Millis) -> Transition | None:
    """Take up the plan that was under way, as far as it came."""
    record = restored.transition
    if record is None:
        return None
    actions = record.saved.decision.plan.actions
    found = {
        action.id: fate
        for action, fate in zip(actions, restored.fates, strict=False)
        if fate is not None and fate.number == record.number
    }
    fates = {action: kept.fate for action, kept in found.items()}
    parts = {action: kept.part for action, kept in found.items() if kept.part}
    return Transition(
        number=record.number,
        saved=record.saved,
        progress=Progress(
            fates=MappingProxyType(fates),
            parts=MappingProxyType(parts),
            abandoned=record.abandoned,
        ),
        base=MappingProxyType(facts_of(record.saved.observed)),
        asked_ms=MappingProxyType(
            {action: now_ms for action, fate in fates.items() if fate is Fate.ASKED}
        ),
    )
