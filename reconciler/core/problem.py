"""The placement problem: one variable per part of a service, its value the set of nodes for its copies.

Levels 1 to 3 of a placement's worth are packed into one integer that compares like the tuple of
levels: services still running, services running, copies and promoted copies per priority class, then
preference, then undisturbed copies, then copies that restart where they are rather than elsewhere.
Worth is additive over variables and wishes, except for dependents that restart because what they
need does: the search subtracts those at the end.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace

from reconciler.core.eligibility import bans, eligible
from reconciler.core.held import hold_suppliers
from reconciler.core.promotion import promotion_scores
from reconciler.core.relations import Link, Relations, Tie
from reconciler.core.rules import Ban, Rules
from reconciler.core.scores import Scores, add_scores
from reconciler.core.world import Mask, Part, World, bits
from reconciler.model.intent import NegativeScores, WhenEqual

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

    def counts(self, priority: int) -> tuple[int, int, int, int]:
        """Weights of: still running, running at all, one copy, one promoted copy, in this class."""
        below = len(self.classes) - 1 - self.classes.index(priority)
        base = 2 * _COUNT_BITS + _PREFERENCE_BITS + below * _PER_CLASS * _COUNT_BITS
        return (
            1 << (base + 3 * _COUNT_BITS),
            1 << (base + 2 * _COUNT_BITS),
            1 << (base + _COUNT_BITS),
            1 << base,
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
    """What the search must know of one part."""

    index: int
    weight: int
    """What one copy adds to the load of its node: promoted copies are copies already."""
    quota: int
    """The first part of those that share a number of copies; -1 when it has a number of its own."""
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
    quotas: Mapping[int, int]
    """Most copies of all parts that share a number, by their first part."""
    suppliers: tuple[tuple[Link, ...], ...]
    """Per service the `after` links to what it needs."""
    dependents: tuple[tuple[int, ...], ...]
    """Per service what needs it, by the same links."""


UNLIMITED = 1 << 62


def pose(world: World, relations: Relations, rules: Rules) -> Problem:
    """Pose the placement problem of this world.

    Shape: N nodes, M services: O(M + rules), no product of N and M.
    """
    world = hold_suppliers(world, relations)
    scale = Scale(tuple(sorted({s.priority for s in world.services}, reverse=True)))
    found = tuple(bans(world, rules, part) for part in range(len(world.parts)))
    candidates = _consistent(world, relations, _candidates(world, found))
    relations = _unbearable(world, relations, rules)
    most = _most(world, relations)
    cherished = _cherished(world, relations, candidates)
    resources = tuple(sorted({name for node in world.intent.nodes for name, _ in node.capacity}))
    variables = tuple(
        _variable(
            index,
            part,
            world=world,
            candidates=candidates[index],
            most=most[index],
            cherished=cherished[index],
            scores=_scores(world, rules, index),
            scale=scale,
            resources=resources,
        )
        for index, part in enumerate(world.parts)
    )
    links: dict[int, list[Link]] = defaultdict(list)
    for link in (*relations.together, *relations.apart, *relations.wishes, *relations.after):
        for end in dict.fromkeys((link.service, link.other, *link.any_of)):
            links[end].append(link)
    return Problem(
        world=world,
        scale=scale,
        relations=relations,
        bans=found,
        variables=variables,
        resources=resources,
        room=_room(world, resources),
        links=tuple(tuple(links.get(i, ())) for i in range(len(variables))),
        quotas=_quotas(world),
        suppliers=_by_service(relations.after, len(variables)),
        dependents=tuple(
            tuple(link.service for link in found)
            for found in _by_other(relations.after, len(variables))
        ),
    )


def _candidates(world: World, found: tuple[tuple[Ban, ...], ...]) -> tuple[Mask, ...]:
    """Where each part may be as far as its own rules go; what nobody may touch gains and loses no role."""
    masks: list[Mask] = []
    for index, part in enumerate(world.parts):
        mask = eligible(world, found[index]) & ~world.copies[index].pinned
        if part.base != index:
            mask &= masks[part.base]
        if part.layer >= part.service.replicas_per_node and part.layer:
            mask = 0
        masks.append(mask)
    return tuple(masks)


def _quotas(world: World) -> dict[int, int]:
    quotas = {}
    for base, layers in world.layers.items():
        wanted = world.services[base].replicas
        if wanted is None:
            wanted = len(world.node_names)
        held = sum(world.copies[part].pinned.bit_count() for part in (base, *layers))
        quotas[base] = max(0, wanted - held)
    return quotas


def _scores(world: World, rules: Rules, index: int) -> Scores:
    if world.parts[index].promoted:
        return promotion_scores(world, rules, index)
    return rules.scores.get(world.services[index].name, ())


def _unbearable(world: World, relations: Relations, rules: Rules) -> Relations:
    """Where negative sums forbid, a wish to be apart that nothing outweighs is a mandate."""
    if world.intent.negative_scores is not NegativeScores.FORBID:
        return relations
    apart = []
    for wish in relations.wishes:
        if wish.score >= 0:
            continue
        healthy = world.copies[wish.service].healthy
        sticky = ((world.services[wish.service].stickiness, healthy),)
        totals = add_scores(world.everywhere, _scores(world, rules, wish.service) + sticky)
        where = sum(mask for score, mask in totals if score + wish.score < 0)
        apart.append(replace(wish, tie=Tie.APART, where=where))
    return replace(relations, apart=relations.apart + tuple(link for link in apart if link.where))


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
    changed = True
    while changed:
        before = tuple(left)
        for link in relations.together:
            left[link.service] &= link.place(left[link.other] | world.copies[link.other].pinned)
        for link in relations.after:
            suppliers = (link.other, *link.any_of)
            if sum((left[i] | world.copies[i].reliable).bit_count() for i in suppliers) == 0:
                unsure = any(world.copies[i].pinned for i in suppliers) or not link.reverse
                left[link.service] &= world.copies[link.service].running if unsure else 0
        changed = tuple(left) != before
    return tuple(left)


def _most(world: World, relations: Relations) -> tuple[int, ...]:
    """How many copies each part can have: no more than what it must be together with."""
    every = len(world.node_names)
    most = [
        part.service.promoted
        if part.promoted
        else every
        if part.service.replicas is None
        else part.service.replicas
        for part in world.parts
    ]
    changed = True
    while changed:
        before = tuple(most)
        for link in relations.together:
            if not link.zones:
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
    links = [
        link for link in relations.after if link.reverse and not link.any_of and not link.minimum
    ]
    changed = True
    while changed:
        changed = False
        for link in links:
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
    part: Part,
    *,
    world: World,
    candidates: Mask,
    most: int,
    cherished: Mask,
    scores: Scores,
    scale: Scale,
    resources: tuple[str, ...],
) -> Variable:
    service, copies = part.service, world.copies[index]
    kept, up, copy, promoted = scale.counts(service.priority)
    stickiness = service.stickiness
    if part.promoted:
        kept, up, copy = 0, 0, promoted
        if service.promoted_stickiness is not None:
            stickiness = service.promoted_stickiness
    sticky = stickiness * scale.preference
    spread = world.intent.when_equal is WhenEqual.SPREAD
    tiers: dict[int, Mask] = defaultdict(int)
    for score, whole in add_scores(candidates, scores):
        worth = copy + score * scale.preference
        stay, home = scale.disturbance, scale.home
        if spread and (score + stickiness <= 0 or part.base in world.layers):
            # Balance comes before staying where nothing speaks for the node.
            stay = home = 0
        for extra, mask in (
            (sticky + stay + home, whole & cherished),
            (home, whole & copies.running & ~cherished),
            (0, whole & ~copies.running & ~cherished),
        ):
            if mask:
                tiers[worth + extra] |= mask
    counted = service.replicas is not None or part.promoted
    pinned = copies.pinned.bit_count() if counted else 0
    amounts = {} if part.promoted else dict(service.demand)
    return Variable(
        index=index,
        weight=0 if part.promoted else 1,
        quota=part.base if part.base in world.layers and not part.promoted else -1,
        want=max(0, min(most - pinned, candidates.bit_count())),
        candidates=candidates,
        pinned=copies.pinned,
        reliable=copies.reliable,
        running=copies.running,
        cherished=cherished,
        tiers=tuple(sorted(tiers.items(), reverse=True)),
        up=0 if copies.reliable or part.layer else up,
        kept=kept if copies.running and not copies.reliable and not part.layer else 0,
        stickiness=sticky + (0 if spread else scale.disturbance),
        demand=tuple(
            (i, amounts[name]) for i, name in enumerate(resources) if amounts.get(name, 0) > 0
        ),
    )


def _room(world: World, resources: tuple[str, ...]) -> tuple[tuple[int, ...], ...]:
    room = [
        [dict(node.capacity).get(name, UNLIMITED) for name in resources]
        for node in world.intent.nodes
    ]
    for part, copies in zip(world.parts, world.copies, strict=True):
        amounts = {} if part.promoted else dict(part.service.demand)
        for at in bits(copies.pinned):
            for i, name in enumerate(resources):
                room[at][i] -= amounts.get(name, 0)
    return tuple(tuple(row) for row in room)
