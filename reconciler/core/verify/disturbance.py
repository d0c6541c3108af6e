"""Laws of need: what must restart does, what need not is left alone, and nothing is done for nothing."""

from collections.abc import Iterator

from reconciler.core.verify.case import Case
from reconciler.core.verify.links import Need
from reconciler.core.verify.values import Key, Place, Track, Violation
from reconciler.model.observed import Copy
from reconciler.model.plan import ActionKind

Places = dict[Key, set[Place]]


def nothing_is_needless(case: Case) -> Iterator[Violation]:
    """A copy restarts if, and only if, it is broken, changed, or what it needs restarts."""
    must, may = _fallen(case)
    for key, track in case.tracks.items():
        if track.service is None or not track.free:
            continue
        for place, copy in track.free.items():
            if not track.promoted and (copy.digest is not None or track.name in case.reloads):
                yield from _reload(case, track, place, copy)
            rises = place in track.rising and place in track.begins and place not in track.ends
            stays = place not in track.ends and place[0] in track.seats and not rises
            again = place in track.ends and place in track.begins
            if not (stays or again):
                continue
            spoilt = _spoilt(case, track, place, copy)
            if stays and (spoilt or place in must.get(key, ())):
                law = "what needs a restart is restarted"
                yield Violation(law=law, detail=f"{track} on {place[0]}")
            if again and not (spoilt or place in may.get(key, ())):
                law = "no healthy copy restarts without need"
                yield Violation(law=law, detail=f"{track} on {place[0]}")
    yield from _probes(case)


def _spoilt(case: Case, track: Track, place: Place, copy: Copy) -> bool:
    """Whether a copy cannot go on as it is."""
    if track.promoted:
        return case.facts.demotes(copy) or place in case.track((track.name, False)).ends
    if track.name in case.too_many or place in track.rising or case.facts.restarts(copy):
        return True
    return case.changed(copy) and not case.reloadable(copy)


def _fallen(case: Case) -> tuple[Places, Places]:
    """Copies that must not go on, and those that need not, for want of what they rely on."""
    must: Places = {}
    may: Places = {}
    for need in case.links.needs:
        if need.first not in case.busy or not need.required or not need.symmetrical:
            continue
        then, others = case.track(need.then), [case.track(key) for key in need.any_of]
        if not then.free or any(one.held or next(one.standing(), None) for one in others):
            continue
        first = case.track(need.first)
        standing = [there[0] for there in first.standing()]
        for place in then.free:
            sure, perhaps = _falls(need, first, standing, place)
            if sure:
                must.setdefault(need.then, set()).add(place)
            if perhaps:
                may.setdefault(need.then, set()).add(place)
    return must, may


def _falls(need: Need, first: Track, standing: list[str], place: Place) -> tuple[bool, bool]:
    """Whether a copy of `then` at this place must restart, and whether it may."""
    node = place[0]
    if need.every and any(a.kind is not ActionKind.MIGRATE for a in first.begins.values()):
        return True, True
    if need.minimum is not None:
        return False, len(standing) < need.minimum
    if not need.every and (first.seats.get(node) or first.held_on(node)):
        broken = node not in standing and not first.held_on(node)
        return broken, broken
    gone = not first.held and not standing
    return gone, gone


def _reload(case: Case, track: Track, place: Place, copy: Copy) -> Iterator[Violation]:
    """What runs on with other settings takes them over, where it can, and nothing else does."""
    reload = case.reloads.get(track.name, {}).get(place)
    mends = place not in track.rising and case.changed(copy) and case.reloadable(copy)
    if reload is not None and not mends:
        yield Violation(law="a reload takes over what a reload can", detail=reload.id)
    elif mends and reload is None and place not in track.ends:
        yield Violation(law="what a reload mends is reloaded", detail=f"{track} on {place[0]}")


def _probes(case: Case) -> Iterator[Violation]:
    for (name, node), action in case.probes.items():
        if not case.track((name, False)).begins:
            yield Violation(law="no probe without a start", detail=action.id)
        state = case.facts.states[node]
        if name in state.probed:
            yield Violation(law="what is known is not probed", detail=action.id)
        if state.liveness != "alive" or node in case.fences or case.facts.nodes[node].maintenance:
            yield Violation(law="nothing is probed where nobody answers", detail=action.id)
