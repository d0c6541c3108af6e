"""Posing the placement problem: facts and rules become variables.

A variable is kept from the last decision for every part to which nothing happened since.
"""

from collections import defaultdict
from dataclasses import replace

from reconciler.core.compiled import Scores
from reconciler.core.eligibility import Bans, eligible_nodes
from reconciler.core.held import hold_suppliers
from reconciler.core.problem import UNLIMITED, Problem, Variable
from reconciler.core.promotion import promotion_scores
from reconciler.core.relations import Link, Relations
from reconciler.core.rules import Rules
from reconciler.core.scores import INFINITY, add_scores
from reconciler.core.world import Mask, World, bits
from reconciler.model.intent import NegativeScores, WhenEqual


def pose(world: World, rules: Rules) -> Problem:
    """Pose the placement problem of this world.

    Shape: N nodes, M services: O(M + rules), no product of N and M.
    """
    compiled = world.compiled
    world = hold_suppliers(world, compiled.relations)
    bans = Bans(world, rules)
    candidates = _consistent(world, compiled.relations, _candidates(world, rules, bans))
    relations = _unbearable(world, compiled.relations, rules)
    cherished = _cherished(world, relations, candidates)
    uncritical = _uncritical(world, relations)
    return Problem(
        world=world,
        scale=compiled.scale,
        relations=relations,
        bans=bans,
        variables=tuple(
            _remembered(
                world,
                rules,
                index,
                candidates[index],
                cherished[index],
                critical=index not in uncritical,
            )
            for index in range(len(world.parts))
        ),
        resources=compiled.resources,
        room=_room(world, compiled.resources),
        links=_links(world, relations),
        quotas=_quotas(world),
        suppliers=compiled.suppliers,
        dependents=compiled.dependents,
    )


def _links(world: World, relations: Relations) -> tuple[tuple[Link, ...], ...]:
    standing = world.compiled.links
    further = relations.wishes[len(world.compiled.relations.wishes) :]
    if not further:
        return standing
    links = [list(found) for found in standing]
    for link in further:
        links[link.service].append(link)
        links[link.other].append(link)
    return tuple(map(tuple, links))


def _candidates(world: World, rules: Rules, bans: Bans) -> list[Mask]:
    """Where each part may be as far as its own rules go; what nobody may touch gains and loses no role."""
    masks = eligible_nodes(world, rules, bans)
    for index, copies in enumerate(world.copies):
        if copies.pinned:
            masks[index] &= ~copies.pinned
    for index in range(world.count, len(world.parts)):
        part = world.parts[index]
        masks[index] &= masks[part.base]
        if part.layer and part.layer >= part.service.replicas_per_node:
            masks[index] = 0
    return masks


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
    return rules.scores(world.services[index].name)


def _unbearable(world: World, relations: Relations, rules: Rules) -> Relations:
    """Where negative sums forbid, a wish to be apart that nothing outweighs is all but a mandate.

    It gives way only where the service would run nowhere at all.
    """
    if world.intent.negative_scores is not NegativeScores.FORBID:
        return relations
    dreads = []
    for wish in relations.wishes:
        if wish.score >= 0:
            continue
        healthy = world.copies[wish.service].healthy
        sticky = ((world.services[wish.service].stickiness, healthy),)
        totals = add_scores(world.everywhere, _scores(world, rules, wish.service) + sticky)
        where = sum(mask for score, mask in totals if score + wish.score < 0)
        if where:
            dreads.append(replace(wish, score=-INFINITY, where=where))
    return replace(relations, wishes=relations.wishes + tuple(dreads))


def _consistent(world: World, relations: Relations, candidates: list[Mask]) -> list[Mask]:
    """Take away the nodes that no service can use because what it needs cannot be there."""
    left = list(candidates)
    changed = True
    while changed:
        changed = False
        for link in relations.together:
            mask = left[link.service]
            kept = mask & link.place(left[link.other] | world.copies[link.other].pinned)
            if kept != mask:
                left[link.service], changed = kept, True
        for link in relations.after:
            if left[link.other] or not left[link.service]:
                continue
            suppliers = (link.other, *link.any_of)
            if any(left[i] | world.copies[i].reliable for i in suppliers):
                continue
            unsure = any(world.copies[i].pinned for i in suppliers)
            mine = world.copies[link.service]
            kept = left[link.service] & (
                mine.running if unsure else 0 if link.reverse else mine.healthy
            )
            if kept != left[link.service]:
                left[link.service], changed = kept, True
    return left


def _cherished(world: World, relations: Relations, candidates: list[Mask]) -> list[Mask]:
    """Healthy copies that need not be disturbed whatever is decided.

    A copy that depends on one which must stop or restart anyway restarts too: keeping it is worth
    nothing. `together` with `after` means the copy on the same node; `after` alone any copy. One that
    may move live to a node lets go on what waits for it there.
    """
    steady = [
        copies.healthy & allowed for copies, allowed in zip(world.copies, candidates, strict=True)
    ]
    local = {(link.service, link.other) for link in relations.together if not link.zones}
    links = [
        link for link in relations.after if link.reverse and not link.any_of and not link.minimum
    ]
    changed = True
    while changed:
        changed = False
        for link in links:
            supply = steady[link.other] | world.copies[link.other].pinned
            if _may_move_live(world, link.other):
                supply |= candidates[link.other]
            if (link.service, link.other) in local:
                left = steady[link.service] & supply
            else:
                left = steady[link.service] if supply else 0
            if left != steady[link.service]:
                steady[link.service] = left
                changed = True
    return steady


def _may_move_live(world: World, part: int) -> bool:
    service, copies = world.services[part], world.copies[part]
    return service.migratable and copies.healthy == copies.running and not copies.pinned


def _uncritical(world: World, relations: Relations) -> set[int]:
    """Parts for whose sake what they depend on does not move, since it runs well where it is."""
    if not world.compiled.scale.uncritical:
        return set()
    found: set[int] = set()
    changed = True
    while changed:
        changed = False
        for link in relations.together:
            if link.service not in found and (
                link.other in found or (not link.influence and world.copies[link.other].running)
            ):
                found.add(link.service)
                changed = True
    return found


def _remembered(
    world: World,
    rules: Rules,
    index: int,
    candidates: Mask,
    cherished: Mask,
    *,
    critical: bool,
) -> Variable:
    """The variable of a part, made anew only if something about it changed."""
    memo, copies = world.compiled.memo, world.copies[index]
    scores = _scores(world, rules, index)
    key = (candidates, cherished, copies, scores, critical)
    known = memo.get(index)
    if known is not None and known[0] == key:
        variable: Variable = known[1]
        return variable
    variable = _variable(world, index, candidates, cherished, scores, critical=critical)
    memo[index] = (key, variable)
    return variable


def _variable(
    world: World, index: int, candidates: Mask, cherished: Mask, scores: Scores, *, critical: bool
) -> Variable:
    part, scale, resources = world.parts[index], world.compiled.scale, world.compiled.resources
    service, most, copies = part.service, world.compiled.most[index], world.copies[index]
    kept, up, copy, promoted = scale.counts(service.priority if critical else None)
    stickiness = service.stickiness
    if part.promoted:
        kept, up, copy = 0, 0, promoted
        if service.promoted_stickiness is not None:
            stickiness = service.promoted_stickiness
    preference = scale.preference if critical else 0
    sticky = stickiness * preference
    spread = world.intent.when_equal is WhenEqual.SPREAD
    tiers: dict[int, Mask] = defaultdict(int)
    for score, whole in add_scores(candidates, scores):
        worth = copy + score * preference
        stay, home = scale.disturbance, scale.home
        if not critical:
            stay, home = 1, 0  # the least there is: it moves for anything, but not for nothing
        elif spread and (score + stickiness <= 0 or part.base in world.layers):
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
        healthy=copies.healthy,
        cherished=cherished,
        tiers=tuple(sorted(tiers.items(), reverse=True)),
        up=0 if copies.reliable or part.layer else up,
        kept=kept if copies.running and not copies.reliable and not part.layer else 0,
        stickiness=sticky + (0 if spread or not critical else scale.disturbance),
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
