"""Laws that hold for plans of every kind: fences, roles, order on one spot, and the end state."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from reconciler.core.case import Case
from reconciler.model.ids import NodeName
from reconciler.model.intent import OnFail, OnLoss, Role
from reconciler.model.observed import Copy, Liveness
from reconciler.model.plan import Action, ActionKind

_ON_A_COPY = (
    ActionKind.STOP,
    ActionKind.PROMOTE,
    ActionKind.DEMOTE,
    ActionKind.RELOAD,
    ActionKind.MIGRATE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A law, and where it is broken."""

    law: str
    detail: str


def uses_roles_or_fences(case: Case) -> bool:
    """Whether this cluster needs more than starts, stops and probes."""
    plain = (ActionKind.START, ActionKind.STOP, ActionKind.PROBE)
    return (
        any(action.kind not in plain for action in case.plan.actions)
        or any(seat.role is not Role.STARTED for seat in case.placement.seats)
        or any(s.replicas_per_node > 1 or not s.managed for s in case.intent.services)
        or any(state.liveness is Liveness.DOWN for state in case.observed.nodes)
        or any(not g.ordered or not g.colocated for g in case.intent.groups)
        or case.intent.on_quorum_loss is not OnLoss.FREEZE
        or bool(case.intent.tickets)
        or any(c.attribute or c.primary_role or c.dependent_role for c in case.intent.colocations)
        or any(not o.symmetrical or o.any_of or o.minimum for o in case.intent.orderings)
        or any(s.promotable or not s.interleave or s.ordered for s in case.intent.services)
        or any(copy.failed and copy.failed_operation for copy in case.observed.copies)
        or any(state.standby or state.leaving for state in case.observed.nodes)
    )


def laws(case: Case) -> Iterator[Breach]:
    """Every breach of what no plan may do."""
    fences = {a.node: a for a in case.plan.actions if a.kind is ActionKind.FENCE}
    for action in case.plan.actions:
        if not action.reasons:
            yield Breach(law="every action says why", detail=action.id)
        if action.kind is ActionKind.FENCE:
            yield from _fence(case, action)
        else:
            yield from _on_a_node(case, action, fences)
    yield from _roles(case)
    yield from _end(case, set(fences))


def _fence(case: Case, action: Action) -> Iterator[Breach]:
    if not any(action.node in device.nodes for device in case.intent.fencing.devices):
        yield Breach(law="a fence has a device", detail=action.id)
    alive = case.liveness.get(action.node) is Liveness.ALIVE
    ignored = case.intent.on_quorum_loss is OnLoss.IGNORE
    if not (case.observed.quorate or ignored or alive):
        yield Breach(law="a fence has a majority", detail=action.id)
    if not _may_be_fenced(case, action.node):
        yield Breach(law="a fence has a cause", detail=action.id)


def _may_be_fenced(case: Case, node: NodeName) -> bool:
    state = next((s for s in case.observed.nodes if s.name == node), None)
    if state is None or state.liveness is Liveness.UNKNOWN:
        return case.intent.fencing.unseen or bool(state and state.condemned)
    if state.condemned or state.liveness is Liveness.LOST:
        return True
    if not case.observed.quorate and case.intent.on_quorum_loss is OnLoss.FENCE:
        return True
    if any(rule.on_loss is OnLoss.FENCE for rule in case.intent.tickets):
        return True
    return any(
        c.node == node and c.failed and _failure_fences(case, c) for c in case.observed.copies
    )


def _failure_fences(case: Case, copy: Copy) -> bool:
    service = case.services.get(copy.service)
    if service is None:
        return False
    operations = (service.start, service.stop, service.promote, service.demote, service.monitor)
    said = [one.on_fail for one in (*operations, service.monitor_promoted) if one is not None]
    return copy.failed_operation == "stop" or OnFail.FENCE in said


def _on_a_node(case: Case, action: Action, fences: dict[NodeName, Action]) -> Iterator[Breach]:
    service = case.services.get(action.service or "")
    if action.kind in (ActionKind.PROMOTE, ActionKind.DEMOTE) and not (
        service is None or service.promotable or service.promoted
    ):
        yield Breach(law="only what is understood is planned", detail=action.id)
    if action.kind in _ON_A_COPY and action.node in fences:
        yield Breach(law="nothing is done to what a fence ends", detail=action.id)
    if action.kind in (ActionKind.START, ActionKind.PROMOTE, ActionKind.MIGRATE):
        at = action.target if action.target is not None else action.node
        if case.liveness.get(at) is not Liveness.ALIVE or at in fences:
            yield Breach(law="nothing starts on a node that is not alive", detail=action.id)
        for node, fence in fences.items():
            held = any(c.node == node and c.service == action.service for c in case.observed.copies)
            if held and not case.comes_before(fence, action):
                yield Breach(law="a start comes after the fence", detail=f"{action.id}, {fence.id}")


def _roles(case: Case) -> Iterator[Breach]:
    """On one spot: demote, stop, start, promote; and never more promoted copies than wanted."""
    found: dict[tuple[str, str, ActionKind], list[Action]] = {}
    for action in case.plan.actions:
        found.setdefault((str(action.service), action.node, action.kind), []).append(action)
    order = (ActionKind.DEMOTE, ActionKind.STOP, ActionKind.START, ActionKind.PROMOTE)
    for (name, node, kind), later in found.items():
        if kind not in order or len(later) > 1:
            continue
        for before in order[: order.index(kind)]:
            earlier = found.get((name, node, before), [])
            if len(earlier) == 1 and not case.comes_before(earlier[0], later[0]):
                yield Breach(law="demote, stop, start, promote", detail=later[0].id)
    promoted = Counter(s.service for s in case.placement.seats if s.role is Role.PROMOTED)
    for name, count in promoted.items():
        if count > case.services[name].promoted and case.services[name].promoted:
            yield Breach(law="no more promoted copies than wanted", detail=name)


def _end(case: Case, fenced: set[NodeName]) -> Iterator[Breach]:
    """What runs on nodes that can be acted on, plus what the plan does there, is the placement."""
    end: Counter[tuple[str, str]] = Counter()
    for copy in case.observed.copies:
        well = copy.certainty.value == "observed" or (copy.failed and copy.tangible)
        if case.liveness.get(copy.node) is Liveness.ALIVE and copy.node not in fenced and well:
            end[str(copy.service), str(copy.node)] += 1
    for action in case.plan.actions:
        if action.kind is ActionKind.START:
            end[str(action.service), str(action.node)] += 1
        elif action.kind is ActionKind.STOP:
            end[str(action.service), str(action.node)] -= 1
        elif action.kind is ActionKind.MIGRATE:
            end[str(action.service), str(action.node)] -= 1
            end[str(action.service), str(action.target)] += 1
    seats = Counter((str(seat.service), str(seat.node)) for seat in case.placement.seats)
    for spot, count in sorted(seats.items()):
        if end[spot] < count:
            yield Breach(law="a plan ends at its placement", detail=f"{spot[0]} on {spot[1]}")
