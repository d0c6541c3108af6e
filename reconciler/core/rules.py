"""Rules by service: locations, failures, tickets and scores, sorted so that each reads only its own."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reconciler.core.compiled import Scores
from reconciler.core.conditions import asked
from reconciler.core.scores import INFINITY, health_scores
from reconciler.core.world import Mask, World
from reconciler.model.ids import Millis, NodeName, ServiceName
from reconciler.model.intent import Location, Mandate, Origin, TicketRule
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
    """What bears on the services of one world, beyond what their copies are doing."""

    locations: Mapping[ServiceName, tuple[Location, ...]]
    failures: Mapping[ServiceName, tuple[Failure, ...]]
    tickets: Mapping[ServiceName, tuple[TicketRule, ...]]
    promotion: Mapping[ServiceName, Mapping[NodeName, int]]
    standing: Mapping[ServiceName, Scores]
    """What locations make nodes worth to each service."""
    health: Scores
    """What the health of nodes is worth to every service."""
    unhealthy: Mask
    """Nodes whose health forbids everything."""
    now_ms: Millis

    def scores(self, name: ServiceName) -> Scores:
        """What a service gains on some nodes, whatever else is placed there."""
        return self.standing.get(name, ()) + self.health


def read_rules(world: World, now_ms: Millis) -> Rules:
    """Sort what the facts say by service, beside what the intent says."""
    failures: dict[ServiceName, list[Failure]] = defaultdict(list)
    for failure in world.observed.failures:
        failures[failure.service].append(failure)
    promotion: dict[ServiceName, dict[NodeName, int]] = defaultdict(dict)
    for fit in world.observed.promotion_scores:
        promotion[fit.service][fit.node] = fit.score
    health = tuple(health_scores(world))
    return Rules(
        locations=world.compiled.locations,
        failures={name: tuple(found) for name, found in failures.items()},
        tickets=world.compiled.tickets,
        promotion=promotion,
        standing=world.compiled.scores,
        health=tuple((score, mask) for score, mask in health if score > -INFINITY),
        unhealthy=sum(mask for score, mask in health if score <= -INFINITY),
        now_ms=now_ms,
    )


def location_ban(world: World, rule: Location, verb: str) -> Iterator[Ban]:
    """What one location rule with a mandate excludes."""
    nodes = world.mask(rule.nodes)
    where = asked(rule).replace("{", "{{").replace("}", "}}")
    match rule.strength:
        case Mandate.REQUIRED:
            there = " or ".join(rule.nodes) or "no node"
            yield Ban(
                mask=world.everywhere & ~nodes,
                why=Why.ONLY_ELSEWHERE,
                text=f'"{rule.service}" must {verb} on {there}{where}',
                origin=rule.origin,
            )
        case Mandate.FORBIDDEN:
            text = f'"{rule.service}" is forbidden on {{node}}{where}'
            if verb != "run":
                text = f'"{rule.service}" may not {verb} on {{node}}{where}'
            yield Ban(mask=nodes, why=Why.BANNED, text=text, origin=rule.origin)
