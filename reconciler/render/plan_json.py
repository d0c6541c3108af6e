"""The plan as JSON: a format that programs rely on, so it is a type, and its JSON Schema comes from it.

Only ever add fields. Digests and revisions say what the plan was made from; equal inputs give equal
bytes, whatever the order in which anything was found. Structs rather than dataclasses: they are made at once.
"""

from typing import Any, Literal

import msgspec

from reconciler.model.intent import Role
from reconciler.model.placement import Reason, Unplaced
from reconciler.model.plan import Action, ActionKind, SavedPlan
from reconciler.render import story

VERSION: Literal[1] = 1


class IntentPart(msgspec.Struct, frozen=True, kw_only=True):
    """Which intent the plan is for."""

    digest: str
    revision: str


class ObservedPart(msgspec.Struct, frozen=True, kw_only=True):
    """Which facts the plan rests on."""

    digest: str
    taken_at: int
    """Milliseconds, by the clock of whoever observed; 0 for a cold plan."""


class ReasonPart(msgspec.Struct, frozen=True, kw_only=True):
    """One cause, with its code from docs/reasons.md and the line of intent that it comes from."""

    code: str
    text: str
    node: str | None = None
    at: str | None = None
    """`path:line`."""


class ActionPart(msgspec.Struct, frozen=True, kw_only=True):
    """One step on one node; it may run once everything in `after` has succeeded."""

    id: str
    kind: ActionKind
    service: str | None
    """None for a fence."""
    instance: int
    node: str
    target: str | None
    """Where a migration goes to."""
    after: tuple[str, ...]
    reason: str
    reasons: tuple[ReasonPart, ...]
    wave: int
    """Actions of one wave may run at the same time; counts from 1."""


class SeatPart(msgspec.Struct, frozen=True, kw_only=True):
    """One copy of a service, where it should be."""

    service: str
    instance: int
    node: str
    role: Literal["started", "promoted", "unpromoted"]


class UnplacedPart(msgspec.Struct, frozen=True, kw_only=True):
    """A service of which fewer copies will run than are wanted."""

    service: str
    reason: str
    reasons: tuple[ReasonPart, ...]
    wanted: int
    placed: int
    blocked: bool
    """True when it waits for a proof, a quorum or an operator; false when no node can hold it."""


class DisturbedPart(msgspec.Struct, frozen=True, kw_only=True):
    """A copy that runs well now and that this plan interrupts."""

    service: str
    node: str
    how: str
    target: str | None


class PlanDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What `reconcile plan --format json` prints."""

    version: Literal[1]
    id: str
    """Digest of the plan and of what it was made from."""
    cluster: str
    intent: IntentPart
    observed: ObservedPart
    summary: str
    actions: tuple[ActionPart, ...]
    placement: tuple[SeatPart, ...]
    unplaced: tuple[UnplacedPart, ...]
    disturbs: tuple[DisturbedPart, ...]
    optimal: bool
    """Whether it is proven that no placement keeps more running, preferred, or undisturbed."""
    score: tuple[int, ...]
    bound: tuple[int, ...] | None = None
    """When not proven optimal: no placement scores better than this."""
    wake_at: int | None = None
    """When time alone would change this plan, on the clock of `observed.taken_at`."""


def document(saved: SavedPlan) -> PlanDocument:
    """Lay a plan out as its document."""
    told = story.tell(saved.observed, saved.decision)
    placement = saved.decision.placement
    wave_of = {action.id: n for n, wave in enumerate(told.waves, 1) for action in wave}
    return PlanDocument(
        version=VERSION,
        id=saved.id,
        cluster=saved.intent.cluster,
        intent=IntentPart(digest=saved.intent_digest, revision=saved.intent_revision),
        observed=ObservedPart(digest=saved.observed_digest, taken_at=saved.observed.taken_at_ms),
        summary=story.headline(told),
        actions=tuple(
            _action(action, wave_of[action.id]) for action in saved.decision.plan.actions
        ),
        placement=tuple(
            SeatPart(
                service=seat.service, instance=seat.instance, node=seat.node, role=_role(seat.role)
            )
            for seat in placement.seats
        ),
        unplaced=tuple(_unplaced(item) for item in placement.unplaced),
        disturbs=tuple(
            DisturbedPart(
                service=change.service or "",
                node=change.node,
                how=change.verb,
                target=change.target,
            )
            for change in told.disturbed
        ),
        optimal=placement.optimal,
        score=placement.score.levels,
        bound=placement.bound.levels if placement.bound else None,
        wake_at=saved.decision.wake_at_ms,
    )


def render(saved: SavedPlan) -> str:
    """The document as indented JSON, ended by a newline."""
    return indented(document(saved))


def indented(value: object) -> str:
    """Any value of ours as JSON for people and programs."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"


def schema() -> dict[str, Any]:
    """The JSON Schema of the document."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Output of `reconcile plan --format json`",
        **msgspec.json.schema(PlanDocument),
    }


def in_one(reasons: tuple[Reason, ...]) -> str:
    """Several reasons as one sentence."""
    return "; ".join(reason.text for reason in reasons)


def _action(action: Action, wave: int) -> ActionPart:
    return ActionPart(
        id=action.id,
        kind=action.kind,
        service=action.service,
        instance=action.instance,
        node=action.node,
        target=action.target,
        after=action.after,
        reason=in_one(action.reasons),
        reasons=_reasons(action.reasons),
        wave=wave,
    )


def _unplaced(item: Unplaced) -> UnplacedPart:
    return UnplacedPart(
        service=item.service,
        reason=in_one(item.reasons),
        reasons=_reasons(item.reasons),
        wanted=item.wanted,
        placed=item.placed,
        blocked=item.blocked,
    )


def _reasons(reasons: tuple[Reason, ...]) -> tuple[ReasonPart, ...]:
    return tuple(
        ReasonPart(
            code=reason.why.value,
            text=reason.text,
            node=reason.node,
            at=str(reason.origin) if reason.origin else None,
        )
        for reason in reasons
    )


def _role(role: Role) -> Literal["started", "promoted", "unpromoted"]:
    match role:
        case Role.PROMOTED:
            return "promoted"
        case Role.UNPROMOTED:
            return "unpromoted"
        case Role.STARTED | Role.STOPPED:
            return "started"
