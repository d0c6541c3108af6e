"""The placement problem: one variable per service, its value the set of nodes for its copies.

Levels 1 to 3 of a placement's worth are packed into one integer that compares like the tuple of
levels: services still running, services running, copies and promoted copies per priority class, then
preference, then undisturbed copies, then copies that restart where they are rather than elsewhere.
Worth is additive over variables and wishes, except for dependents that restart because what they
need does: the search subtracts those at the end.
"""

from collections import defaultdict
from dataclasses import dataclass

from reconciler.core.eligibility import Ban, Rules, bans, eligible
from reconciler.core.relations import Link, Relations
from reconciler.core.world import Copies, Mask, World, bits
from reconciler.model.intent import Mandate, Role, Service, WhenEqual

_COUNT_BITS = 24
_PREFERENCE_BITS = 64
_PER_CLASS = 4


@dataclass(frozen=True, slots=True)
class Scale:
    """Weights of the levels inside a packed worth, the lowest level in the lowest bits."""

    classes: tuple[int, ...]
    """Priorities, highest first."""
    disturbance: int = 1 << _COUNT_BITS
    home: int = 1
    preference: int = 1 << (2 * _COUNT_BITS)

    def counts(self, priority: int) -> tuple[int, int, int]:
        """Weights of: still running, running at all, one copy, in this priority class."""
        below = len(self.classes) - 1 - self.classes.index(priority)
        base = 2 * _COUNT_BITS + _PREFERENCE_BITS + below * _PER_CLASS * _COUNT_BITS
        return (
            1 << (base + 3 * _COUNT_BITS),
            1 << (base + 2 * _COUNT_BITS),
            1 << (base + _COUNT_BITS),
        )

    def levels(self, worth: int) -> tuple[int, ...]:
        """Unpack a worth into its levels, highest first (four per class, then the last three)."""
        shifts = [_COUNT_BITS, _COUNT_BITS, _PREFERENCE_BITS]
        shifts += [_COUNT_BITS] * (_PER_CLASS * len(self.classes))
        parts = []
        for width in shifts:
            part = ((worth + (1 << (width - 1))) & ((1 << width) - 1)) - (1 << (width - 1))
            parts.append(part)
            worth = (worth - part) >> width
        return tuple(reversed(parts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """What the search must know of one service."""

    index: int
    want: int
    """Most copies to choose, beyond the pinned ones."""
    candidates: Mask
    pinned: Mask
    reliable: Mask
    running: Mask
    cherished: Mask
    """Healthy copies that could stay undisturbed."""
    tiers: tuple[tuple[int, Mask], ...]
    """Candidates by the worth of a copy there, best first; every mask is disjoint."""
    up: int
    """Worth of having at least one copy."""
    kept: int
    """Further worth of that, when it runs now."""
    stickiness: int
    """Packed worth of leaving one healthy copy undisturbed."""
    demand: tuple[tuple[int, int], ...]
    """Resource index and amount, limited resources only."""

    def best(self, allowed: Mask) -> int:
        """The greatest worth this service alone can have with copies only on these nodes."""
        return self.best_of(allowed, self.want)

    def best_of(self, allowed: Mask, count: int) -> int:
        """The same with at most so many copies."""
        left, worth = count, 0
        for tier, mask in self.tiers:
            here = (mask & allowed).bit_count()
            if here >= left:
                return worth + tier * left + self.up + self.kept if count else 0
            worth += tier * here
            left -= here
        return worth + self.up + self.kept if left < count else 0

    def worth(self, chosen: Mask) -> int:
        """What exactly these copies are worth."""
        if not chosen:
            return 0
        total = self.up + self.kept
        for tier, mask in self.tiers:
            total += tier * (mask & chosen).bit_count()
        return total


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Variables and what ties them together."""

    world: World
    scale: Scale
    relations: Relations
    bans: tuple[tuple[Ban, ...], ...]
    variables: tuple[Variable, ...]
    resources: tuple[str, ...]
    """Names of the resources that some node limits."""
    room: tuple[tuple[int, ...], ...]
    """Per node and resource what the pinned copies leave, or a very large number."""
    links: tuple[tuple[Link, ...], ...]
    """Per service every link that it is an end of (`sequence` apart, which binds nothing)."""
    suppliers: tuple[tuple[Link, ...], ...]
    """Per service the `after` links to what it needs."""
    dependents: tuple[tuple[int, ...], ...]
    """Per service what needs it, by the same links."""


UNLIMITED = 1 << 62


def pose(world: World, relations: Relations, rules: Rules) -> Problem:
    """Pose the placement problem of this world.

    Shape: N nodes, M services: O(M x rules of each), no product of N and M.
    """
    scale = Scale(tuple(sorted({s.priority for s in world.services}, reverse=True)))
    found = tuple(bans(world, rules, service) for service in world.services)
    candidates = tuple(
        eligible(world, banned) & ~copies.pinned
        for banned, copies in zip(found, world.copies, strict=True)
    )
    candidates = _consistent(world, relations, candidates)
    most = _most(world, relations)
    cherished = _cherished(world, relations, candidates)
    resources = tuple(sorted({name for node in world.intent.nodes for name, _ in node.capacity}))
    spread = world.intent.when_equal is WhenEqual.SPREAD
    variables = tuple(
        _variable(
            index,
            service,
            copies=world.copies[index],
            candidates=candidates[index],
            most=most[index],
            cherished=cherished[index],
            scores=_scores(world, rules, service),
            scale=scale,
            resources=resources,
            spread=spread,
        )
        for index, service in enumerate(world.services)
    )
    links: dict[int, list[Link]] = defaultdict(list)
    for link in (*relations.together, *relations.apart, *relations.wishes, *relations.after):
        links[link.service].append(link)
        if link.other != link.service:
            links[link.other].append(link)
    return Problem(
        world=world,
        scale=scale,
        relations=relations,
        bans=found,
        variables=variables,
        resources=resources,
        room=_room(world, resources),
        links=tuple(tuple(links.get(i, ())) for i in range(len(variables))),
        suppliers=_by_service(relations.after, len(variables)),
        dependents=tuple(
            tuple(link.service for link in found)
            for found in _by_other(relations.after, len(variables))
        ),
    )


def _by_service(links: tuple[Link, ...], count: int) -> tuple[tuple[Link, ...], ...]:
    found: tuple[list[Link], ...] = tuple([] for _ in range(count))
    for link in links:
        found[link.service].append(link)
    return tuple(map(tuple, found))


def _by_other(links: tuple[Link, ...], count: int) -> tuple[tuple[Link, ...], ...]:
    found: tuple[list[Link], ...] = tuple([] for _ in range(count))
    for link in links:
        found[link.other].append(link)
    return tuple(map(tuple, found))


def _consistent(
    world: World, relations: Relations, candidates: tuple[Mask, ...]
) -> tuple[Mask, ...]:
    """Take away the nodes that no service can use because what it needs cannot be there."""
    left = list(candidates)
    for link in (*relations.together, *relations.after):
        if link.promoted:
            left[link.service] = 0
    changed = True
    while changed:
        before = tuple(left)
        for link in relations.together:
            left[link.service] &= left[link.other] | world.copies[link.other].pinned
        for link in relations.after:
            other = world.copies[link.other]
            if not left[link.other] | other.reliable:
                left[link.service] &= world.copies[link.service].running if other.pinned else 0
        changed = tuple(left) != before
    return tuple(left)


def _most(world: World, relations: Relations) -> tuple[int, ...]:
    """How many copies each service can have: no more than what it must be together with."""
    every = len(world.node_names)
    most = [every if s.replicas is None else s.replicas for s in world.services]
    changed = True
    while changed:
        before = tuple(most)
        for link in relations.together:
            pinned = world.copies[link.other].pinned.bit_count()
            most[link.service] = min(most[link.service], max(most[link.other], pinned))
        changed = tuple(most) != before
    return tuple(most)


def _cherished(
    world: World, relations: Relations, candidates: tuple[Mask, ...]
) -> tuple[Mask, ...]:
    """Healthy copies that need not be disturbed whatever is decided.

    A copy that depends on one which must stop or restart anyway restarts too: keeping it is worth
    nothing. `together` with `after` means the copy on the same node; `after` alone any copy.
    """
    steady = [
        copies.healthy & allowed for copies, allowed in zip(world.copies, candidates, strict=True)
    ]
    local = {(link.service, link.other) for link in relations.together}
    changed = True
    while changed:
        changed = False
        for link in relations.after:
            supply = steady[link.other] | world.copies[link.other].pinned
            if (link.service, link.other) in local:
                left = steady[link.service] & supply
            else:
                left = steady[link.service] if supply else 0
            if left != steady[link.service]:
                steady[link.service] = left
                changed = True
    return tuple(steady)


def _variable(  # noqa: PLR0913 - one call, all keywords
    index: int,
    service: Service,
    *,
    copies: Copies,
    candidates: Mask,
    most: int,
    cherished: Mask,
    scores: tuple[tuple[int, Mask], ...],
    scale: Scale,
    resources: tuple[str, ...],
    spread: bool,
) -> Variable:
    kept, up, copy = scale.counts(service.priority)
    sticky = service.stickiness * scale.preference
    disturbed = 0 if spread else scale.disturbance
    home = 0 if spread else scale.home
    tiers: dict[int, Mask] = defaultdict(int)
    # A node's score is the sum over the rules that name it: refine the partition rule by rule.
    parts = [(0, candidates)]
    for score, mask in scores:
        parts = [
            (base + score * inside, part)
            for base, whole in parts
            for inside, part in ((1, whole & mask), (0, whole & ~mask))
            if part
        ]
    for score, whole in parts:
        worth = copy + score * scale.preference
        for extra, part in (
            (sticky + disturbed + home, whole & cherished),
            (home, whole & copies.running & ~cherished),
            (0, whole & ~copies.running & ~cherished),
        ):
            if part:
                tiers[worth + extra] |= part
    pinned = copies.pinned.bit_count() if service.replicas is not None else 0
    amounts = dict(service.demand)
    return Variable(
        index=index,
        want=max(0, min(most - pinned, candidates.bit_count())),
        candidates=candidates,
        pinned=copies.pinned,
        reliable=copies.reliable,
        running=copies.running,
        cherished=cherished,
        tiers=tuple(sorted(tiers.items(), reverse=True)),
        up=0 if copies.reliable else up,
        kept=kept if copies.running and not copies.reliable else 0,
        stickiness=sticky + disturbed,
        demand=tuple(
            (i, amounts[name]) for i, name in enumerate(resources) if amounts.get(name, 0) > 0
        ),
    )


def _scores(world: World, rules: Rules, service: Service) -> tuple[tuple[int, Mask], ...]:
    return tuple(
        (rule.strength, world.mask(rule.nodes))
        for rule in rules.locations.get(service.name, ())
        if not isinstance(rule.strength, Mandate) and rule.role is not Role.PROMOTED
    )


def _room(world: World, resources: tuple[str, ...]) -> tuple[tuple[int, ...], ...]:
    room = [
        [dict(node.capacity).get(name, UNLIMITED) for name in resources]
        for node in world.intent.nodes
    ]
    for service, copies in zip(world.services, world.copies, strict=True):
        amounts = dict(service.demand)
        for at in bits(copies.pinned):
            for i, name in enumerate(resources):
                room[at][i] -= amounts.get(name, 0)
    return tuple(tuple(row) for row in room)
