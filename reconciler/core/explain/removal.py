"""Removal: the cluster as it would be without some causes.

Law: pure, and of the same cluster: nodes and services stay what they are. Taking away what is not there
changes nothing, and the order of the causes never matters.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeVar

from reconciler.core.explain.cause import Cause, CauseKind
from reconciler.core.scores import HEALTH
from reconciler.model.ids import BootId, NodeName, ServiceName
from reconciler.model.intent import (
    FenceDevice,
    Group,
    HealthStrategy,
    Intent,
    Location,
    Node,
    Role,
    Service,
)
from reconciler.model.observed import (
    Certainty,
    Copy,
    Liveness,
    NodeState,
    Observed,
    PromotionScore,
)

_FIT = 1
"""The promotion score of a copy that its agent calls fit."""
_NUDGE = 1
"""The least preference there is: it decides between equals and nothing else."""

_ByKind = dict[CauseKind, list[Cause]]
_Named = TypeVar("_Named", Node, Service)
_Item = TypeVar("_Item")


def remove(causes: Iterable[Cause], intent: Intent, observed: Observed) -> tuple[Intent, Observed]:
    """The intent and the facts without these causes; each is the same object where nothing changes."""
    kinds: _ByKind = defaultdict(list)
    for cause in causes:
        kinds[cause.kind].append(cause)
    return _intent_without(kinds, intent), _facts_without(kinds, intent, observed)


# The intent -----------------------------------------------------------------------------------------


_OF_INTENT = frozenset(
    {
        CauseKind.LOCATION,
        CauseKind.COLOCATION,
        CauseKind.ORDERING,
        CauseKind.GROUP,
        CauseKind.TICKET,
        CauseKind.NO_FENCE_DEVICE,
        CauseKind.HEALTH_RULE,
        CauseKind.EVEN,
    }
)
"""Kinds that change the intent, beside those with an edit of a node or of a service."""


def _intent_without(kinds: _ByKind, intent: Intent) -> Intent:
    if not kinds.keys() & (_OF_INTENT | _NODE_EDITS.keys() | _SERVICE_EDITS.keys()):
        return intent  # what follows from an intent is remembered by identity
    nudges = tuple(
        Location(service=cause.service, nodes=cause.nodes, strength=_NUDGE)
        for cause in kinds.get(CauseKind.EVEN, ())
        if cause.service is not None
    )
    without = replace(
        intent,
        nodes=_each(intent.nodes, kinds, _NODE_EDITS, lambda cause: cause.node),
        services=_each(intent.services, kinds, _SERVICE_EDITS, lambda cause: cause.service),
        colocations=_others(intent.colocations, kinds.get(CauseKind.COLOCATION, ())),
        orderings=_others(intent.orderings, kinds.get(CauseKind.ORDERING, ())),
        tickets=_others(intent.tickets, kinds.get(CauseKind.TICKET, ())),
        locations=_others(intent.locations, kinds.get(CauseKind.LOCATION, ())) + nudges,
    )
    if CauseKind.NO_FENCE_DEVICE in kinds:
        nodes = tuple(sorted({c.node for c in kinds[CauseKind.NO_FENCE_DEVICE] if c.node}))
        device = FenceDevice(name="one-more", agent="one-more", nodes=nodes)
        devices = (*intent.fencing.devices, device)
        without = replace(without, fencing=replace(intent.fencing, devices=devices))
    if CauseKind.HEALTH_RULE in kinds:
        without = replace(without, health=replace(intent.health, strategy=HealthStrategy.NONE))
    return _ungrouped(without, kinds.get(CauseKind.GROUP, ()))


def _replicas(service: Service) -> Service:
    return replace(service, replicas=None)


def _promoted(service: Service) -> Service:
    return replace(service, promoted=1 << 20)


def _per_node(service: Service) -> Service:
    return replace(service, replicas_per_node=max(service.replicas or 1, 1))


_NODE_EDITS: dict[CauseKind, Callable[[Node], Node]] = {
    CauseKind.NODE_STANDBY: lambda node: replace(node, standby=False),
    CauseKind.NODE_MAINTENANCE: lambda node: replace(node, maintenance=False),
    CauseKind.CAPACITY: lambda node: replace(node, capacity=()),
}
_SERVICE_EDITS: dict[CauseKind, Callable[[Service], Service]] = {
    CauseKind.NOT_ENABLED: lambda service: replace(service, enabled=True),
    CauseKind.UNMANAGED: lambda service: replace(service, maintenance=False, managed=True),
    CauseKind.WANTED: lambda service: replace(service, enabled=False),
    CauseKind.PER_NODE: _per_node,  # before the replicas, which it goes by
    CauseKind.REPLICAS: _replicas,
    CauseKind.PROMOTED: _promoted,
    CauseKind.STICKINESS: lambda service: replace(service, stickiness=0, promoted_stickiness=None),
    CauseKind.DEMAND: lambda service: replace(service, demand=()),
}


def _each(
    items: tuple[_Named, ...],
    kinds: _ByKind,
    edits: dict[CauseKind, Callable[[_Named], _Named]],
    whom: Callable[[Cause], str | None],
) -> tuple[_Named, ...]:
    wanted: dict[str, list[Callable[[_Named], _Named]]] = defaultdict(list)
    for kind, edit in edits.items():
        for cause in kinds.get(kind, ()):
            wanted[whom(cause) or ""].append(edit)
    if not wanted:
        return items
    return tuple(_edited(item, wanted.get(item.name, ())) for item in items)


def _edited(item: _Named, edits: Iterable[Callable[[_Named], _Named]]) -> _Named:
    for edit in edits:
        item = edit(item)
    return item


def _others(items: tuple[_Item, ...], causes: Iterable[Cause]) -> tuple[_Item, ...]:
    gone = {cause.place for cause in causes}
    return tuple(item for place, item in enumerate(items) if place not in gone) if gone else items


def _ungrouped(intent: Intent, causes: Iterable[Cause]) -> Intent:
    """Members leave their groups; an empty group goes, with the constraints that speak of it."""
    leaving: dict[str, set[ServiceName]] = defaultdict(set)
    for cause in causes:
        if cause.service is not None:
            leaving[cause.name].add(cause.service)
    if not leaving:
        return intent
    groups = tuple(_smaller(group, leaving.get(str(group.name), set())) for group in intent.groups)
    gone = {str(group.name) for group in groups if not group.members}
    return replace(
        intent,
        groups=tuple(group for group in groups if group.members),
        colocations=tuple(
            each for each in intent.colocations if not gone & {each.dependent, each.primary}
        ),
        orderings=tuple(each for each in intent.orderings if not gone & {each.first, each.then}),
        locations=tuple(each for each in intent.locations if each.service not in gone),
        tickets=tuple(each for each in intent.tickets if each.service not in gone),
    )


def _smaller(group: Group, leaving: set[ServiceName]) -> Group:
    if not leaving:
        return group
    return replace(group, members=tuple(name for name in group.members if name not in leaving))


# The facts ------------------------------------------------------------------------------------------


def _facts_without(kinds: _ByKind, intent: Intent, observed: Observed) -> Observed:
    back = _nodes_of(kinds, CauseKind.ABSENT)
    healed = _spots(kinds, CauseKind.FAILED)
    freed = _spots(kinds, CauseKind.STUCK)
    gone = _spots(kinds, CauseKind.RUNS)
    down = {state.name for state in observed.nodes if state.liveness is Liveness.DOWN} & back
    copies = []
    for copy in observed.copies:
        spot = (copy.service, copy.node)
        if spot in gone or copy.node in down:
            continue
        found = _healed(copy) if spot in healed else copy
        if found is None:
            continue
        if spot in freed:
            found = replace(found, blocked=None, certainty=Certainty.OBSERVED)
        if copy.node in back and found.certainty is Certainty.ASSUMED:
            found = replace(found, certainty=Certainty.OBSERVED)
        copies.append(found)
    return replace(
        observed,
        nodes=_states(kinds, intent, observed),
        copies=tuple(copies),
        failures=tuple(f for f in observed.failures if (f.service, f.node) not in healed),
        promotion_scores=_scores(kinds, observed),
        quorate=observed.quorate or CauseKind.NO_QUORUM in kinds,
    )


def _spots(kinds: _ByKind, kind: CauseKind) -> set[tuple[ServiceName | None, NodeName | None]]:
    return {(cause.service, cause.node) for cause in kinds.get(kind, ())}


def _nodes_of(kinds: _ByKind, kind: CauseKind) -> set[NodeName | None]:
    return {cause.node for cause in kinds.get(kind, ())}


def _healed(copy: Copy) -> Copy | None:
    """A copy that never failed; what is left of one that did not even start is not there at all."""
    if not copy.failed:
        return copy
    if copy.role is Role.STOPPED:
        return None
    certainty = Certainty.OBSERVED if copy.certainty is Certainty.UNKNOWN else copy.certainty
    return replace(copy, failed=False, failed_operation="", certainty=certainty)


def _states(kinds: _ByKind, intent: Intent, observed: Observed) -> tuple[NodeState, ...]:
    back = _nodes_of(kinds, CauseKind.ABSENT)
    ordered = _nodes_of(kinds, CauseKind.STANDBY_ORDER)
    staying = _nodes_of(kinds, CauseKind.LEAVING)
    healthy = _nodes_of(kinds, CauseKind.HEALTH)
    if not back | ordered | staying | healthy:
        return observed.nodes
    states = {state.name: state for state in observed.nodes}
    probed = frozenset(service.name for service in intent.services)
    for name in back:
        if name is None:
            continue
        state = states.get(name) or NodeState(name=name, liveness=Liveness.UNKNOWN)
        states[name] = replace(
            state,
            liveness=Liveness.ALIVE,
            boot=state.boot or BootId("back"),
            condemned="",
            probed=probed,
        )
    return tuple(
        replace(
            state,
            standby=state.standby and state.name not in ordered,
            leaving=state.leaving and state.name not in staying,
            attributes=tuple(
                (name, value)
                for name, value in state.attributes
                if state.name not in healthy or not name.startswith(HEALTH)
            ),
        )
        for _, state in sorted(states.items())
    )


def _scores(kinds: _ByKind, observed: Observed) -> tuple[PromotionScore, ...]:
    changed = {
        (cause.service, cause.node): points
        for kind, points in ((CauseKind.UNFIT, _FIT), (CauseKind.FITTER, 0))
        for cause in kinds.get(kind, ())
        if cause.service is not None and cause.node is not None
    }
    if not changed:
        return observed.promotion_scores
    told = {(score.service, score.node): score for score in observed.promotion_scores}
    for (service, node), points in changed.items():
        told[service, node] = PromotionScore(service=service, node=node, score=points)
    return tuple(score for _, score in sorted(told.items(), key=lambda item: item[0][::-1]))
