"""May this service run on that node, and if not, why not.

One ordered table of rules; each rule bans a set of nodes and says why. The first rule that bans a node
is the reason that people see, so the table goes from what concerns the whole service to what concerns
one node. What depends on where other services go is not here: the search decides that.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reconciler.core.relations import members
from reconciler.core.world import Mask, World, bits
from reconciler.model.ids import Millis, ServiceName
from reconciler.model.intent import Location, Mandate, Origin, Role, Safety, Service
from reconciler.model.observed import Failure, Liveness
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
    """Location rules and failures by service, so that each service reads only its own."""

    locations: Mapping[ServiceName, tuple[Location, ...]]
    failures: Mapping[ServiceName, tuple[Failure, ...]]
    now_ms: Millis


def read_rules(world: World, now_ms: Millis) -> Rules:
    """Sort location rules and failures by service.

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
    failures: dict[ServiceName, list[Failure]] = defaultdict(list)
    for failure in world.observed.failures:
        failures[failure.service].append(failure)
    return Rules(
        locations={name: tuple(rules) for name, rules in locations.items()},
        failures={name: tuple(found) for name, found in failures.items()},
        now_ms=now_ms,
    )


def bans(world: World, rules: Rules, service: Service) -> tuple[Ban, ...]:
    """Every ban of a service, in the order in which people want to read them."""
    return tuple(ban for ban in _table(world, rules, service) if ban.mask)


def eligible(world: World, found: tuple[Ban, ...]) -> Mask:
    """The nodes that no ban names."""
    mask = world.everywhere
    for ban in found:
        mask &= ~ban.mask
    return mask


def first_ban(found: tuple[Ban, ...], node: int) -> Ban | None:
    """The ban to tell people about this node."""
    return next((ban for ban in found if ban.mask >> node & 1), None)


def _table(world: World, rules: Rules, service: Service) -> Iterator[Ban]:
    """The rules in order. Yields bans, some of them empty."""
    place = world.service_index[service.name]
    copies = world.copies[place]
    everywhere = world.everywhere
    if not service.enabled:
        yield Ban(
            mask=everywhere,
            why=Why.NOT_WANTED,
            text=f'"{service.name}" is not enabled',
            origin=service.origin,
        )
    if service.maintenance:
        yield Ban(
            mask=everywhere & ~copies.pinned,
            why=Why.MAINTENANCE,
            text=f'"{service.name}" is in maintenance: nothing is done to it',
            origin=service.origin,
        )
    yield from _location_bans(world, rules, service)
    yield from _node_bans(world)
    # Restarting in place needs no quorum: the node had the right to run it, and nobody took it away.
    if not world.observed.quorate:
        yield Ban(
            mask=everywhere & ~copies.running,
            why=Why.NO_QUORUM,
            text="without a majority nothing starts that does not run there already",
        )
    yield from _failure_bans(world, rules, service)
    yield from _unheard_bans(world, rules, service)


def _node_bans(world: World) -> Iterator[Ban]:
    for i, node in enumerate(world.intent.nodes):
        if node.standby:
            yield Ban(mask=1 << i, why=Why.STANDBY, text="{node} is in standby", origin=node.origin)
        if node.maintenance:
            yield Ban(
                mask=1 << i,
                why=Why.MAINTENANCE,
                text="{node} is in maintenance: nothing is done there",
                origin=node.origin,
            )
    for i in bits(world.everywhere & ~world.alive):
        match world.states[i].liveness:
            case Liveness.LOST:
                yield Ban(mask=1 << i, why=Why.NODE_LOST, text="{node} is lost")
            case Liveness.SUSPECT:
                yield Ban(mask=1 << i, why=Why.NODE_UNKNOWN, text="{node} is suspect")
            case _:
                yield Ban(mask=1 << i, why=Why.NODE_UNKNOWN, text="{node} has not been heard")


def _location_bans(world: World, rules: Rules, service: Service) -> Iterator[Ban]:
    for rule in rules.locations.get(service.name, ()):
        if rule.role is Role.PROMOTED:
            continue
        nodes = world.mask(rule.nodes)
        match rule.strength:
            case Mandate.REQUIRED:
                yield Ban(
                    mask=world.everywhere & ~nodes,
                    why=Why.ONLY_ELSEWHERE,
                    text=f'"{rule.service}" must run on ' + (" or ".join(rule.nodes) or "no node"),
                    origin=rule.origin,
                )
            case Mandate.FORBIDDEN:
                yield Ban(
                    mask=nodes,
                    why=Why.BANNED,
                    text=f'"{rule.service}" is forbidden on {{node}}',
                    origin=rule.origin,
                )


def _failure_bans(world: World, rules: Rules, service: Service) -> Iterator[Ban]:
    for failure in rules.failures.get(service.name, ()):
        at = world.node_index.get(failure.node)
        if at is None or not holds(failure, service, rules.now_ms):
            continue
        yield Ban(
            mask=1 << at,
            why=Why.FAILED_TOO_OFTEN,
            text=f'"{service.name}" failed {failure.count} times on {{node}} '
            f"(last {failure.operation}: {_one_line(failure.reason)})",
        )


def _unheard_bans(world: World, rules: Rules, service: Service) -> Iterator[Ban]:
    """A node never heard since it was listed may run anything that its rules allow it to."""
    if service.safety is not Safety.EXCLUSIVE or not service.enabled:
        return
    suspects = world.unheard
    for ban in _location_bans(world, rules, service):
        suspects &= ~ban.mask
    if suspects:
        names = " and ".join(world.names(suspects))
        yield Ban(
            mask=world.everywhere & ~world.copies[world.service_index[service.name]].running,
            why=Why.NO_PROOF,
            text=f'exclusive "{service.name}" may already run on {names}, never heard so far',
        )


def holds(failure: Failure, service: Service, now_ms: Millis) -> bool:
    """Whether a failure still bans its node: often enough, and recent enough."""
    end_ms = service.forgets_ms(failure.last_ms)
    return service.gives_up(failure.count) and (end_ms is None or now_ms < end_ms)


def _one_line(text: str) -> str:
    """Agents print what they like; braces would break the text's own place for the node."""
    return " ".join(text.split())[:200].replace("{", "(").replace("}", ")")
