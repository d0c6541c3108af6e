"""What parts of services have to do with one another: groups and constraints, spelled out part by part.

A group is shorthand: each member needs the one before it, on the same node and running. A constraint
that names a group means its first member where the group follows something, and its last where
something follows the group. A role in a constraint means the part with the promoted copies.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from itertools import pairwise

from reconciler.core.blueprint import Blueprint, Mask
from reconciler.model.ids import ServiceName
from reconciler.model.intent import (
    Colocation,
    Mandate,
    Ordering,
    OrderingKind,
    Origin,
    Role,
    Service,
)


class Tie(Enum):
    """How one part depends on another."""

    TOGETHER = 1
    """Every copy of the service shares a node with one of the other."""
    APART = 2
    """No copy shares a node with one of the other. Reads both ways."""
    WISH = 3
    """Worth `score` per node that has a copy of both."""
    AFTER = 4
    """It runs only while the other does, starts after it and restarts with it."""
    SEQUENCE = 5
    """Ordered only where both act in one plan."""
    SERIAL = 6
    """Never both at once, in whichever order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A relation from one part (by index) to another, with the line that says so."""

    tie: Tie
    service: int
    other: int
    origin: Origin | None = None
    score: int = 0
    where: Mask = -1
    """APART and WISH hold on these nodes only."""
    zones: tuple[Mask, ...] = ()
    """Nodes that count as one place, such as racks; empty: every node is its own."""
    influence: bool = True
    """TOGETHER: the other may move for this service's sake."""
    reverse: bool = True
    """AFTER, SEQUENCE: stops in reverse order, and stops with the other."""
    every: bool = False
    """AFTER: it waits for all copies of the other that start, and restarts when any of them does."""
    minimum: int = 0
    """AFTER: so many copies of the other are enough, whichever; 0: one, and each relies on its own."""
    any_of: tuple[int, ...] = ()
    """AFTER: further parts that will do as well as the other."""

    @property
    def least(self) -> int:
        """AFTER: how many copies of the other are needed."""
        return max(1, self.minimum)

    def place(self, mask: Mask) -> Mask:
        """All nodes that count as the same place as one of these."""
        if not self.zones:
            return mask
        return sum(zone for zone in self.zones if zone & mask)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One action of a part comes before one of another; True stands for start, False for stop."""

    first: int
    first_starts: bool
    then: int
    then_starts: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Relations:
    """All links, by how they tie."""

    together: tuple[Link, ...]
    apart: tuple[Link, ...]
    wishes: tuple[Link, ...]
    after: tuple[Link, ...]
    sequence: tuple[Link, ...]
    serial: tuple[Link, ...]
    turns: tuple[Turn, ...]


def read_relations(blueprint: Blueprint) -> Relations:
    """Spell out groups and constraints between parts."""
    reader = _Reader(blueprint)
    links = [*reader.parts(), *reader.groups(), *reader.colocations(), *reader.orderings()]
    by_tie: dict[Tie, list[Link]] = {tie: [] for tie in Tie}
    for link in links:
        if link.service != link.other:
            by_tie[link.tie].append(link)
    return Relations(
        together=tuple(by_tie[Tie.TOGETHER]),
        apart=tuple(by_tie[Tie.APART]),
        wishes=tuple(by_tie[Tie.WISH]),
        after=tuple(by_tie[Tie.AFTER]),
        sequence=tuple(by_tie[Tie.SEQUENCE]),
        serial=tuple(by_tie[Tie.SERIAL]),
        turns=tuple(reader.turns()),
    )


class _Reader:
    """Reads one intent's relations; every method yields links."""

    def __init__(self, blueprint: Blueprint) -> None:
        self._blueprint = blueprint
        self._groups = blueprint.groups

    # Names ------------------------------------------------------------------------------------------

    def _part(self, name: ServiceName, *, promoted: bool = False) -> int | None:
        base = self._blueprint.service_index.get(name)
        if base is None or not promoted:
            return base
        return self._blueprint.promotion.get(base)

    def _firsts(self, name: str) -> tuple[ServiceName, ...]:
        """Members that begin when the group begins."""
        group = self._groups.get(name)
        return (
            group.members[: None if group and not group.ordered else 1]
            if group
            else (ServiceName(name),)
        )

    def _lasts(self, name: str) -> tuple[ServiceName, ...]:
        """Members whose start makes the group complete."""
        group = self._groups.get(name)
        if group is None:
            return (ServiceName(name),)
        return group.members[-1:] if group.ordered else group.members

    # Parts and groups -------------------------------------------------------------------------------

    def parts(self) -> Iterator[Link]:
        """A promoted copy is a copy; a second copy on a node comes with a first."""
        for base, role in self._blueprint.promotion.items():
            yield Link(tie=Tie.TOGETHER, service=role, other=base)
            yield Link(tie=Tie.AFTER, service=role, other=base)
        for base, layers in self._blueprint.layers.items():
            for lower, upper in pairwise((base, *layers)):
                yield Link(tie=Tie.TOGETHER, service=upper, other=lower)

    def groups(self) -> Iterator[Link]:
        """Each member needs the one before it."""
        for group in self._blueprint.intent.groups:
            for before, member in pairwise(group.members):
                for promoted in (False, True):
                    service = self._part(member, promoted=promoted)
                    other = self._part(before, promoted=promoted)
                    if service is None or other is None:
                        continue
                    if group.colocated:
                        yield Link(
                            tie=Tie.TOGETHER,
                            service=service,
                            other=other,
                            influence=self._blueprint.services[service].critical,
                            origin=group.origin,
                        )
                    if group.ordered:
                        after = Link(
                            tie=Tie.AFTER, service=service, other=other, origin=group.origin
                        )
                        yield from self._with_layers(after)

    # Colocations ------------------------------------------------------------------------------------

    def colocations(self) -> Iterator[Link]:
        """Together, apart, or rather so."""
        for colocation in self._blueprint.intent.colocations:
            yield from self._colocation(colocation)

    def _colocation(self, colocation: Colocation) -> Iterator[Link]:
        promotion = self._blueprint.promotion
        dependents = self._blueprint.members(colocation.dependent)
        primaries = self._blueprint.members(colocation.primary)
        zones = self._zones(colocation.attribute)
        match colocation.strength:
            case Mandate.REQUIRED:
                tie, score, pairs = Tie.TOGETHER, 0, [(dependents[0], primaries[-1])]
            case Mandate.FORBIDDEN:
                tie, score = Tie.APART, 0
                pairs = [(one, other) for one in dependents for other in primaries]
            case int(points):
                tie, score, pairs = Tie.WISH, points, [(dependents[0], primaries[0])]
        dependent_role = colocation.dependent_role is Role.PROMOTED
        primary_role = colocation.primary_role is Role.PROMOTED
        for one, another in pairs:
            service = self._part(one, promoted=dependent_role)
            other = self._part(another, promoted=primary_role)
            if service is None or other is None:
                continue
            link = Link(
                tie=tie,
                service=service,
                other=other,
                score=score,
                zones=zones,
                influence=colocation.influence and self._blueprint.services[service].critical,
                origin=colocation.origin,
            )
            yield link
            if tie is Tie.WISH:  # it counts for every copy, and a layer is one on each node
                for layer in self._blueprint.layers.get(service, ()):
                    yield replace(link, service=layer)
            unpromoted = promotion.get(other)
            required = colocation.strength is Mandate.REQUIRED
            if required and colocation.primary_role is Role.UNPROMOTED and unpromoted is not None:
                yield Link(
                    tie=Tie.APART, service=service, other=unpromoted, origin=colocation.origin
                )

    def _zones(self, attribute: str) -> tuple[Mask, ...]:
        """Nodes by the value of a label; a node without it is a place of its own."""
        if not attribute:
            return ()
        zones: dict[str, Mask] = {}
        for i, node in enumerate(self._blueprint.intent.nodes):
            value = dict(node.labels).get(attribute)
            key = f"={value}" if value is not None else f"@{node.name}"
            zones[key] = zones.get(key, 0) | 1 << i
        return tuple(zones.values())

    # Orderings --------------------------------------------------------------------------------------

    def orderings(self) -> Iterator[Link]:
        """Forward orderings, and those that are told backwards (stop this, then that)."""
        for ordering in self._blueprint.intent.orderings:
            starts = (_starts(ordering.first_action), _starts(ordering.then_action))
            if ordering.kind is OrderingKind.SERIALIZE or starts == (True, True):
                yield from self._ordering(ordering, ordering.first, ordering.then)
            elif starts == (False, False) and ordering.symmetrical:
                yield from self._ordering(ordering, ordering.then, ordering.first)

    def _ordering(self, ordering: Ordering, first: str, then: str) -> Iterator[Link]:
        tie = {
            OrderingKind.REQUIRED: Tie.AFTER,
            OrderingKind.OPTIONAL: Tie.SEQUENCE,
            OrderingKind.SERIALIZE: Tie.SERIAL,
        }[ordering.kind]
        first_role = _promotes(ordering.first_action)
        then_role = _promotes(ordering.then_action)
        if first != ordering.first:
            first_role, then_role = then_role, first_role
        others = tuple(
            part
            for name in ordering.any_of
            for last in self._lasts(name)
            if (part := self._part(last, promoted=first_role)) is not None
        )
        many = ordering.minimum is not None and ordering.minimum > 1
        for earlier in self._lasts(first):
            other = self._part(earlier, promoted=first_role)
            for later in self._firsts(then):
                service = self._part(later, promoted=then_role)
                if other is None or service is None:
                    continue
                yield from self._with_layers(
                    Link(
                        tie=tie,
                        service=service,
                        other=other,
                        origin=ordering.origin,
                        reverse=ordering.symmetrical,
                        every=ordering.minimum is None
                        and _waits_for_every(self._blueprint, service, other),
                        minimum=ordering.minimum or 0,
                        any_of=(*others, *(self._further(other, *others) if many else ())),
                    )
                )

    def _further(self, *parts: int) -> tuple[int, ...]:
        """The parts with the further copies on the nodes of these."""
        return tuple(layer for part in parts for layer in self._blueprint.layers.get(part, ()))

    def _with_layers(self, link: Link) -> Iterator[Link]:
        """An ordering between all copies: further ones rely on any of a node, and act in order with each."""
        yield link
        layers = self._blueprint.layers
        mine = (link.service, *layers.get(link.service, ()))
        theirs = (link.other, *layers.get(link.other, ()))
        for service in mine:
            for other in theirs:
                if (service, other) == (link.service, link.other):
                    continue
                tie = link.tie if other == link.other else Tie.SEQUENCE
                yield replace(link, tie=tie, service=service, other=other)

    def turns(self) -> Iterator[Turn]:
        """Orderings of a stop before a start, or of a start before a stop."""
        for ordering in self._blueprint.intent.orderings:
            first_starts = _starts(ordering.first_action)
            then_starts = _starts(ordering.then_action)
            one_way = first_starts != then_starts or (not first_starts and not ordering.symmetrical)
            if ordering.kind is OrderingKind.SERIALIZE or not one_way:
                continue
            for earlier in self._blueprint.members(ordering.first):
                for later in self._blueprint.members(ordering.then):
                    first = self._part(earlier, promoted=_promotes(ordering.first_action))
                    then = self._part(later, promoted=_promotes(ordering.then_action))
                    if first is not None and then is not None:
                        yield Turn(
                            first=first,
                            first_starts=first_starts,
                            then=then,
                            then_starts=then_starts,
                        )


def _starts(action: str) -> bool:
    return action in ("start", "promote")


def _promotes(action: str) -> bool:
    return action in ("promote", "demote")


def _waits_for_every(blueprint: Blueprint, service: int, other: int) -> bool:
    one, another = blueprint.services[service], blueprint.services[other]
    return not one.interleave and _has_copies(another)


def _has_copies(service: Service) -> bool:
    return service.replicas != 1 or service.replicas_per_node > 1
