"""Laws of the placement, and of the plan's end: every seat is allowed, and every seat is filled."""

from collections.abc import Iterator

from reconciler.core.verify.case import Case
from reconciler.core.verify.links import Beside, Need
from reconciler.core.verify.permits import Permits
from reconciler.core.verify.values import Track, Violation
from reconciler.model.intent import Role


def seats_are_allowed(case: Case, permits: Permits) -> Iterator[Violation]:
    """Nobody has more copies than wanted, nor any where they may not be."""
    for track in case.tracks.values():
        if not track.seats:
            continue
        yield from _count(track)
        ask = permits.role if track.promoted else permits.seat
        for node, count in track.seats.items():
            if track.held and count <= sum(1 for place in track.held if place[0] == node):
                continue
            if track.promoted and track.service is None:
                continue
            if law := ask(track.name, node):
                yield Violation(law=law, detail=f"{track} on {node}")


def _count(track: Track) -> Iterator[Violation]:
    service, seats = track.service, track.seats
    if service is None:
        return
    wanted = service.promoted if track.promoted else service.replicas
    held = len(track.held)
    if not held and len(seats) == 1 and wanted != 0 and 1 in seats.values():
        return
    if wanted is not None and sum(seats.values()) + _unsure(track) > max(wanted, held):
        yield Violation(law="no more copies than wanted", detail=str(track))
    most = 1 if track.promoted else service.replicas_per_node
    for node, count in seats.items():
        if count > most and count > sum(1 for place in track.held if place[0] == node):
            yield Violation(law="no more copies on a node than wanted", detail=f"{track} on {node}")


def _unsure(track: Track) -> int:
    """Held copies that the placement does not count on."""
    if not track.held:
        return 0
    return sum(1 for node, _ in track.held if node not in track.seats)


def roles_are_those_of_the_service(case: Case) -> Iterator[Violation]:
    """Only copies of promotable services have roles."""
    for seat in case.placement.seats:
        service = case.services.get(seat.service)
        if service is not None and service.promotable is (seat.role is Role.STARTED):
            detail = f"{seat.service} on {seat.node}"
            yield Violation(law="roles are those of the service", detail=detail)


def ends_at_the_placement(case: Case) -> Iterator[Violation]:
    """What runs, less what ends, with what begins, is the placement."""
    for track in case.tracks.values():
        end: dict[str, int] = {}
        for place in track.free:
            if place not in track.ends and not (place in track.rising and place in track.begins):
                end[place[0]] = end.get(place[0], 0) + 1
        for place in track.begins:
            end[place[0]] = end.get(place[0], 0) + 1
        for place, copy in track.held.items():
            if case.facts.counts(copy):
                end[place[0]] = end.get(place[0], 0) + 1
        if end == track.seats:
            continue
        for node in sorted(end.keys() | track.seats.keys()):
            extra = end.get(node, 0) - track.seats.get(node, 0)
            if extra:
                word = "is left running" if extra > 0 else "is not running"
                detail = f"{track} {word} on {node}"
                yield Violation(law="a plan ends at its placement", detail=detail)


def company_is_allowed(case: Case) -> Iterator[Violation]:
    """Required and forbidden colocations hold, but for copies that nobody may touch."""
    for rule in case.links.together:
        yield from _together(case, rule)
    for rule in case.links.apart:
        yield from _apart(case, rule)
    for need in case.links.needs:
        if need.required:
            yield from _supplied(case, need)


def _together(case: Case, rule: Beside) -> Iterator[Violation]:
    one = case.track(rule.one)
    if not one.seats:
        return
    other = case.track(rule.other)
    there = {*other.seats, *(node for node, _ in other.held)}
    if rule.unpromoted:
        there -= case.track((rule.other[0], True)).seats.keys()
    if rule.attribute:
        there = {near for node in there for near in case.zone_of(rule.attribute, node)}
    for node in one.seats:
        if node not in there and not one.held_on(node):
            yield Violation(
                law="required colocation holds", detail=f"{one} on {node} without {other}"
            )


def _apart(case: Case, rule: Beside) -> Iterator[Violation]:
    one, other = case.track(rule.one), case.track(rule.other)
    mine = {*one.seats, *(node for node, _ in one.held)}
    theirs = {*other.seats, *(node for node, _ in other.held)}
    if rule.unpromoted:
        theirs -= case.track((rule.other[0], True)).seats.keys()
    for node in mine:
        for near in case.zone_of(rule.attribute, node):
            if near in theirs and not (one.held_on(node) and other.held_on(near)):
                detail = f"{one} on {node}, {other} on {near}"
                yield Violation(law="forbidden colocation holds", detail=detail)


def _supplied(case: Case, need: Need) -> Iterator[Violation]:
    then, first = case.track(need.then), case.track(need.first)
    if not then.seats or (need.minimum is None and first.seats):
        return
    suppliers = [first, *map(case.track, need.any_of)]
    if sum(sum(one.seats.values()) for one in suppliers) >= (need.minimum or 1):
        return
    unsure = any(one.held for one in suppliers) or not need.symmetrical
    for node in then.seats:
        if then.held_on(node) or (unsure and then.runs_on(node)):
            continue
        yield Violation(law="what is needed runs", detail=f"{then} on {node} needs {first}")
