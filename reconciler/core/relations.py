"""What services have to do with one another: groups and constraints, spelled out between single services.

A group is shorthand: each member needs the one before it, on the same node and running. A constraint
that names a group means its first member where the group follows something, and its last where
something follows the group.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.core.world import World
from reconciler.model.ids import ServiceName
from reconciler.model.intent import (
    Colocation,
    Group,
    Mandate,
    Ordering,
    OrderingKind,
    Origin,
    Role,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A relation from one service (by index) to another, with the line that says so."""

    service: int
    other: int
    origin: Origin | None
    score: int = 0
    promoted: bool = False
    """It speaks of promoted copies, which nothing promotes yet: it can never be met."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relations:
    """All relations, by kind, and per service for the search.

    `together`: every copy of `service` shares a node with one of `other`. `apart`: none does (read both
    ways). `wishes`: worth `score` per copy of `service` that shares a node with one of `other`.
    `after`: `service` runs only while `other` does. `sequence`: ordered only if both act in one plan.
    """

    together: tuple[Link, ...]
    apart: tuple[Link, ...]
    wishes: tuple[Link, ...]
    after: tuple[Link, ...]
    sequence: tuple[Link, ...]


def read_relations(world: World) -> Relations:
    """Spell out groups and constraints between services."""
    groups = {str(group.name): group for group in world.intent.groups}
    together, apart, wishes, after, sequence = [], [], [], [], []
    for group in world.intent.groups:
        for before, member in zip(group.members, group.members[1:], strict=False):
            link = _link(world, member, before, origin=group.origin)
            together.append(link)
            after.append(link)
    for colocation in world.intent.colocations:
        link = _colocation(world, groups, colocation)
        match colocation.strength:
            case Mandate.REQUIRED:
                together.append(link)
            case Mandate.FORBIDDEN:
                apart.extend(_all_apart(world, groups, colocation))
            case _:
                wishes.append(link)
    for ordering in world.intent.orderings:
        kind = after if ordering.kind is OrderingKind.REQUIRED else sequence
        kind.append(_ordering(world, groups, ordering))
    return Relations(
        together=tuple(together),
        apart=tuple(apart),
        wishes=tuple(wishes),
        after=tuple(after),
        sequence=tuple(sequence),
    )


def members(groups: Mapping[str, Group], name: str) -> tuple[ServiceName, ...]:
    """The services that a name in a constraint stands for."""
    group = groups.get(name)
    return group.members if group else (ServiceName(name),)


def _link(world: World, service: str, other: str, *, origin: Origin | None, **more: int) -> Link:
    index = world.service_index
    return Link(
        service=index[ServiceName(service)],
        other=index[ServiceName(other)],
        origin=origin,
        score=more.get("score", 0),
        promoted=bool(more.get("promoted", 0)),
    )


def _colocation(world: World, groups: Mapping[str, Group], colocation: Colocation) -> Link:
    required = colocation.strength is Mandate.REQUIRED
    primary = members(groups, colocation.primary)[-1 if required else 0]
    strength = colocation.strength
    return _link(
        world,
        members(groups, colocation.dependent)[0],
        primary,
        origin=colocation.origin,
        score=strength if isinstance(strength, int) else 0,
        promoted=Role.PROMOTED in (colocation.dependent_role, colocation.primary_role),
    )


def _all_apart(world: World, groups: Mapping[str, Group], apart: Colocation) -> list[Link]:
    return [
        _link(world, one, other, origin=apart.origin)
        for one in members(groups, apart.dependent)
        for other in members(groups, apart.primary)
    ]


def _ordering(world: World, groups: Mapping[str, Group], ordering: Ordering) -> Link:
    return _link(
        world,
        members(groups, ordering.then)[0],
        members(groups, ordering.first)[-1],
        origin=ordering.origin,
        promoted="promote" in (ordering.first_action, ordering.then_action),
    )
