"""May a copy be promoted on that node, and what is it worth there; and who holds the ticket for it.

A promotion needs to be asked for: by the agent there, with a score, or by a location for that role. The
two add up, and a sum below zero is no.
"""

from collections.abc import Iterator

from reconciler.core.compiled import Scores
from reconciler.core.rules import Ban, Rules, location_ban
from reconciler.core.scores import add_scores
from reconciler.core.world import Mask, World
from reconciler.model.intent import Mandate, OnLoss, Requires, Role, Safety
from reconciler.model.placement import Why

_UNASKED = -1
"""The promotion score of a node whose agent said nothing."""


def promotion_bans(world: World, rules: Rules, part: int) -> Iterator[Ban]:
    """Where a part of promoted copies may not be, in the order in which people want to read it."""
    service = world.services[part]
    if not service.promoted:
        text = f'no copy of "{service.name}" is to be promoted'
        yield Ban(mask=world.everywhere, why=Why.NOT_WANTED, text=text, origin=service.origin)
    for rule in rules.locations.get(service.name, ()):
        if rule.role is Role.PROMOTED:
            yield from location_ban(world, rule, "be promoted")
    yield from ticket_bans(world, rules, part)
    if not world.observed.quorate and service.requires is not Requires.NOTHING:
        match world.intent.on_quorum_loss:
            case OnLoss.IGNORE:
                pass
            case OnLoss.FREEZE:
                text = "without a majority nothing is promoted that is not so already"
                mask = world.everywhere & ~world.copies[part].running
                yield Ban(mask=mask, why=Why.NO_QUORUM, text=text)
            case _:
                text = "without a majority nothing stays promoted"
                yield Ban(mask=world.everywhere, why=Why.NO_QUORUM, text=text)
    if world.unheard and service.safety is Safety.EXCLUSIVE:
        names = " and ".join(world.names(world.unheard))
        text = f'a copy of "{service.name}" may be promoted on {names}, never heard so far'
        mask = world.everywhere & ~world.copies[part].running
        yield Ban(mask=mask, why=Why.NO_PROOF, text=text)
    unfit = sum(mask for score, mask in promotion_totals(world, rules, part) if score < 0)
    text = f'nothing says that "{service.name}" on {{node}} is fit to be promoted'
    yield Ban(mask=unfit, why=Why.BANNED, text=text, origin=service.origin)


def promotion_totals(world: World, rules: Rules, part: int) -> list[tuple[int, Mask]]:
    """Nodes by promotion score and locations of the role together; below zero nothing is promoted."""
    return add_scores(world.everywhere, _asked(world, rules, part))


def promotion_scores(world: World, rules: Rules, part: int) -> Scores:
    """What a promoted copy is worth on each node: what asks for it there, and what its copy likes."""
    name = world.services[part].name
    return _asked(world, rules, part) + rules.scores(name)


def _asked(world: World, rules: Rules, part: int) -> Scores:
    name = world.services[part].name
    told: dict[int, Mask] = {}
    silent = world.everywhere
    for node, score in rules.promotion.get(name, {}).items():
        at = world.node_index.get(node)
        if at is not None:
            told[score] = told.get(score, 0) | 1 << at
            silent &= ~(1 << at)
    # What is promoted stays so while nobody says a word: silence is no reason to disturb it.
    if name not in world.compiled.followers:
        told[_UNASKED] = told.get(_UNASKED, 0) | silent & ~world.copies[part].healthy
    own = tuple(
        (rule.strength, world.mask(rule.nodes))
        for rule in rules.locations.get(name, ())
        if rule.role is Role.PROMOTED and not isinstance(rule.strength, Mandate)
    )
    lifted = tuple(
        (1, world.mask(rule.nodes) & silent)
        for rule in rules.locations.get(name, ())
        if rule.role is Role.PROMOTED and rule.strength is Mandate.REQUIRED
    )
    return (*told.items(), *own, *lifted)


def ticket_bans(world: World, rules: Rules, part: int) -> Iterator[Ban]:
    """Where a part may not run for want of a ticket; what a ticket freezes is pinned already."""
    service, promoted = world.services[part], world.parts[part].promoted
    states = {state.ticket: state for state in world.observed.tickets}
    for rule in rules.tickets.get(service.name, ()):
        state = states.get(rule.ticket)
        if state is not None and state.granted and not state.standby:
            continue
        of_role = rule.role is Role.PROMOTED
        if promoted and not of_role:
            continue  # its copy stops, and takes the role along
        if of_role and not promoted and rule.on_loss is not OnLoss.STOP:
            continue
        text = f'"{service.name}" needs the ticket "{rule.ticket}", which is not held here'
        yield Ban(mask=world.everywhere, why=Why.NO_TICKET, text=text, origin=rule.origin)
