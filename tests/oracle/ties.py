"""What services have to do with one another, for the oracle: each constraint as a check of whole choices.

An end of a tie is a service and whether only its promoted copies are meant. A group named in a
constraint stands for its first member where it follows something and for its last where something
follows it; for all of them where its members are not tied to one another.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reconciler.model.intent import (
    Colocation,
    Group,
    Mandate,
    NegativeScores,
    Ordering,
    OrderingKind,
    Role,
)
from tests.oracle.facts import Choice, Facts, Mask

Chosen = Mapping[str, Choice]

INFINITY = 1_000_000
"""What nothing but running at all outweighs."""


@dataclass(frozen=True, slots=True)
class End:
    service: str
    promoted: bool = False

    def seats(self, chosen: Chosen) -> Mask:
        choice = chosen[self.service]
        return choice.promoted if self.promoted else choice.here

    def counts(self, chosen: Chosen, nodes: int) -> tuple[int, ...]:
        choice = chosen[self.service]
        if not self.promoted:
            return choice.counts
        return tuple(choice.promoted >> at & 1 for at in range(nodes))


@dataclass(frozen=True, slots=True)
class Beside:
    """Every copy of `one` is in a place with a copy of `other`, or with `apart` none is."""

    one: End
    other: End
    zones: tuple[Mask, ...]
    apart: bool = False
    unpromoted: bool = False

    def holds(self, chosen: Chosen) -> bool:
        other = self.other.seats(chosen)
        if self.unpromoted:
            other &= ~chosen[self.other.service].promoted
        near = sum(zone for zone in self.zones if zone & other)
        mine = self.one.seats(chosen)
        return not (mine & near if self.apart else mine & ~near)

    @property
    def services(self) -> set[str]:
        return {self.one.service, self.other.service}


@dataclass(frozen=True, slots=True)
class Need:
    """`then` runs only while enough of `first` and `others` does, and restarts with what it relies on."""

    first: End
    then: End
    symmetrical: bool = True
    minimum: int | None = None
    every: bool = False
    others: tuple[End, ...] = ()

    @property
    def services(self) -> set[str]:
        return {end.service for end in (self.first, self.then, *self.others)}


@dataclass(frozen=True, slots=True)
class Wish:
    """Points for every copy of `one` in a place with a copy of `other`."""

    one: End
    other: End
    zones: tuple[Mask, ...]
    score: int
    where: Mask = -1

    @property
    def services(self) -> set[str]:
        return {self.one.service, self.other.service}

    def worth(self, chosen: Chosen) -> int:
        other = self.other.seats(chosen)
        near = sum(zone for zone in self.zones if zone & other) & self.where
        counts = self.one.counts(chosen, near.bit_length())
        return self.score * sum(n for at, n in enumerate(counts) if near >> at & 1)


class Ties:
    """All ties of one world."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self.beside: list[Beside] = []
        self.needs: list[Need] = []
        self.wishes: list[Wish] = []
        for group in facts.intent.groups:
            self._group(group)
        for colocation in facts.intent.colocations:
            self._colocation(colocation)
        for ordering in facts.intent.orderings:
            self.needs += self._ordering(ordering)
        self.beside = [tie for tie in self.beside if tie.one != tie.other]
        self.wishes = [tie for tie in self.wishes if tie.one != tie.other]
        self.needs = [tie for tie in self.needs if tie.first != tie.then]
        if facts.intent.negative_scores is NegativeScores.FORBID:
            self.wishes += [tie for wish in self.wishes for tie in self._unbearable(wish)]

    def _group(self, group: Group) -> None:
        for before, member in zip(group.members, group.members[1:], strict=False):
            roles = [False]
            if all(self._facts.services[name].promotable for name in (before, member)):
                roles.append(True)
            for promoted in roles:
                one, other = End(member, promoted), End(before, promoted)
                if group.colocated:
                    self.beside.append(Beside(one, other, self._zones("")))
                if group.ordered:
                    self.needs.append(Need(first=other, then=one))

    def _colocation(self, rule: Colocation) -> None:
        zones = self._zones(rule.attribute)
        dependents = self._facts.members(rule.dependent)
        primaries = self._facts.members(rule.primary)
        group = self._facts.groups.get(rule.dependent)
        of, to = rule.dependent_role is Role.PROMOTED, rule.primary_role is Role.PROMOTED
        unpromoted = rule.primary_role is Role.UNPROMOTED
        match rule.strength:
            case Mandate.REQUIRED:
                for name in dependents if group and not group.colocated else dependents[:1]:
                    one, other = End(name, of), End(primaries[-1], to)
                    self.beside.append(Beside(one, other, zones, unpromoted=unpromoted))
            case Mandate.FORBIDDEN:
                for name in dependents:
                    for other in primaries:
                        tie = Beside(
                            End(name, of), End(other, to), zones, apart=True, unpromoted=unpromoted
                        )
                        self.beside.append(tie)
            case int(score):
                self.wishes.append(
                    Wish(End(dependents[0], of), End(primaries[0], to), zones, score)
                )

    def _zones(self, attribute: str) -> tuple[Mask, ...]:
        zones: dict[object, Mask] = {}
        for at, node in enumerate(self._facts.intent.nodes):
            key = dict(node.labels).get(attribute, at) if attribute else at
            zones[key] = zones.get(key, 0) | 1 << at
        return tuple(zones.values())

    def _unbearable(self, wish: Wish) -> Iterator[Wish]:
        """Where a copy is worth less than nothing next to the other, it goes only if nowhere else."""
        service = self._facts.services[wish.one.service]
        where = 0
        for at in range(len(self._facts.nodes)):
            pull = self._facts.pull(service, at, promoted=wish.one.promoted)
            where |= (pull + wish.score < 0) << at
        if wish.score < 0:
            yield Wish(wish.one, wish.other, wish.zones, -INFINITY, where)

    def _ordering(self, rule: Ordering) -> Iterator[Need]:
        starts = [
            action in ("start", "promote") for action in (rule.first_action, rule.then_action)
        ]
        roles = [
            action in ("promote", "demote") for action in (rule.first_action, rule.then_action)
        ]
        first, then = rule.first, rule.then
        if rule.kind is not OrderingKind.REQUIRED or starts[0] != starts[1]:
            return
        if not starts[0]:
            if not rule.symmetrical:
                return
            first, then, roles = then, first, roles[::-1]
        others = tuple(End(last, roles[0]) for name in rule.any_of for last in self._lasts(name))
        for one in self._lasts(first):
            for other in self._firsts(then):
                supplier, dependent = self._facts.services[one], self._facts.services[other]
                several = supplier.replicas != 1 or supplier.replicas_per_node > 1
                yield Need(
                    first=End(one, roles[0]),
                    then=End(other, roles[1]),
                    symmetrical=rule.symmetrical,
                    minimum=rule.minimum,
                    every=rule.minimum is None and several and not dependent.interleave,
                    others=others,
                )

    def _firsts(self, name: str) -> tuple[str, ...]:
        group = self._facts.groups.get(name)
        members = self._facts.members(name)
        return members if group and not group.ordered else members[:1]

    def _lasts(self, name: str) -> tuple[str, ...]:
        group = self._facts.groups.get(name)
        members = self._facts.members(name)
        return members if group and not group.ordered else members[-1:]
