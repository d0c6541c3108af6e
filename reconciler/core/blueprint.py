"""The intent in index form: nodes and parts of services as numbers, sets of nodes as bits of one integer.

A service is one part, its copies; a promotable one is a second part, its promoted copies; and one that
may have several copies on a node is one part for the first copy of each node, one for the second, and so
on. A blueprint knows no facts, except that a service may be found with more copies on a node than it may
have: those need parts too, or nobody would stop them.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reconciler.model.ids import GroupName, NodeName, ServiceName
from reconciler.model.intent import Group, Intent, Service

Mask = int
"""A set of nodes: bit i stands for `Blueprint.node_names[i]`."""

Crowds = tuple[tuple[ServiceName, int], ...]
"""Services found with more copies on one node than one, and how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The copies of a service, or only its promoted ones, or the n-th copy on each node."""

    service: Service
    base: int
    """The part with the first copy of each node; itself, for that one."""
    promoted: bool = False
    layer: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Blueprint:
    """An intent by index. Parts stand by priority, rank and name, nodes by name."""

    intent: Intent
    node_names: tuple[NodeName, ...]
    node_index: Mapping[NodeName, int]
    groups: Mapping[str, Group]
    parts: tuple[Part, ...]
    services: tuple[Service, ...]
    """The service of each part."""
    count: int
    """How many services there are: their first parts come before all others."""
    service_index: Mapping[ServiceName, int]
    promotion: Mapping[int, int]
    """First part of a promotable service to the part of its promoted copies."""
    layers: Mapping[int, tuple[int, ...]]
    """First part of a service with several copies on a node to the parts of the further ones."""
    standby: Mask
    maintenance: Mask
    everywhere: Mask

    def mask(self, names: tuple[NodeName, ...]) -> Mask:
        """The set of these nodes; names that the intent does not list are left out."""
        found = 0
        for name in names:
            at = self.node_index.get(name)
            if at is not None:
                found |= 1 << at
        return found

    def members(self, name: str) -> tuple[ServiceName, ...]:
        """The services that a name in a constraint stands for."""
        group = self.groups.get(name)
        return group.members if group else (ServiceName(name),)


def bits(mask: Mask) -> Iterator[int]:
    """Walk the members of a set, lowest first."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def read_blueprint(intent: Intent, crowds: Crowds = ()) -> Blueprint:
    """Number everything that an intent names.

    Shape: N nodes, M services: O(N + M log M).
    """
    node_names = tuple(node.name for node in intent.nodes)
    ranked = tuple(sorted(intent.services, key=lambda s: (-s.priority, s.rank, s.name)))
    parts = _parts(ranked, dict(crowds))
    layers: dict[int, list[int]] = defaultdict(list)
    for i, part in enumerate(parts):
        if part.layer:
            layers[part.base].append(i)
    return Blueprint(
        intent=intent,
        node_names=node_names,
        node_index={name: i for i, name in enumerate(node_names)},
        groups={GroupName(group.name): group for group in intent.groups},
        parts=parts,
        services=tuple(part.service for part in parts),
        count=len(ranked),
        service_index={service.name: i for i, service in enumerate(ranked)},
        promotion={part.base: i for i, part in enumerate(parts) if part.promoted},
        layers={base: tuple(found) for base, found in layers.items()},
        standby=sum(1 << i for i, node in enumerate(intent.nodes) if node.standby),
        maintenance=sum(1 << i for i, node in enumerate(intent.nodes) if node.maintenance),
        everywhere=(1 << len(node_names)) - 1,
    )


def _parts(ranked: tuple[Service, ...], crowds: Mapping[ServiceName, int]) -> tuple[Part, ...]:
    parts = [Part(service=service, base=i) for i, service in enumerate(ranked)]
    for base, service in enumerate(ranked):
        most = service.replicas_per_node
        if service.replicas is not None:
            most = min(most, service.replicas)
        if crowds:
            most = max(most, crowds.get(service.name, 1))
        if most > 1:
            parts += [Part(service=service, base=base, layer=layer) for layer in range(1, most)]
        if service.promotable:
            parts.append(Part(service=service, base=base, promoted=True))
    return tuple(parts)
