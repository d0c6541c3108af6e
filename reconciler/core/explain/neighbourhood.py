"""Who has to do with whom: services by how many constraints or groups lie between them.

Names only, straight from the intent, so that each constraint keeps its place in it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reconciler.model.ids import ServiceName
from reconciler.model.intent import Group, Intent, OrderingKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbourhood:
    """The places of the constraints that speak of each service, itself or by its group."""

    groups: Mapping[ServiceName, tuple[Group, ...]]
    locations: Mapping[ServiceName, tuple[int, ...]]
    colocations: Mapping[ServiceName, tuple[int, ...]]
    orderings: Mapping[ServiceName, tuple[int, ...]]
    tickets: Mapping[ServiceName, tuple[int, ...]]
    near: Mapping[ServiceName, tuple[ServiceName, ...]]

    def around(self, service: ServiceName, radius: int | None) -> tuple[ServiceName, ...]:
        """Services within so many steps (None: any number), the nearest first, itself the very first."""
        reached, ring = {service: None}, [service]
        while ring and radius != 0:
            ring = [
                other
                for other in dict.fromkeys(o for one in ring for o in self.near.get(one, ()))
                if other not in reached
            ]
            reached.update(dict.fromkeys(ring))
            radius = None if radius is None else radius - 1
        return tuple(reached)


def read_neighbourhood(intent: Intent) -> Neighbourhood:
    """Sort groups and constraints by the services that they speak of."""
    groups = {str(group.name): group.members for group in intent.groups}

    def members(name: str) -> tuple[ServiceName, ...]:
        return groups.get(name, (ServiceName(name),))

    near: dict[ServiceName, dict[ServiceName, None]] = defaultdict(dict)

    def meet(names: Iterable[str]) -> tuple[ServiceName, ...]:
        met = tuple(dict.fromkeys(s for name in names for s in members(name)))
        for one in met:
            near[one].update(dict.fromkeys(other for other in met if other != one))
        return met

    colocations = [meet((each.dependent, each.primary)) for each in intent.colocations]
    orderings = [
        meet((each.first, each.then, *each.any_of)) if each.kind is OrderingKind.REQUIRED else ()
        for each in intent.orderings
    ]
    for group in intent.groups:
        meet(group.members)
    return Neighbourhood(
        groups=_groups(intent),
        locations=_places(members(each.service) for each in intent.locations),
        colocations=_places(colocations),
        orderings=_places(orderings),
        tickets=_places(members(each.service) for each in intent.tickets),
        near={name: tuple(others) for name, others in near.items()},
    )


def _groups(intent: Intent) -> Mapping[ServiceName, tuple[Group, ...]]:
    found: dict[ServiceName, list[Group]] = defaultdict(list)
    for group in intent.groups:
        for member in group.members:
            found[member].append(group)
    return {name: tuple(groups) for name, groups in found.items()}


def _places(spoken_of: Iterable[tuple[ServiceName, ...]]) -> Mapping[ServiceName, tuple[int, ...]]:
    found: dict[ServiceName, list[int]] = defaultdict(list)
    for place, names in enumerate(spoken_of):
        for name in names:
            found[name].append(place)
    return {name: tuple(places) for name, places in found.items()}
