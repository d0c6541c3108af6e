"""The story of a plan: the same facts that every renderer tells, worked out once.

A stop here and a start there are a move to a person; a stop and a start in one place, a restart. What a
plan disturbs is what runs well now and will be interrupted. Nothing here chooses words for a format.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from reconciler.model.ids import ActionId, NodeName, ServiceName
from reconciler.model.observed import Certainty, Observed
from reconciler.model.placement import Unplaced
from reconciler.model.plan import Action, ActionKind, Decision

Wave = tuple[Action, ...]
"""Actions that may run at the same time, once the waves before have succeeded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a plan does to one copy of a service, as a person would say it."""

    verb: str
    """start, stop, restart, move, promote, demote, reload, migrate or fence."""
    service: ServiceName | None
    node: NodeName
    """Where it happens, or where a move begins."""
    target: NodeName | None = None
    disturbs: bool = False
    """Whether a copy that runs well is interrupted."""
    actions: tuple[Action, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A decision, told: waves in the order of execution, changes by service, what waits and why."""

    waves: tuple[Wave, ...]
    changes: tuple[Change, ...]
    probes: int
    blocked: tuple[Unplaced, ...]
    impossible: tuple[Unplaced, ...]
    untouched: int
    """Copies that run well and are left alone."""

    @property
    def disturbed(self) -> tuple[Change, ...]:
        """The changes that interrupt something healthy."""
        return tuple(change for change in self.changes if change.disturbs)


VERBS = ("fence", "start", "stop", "restart", "move", "migrate", "promote", "demote", "reload")
"""In the order in which a summary counts them."""


def tell(observed: Observed, decision: Decision) -> Story:
    """Work out the story of a decision made from these facts."""
    healthy = frozenset(
        (copy.service, copy.node)
        for copy in observed.copies
        if copy.certainty is Certainty.OBSERVED and not copy.failed
    )
    changes = _changes(decision.plan.actions, healthy)
    touched = {(change.service, change.node) for change in changes if change.disturbs}
    unplaced = decision.placement.unplaced
    return Story(
        waves=waves(decision.plan.actions),
        changes=changes,
        probes=sum(action.kind is ActionKind.PROBE for action in decision.plan.actions),
        blocked=tuple(item for item in unplaced if item.blocked),
        impossible=tuple(item for item in unplaced if not item.blocked),
        untouched=len(healthy - touched),
    )


def waves(actions: Iterable[Action]) -> tuple[Wave, ...]:
    """Layer actions by their longest chain of predecessors.

    Law: every action comes in a later wave than everything in its `after`.
    """
    depth: dict[ActionId, int] = {}
    layers: defaultdict[int, list[Action]] = defaultdict(list)
    for action in actions:
        depth[action.id] = 1 + max((depth[before] for before in action.after), default=-1)
        layers[depth[action.id]].append(action)
    return tuple(tuple(layers[index]) for index in sorted(layers))


def headline(story: Story) -> str:
    """One sentence: what will happen, what it disturbs, what stays behind."""
    parts = [
        f"{count} to {verb}"
        for verb in VERBS
        if (count := sum(change.verb == verb for change in story.changes))
    ]
    if story.probes:
        parts.append(f"{story.probes} to probe first")
    nothing = "nothing can be done now" if story.blocked or story.impossible else "nothing to do"
    clauses = [", ".join(parts) or nothing]
    if story.disturbed:
        clauses.append(f"{_copies(len(story.disturbed), 'healthy')} disturbed")
    elif parts:
        clauses.append("nothing healthy is disturbed")
    waiting = [
        f"{len(items)} {words}"
        for items, words in ((story.blocked, "blocked"), (story.impossible, "unplaced"))
        if items
    ]
    clauses += [", ".join(waiting)] if waiting else []
    text = "; ".join(clauses)
    return text[0].upper() + text[1:]


def _copies(count: int, adjective: str) -> str:
    return f"1 {adjective} copy is" if count == 1 else f"{count} {adjective} copies are"


def _changes(
    actions: Iterable[Action], healthy: frozenset[tuple[ServiceName, NodeName]]
) -> tuple[Change, ...]:
    by_service: defaultdict[ServiceName, list[Action]] = defaultdict(list)
    fences: list[Change] = []
    for action in actions:
        if action.kind is ActionKind.FENCE or action.service is None:
            fences.append(Change(verb="fence", service=None, node=action.node, actions=(action,)))
        elif action.kind is not ActionKind.PROBE:
            by_service[action.service].append(action)
    told = [
        change
        for service, of_service in by_service.items()
        for change in _changes_of(service, of_service, healthy)
    ]
    return (*fences, *told)


def _changes_of(
    service: ServiceName,
    actions: list[Action],
    healthy: frozenset[tuple[ServiceName, NodeName]],
) -> list[Change]:
    stops = {action.node: action for action in actions if action.kind is ActionKind.STOP}
    starts = {action.node: action for action in actions if action.kind is ActionKind.START}
    told = [
        Change(
            verb="restart",
            service=service,
            node=node,
            disturbs=(service, node) in healthy,
            actions=(stops.pop(node), starts.pop(node)),
        )
        for node in [node for node in stops if node in starts]
    ]
    for source, target in list(zip(stops, starts, strict=False)):
        told.append(
            Change(
                verb="move",
                service=service,
                node=source,
                target=target,
                disturbs=(service, source) in healthy,
                actions=(stops.pop(source), starts.pop(target)),
            )
        )
    rest = [*stops.values(), *starts.values()]
    stopping = {action.node for action in actions if action.kind is ActionKind.STOP}
    rest += [
        action
        for action in actions
        if action.kind not in {ActionKind.STOP, ActionKind.START}
        and not (action.kind is ActionKind.DEMOTE and action.node in stopping)
    ]
    interrupting = {ActionKind.STOP, ActionKind.DEMOTE}
    told += [
        Change(
            verb=action.kind.value,
            service=service,
            node=action.node,
            target=action.target,
            disturbs=action.kind in interrupting and (service, action.node) in healthy,
            actions=(action,),
        )
        for action in rest
    ]
    return told
