"""May a copy of this service run on that node, and if not, why not.

One ordered table of rules; each rule bans a set of nodes and says why. The first rule that bans a node
is the reason that people see, so the table goes from what concerns the whole service to what concerns
one node. What depends on where other services go is not here: the search decides that. Promoted copies
have a table of their own, in `promotion`.
"""

from collections.abc import Iterator

from reconciler.core.promotion import promotion_bans, ticket_bans
from reconciler.core.rules import Ban, Rules, location_ban
from reconciler.core.scores import INFINITY, add_scores
from reconciler.core.world import Copies, Mask, World, bits
from reconciler.model.ids import Millis
from reconciler.model.intent import (
    MultipleActive,
    NegativeScores,
    OnLoss,
    Requires,
    Role,
    Safety,
    Service,
)
from reconciler.model.observed import Failure, Liveness
from reconciler.model.placement import Why


class Bans:
    """The bans of every part, read when asked for: most are never told to anybody."""

    def __init__(self, world: World, rules: Rules) -> None:
        self._world, self._rules = world, rules
        self._found: dict[int, tuple[Ban, ...]] = {}
        self._node_bans = tuple(_node_bans(world))

    def __getitem__(self, part: int) -> tuple[Ban, ...]:
        """Every ban of a part, in the order in which people want to read them."""
        found = self._found.get(part)
        if found is None:
            found = self._found[part] = self._read(part)
        return found

    def _read(self, part: int) -> tuple[Ban, ...]:
        world, rules = self._world, self._rules
        if world.parts[part].layer:
            return ()  # it goes where the first copy may
        if world.parts[part].promoted:
            table = promotion_bans(world, rules, part)
        else:
            table = _table(world, rules, part, self._node_bans)
        return tuple(ban for ban in table if ban.mask)


def eligible_nodes(world: World, rules: Rules, bans: Bans) -> list[Mask]:
    """Per part the nodes that no ban names; further copies go where the first may.

    What stands in the intent is worked out beforehand: only those to whom something happened, or whose
    rules depend on facts, have their bans read one by one.
    """
    compiled = world.compiled
    usable = world.open & ~rules.unhealthy
    masks = [mask & usable for mask in compiled.allowed]
    for part in _changing(world, rules):
        masks[part] = _unbanned(world, bans[part])
    for base, layers in world.layers.items():
        for part in layers:
            masks[part] = masks[base]
    return masks


def _changing(world: World, rules: Rules) -> set[int]:
    """Parts whose bans are not the standing ones."""
    compiled, index = world.compiled, world.service_index
    parts = set(compiled.watchful) | set(world.promotion.values())
    negative = world.intent.negative_scores is NegativeScores.FORBID
    if not world.observed.quorate or world.unheard or (negative and rules.health):
        return parts | set(range(world.count))
    names = {*rules.failures, *world.mishaps.stopped, *world.mishaps.frozen}
    if negative:
        names |= {
            name for name, scores in rules.standing.items() if any(score < 0 for score, _ in scores)
        }
    parts |= {index[name] for name in names if name in index}
    return parts | {v for v in range(world.count) if _twice(world.services[v], world.copies[v])}


def _unbanned(world: World, found: tuple[Ban, ...]) -> Mask:
    mask = world.everywhere
    for ban in found:
        mask &= ~ban.mask
    return mask


def first_ban(found: tuple[Ban, ...], node: int) -> Ban | None:
    """The ban to tell people about this node."""
    return next((ban for ban in found if ban.mask >> node & 1), None)


def _table(world: World, rules: Rules, part: int, node_bans: tuple[Ban, ...]) -> Iterator[Ban]:
    """The rules in order. Yields bans, some of them empty."""
    service, copies = world.services[part], world.copies[part]
    everywhere = world.everywhere
    if not service.enabled:
        yield Ban(
            mask=everywhere,
            why=Why.NOT_WANTED,
            text=f'"{service.name}" is not enabled',
            origin=service.origin,
        )
    if service.name in world.mishaps.stopped:
        cause = world.mishaps.stopped[service.name]
        text = f'"{service.name}" stays stopped until it is cleared: {cause}'
        yield Ban(mask=everywhere, why=Why.FAILED, text=text, origin=service.origin)
    if service.maintenance or not service.managed:
        word = "is in maintenance" if service.maintenance else "is not managed"
        yield Ban(
            mask=everywhere & ~copies.pinned,
            why=Why.MAINTENANCE,
            text=f'"{service.name}" {word}: nothing is done to it',
            origin=service.origin,
        )
    if _twice(service, copies):
        text = f'"{service.name}" was found running more than once'
        yield Ban(mask=everywhere, why=Why.EXTRA_COPY, text=text, origin=service.origin)
    yield from _location_bans(world, rules, service)
    yield from node_bans
    yield Ban(mask=rules.unhealthy, why=Why.BANNED, text="{node} reports that it is not healthy")
    yield from ticket_bans(world, rules, part)
    yield from _quorum_bans(world, part)
    yield from _failure_bans(world, rules, service)
    yield from _unheard_bans(world, rules, service)
    yield from _negative_bans(world, rules, part)


def _twice(service: Service, copies: Copies) -> bool:
    return (
        service.multiple_active is MultipleActive.STOP_ONLY
        and service.replicas == 1
        and copies.running.bit_count() > 1
    )


def _quorum_bans(world: World, part: int) -> Iterator[Ban]:
    service = world.services[part]
    if world.observed.quorate or service.requires is Requires.NOTHING:
        return
    running = world.copies[part].running
    match world.intent.on_quorum_loss:
        case OnLoss.IGNORE:
            return
        case OnLoss.FREEZE:
            # Restarting in place needs no quorum: the node had the right to run it, and nobody took it.
            mask = world.everywhere & ~running
            text = "without a majority nothing starts that does not run there already"
        case OnLoss.DEMOTE if service.promotable:
            mask = world.everywhere & ~running
            text = "without a majority nothing starts"
        case _:
            mask, text = world.everywhere, "without a majority nothing runs"
    yield Ban(mask=mask, why=Why.NO_QUORUM, text=text)


def _node_bans(world: World) -> Iterator[Ban]:
    for i, node in enumerate(world.intent.nodes):
        if node.standby:
            yield Ban(mask=1 << i, why=Why.STANDBY, text="{node} is in standby", origin=node.origin)
        elif world.states[i].leaving:
            yield Ban(mask=1 << i, why=Why.STANDBY, text="{node} is shutting down")
        elif world.standby >> i & 1:
            cause = world.mishaps.standby.get(node.name, "an operator wants it so")
            text = f"{{node}} is in standby: {_one_line(cause)}"
            yield Ban(mask=1 << i, why=Why.STANDBY, text=text)
        if node.maintenance:
            yield Ban(
                mask=1 << i,
                why=Why.MAINTENANCE,
                text="{node} is in maintenance: nothing is done there",
                origin=node.origin,
            )
    yield from _absent(world)


def _absent(world: World) -> Iterator[Ban]:
    for i in bits(world.everywhere & ~world.alive):
        match world.states[i].liveness:
            case _ if world.fenced >> i & 1:
                yield Ban(mask=1 << i, why=Why.NODE_LOST, text="{node} is to be fenced")
            case Liveness.DOWN:
                yield Ban(mask=1 << i, why=Why.NODE_LOST, text="{node} is down")
            case Liveness.LOST:
                yield Ban(mask=1 << i, why=Why.NODE_LOST, text="{node} is lost")
            case Liveness.SUSPECT:
                yield Ban(mask=1 << i, why=Why.NODE_UNKNOWN, text="{node} is suspect")
            case _:
                yield Ban(mask=1 << i, why=Why.NODE_UNKNOWN, text="{node} has not been heard")


def _location_bans(world: World, rules: Rules, service: Service) -> Iterator[Ban]:
    for rule in rules.locations.get(service.name, ()):
        if rule.role is not Role.PROMOTED:
            yield from location_ban(world, rule, "run")


def _failure_bans(world: World, rules: Rules, service: Service) -> Iterator[Ban]:
    for failure in rules.failures.get(service.name, ()):
        at = world.node_index.get(failure.node)
        if at is None or not holds(failure, service, rules.now_ms):
            continue
        cause = f"({failure.operation}: {_one_line(failure.reason)})"
        text = f'"{service.name}" failed {failure.count} times on {{node}} (last {cause[1:]}'
        if failure.count >= INFINITY:
            text = f'"{service.name}" failed for good on {{node}} {cause}'
        if failure.fatal:
            where = world.node_names[at]
            text = f'"{service.name}" failed on {where} as it would everywhere {cause}'
        mask = world.everywhere if failure.fatal else 1 << at
        yield Ban(mask=mask, why=Why.FAILED_TOO_OFTEN, text=text)


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


def _negative_bans(world: World, rules: Rules, part: int) -> Iterator[Ban]:
    """Where the operators want it so, a node whose scores add up to less than zero is no choice at all."""
    if world.intent.negative_scores is not NegativeScores.FORBID:
        return
    service = world.services[part]
    totals = add_scores(world.everywhere, rules.scores(service.name))
    healthy = world.copies[part].healthy
    for score, mask in totals:
        if score < 0:
            lifted = healthy if score + service.stickiness >= 0 else 0
            text = f'the scores of "{service.name}" on {{node}} add up to {score}'
            yield Ban(mask=mask & ~lifted, why=Why.BANNED, text=text)


def holds(failure: Failure, service: Service, now_ms: Millis) -> bool:
    """Whether a failure still bans its node: often enough, and recent enough."""
    end_ms = service.forgets_ms(failure.last_ms)
    certain = failure.fatal or failure.count >= INFINITY
    given_up = certain or service.gives_up(failure.count)
    return given_up and (end_ms is None or now_ms < end_ms)


def _one_line(text: str) -> str:
    """Agents print what they like; braces would break the text's own place for the node."""
    return " ".join(text.split())[:200].replace("{", "(").replace("}", ")")
