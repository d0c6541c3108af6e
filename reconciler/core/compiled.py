"""All that follows from the intent alone, worked out once and kept while the intent stays the same.

Facts change every second and the intent once a week: a decision should pay for what changed.
`compile_intent` remembers the last few intents by identity, which is safe because intents are frozen.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.core.blueprint import Blueprint, Crowds, Mask, read_blueprint
from reconciler.core.relations import Link, Relations, read_relations
from reconciler.core.scale import Scale
from reconciler.model.ids import ServiceName
from reconciler.model.intent import Intent, Location, Mandate, Role, TicketRule

_REMEMBERED = 8

Scores = tuple[tuple[int, Mask], ...]
"""What nodes are worth: each node's score is the total of the entries that name it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """An intent by index, with its relations and standing rules by part."""

    blueprint: Blueprint
    relations: Relations
    links: tuple[tuple[Link, ...], ...]
    """Per part every link that it is an end of (`sequence` apart, which binds nothing)."""
    suppliers: tuple[tuple[Link, ...], ...]
    """Per part the `after` links to what it needs."""
    dependents: tuple[tuple[int, ...], ...]
    """Per part what needs it, by the same links."""
    binding: tuple[Link, ...]
    """The `after` links that speak of stops as well as of starts."""
    most: tuple[int, ...]
    """Per part how many copies it may have: no more than what it must be together with."""
    locations: Mapping[ServiceName, tuple[Location, ...]]
    tickets: Mapping[ServiceName, tuple[TicketRule, ...]]
    scores: Mapping[ServiceName, Scores]
    """What locations make nodes worth to each service, whatever else is placed there."""
    allowed: tuple[Mask, ...]
    """Per part the nodes that no location excludes; none for a service that is not enabled."""
    followers: frozenset[ServiceName]
    """Members of groups but the first: promoted with it, and asked less."""
    watchful: frozenset[int]
    """First parts with rules that depend on facts, so that each decision reads them anew."""
    scale: Scale
    resources: tuple[str, ...]
    """Names of the resources that some node limits."""
    memo: dict[int, Any] = field(default_factory=dict, compare=False)
    """Variables of the last decision, kept by `pose` for those to whom nothing happened."""


_remembered: dict[tuple[int, Crowds], Compiled] = {}


def compile_intent(intent: Intent, crowds: Crowds = ()) -> Compiled:
    """Work out what follows from an intent alone, or remember it.

    Shape: M parts, L links: O(M log M + L).
    """
    key = (id(intent), crowds)
    known = _remembered.get(key)
    if known is not None and known.blueprint.intent is intent:
        return known
    compiled = _compile(intent, crowds)
    if len(_remembered) >= _REMEMBERED:
        _remembered.pop(next(iter(_remembered)), None)
    _remembered[key] = compiled
    return compiled


def _compile(intent: Intent, crowds: Crowds) -> Compiled:
    blueprint = read_blueprint(intent, crowds)
    relations = read_relations(blueprint)
    count = len(blueprint.parts)
    links: list[list[Link]] = [[] for _ in range(count)]
    for link in (*relations.together, *relations.apart, *relations.wishes, *relations.after):
        for end in dict.fromkeys((link.service, link.other, *link.any_of)):
            links[end].append(link)
    suppliers: list[list[Link]] = [[] for _ in range(count)]
    dependents: list[list[int]] = [[] for _ in range(count)]
    for link in relations.after:
        suppliers[link.service].append(link)
        dependents[link.other].append(link.service)
    locations = _locations(blueprint)
    tickets = _tickets(blueprint)
    return Compiled(
        blueprint=blueprint,
        relations=relations,
        links=tuple(map(tuple, links)),
        suppliers=tuple(map(tuple, suppliers)),
        dependents=tuple(map(tuple, dependents)),
        binding=tuple(link for link in relations.after if link.reverse),
        most=_most(blueprint, relations),
        locations=locations,
        tickets=tickets,
        scores=_scores(blueprint, locations),
        allowed=_allowed(blueprint, locations),
        followers=frozenset(
            name for group in intent.groups if group.colocated for name in group.members[1:]
        ),
        watchful=frozenset(
            i
            for i, service in enumerate(blueprint.services[: blueprint.count])
            if service.name in tickets or service.maintenance or not service.managed
        ),
        scale=Scale(
            classes=tuple(sorted({s.priority for s in blueprint.services}, reverse=True)),
            uncritical=not all(link.influence for link in relations.together),
        ),
        resources=tuple(sorted({name for node in intent.nodes for name, _ in node.capacity})),
    )


def _locations(blueprint: Blueprint) -> dict[ServiceName, tuple[Location, ...]]:
    """A rule on a group holds for each member; its score counts once, on the first."""
    found: dict[ServiceName, list[Location]] = defaultdict(list)
    for rule in blueprint.intent.locations:
        chosen = blueprint.members(rule.service)
        if not isinstance(rule.strength, Mandate):
            chosen = chosen[:1]
        for name in chosen:
            found[name].append(rule)
    return {name: tuple(rules) for name, rules in found.items()}


def _tickets(blueprint: Blueprint) -> dict[ServiceName, tuple[TicketRule, ...]]:
    found: dict[ServiceName, list[TicketRule]] = defaultdict(list)
    for rule in blueprint.intent.tickets:
        for name in blueprint.members(rule.service):
            found[name].append(rule)
    return {name: tuple(rules) for name, rules in found.items()}


def _scores(
    blueprint: Blueprint, locations: Mapping[ServiceName, tuple[Location, ...]]
) -> dict[ServiceName, Scores]:
    return {
        name: tuple(
            (rule.strength, blueprint.mask(rule.nodes))
            for rule in rules
            if not isinstance(rule.strength, Mandate) and rule.role is not Role.PROMOTED
        )
        for name, rules in locations.items()
    }


def _allowed(
    blueprint: Blueprint, locations: Mapping[ServiceName, tuple[Location, ...]]
) -> tuple[Mask, ...]:
    masks: list[Mask] = []
    for part in blueprint.parts:
        mask = blueprint.everywhere if part.service.enabled else 0
        for rule in locations.get(part.service.name, ()):
            if (rule.role is Role.PROMOTED) != part.promoted:
                continue
            match rule.strength:
                case Mandate.REQUIRED:
                    mask &= blueprint.mask(rule.nodes)
                case Mandate.FORBIDDEN:
                    mask &= ~blueprint.mask(rule.nodes)
        masks.append(mask)
    return tuple(masks)


def _most(blueprint: Blueprint, relations: Relations) -> tuple[int, ...]:
    every = len(blueprint.node_names)
    most = [
        part.service.promoted
        if part.promoted
        else every
        if part.service.replicas is None
        else part.service.replicas
        for part in blueprint.parts
    ]
    changed = True
    while changed:
        changed = False
        for link in relations.together:
            if not link.zones and most[link.other] < most[link.service]:
                most[link.service] = most[link.other]
                changed = True
    return tuple(most)
