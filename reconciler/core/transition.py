"""A plan being carried out: which actions may be asked for now, and what their results mean.

Progress is a value that says of each action how far it came; an action that it does not name waits. So
a transition can be saved after any step and taken up again by the next controller: whatever was asked for
and has no result is asked for again under the same key, which agents carry out once.

A migration is one action and three orders, one after the other: the source sends the copy, the target takes
it in, and what is left at the source is stopped. It has succeeded when all three have.

Law: an action is asked for only when everything in its `after` is done; nothing is asked for twice,
except by `AskAgain`; after `Abandon` nothing new is asked for.
Refuses to know: nodes' facts, time, epochs, how an order travels.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import assert_never

from reconciler.model.ids import ActionId, NodeName
from reconciler.model.plan import Action, ActionKind, Plan

MIGRATION_PARTS = 3


class Fate(StrEnum):
    """How far an action came."""

    ASKED = "asked"
    """The agent was, or was about to be, asked for it; no result yet."""
    DONE = "done"
    FAILED = "failed"
    """It did not succeed, or was refused: what comes after it is not asked for."""
    UNLEARNED = "unlearned"
    """Its node fell silent or was booted: nobody will tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many actions may be under way at once."""

    node: int = 4
    cluster: int = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a plan came."""

    fates: Mapping[ActionId, Fate] = field(default_factory=lambda: MappingProxyType({}))
    parts: Mapping[ActionId, int] = field(default_factory=lambda: MappingProxyType({}))
    """Of actions that take several orders, which one is under way, from 0; 0 is left out."""
    abandoned: str | None = None
    """Why nothing more is asked for."""

    def of(self, *fates: Fate) -> frozenset[ActionId]:
        """The actions with one of these fates."""
        return frozenset(action for action, fate in self.fates.items() if fate in fates)

    def part(self, action: ActionId) -> int:
        """Which of its orders an action has come to."""
        return self.parts.get(action, 0)

    def place(self, action: Action) -> NodeName:
        """The node that has an action's present order."""
        if action.kind is ActionKind.MIGRATE and action.target and self.part(action.id) == 1:
            return action.target
        return action.node


@dataclass(frozen=True, slots=True, kw_only=True)
class Proceed:
    """Ask for whatever may be asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskAgain:
    """A node can be asked again: repeat what it was asked for and has not answered."""

    node: NodeName


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """An action has a result."""

    action: ActionId
    succeeded: bool
    part: int = 0
    """The result is that of this order of the action."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeGone:
    """Results of what this node was asked for will never come. A fence is not for its node to do."""

    node: NodeName


@dataclass(frozen=True, slots=True, kw_only=True)
class Abandon:
    """The facts moved: let what is under way end, and ask for nothing more."""

    reason: str


Event = Proceed | AskAgain | Ended | NodeGone | Abandon


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Have this action, or this order of it, carried out."""

    action: Action
    part: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Over:
    """Nothing is under way and nothing more can be asked for."""

    complete: bool
    """Whether every action is done."""


Effect = Ask | Over


def step(
    plan: Plan, progress: Progress, event: Event, limits: Limits
) -> tuple[Progress, tuple[Effect, ...]]:
    """Take in one event; say what to ask for now, in the order of the plan.

    Shape: A actions, E edges: O(A + E).
    """
    asked: tuple[Ask, ...] = ()
    match event:
        case Proceed():
            pass
        case AskAgain(node=node):
            waiting = progress.of(Fate.ASKED)
            asked = tuple(
                Ask(action=action, part=progress.part(action.id))
                for action in plan.actions
                if action.id in waiting and _is_asked(progress, action, node)
            )
        case Ended():
            progress, asked = _result(plan, progress, event)
        case NodeGone(node=node):
            for action in plan.actions:
                if node in (action.node, action.target) and action.kind is not ActionKind.FENCE:
                    progress = _ended(progress, action.id, Fate.UNLEARNED)
        case Abandon(reason=reason):
            progress = progress if progress.abandoned else replace(progress, abandoned=reason)
        case _:
            assert_never(event)
    ready = _ready(plan, progress, limits)
    if ready:
        fates = {**progress.fates, **{action.id: Fate.ASKED for action in ready}}
        progress = replace(progress, fates=MappingProxyType(fates))
    effects: tuple[Effect, ...] = asked + tuple(Ask(action=action) for action in ready)
    if Fate.ASKED not in progress.fates.values():
        complete = len(progress.of(Fate.DONE)) == len(plan.actions)
        effects += (Over(complete=complete),)
    return progress, effects


def _result(plan: Plan, progress: Progress, event: Ended) -> tuple[Progress, tuple[Ask, ...]]:
    """End an action, or go on to its next order: what has left one node must arrive at the other.

    That holds for an abandoned plan too, since only whole actions leave a cluster that can be planned for.
    """
    action = next((action for action in plan.actions if action.id == event.action), None)
    stale = progress.fates.get(event.action) is not Fate.ASKED
    if action is None or stale or progress.part(action.id) != event.part:
        return progress, ()
    part = event.part + 1
    if not event.succeeded or part >= parts_of(action):
        fate = Fate.DONE if event.succeeded else Fate.FAILED
        return _ended(progress, action.id, fate), ()
    parts = MappingProxyType({**progress.parts, action.id: part})
    return replace(progress, parts=parts), (Ask(action=action, part=part),)


def _is_asked(progress: Progress, action: Action, node: NodeName) -> bool:
    """Whether it is this node that was asked. Nobody asks a node to fence itself."""
    return progress.place(action) == node and action.kind is not ActionKind.FENCE


def parts_of(action: Action) -> int:
    """How many orders an action takes."""
    return MIGRATION_PARTS if action.kind is ActionKind.MIGRATE else 1


def _ended(progress: Progress, action: ActionId, fate: Fate) -> Progress:
    """Only what is under way can end; a result that comes twice, or too late, changes nothing."""
    if progress.fates.get(action) is not Fate.ASKED:
        return progress
    return replace(progress, fates=MappingProxyType({**progress.fates, action: fate}))


def _ready(plan: Plan, progress: Progress, limits: Limits) -> list[Action]:
    if progress.abandoned is not None:
        return []
    fates = progress.fates
    under_way = progress.of(Fate.ASKED)
    total = len(under_way)
    busy = Counter(progress.place(action) for action in plan.actions if action.id in under_way)
    ready = []
    for action in plan.actions:
        if total >= limits.cluster:
            break
        if action.id in fates or busy[action.node] >= limits.node:
            continue
        if all(fates.get(before) is Fate.DONE for before in action.after):
            ready.append(action)
            busy[action.node] += 1
            total += 1
    return ready
