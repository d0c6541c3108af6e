"""The shape of a cluster's file: what may be written, key by key, with the words that editors show.

One model per mapping of the file; unknown keys are refused. Readers in `values` check single values,
so a document that these models accept is well formed, and nothing more: whether its names exist and
whether it can be satisfied is checked by `references`, `contradictions` and `safety`.
Deliberately not the shape of the core: `assemble` turns it into `Intent`.
"""

from collections.abc import Callable
from typing import Annotated

from pydantic import Discriminator, Field, PlainValidator, Tag, WithJsonSchema, WrapValidator

from reconciler.config.document_services import (
    ClusterDefaults,
    Deadline,
    Defaults,
    Failures,
    Group,
    GroupBody,
    Monitor,
    Script,
    Service,
    Template,
    Vip,
)
from reconciler.config.shapes import (
    MODEL,
    NAME_SCHEMA,
    Maybe,
    Parameters,
    Strict,
    names,
    one_or_more,
    several,
)
from reconciler.config.values import (
    ActionName,
    Amount,
    Duration,
    Flag,
    Name,
    OrderingWord,
    RoleName,
    Score,
    Text,
    Version,
    read_host,
    read_name,
    read_text,
    wrong,
)
from reconciler.model.intent import OrderingKind

__all__ = [
    "ClusterDefaults",
    "Colocation",
    "Deadline",
    "Defaults",
    "Device",
    "Document",
    "Failures",
    "Fencing",
    "Group",
    "Heartbeat",
    "Location",
    "Monitor",
    "Node",
    "Ordering",
    "Script",
    "Service",
    "Template",
    "Vip",
    "model_at",
]

Hosts = Annotated[
    tuple[str, ...],
    several(read_host, "an address"),
    one_or_more({"type": "string", "minLength": 1}),
]
NodeNames = Annotated[tuple[str, ...], several(read_name, "a node"), one_or_more(NAME_SCHEMA)]


# Nodes -----------------------------------------------------------------------------------------------


class Node(Strict):
    """A machine of the cluster."""

    address: Hosts = Field(
        description="Address or host name that the node is heard at; a list gives several links, the "
        "preferred one first."
    )
    labels: dict[Name, Text] = Field(
        default={}, description="Words that locations choose nodes by."
    )
    capacity: dict[Name, Amount] = Field(
        default={},
        description="What the node can hold, by any name (`cpu: 8`, `memory: 32GiB`). What is not named "
        "is not limited.",
    )
    standby: Flag = Field(
        default=False, description="Nothing may run here; what does is moved away."
    )
    maintenance: Flag = Field(
        default=False, description="Nothing is touched here: no action, no monitor."
    )


# Constraints -----------------------------------------------------------------------------------------


class Colocation(Strict):
    """Where one service runs relative to another."""

    colocation: Annotated[
        tuple[str, ...], *names(2, 2, "A colocation is a list of two: [dependent, primary]")
    ] = Field(
        description="[dependent, primary]: the dependent is placed with, or away from, the primary."
    )
    with_role: Maybe[RoleName] = Field(
        default=None, description="Only copies of the primary in this role."
    )
    role: Maybe[RoleName] = Field(
        default=None, description="Only copies of the dependent in this role."
    )
    score: Maybe[Score] = Field(
        default=None, description="Points, or required (the default), or forbidden."
    )


class Ordering(Strict):
    """What starts before what; stopping goes the other way round."""

    ordering: Annotated[
        tuple[str, ...],
        *names(2, None, "An ordering is a list of two or more, the first to start first"),
    ] = Field(description="Services or groups, the first to start first.")
    kind: OrderingWord = Field(
        default=OrderingKind.REQUIRED,
        description="`required`: the later runs only if the earlier does. `optional`: only when both start "
        "in one plan.",
    )
    first_action: Maybe[ActionName] = Field(
        default=None, description="What must be done to the earlier one. Default start."
    )
    then_action: Maybe[ActionName] = Field(
        default=None, description="What waits for it. Default start."
    )


def _where(value: object) -> tuple[str, ...] | dict[str, str]:
    if not isinstance(value, dict):
        items = value if isinstance(value, list) else [value]
        if not items:
            raise wrong("The list is empty; a node is needed.")
        return tuple(dict.fromkeys(read_name(item) for item in items))
    if not value:
        raise wrong("The mapping is empty; a label and its value are needed.")
    return {read_name(key): read_text(text) for key, text in value.items()}


class Location(Strict):
    """Where a service or a group runs."""

    location: Name = Field(description="A service or a group.")
    nodes: Annotated[
        tuple[str, ...] | dict[str, str],
        PlainValidator(_where),
        WithJsonSchema(
            {
                "anyOf": [
                    NAME_SCHEMA,
                    {"type": "array", "items": NAME_SCHEMA, "minItems": 1},
                    {
                        "type": "object",
                        "minProperties": 1,
                        "additionalProperties": {"type": ["string", "number", "boolean"]},
                    },
                ]
            }
        ),
    ] = Field(description="A node, a list of nodes, or labels that a node has ({rack: a}).")
    score: Maybe[Score] = Field(
        default=None,
        description="Points (negative: rather not there), or required (only there, the default), or "
        "forbidden (never there).",
    )
    role: Maybe[RoleName] = Field(default=None, description="Only copies in this role.")


CONSTRAINT_KEYS = ("colocation", "ordering", "location")
TAG_MARK = "#"
"""Begins every tag, so that no part of a place in the file is mistaken for one."""


def _which(value: object) -> str | None:
    if not isinstance(value, dict):
        return None
    found = [key for key in CONSTRAINT_KEYS if key in value]
    return TAG_MARK + found[0] if len(found) == 1 else None


Constraint = Annotated[
    Annotated[Colocation, Tag("#colocation")]
    | Annotated[Ordering, Tag("#ordering")]
    | Annotated[Location, Tag("#location")],
    Discriminator(
        _which,
        custom_error_type="R017",
        custom_error_message="A constraint is a mapping with exactly one of the keys colocation, ordering "
        "and location.",
    ),
]

# The rest of the cluster -----------------------------------------------------------------------------


class Device(Strict):
    """A device that can make nodes provably unable to act."""

    agent: Name = Field(description="The fence agent, such as fence_ipmilan.")
    nodes: NodeNames = Field(description="Nodes that it can fence.")
    parameters: Parameters = Field(
        default={}, description="Parameters of the agent. A secret is written {secret: NAME}."
    )


class Fencing(Strict):
    """How silent nodes are made safe."""

    devices: dict[Name, Device] = Field(description="Fence devices by name.")


NO_FENCING = "none"


def _fencing(value: object, handler: Callable[[object], Fencing]) -> Fencing | None:
    return None if value == NO_FENCING else handler(value)


class Heartbeat(Strict):
    """When a silent node is suspect, and when it is lost."""

    every: Maybe[Duration] = Field(
        default=None, description="Time between two heartbeats, 20ms or more. Default 500ms."
    )
    suspect_after: Maybe[Duration] = Field(
        default=None, description="Silence after which a node is suspect. Default three heartbeats."
    )
    lost_after: Maybe[Duration] = Field(
        default=None,
        description="Silence after which a node is lost. Default 3.5s; four heartbeats where those are "
        "under 250ms or over 875ms.",
    )


class Document(Strict):
    """One file of a cluster. Several files of one folder are joined, name by name."""

    version: Version = Field(description="Version of this format: 1.")
    cluster: Maybe[Name] = Field(
        default=None, description="Name of the cluster; in one file of the folder."
    )
    nodes: dict[Name, Node] = Field(default={}, description="The machines, by name.")
    defaults: Maybe[ClusterDefaults] = Field(
        default=None, description="Settings of every service that does not say otherwise."
    )
    templates: dict[Name, Template] = Field(
        default={}, description="What several services have in common, by name."
    )
    services: dict[Name, Service] = Field(default={}, description="What is kept running, by name.")
    groups: dict[Name, GroupBody] = Field(
        default={},
        description="Services that run together: started left to right, stopped right to left.",
    )
    constraints: list[Constraint] = Field(
        default=[], description="Colocations, orderings and locations."
    )
    fencing: Annotated[
        Maybe[Fencing],
        WrapValidator(_fencing),
        WithJsonSchema({"anyOf": [{MODEL: "Fencing"}, {"const": NO_FENCING}]}),
    ] = Field(
        default=None,
        description="Devices that make a silent node provably unable to act, or `none` (then also "
        "`accept-split-brain: true`, if anything is exclusive).",
    )
    accept_split_brain: Maybe[Flag] = Field(
        default=None,
        description="With `fencing: none`: exclusive services may run twice after a network split, and that "
        "is accepted.",
    )
    heartbeat: Maybe[Heartbeat] = Field(
        default=None, description="How often nodes are heard, and what silence means."
    )
    witnesses: Annotated[tuple[str, ...], *names(0, None, "This is a list of names")] = Field(
        default=(), description="Members that vote and run nothing."
    )


def model_at(path: tuple[int | str, ...]) -> type[Strict] | None:
    """The model of the mapping at this place of a document; None where keys are free."""
    match tuple(str(step) for step in path):
        case ():
            return Document
        case ("constraints", _, name):
            models = _CONSTRAINTS
        case (("templates" | "services"), _, name) | ("defaults", name):
            models = _SETTINGS
        case (name,):
            models = _SINGLE
        case (name, _) | (_, name, _):
            models = _ENTRIES
        case _:
            return None
    return models.get(name)


_CONSTRAINTS: dict[str, type[Strict]] = {
    "#colocation": Colocation,
    "#ordering": Ordering,
    "#location": Location,
}
_SINGLE: dict[str, type[Strict]] = {
    "defaults": ClusterDefaults,
    "fencing": Fencing,
    "heartbeat": Heartbeat,
}
_ENTRIES: dict[str, type[Strict]] = {
    "nodes": Node,
    "templates": Template,
    "services": Service,
    "groups": Group,
    "devices": Device,
}
_SETTINGS: dict[str, type[Strict]] = {
    "monitor": Monitor,
    "start": Deadline,
    "stop": Deadline,
    "failures": Failures,
    "script": Script,
    "vip": Vip,
}
