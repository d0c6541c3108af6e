"""Whether the facts moved under a plan, other than by the plan itself.

Copies that a step of the plan touches are left out until it has ended; from then on they must look as the
step left them, since an agent reports before it says that a step is done. Everything else has to be as it
was when the plan was made. What only widens the choice (a service probed, a failure forgotten) moves
nothing: it is planned for afterwards.
"""

from collections.abc import Iterator
from typing import assert_never

from reconciler.core.facts import NodeFacts
from reconciler.core.transition import Fate
from reconciler.model.ids import NodeName, ServiceName
from reconciler.model.observed import Copy
from reconciler.model.plan import Action, ActionKind

from .state import State, Transition

Own = dict[tuple[ServiceName, NodeName], Action | None]
"""Copies that the plan touches, with the last action whose effect must show; None while one is open."""


def moved(held: Transition, state: State) -> str | None:
    """Say which fact is no longer what the plan rests on, if any.

    Shape: only nodes of which anything is new are compared.
    """
    if state.quorate != held.saved.observed.quorate:
        return "the majority is " + ("back" if state.quorate else "lost")
    own: Own | None = None
    for name, facts in state.nodes.items():
        base = held.base.get(name) or NodeFacts(name=name)
        if facts is base:
            continue
        own = own if own is not None else dict(_own_doing(held))
        fate = _fence_of(held, name)
        if fate is Fate.ASKED or (fate is Fate.DONE and facts.fenced):
            continue  # whatever is seen of it now is the fence's doing
        if reason := _node_moved(base, facts, own):
            return reason
    return None


def _fence_of(held: Transition, node: NodeName) -> Fate | None:
    """How far the fence of a node has come, if the plan has one."""
    fates = held.progress.fates
    fences = (a for a in held.plan.actions if a.kind is ActionKind.FENCE and a.node == node)
    return next((fates.get(action.id) for action in fences), None)


def _own_doing(held: Transition) -> Iterator[tuple[tuple[ServiceName, NodeName], Action | None]]:
    for action in held.plan.actions:
        fate = held.progress.fates.get(action.id)
        if action.service is None or fate is None:
            continue
        migrates = action.kind is ActionKind.MIGRATE
        yield (action.service, action.node), action if fate is Fate.DONE and not migrates else None
        if action.target is not None:
            yield (action.service, action.target), None


def _node_moved(base: NodeFacts, facts: NodeFacts, own: Own) -> str | None:
    if facts.boot != base.boot:
        return f"{facts.name} was booted"
    if facts.seen is not base.seen:
        return f"{facts.name} is {facts.seen}"
    if facts.attributes != base.attributes:
        return f"attributes of {facts.name} changed"
    if any((service, facts.name) not in own for service in base.probed - facts.probed):
        return f"{facts.name} lost sight of a service"
    counts = {failure.service: failure.count for failure in base.failures}
    for failure in facts.failures:
        pair = (failure.service, facts.name)
        if failure.count > counts.get(failure.service, 0) and pair not in own:
            return f'"{failure.service}" failed on {facts.name}'
    return _scores_moved(base, facts, own) or _copy_moved(base, facts, own)


def _scores_moved(base: NodeFacts, facts: NodeFacts, own: Own) -> str | None:
    before = {score.service: score.score for score in base.promotion_scores}
    after = {score.service: score.score for score in facts.promotion_scores}
    for service in sorted(before.keys() | after.keys()):
        if before.get(service) != after.get(service) and (service, facts.name) not in own:
            return f'"{service}" on {facts.name} is fit to be promoted in another measure'
    return None


def _copy_moved(base: NodeFacts, facts: NodeFacts, own: Own) -> str | None:
    before = {(copy.service, copy.instance): copy for copy in base.known_copies}
    after = {(copy.service, copy.instance): copy for copy in facts.known_copies}
    for service, instance in sorted(before.keys() | after.keys()):
        was, now = before.get((service, instance)), after.get((service, instance))
        pair = (service, facts.name)
        if pair in own:
            action = own[pair]
            if action is not None and not _as_left(action, now):
                return f'"{service}" on {facts.name} is not as the plan left it'
        elif was != now:
            return f'"{service}" changed on {facts.name}'
    return None


def _as_left(action: Action, copy: Copy | None) -> bool:
    match action.kind:
        case ActionKind.STOP:
            return copy is None
        case ActionKind.START | ActionKind.PROMOTE | ActionKind.DEMOTE | ActionKind.RELOAD:
            return copy is not None and not copy.failed and copy.blocked is None
        case ActionKind.PROBE:
            return copy is None
        case ActionKind.MIGRATE | ActionKind.FENCE:
            return True
        case _:
            assert_never(action.kind)
