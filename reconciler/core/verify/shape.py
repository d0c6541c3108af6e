"""Laws of a plan's shape: a graph without cycles, and actions that there is something to do for."""

from collections import Counter
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

from reconciler.core.verify.case import Case
from reconciler.core.verify.values import Track, Violation
from reconciler.model.intent import OnLoss
from reconciler.model.observed import Liveness
from reconciler.model.plan import ActionKind, Plan


def graph_laws(plan: Plan) -> Iterator[Violation]:
    """Every action has a name of its own, edges lead to actions, and there is no cycle."""
    if in_order(plan):
        return
    names = Counter(action.id for action in plan.actions)
    for name, count in names.items():
        if count > 1:
            yield Violation(law="ids are unique", detail=name)
    for action in plan.actions:
        for earlier in action.after:
            if earlier not in names:
                yield Violation(law="edges lead to actions", detail=f"{action.id} after {earlier}")
    try:
        TopologicalSorter(
            {a.id: [e for e in a.after if e in names] for a in plan.actions}
        ).prepare()
    except CycleError as cycle:
        yield Violation(law="a plan has no cycle", detail=" -> ".join(map(str, cycle.args[1])))


def in_order(plan: Plan) -> bool:
    """Whether each action has a new name and stands behind all that it comes after: then all is well."""
    passed: set[str] = set()
    for action in plan.actions:
        if action.id in passed or not passed.issuperset(action.after):
            return False
        passed.add(action.id)
    return True


def action_laws(case: Case) -> Iterator[Violation]:
    """Each action says why, is done once, and acts on what is there and may be touched."""
    for action in case.plan.actions:
        if not action.reasons:
            yield Violation(law="every action says why", detail=action.id)
        fence, moves = action.kind is ActionKind.FENCE, action.kind is ActionKind.MIGRATE
        if fence is not (action.service is None) or moves is not (action.target is not None):
            yield Violation(law="only what is understood is planned", detail=action.id)
    for action in case.lost_track:
        yield Violation(law="only what is understood is planned", detail=action.id)
    for action in case.twice:
        yield Violation(law="nothing is done twice", detail=action.id)
    for track in case.acting:
        if not track.promoted or (track.service is not None and track.service.promotable):
            yield from _end_laws(track)
            yield from _begin_laws(case, track)
            continue
        for action in track.acts:
            yield Violation(law="only what is understood is planned", detail=action.id)
    yield from _reload_laws(case)


def _reload_laws(case: Case) -> Iterator[Violation]:
    for name, found in case.reloads.items():
        track = case.track((name, False))
        for place, action in found.items():
            if place not in track.free or place in track.ends:
                yield Violation(law="only what runs on is reloaded", detail=action.id)


def _end_laws(track: Track) -> Iterator[Violation]:
    for place, action in track.ends.items():
        if place in track.doomed:
            yield Violation(law="nothing is done to what a fence ends", detail=action.id)
        elif place not in track.free:
            yield Violation(law="only a free running copy is stopped", detail=action.id)


def _begin_laws(case: Case, track: Track) -> Iterator[Violation]:
    for place, action in track.begins.items():
        if place in track.held or place in track.doomed:
            yield Violation(law="nothing starts where a copy may be", detail=action.id)
        elif place in track.free:
            end = track.ends.get(place)
            if end is None and place not in track.rising:
                yield Violation(law="what runs is not started", detail=action.id)
            elif end is not None and not case.before(end, action):
                yield Violation(law="a restart stops first", detail=action.id)
    if track.promoted and (track.begins or track.ends):
        yield from _role_laws(case, track)


def _role_laws(case: Case, roles: Track) -> Iterator[Violation]:
    """On one copy: demote, stop, start, promote."""
    copies = case.track((roles.name, False))
    for place, promote in roles.begins.items():
        start = copies.begins.get(place)
        if start is not None:
            if not case.before(start, promote):
                yield Violation(law="a copy starts before it is promoted", detail=promote.id)
        elif place not in copies.free or place in copies.ends:
            yield Violation(law="only a copy that runs is promoted", detail=promote.id)
    for place, demote in roles.ends.items():
        stop = copies.ends.get(place)
        if stop is not None and not case.before(demote, stop):
            yield Violation(law="a promoted copy is demoted before it stops", detail=stop.id)


def demoted_first(case: Case) -> Iterator[Violation]:
    """No promoted copy stops as it is."""
    for copies in case.acting:
        if copies.promoted or not copies.ends:
            continue
        roles = case.track((copies.name, True))
        for place in roles.free:
            stop = copies.ends.get(place)
            if stop is not None and place not in roles.ends:
                law = "a promoted copy is demoted before it stops"
                yield Violation(law=law, detail=stop.id)


def fence_laws(case: Case) -> Iterator[Violation]:
    """A node is fenced if, and only if, it must and can be: with a cause, a device and the right."""
    facts = case.facts
    for node, action in case.fences.items():
        if node not in facts.states:
            yield Violation(law="only what is understood is planned", detail=action.id)
            continue
        if not any(node in device.nodes for device in case.intent.fencing.devices):
            yield Violation(law="a fence has a device", detail=action.id)
        alive = facts.states[node].liveness is Liveness.ALIVE
        right = case.observed.quorate or case.intent.on_quorum_loss is OnLoss.IGNORE
        if not (right or alive):
            yield Violation(law="a fence has a majority", detail=action.id)
        if node not in facts.causes or facts.nodes[node].maintenance:
            yield Violation(law="a fence has a cause", detail=action.id)
    for node, cause in facts.causes.items():
        if node in case.fences or facts.nodes[node].maintenance or not facts.may_fence(node):
            continue
        state = facts.states[node]
        if state.liveness is not Liveness.DOWN or state.condemned:
            yield Violation(law="what may still act is fenced", detail=f"{node}: {cause}")
