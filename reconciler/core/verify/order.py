"""Laws of order between services: what begins after what, what ends before what, and what never meets.

Only links with something to do on either end are looked at.
"""

from collections.abc import Iterable, Iterator
from itertools import combinations

from reconciler.core.verify.case import Case
from reconciler.core.verify.links import Beside, Need, Turn
from reconciler.core.verify.values import Place, Track, Violation
from reconciler.model.plan import Action, ActionKind


def needs_are_met(case: Case) -> Iterator[Violation]:
    """What needs another begins after it and ends before it."""
    for need in case.links.needs:
        if need.first not in case.busy and need.then not in case.busy:
            continue
        first, then = case.track(need.first), case.track(need.then)
        if then.begins and (first.begins or need.required):
            yield from _begins_after(case, need, first, then)
        if need.symmetrical and first.ends and (then.free or then.doomed):
            yield from _ends_before(case, need, first, then)


def _begins_after(case: Case, need: Need, first: Track, then: Track) -> Iterator[Violation]:
    suppliers = [first, *map(case.track, need.any_of)]
    standing = {(one.name, place) for one in suppliers for place in one.standing()}
    waited = [action for one in suppliers for action in one.begins.values()]
    unsure = any(one.held for one in suppliers) or not need.symmetrical
    for place, begin in then.begins.items():
        if not need.required and any(case.before(begin, one) for one in waited):
            continue  # something stronger has it the other way round
        here = list(first.begins.values() if need.every else first.begins_on(place[0]))
        ready = bool(need.any_of) or all(case.before(one, begin) for one in here)
        if need.minimum is not None or need.any_of or not here:
            enough = _enough(case, need, begin, waited, len(standing))
            if not need.required:  # only the order of what happens anyway
                enough = enough or all(case.before(one, begin) for one in waited)
            ready = ready and (enough or (unsure and place in then.free and not waited))
        if not ready:
            law = "nothing starts before what it needs"
            yield Violation(law=law, detail=f"{begin.id}, {first}")


def _enough(case: Case, need: Need, begin: Action, waited: Iterable[Action], standing: int) -> bool:
    """Whether what runs, and what has surely begun by then, is enough of the supplier."""
    arrived = [case.before(one, begin) for one in waited]
    if need.minimum is None and not need.any_of and not standing:
        return bool(arrived) and all(arrived)
    return standing + sum(arrived) >= (need.minimum or 1)


def _ends_before(case: Case, need: Need, first: Track, then: Track) -> Iterator[Violation]:
    for place, end in first.ends.items():
        for there in (*then.free, *then.doomed):
            if there in then.rising:
                continue  # what is only on its way up relies on nothing yet
            if not _relies(case, need, place, there):
                continue
            both = {end.kind, getattr(then.ends.get(there), "kind", None)}
            if both == {ActionKind.MIGRATE}:
                continue
            if there in then.ends and _live(then.ends[there]):
                continue  # the laws of live moves judge it
            gone = case.gone_before(then, there, end)
            if not need.required:  # or something stronger has it the other way round
                gone = gone or case.before(end, then.ends[there])
            if not gone:
                law = "nothing stops before what needs it"
                yield Violation(law=law, detail=f"{end.id}, {then} on {there[0]}")


def _relies(case: Case, need: Need, place: Place, there: Place) -> bool:
    """Whether the copy of `then` at `there` counts on the copy of `first` that ends at `place`."""
    first, then = case.track(need.first), case.track(need.then)
    if not need.required:  # only the order of what happens anyway
        acts = there in then.ends and there not in then.doomed
        return acts and (place[0] == there[0] or need.every)
    if need.every and any(not _live(action) for action in first.begins.values()):
        return True
    others = [case.track(key) for key in need.any_of]
    if any(one.held or next(one.standing(), None) for one in others):
        return False
    # A copy that may still run somewhere is reason enough not to stop what runs well.
    last = not first.held and sum(1 for _ in first.standing()) < (need.minimum or 1)
    if need.minimum is not None:
        return last and there in then.ends  # what goes on with fewer for a while, goes on
    local = first.runs_on(there[0]) or any(one[0] == there[0] for one in first.doomed)
    if local and not need.every:
        return there[0] == place[0] and (last or place[0] in first.seats)
    return last


def _live(action: Action) -> bool:
    return action.kind is ActionKind.MIGRATE


def turns_are_kept(case: Case) -> Iterator[Violation]:
    """One kind of action before another, one after the other, and never at once."""
    for turn in case.links.turns:
        yield from _turn(case, turn)
    for one, other in case.links.serial:
        for act in case.track(one).acts:
            for another in case.track(other).acts:
                if not (case.before(act, another) or case.before(another, act)):
                    law = "what may not happen at once does not"
                    yield Violation(law=law, detail=f"{act.id}, {another.id}")
    for track in case.acting:
        if track.service is not None and track.service.ordered and not track.promoted:
            for act, another in combinations(track.acts, 2):
                if not (case.before(act, another) or case.before(another, act)):
                    law = "ordered copies change one after the other"
                    yield Violation(law=law, detail=f"{act.id}, {another.id}")


def _turn(case: Case, turn: Turn) -> Iterator[Violation]:
    first, then = case.track(turn.first), case.track(turn.then)
    earlier = first.begins if turn.first_begins else first.ends
    later = then.begins if turn.then_begins else then.ends
    for one in earlier.values():
        for other in later.values():
            if one.id != other.id and not case.before(one, other):
                law = "one kind of action comes before another"
                yield Violation(law=law, detail=f"{one.id}, {other.id}")


def nothing_meets(case: Case) -> Iterator[Violation]:
    """What may not be in one place is not there at any step."""
    for rule in case.links.apart:
        if rule.one not in case.busy and rule.other not in case.busy:
            continue
        one, other = case.track(rule.one), case.track(rule.other)
        if rule.unpromoted:
            continue  # a role may change under it: the placement is judged, its steps are not
        if one.begins and other.free:
            yield from _meets(case, rule, one, other)
        if other.begins and one.free:
            yield from _meets(case, rule, other, one)


def _meets(case: Case, rule: Beside, comes: Track, there: Track) -> Iterator[Violation]:
    for place, begin in comes.begins.items():
        near = set(case.zone_of(rule.attribute, place[0]))
        for stays in there.free:
            if stays[0] in near and not case.gone_before(there, stays, begin):
                law = "forbidden colocation holds at every step"
                yield Violation(law=law, detail=f"{begin.id}, {there} on {stays[0]}")
