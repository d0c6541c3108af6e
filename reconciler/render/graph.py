"""The constraint graph of an intent, as values that each format draws in its own way.

A vertex is a service that stands alone, or a group with its members in order. Constraints that name a
member end at its group, and keep the member's name. Notes say in words where a vertex may run.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from reconciler.core.conditions import asked
from reconciler.model.ids import GroupName, NodeName, ServiceName
from reconciler.model.intent import (
    Colocation,
    Intent,
    Location,
    Mandate,
    Ordering,
    OrderingKind,
    Role,
    Safety,
    Service,
    Strength,
)
from reconciler.render.words import listing, size


class Tie(StrEnum):
    """How an edge is drawn."""

    ORDER = "order"
    ORDER_OPTIONAL = "order-optional"
    TOGETHER = "together"
    RATHER_TOGETHER = "rather-together"
    RATHER_APART = "rather-apart"
    APART = "apart"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A constraint between two vertices. Orders have a direction; the rest reads both ways."""

    tie: Tie
    source: str
    """Vertex; of an order, what comes first; of a colocation, what the other is placed by."""
    target: str
    first: str
    """The service or group that the constraint itself names, which may be a member."""
    then: str
    label: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A service, with what is worth knowing at a glance."""

    name: str
    detail: str
    """`ocf heartbeat:Filesystem · 2 copies`."""
    notes: tuple[str, ...]
    """What it demands, and where it may run."""
    exclusive: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Vertex:
    """A box of the graph."""

    name: str
    group: bool
    members: tuple[Member, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Everything there is to draw. Vertices without edges come last."""

    cluster: str
    nodes: tuple[str, ...]
    vertices: tuple[Vertex, ...]
    edges: tuple[Edge, ...]

    @property
    def tied(self) -> frozenset[str]:
        """Names of the vertices that an edge ends at."""
        return frozenset(name for edge in self.edges for name in (edge.source, edge.target))


def build(intent: Intent) -> Graph:
    """Lay an intent out as a graph; equal intents give equal graphs."""
    home = {member: group.name for group in intent.groups for member in group.members}
    services = {service.name: service for service in intent.services}
    notes: defaultdict[str, list[str]] = defaultdict(list)
    for location in intent.locations:
        notes[location.service].append(_note(location, len(intent.nodes)))
    groups = [
        Vertex(
            name=group.name,
            group=True,
            members=tuple(_member(services[name], notes) for name in group.members),
            notes=tuple(notes[group.name]),
        )
        for group in intent.groups
    ]
    alone = [
        Vertex(name=service.name, group=False, members=(_member(service, notes),))
        for service in intent.services
        if service.name not in home
    ]
    edges = [_order(each, home) for each in intent.orderings]
    edges += [_colocation(each, home) for each in intent.colocations]
    tied = {name for edge in edges for name in (edge.source, edge.target)}
    return Graph(
        cluster=intent.cluster,
        nodes=tuple(node.name for node in intent.nodes),
        vertices=tuple(
            sorted([*groups, *alone], key=lambda each: (each.name not in tied, each.name))
        ),
        edges=tuple(edges),
    )


def _member(service: Service, notes: dict[str, list[str]]) -> Member:
    parts = [f"{service.kind} {service.agent}".strip()]
    if service.replicas is None:
        parts.append("on every node")
    elif service.replicas != 1:
        parts.append(f"{service.replicas} copies")
    if service.promoted:
        parts.append(f"{service.promoted} promoted")
    demand = ", ".join(f"{name} {size(value)}" for name, value in service.demand if value)
    if not service.enabled:
        parts.append("disabled")
    return Member(
        name=service.name,
        detail=" · ".join(parts),
        notes=(*([f"demands {demand}"] if demand else []), *notes.get(service.name, ())),
        exclusive=service.safety is Safety.EXCLUSIVE,
    )


def _note(location: Location, count: int) -> str:
    nodes = _places(location.nodes, count)
    role = f" when {location.role}" if location.role else ""
    role += asked(location) + (" at times" if location.during else "")
    match location.strength:
        case Mandate.REQUIRED:
            return f"only on {nodes}{role}"
        case Mandate.FORBIDDEN:
            return f"never on {nodes}{role}"
        case _ if location.score_attribute:
            return f"on {nodes}{role} as {location.score_attribute} says"
        case score:
            word = "rather on" if score >= 0 else "rather not on"
            return f"{word} {nodes}{role} ({score:+})"


def _places(nodes: tuple[NodeName, ...], count: int) -> str:
    if not nodes:
        return "no node"
    return "any node" if len(nodes) == count else listing(nodes, most=4)


def _order(ordering: Ordering, home: Mapping[ServiceName, GroupName]) -> Edge:
    optional = ordering.kind is OrderingKind.OPTIONAL
    plain = ordering.first_action == ordering.then_action == "start"
    label = "" if plain else f"{ordering.first_action}, then {ordering.then_action}"
    sentence = f"{ordering.first} ({ordering.first_action}) before {ordering.then} ({ordering.then_action})"
    return Edge(
        tie=Tie.ORDER_OPTIONAL if optional else Tie.ORDER,
        source=_home(ordering.first, home),
        target=_home(ordering.then, home),
        first=ordering.first,
        then=ordering.then,
        label=label,
        words=(f"{ordering.first} before {ordering.then}" if plain else sentence)
        + (", if both change" if optional else ""),
    )


def _colocation(colocation: Colocation, home: Mapping[ServiceName, GroupName]) -> Edge:
    dependent = _in_role(colocation.dependent, colocation.dependent_role)
    primary = _in_role(colocation.primary, colocation.primary_role)
    tie, phrase = _how(colocation.strength)
    score = colocation.strength if isinstance(colocation.strength, int) else None
    roles = [role for role in (colocation.dependent_role, colocation.primary_role) if role]
    label = " ".join([*(f"{score:+}" for _ in range(score is not None)), *roles])
    return Edge(
        tie=tie,
        source=_home(colocation.primary, home),
        target=_home(colocation.dependent, home),
        first=colocation.primary,
        then=colocation.dependent,
        label=label,
        words=f"{dependent} {phrase} {primary}" + (f" ({score:+})" if score is not None else ""),
    )


def _home(name: str, home: Mapping[ServiceName, GroupName]) -> str:
    return home.get(ServiceName(name), name)


def _how(strength: Strength) -> tuple[Tie, str]:
    match strength:
        case Mandate.REQUIRED:
            return Tie.TOGETHER, "only with"
        case Mandate.FORBIDDEN:
            return Tie.APART, "never with"
        case score if score >= 0:
            return Tie.RATHER_TOGETHER, "rather with"
        case _:
            return Tie.RATHER_APART, "rather not with"


def _in_role(name: str, role: Role | None) -> str:
    return f"{name} ({role})" if role else name
