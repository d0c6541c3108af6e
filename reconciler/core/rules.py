"""Rules by service: locations, failures, tickets and scores, sorted so that each reads only its own."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reconciler.core.relations import members
from reconciler.core.scores import Scores, health_scores
from reconciler.core.world import Mask, World
from reconciler.model.ids import Millis, NodeName, ServiceName
from reconciler.model.intent import Location, Mandate, Origin, Role, TicketRule
from reconciler.model.observed import Failure
from reconciler.model.placement import Reason, Why


@dataclass(frozen=True, slots=True, kw_only=True)
class Ban:
    """A set of nodes where a service may not run, and why; `{node}` in the text is filled in."""

    mask: Mask
    why: Why
    text: str
    origin: Origin | None = None

    def reason(self, world: World, node: int) -> Reason:
        """The ban of one node in words."""
        name = world.node_names[node]
        return Reason(why=self.why, text=self.text.format(node=name), origin=self.origin, node=name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Location rules, failures, tickets and promotion scores by service, so that each reads only its own."""

    locations: Mapping[ServiceName, tuple[Location, ...]]
    failures: Mapping[ServiceName, tuple[Failure, ...]]
    tickets: Mapping[ServiceName, tuple[TicketRule, ...]]
    promotion: Mapping[ServiceName, Mapping[NodeName, int]]
    scores: Mapping[ServiceName, Scores]
    """What each service gains on some nodes, whatever else is placed there."""
    now_ms: Millis


def read_rules(world: World, now_ms: Millis) -> Rules:
    """Sort location rules, failures, tickets and promotion scores by service.

    A rule on a group holds for each member; its score counts once, on the first.
    """
    groups = {str(group.name): group for group in world.intent.groups}
    locations: dict[ServiceName, list[Location]] = defaultdict(list)
    for rule in world.intent.locations:
        chosen = members(groups, rule.service)
        if not isinstance(rule.strength, Mandate):
            chosen = chosen[:1]
        for name in chosen:
            locations[name].append(rule)
    tickets: dict[ServiceName, list[TicketRule]] = defaultdict(list)
    for ticket in world.intent.tickets:
        for name in members(groups, ticket.service):
            tickets[name].append(ticket)
    failures: dict[ServiceName, list[Failure]] = defaultdict(list)
    for failure in world.observed.failures:
        failures[failure.service].append(failure)
    promotion: dict[ServiceName, dict[NodeName, int]] = defaultdict(dict)
    for fit in world.observed.promotion_scores:
        promotion[fit.service][fit.node] = fit.score
    return Rules(
        locations={name: tuple(rules) for name, rules in locations.items()},
        failures={name: tuple(found) for name, found in failures.items()},
        tickets={name: tuple(found) for name, found in tickets.items()},
        promotion=promotion,
        scores=dict(_scores(world, locations)),
        now_ms=now_ms,
    )


def location_ban(world: World, rule: Location, verb: str) -> Iterator[Ban]:
    """What one location rule with a mandate excludes."""
    nodes = world.mask(rule.nodes)
    match rule.strength:
        case Mandate.REQUIRED:
            yield Ban(
                mask=world.everywhere & ~nodes,
                why=Why.ONLY_ELSEWHERE,
                text=f'"{rule.service}" must {verb} on ' + (" or ".join(rule.nodes) or "no node"),
                origin=rule.origin,
            )
        case Mandate.FORBIDDEN:
            text = f'"{rule.service}" is forbidden on {{node}}'
            if verb != "run":
                text = f'"{rule.service}" may not {verb} on {{node}}'
            yield Ban(mask=nodes, why=Why.BANNED, text=text, origin=rule.origin)


def _scores(
    world: World, locations: Mapping[ServiceName, list[Location]]
) -> Iterator[tuple[ServiceName, Scores]]:
    health = tuple(health_scores(world))
    for service in world.intent.services:
        own = tuple(
            (rule.strength, world.mask(rule.nodes))
            for rule in locations.get(service.name, ())
            if not isinstance(rule.strength, Mandate) and rule.role is not Role.PROMOTED
        )
        if own or health:
            yield service.name, own + health
