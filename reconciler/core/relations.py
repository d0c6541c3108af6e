"""What services have to do with one another: groups and constraints, spelled out between single services.

A group is shorthand: each member needs the one before it, on the same node and running. A constraint
that names a group means its first member where the group follows something, and its last where
something follows the group.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

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


class Tie(Enum):
    """How one service depends on another."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A relation from one service (by index) to another, with the line that says so."""

    tie: Tie
    service: int
    other: int
    origin: Origin | None
    score: int = 0
    promoted: bool = False
    """It speaks of promoted copies, which nothing promotes yet: it can never be met."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relations:
    """All links, by how they tie."""

    together: tuple[Link, ...]
    apart: tuple[Link, ...]
    wishes: tuple[Link, ...]
    after: tuple[Link, ...]
    sequence: tuple[Link, ...]


def read_relations(world: World) -> Relations:
    """Spell out groups and constraints between services."""
    groups = {str(group.name): group for group in world.intent.groups}
    links: list[Link] = []
    for group in world.intent.groups:
        for before, member in zip(group.members, group.members[1:], strict=False):
            links.append(_link(world, Tie.TOGETHER, member, before, origin=group.origin))
            links.append(_link(world, Tie.AFTER, member, before, origin=group.origin))
    for colocation in world.intent.colocations:
        links.extend(_colocation(world, groups, colocation))
    links.extend(_ordering(world, groups, ordering) for ordering in world.intent.orderings)
    return Relations(
        together=_only(links, Tie.TOGETHER),
        apart=_only(links, Tie.APART),
        wishes=_only(links, Tie.WISH),
        after=_only(links, Tie.AFTER),
        sequence=_only(links, Tie.SEQUENCE),
    )


def _only(links: list[Link], tie: Tie) -> tuple[Link, ...]:
    return tuple(link for link in links if link.tie is tie)


def members(groups: Mapping[str, Group], name: str) -> tuple[ServiceName, ...]:
    """The services that a name in a constraint stands for."""
    group = groups.get(name)
    return group.members if group else (ServiceName(name),)


def _link(
    world: World,
    tie: Tie,
    service: str,
    other: str,
    *,
    origin: Origin | None,
    score: int = 0,
    promoted: bool = False,
) -> Link:
    index = world.service_index
    return Link(
        tie=tie,
        service=index[ServiceName(service)],
        other=index[ServiceName(other)],
        origin=origin,
        score=score,
        promoted=promoted,
    )


def _colocation(
    world: World, groups: Mapping[str, Group], colocation: Colocation
) -> tuple[Link, ...]:
    dependents = members(groups, colocation.dependent)
    primaries = members(groups, colocation.primary)
    promoted = Role.PROMOTED in (colocation.dependent_role, colocation.primary_role)
    origin = colocation.origin
    match colocation.strength:
        case Mandate.REQUIRED:
            one, other = dependents[0], primaries[-1]
            link = _link(world, Tie.TOGETHER, one, other, origin=origin, promoted=promoted)
            return (link,)
        case Mandate.FORBIDDEN:
            return tuple(
                _link(world, Tie.APART, one, other, origin=origin, promoted=promoted)
                for one in dependents
                for other in primaries
            )
        case int(score):
            one, other = dependents[0], primaries[0]
            return (_link(world, Tie.WISH, one, other, origin=origin, score=score),)
    raise AssertionError(colocation.strength)


def _ordering(world: World, groups: Mapping[str, Group], ordering: Ordering) -> Link:
    required = ordering.kind is OrderingKind.REQUIRED
    return _link(
        world,
        Tie.AFTER if required else Tie.SEQUENCE,
        members(groups, ordering.then)[0],
        members(groups, ordering.first)[-1],
        origin=ordering.origin,
        promoted="promote" in (ordering.first_action, ordering.then_action),
    )
