"""What services have to do with one another, read from groups and constraints for the judge.

A group as `first` stands for its last member, as `then` for its first one (for all of them, where it is
not ordered). A role, or an action on a role, means the track of promoted copies.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from reconciler.core.verify.values import Key
from reconciler.model.intent import (
    Colocation,
    Group,
    Intent,
    Mandate,
    Ordering,
    OrderingKind,
    Role,
    Service,
)

_BEGINS = ("start", "promote")
_ROLES = ("promote", "demote")


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """`then` begins after `first`, and ends before it."""

    first: Key
    then: Key
    required: bool = True
    """False: only the order of what happens anyway."""
    symmetrical: bool = True
    every: bool = False
    """All copies of `first` that begin are waited for, and `then` restarts with any of them."""
    minimum: int | None = None
    """So many copies of `first` are enough, wherever they are; None: one, and each relies on its own."""
    any_of: tuple[Key, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """Copies of `one` are in the same place as a copy of `other`, or in no place with any."""

    one: Key
    other: Key
    attribute: str = ""
    unpromoted: bool = False
    """Only copies of `other` that are not promoted count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """All of one kind of action on a track comes before all of one on another."""

    first: Key
    first_begins: bool
    then: Key
    then_begins: bool


class Links:
    """All constraints between services, track by track."""

    def __init__(self, intent: Intent, services: Mapping[str, Service]) -> None:
        self._intent, self._services = intent, services
        self._groups: dict[str, Group] = {str(group.name): group for group in intent.groups}
        self.needs = tuple(n for n in self._needs() if n.first != n.then)
        self.together = tuple(b for b in self._together() if b.one != b.other)
        self.apart = tuple(b for b in self._apart() if b.one[0] != b.other[0])
        self.serial = tuple(self._serial())
        self.turns = tuple(self._turns())

    def _key(self, name: str, *, promoted: bool) -> Key | None:
        service = self._services.get(name)
        if service is None or (promoted and not service.promotable):
            return None
        return name, promoted

    def members(self, name: str) -> tuple[str, ...]:
        """The services that a name stands for."""
        group = self._groups.get(name)
        return (name,) if group is None else tuple(map(str, group.members))

    def _firsts(self, name: str) -> tuple[str, ...]:
        group = self._groups.get(name)
        whole = self.members(name)
        return whole[:1] if group is None or group.ordered else whole

    def _lasts(self, name: str) -> tuple[str, ...]:
        group = self._groups.get(name)
        whole = self.members(name)
        return whole[-1:] if group is None or group.ordered else whole

    # Orders -----------------------------------------------------------------------------------------

    def _needs(self) -> Iterator[Need]:
        for group in self._intent.groups:
            if group.ordered:
                for before, member in pairwise(map(str, group.members)):
                    yield from self._in_group(before, member)
        for rule in self._intent.orderings:
            begins = rule.first_action in _BEGINS, rule.then_action in _BEGINS
            if rule.kind is OrderingKind.SERIALIZE:
                continue
            if begins == (True, True):
                yield from self._pairs(
                    rule, rule.first, rule.first_action, rule.then, rule.then_action
                )
            elif begins == (False, False) and rule.symmetrical:
                # "Stop this, then that" is the mirror image of "start that, then this".
                yield from self._pairs(
                    rule, rule.then, rule.then_action, rule.first, rule.first_action
                )

    def _in_group(self, before: str, member: str) -> Iterator[Need]:
        for promoted in (False, True):
            first = self._key(before, promoted=promoted)
            then = self._key(member, promoted=promoted)
            if first is not None and then is not None:
                yield Need(first=first, then=then)

    def _pairs(
        self, rule: Ordering, first: str, first_action: str, then: str, then_action: str
    ) -> Iterator[Need]:
        others = tuple(
            key
            for name in rule.any_of
            for last in self._lasts(name)
            if (key := self._key(last, promoted=first_action in _ROLES))
        )
        for earlier in self._lasts(first):
            for later in self._firsts(then):
                one = self._key(earlier, promoted=first_action in _ROLES)
                other = self._key(later, promoted=then_action in _ROLES)
                if one is None or other is None:
                    continue
                yield Need(
                    first=one,
                    then=other,
                    required=rule.kind is OrderingKind.REQUIRED,
                    symmetrical=rule.symmetrical,
                    every=rule.minimum is None and self._waits_for_all(one, other),
                    minimum=rule.minimum,
                    any_of=others,
                )

    def _waits_for_all(self, first: Key, then: Key) -> bool:
        supplier = self._services[first[0]]
        several = supplier.replicas != 1 or supplier.replicas_per_node > 1
        return several and not self._services[then[0]].interleave

    def _serial(self) -> Iterator[tuple[Key, Key]]:
        for rule in self._intent.orderings:
            if rule.kind is OrderingKind.SERIALIZE:
                for one in self._lasts(rule.first):
                    for other in self._firsts(rule.then):
                        first = self._key(one, promoted=rule.first_action in _ROLES)
                        then = self._key(other, promoted=rule.then_action in _ROLES)
                        if first is not None and then is not None and first != then:
                            yield first, then

    def _turns(self) -> Iterator[Turn]:
        for rule in self._intent.orderings:
            first, then = rule.first_action in _BEGINS, rule.then_action in _BEGINS
            mirrored = not first and not then and rule.symmetrical
            if rule.kind is OrderingKind.SERIALIZE or (first and then) or mirrored:
                continue
            for one in self.members(rule.first):
                for other in self.members(rule.then):
                    earlier = self._key(one, promoted=rule.first_action in _ROLES)
                    later = self._key(other, promoted=rule.then_action in _ROLES)
                    if earlier is not None and later is not None and earlier != later:
                        yield Turn(first=earlier, first_begins=first, then=later, then_begins=then)

    # Places -----------------------------------------------------------------------------------------

    def _together(self) -> Iterator[Beside]:
        for group in self._intent.groups:
            if group.colocated:
                for before, member in pairwise(map(str, group.members)):
                    for promoted in (False, True):
                        one = self._key(member, promoted=promoted)
                        other = self._key(before, promoted=promoted)
                        if one is not None and other is not None:
                            yield Beside(one=one, other=other)
        for rule in self._intent.colocations:
            if rule.strength is Mandate.REQUIRED:
                yield from self._beside(
                    rule, self.members(rule.dependent)[:1], self.members(rule.primary)[-1:]
                )

    def _apart(self) -> Iterator[Beside]:
        for rule in self._intent.colocations:
            if rule.strength is Mandate.FORBIDDEN:
                yield from self._beside(
                    rule, self.members(rule.dependent), self.members(rule.primary)
                )

    def _beside(
        self, rule: Colocation, dependents: tuple[str, ...], primaries: tuple[str, ...]
    ) -> Iterator[Beside]:
        for name in dependents:
            for primary in primaries:
                one = self._key(name, promoted=rule.dependent_role is Role.PROMOTED)
                other = self._key(primary, promoted=rule.primary_role is Role.PROMOTED)
                if one is not None and other is not None:
                    yield Beside(
                        one=one,
                        other=other,
                        attribute=rule.attribute,
                        unpromoted=rule.primary_role is Role.UNPROMOTED,
                    )
