"""Every placement there is, judged by the words of DESIGN section 5. Slow, plain, and its own code.

It shares nothing with the planner but the model. Worlds must have no pinned copies: every node is
alive or lost, and what ran on a lost node is best-effort.
"""

from collections.abc import Iterator
from itertools import combinations, product

from reconciler.core.definition import definition_digest
from reconciler.model.intent import Intent, Mandate, OrderingKind, Service
from reconciler.model.observed import Liveness, Observed

Seats = dict[str, frozenset[str]]


def best(intent: Intent, observed: Observed) -> tuple[tuple, int]:
    """Levels 1 to 3 of the best placement, and the least sum of squares among those."""
    found: tuple[tuple, int] | None = None
    for seats in _placements(intent, observed):
        levels = value(intent, observed, seats)
        squares = balance(intent, seats)
        if found is None or (levels, -squares) > (found[0], -found[1]):
            found = levels, squares
    assert found is not None
    return found


def balance(intent: Intent, seats: Seats) -> int:
    return sum(sum(node.name in chosen for chosen in seats.values()) ** 2 for node in intent.nodes)


def value(intent: Intent, observed: Observed, seats: Seats) -> tuple:
    """The levels of one placement, highest first."""
    now = _running(intent, observed)
    services = {s.name: s for s in intent.services}
    levels: list[int] = []
    for priority in sorted({s.priority for s in intent.services}, reverse=True):
        mine = [s.name for s in intent.services if s.priority == priority]
        levels.append(sum(bool(now[name] and seats[name]) for name in mine))
        levels.append(sum(bool(seats[name]) for name in mine))
        levels.append(sum(len(seats[name]) for name in mine))
    disturbed = _disturbed(intent, observed, seats)
    forced = _forced(intent, observed)
    counted = {copy for copy in disturbed if copy not in forced}
    preference = 0
    for rule in intent.locations:
        if isinstance(rule.strength, int):
            name = _members(intent, rule.service)[0]
            preference += rule.strength * len(seats[name] & set(rule.nodes))
    for rule in intent.colocations:
        if isinstance(rule.strength, int):
            one, other = _members(intent, rule.dependent)[0], _members(intent, rule.primary)[0]
            preference += rule.strength * len(seats[one] & seats[other])
    preference -= sum(services[name].stickiness for name, _ in counted)
    home = sum(len(seats[name] & now[name]) for name in services)
    return (*levels, preference, -len(counted), home)


def allowed(intent: Intent, observed: Observed, seats: Seats) -> bool:
    """Whether a placement breaks nothing that is never broken."""
    for rule in intent.locations:
        for name in _members(intent, rule.service):
            if rule.strength is Mandate.REQUIRED and seats[name] - set(rule.nodes):
                return False
            if rule.strength is Mandate.FORBIDDEN and seats[name] & set(rule.nodes):
                return False
    for one, other in _together(intent):
        if seats[one] - seats[other]:
            return False
    for rule in intent.colocations:
        if rule.strength is Mandate.FORBIDDEN:
            for one in _members(intent, rule.dependent):
                for other in _members(intent, rule.primary):
                    if seats[one] & seats[other]:
                        return False
    for first, then in _after(intent):
        if seats[then] and not seats[first]:
            return False
    for node in intent.nodes:
        for resource, limit in node.capacity:
            used = sum(
                dict(s.demand).get(resource, 0)
                for s in intent.services
                if node.name in seats[s.name]
            )
            if used > limit:
                return False
    return True


def _placements(intent: Intent, observed: Observed) -> Iterator[Seats]:
    usable = _usable(intent, observed)
    ways = [
        [
            frozenset(chosen)
            for count in range(min(_limit(s, usable), len(usable)) + 1)
            for chosen in combinations(sorted(usable), count)
        ]
        if s.enabled
        else [frozenset()]
        for s in intent.services
    ]
    for choice in product(*ways):
        seats = {s.name: chosen for s, chosen in zip(intent.services, choice, strict=True)}
        if allowed(intent, observed, seats):
            yield seats


def _limit(service: Service, usable: set[str]) -> int:
    return len(usable) if service.replicas is None else service.replicas


def _usable(intent: Intent, observed: Observed) -> set[str]:
    alive = {state.name for state in observed.nodes if state.liveness is Liveness.ALIVE}
    return {node.name for node in intent.nodes if node.name in alive and not node.standby}


def _running(intent: Intent, observed: Observed) -> dict[str, frozenset[str]]:
    alive = {state.name for state in observed.nodes if state.liveness is Liveness.ALIVE}
    return {
        s.name: frozenset(
            copy.node for copy in observed.copies if copy.service == s.name and copy.node in alive
        )
        for s in intent.services
    }


def _healthy(intent: Intent, observed: Observed) -> set[tuple[str, str]]:
    services = {s.name: s for s in intent.services}
    alive = {state.name for state in observed.nodes if state.liveness is Liveness.ALIVE}
    return {
        (copy.service, copy.node)
        for copy in observed.copies
        if copy.node in alive
        and not copy.failed
        and copy.digest in (None, definition_digest(services[copy.service]))
    }


def _disturbed(intent: Intent, observed: Observed, seats: Seats) -> set[tuple[str, str]]:
    """Healthy copies that stop or restart in the course of getting there."""
    healthy = _healthy(intent, observed)
    steady = {(name, node) for name, node in healthy if node in seats[name]}
    while True:
        falling = set()
        for first, then in _after(intent):
            for name, node in steady:
                if name != then:
                    continue
                if node in seats[first]:
                    relies = (first, node) in steady
                else:
                    relies = any(other == first for other, _ in steady)
                if not relies:
                    falling.add((name, node))
        if not falling:
            return healthy - steady
        steady -= falling


def _forced(intent: Intent, observed: Observed) -> set[tuple[str, str]]:
    """Healthy copies that no placement can leave undisturbed: they count for none of them."""
    healthy = _healthy(intent, observed)
    usable = _usable(intent, observed)
    services = {s.name: s for s in intent.services}

    def may_stay(name: str, node: str) -> bool:
        if node not in usable or not services[name].enabled:
            return False
        for rule in intent.locations:
            if name in _members(intent, rule.service):
                if rule.strength is Mandate.REQUIRED and node not in rule.nodes:
                    return False
                if rule.strength is Mandate.FORBIDDEN and node in rule.nodes:
                    return False
        return True

    steady = {copy for copy in healthy if may_stay(*copy)}
    local = set(_together(intent))
    while True:
        falling = set()
        for first, then in _after(intent):
            supply = {node for name, node in steady if name == first}
            for name, node in steady:
                if name == then and (
                    (node not in supply) if (then, first) in local else not supply
                ):
                    falling.add((name, node))
        if not falling:
            return healthy - steady
        steady -= falling


def _members(intent: Intent, name: str) -> tuple[str, ...]:
    return next((group.members for group in intent.groups if group.name == name), (name,))


def _together(intent: Intent) -> list[tuple[str, str]]:
    pairs = [
        (later, earlier)
        for group in intent.groups
        for earlier, later in zip(group.members, group.members[1:], strict=False)
    ]
    return pairs + [
        (_members(intent, rule.dependent)[0], _members(intent, rule.primary)[-1])
        for rule in intent.colocations
        if rule.strength is Mandate.REQUIRED
    ]


def _after(intent: Intent) -> list[tuple[str, str]]:
    pairs = [
        (earlier, later)
        for group in intent.groups
        for earlier, later in zip(group.members, group.members[1:], strict=False)
    ]
    return pairs + [
        (_members(intent, rule.first)[-1], _members(intent, rule.then)[0])
        for rule in intent.orderings
        if rule.kind is OrderingKind.REQUIRED
    ]
