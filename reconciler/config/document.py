"""The shape of a cluster's file: what may be written, key by key, with the words that editors show.

One model per mapping of the file; unknown keys are refused. Readers in `values` check single values,
so a document that these models accept is well formed, and nothing more: whether its names exist and
whether it can be satisfied is checked by `references`, `contradictions` and `safety`.
Deliberately not the shape of the core: `assemble` turns it into `Intent`.
"""

from typing import Annotated

from pydantic import Field, WithJsonSchema, WrapValidator

from reconciler.config.document_cluster import (
    NO_FENCING,
    Device,
    Fencing,
    Health,
    Heartbeat,
    Level,
    Quorum,
    fencing_or_none,
)
from reconciler.config.document_conditions import ScoreOf
from reconciler.config.document_constraints import (
    CONSTRAINT_KEYS,
    CONSTRAINTS,
    TAG_MARK,
    Colocation,
    Constraint,
    Location,
    Needs,
    Ordering,
    Spread,
    Ticket,
)
from reconciler.config.document_operations import (
    Deadline,
    Demote,
    Failures,
    Look,
    Monitor,
    MonitorPromoted,
    Promote,
    Start,
    Stop,
)
from reconciler.config.document_services import (
    ClusterDefaults,
    Defaults,
    Group,
    GroupBody,
    Script,
    Service,
    Template,
    Vip,
)
from reconciler.config.document_times import During
from reconciler.config.shapes import MODEL, Maybe, Strict, names, one_or_more, several
from reconciler.config.started import Folder
from reconciler.config.values import Amount, Flag, Name, Text, Version, read_host

__all__ = [
    "CONSTRAINT_KEYS",
    "TAG_MARK",
    "ClusterDefaults",
    "Colocation",
    "Deadline",
    "Defaults",
    "Device",
    "Document",
    "During",
    "Failures",
    "Fencing",
    "Group",
    "Health",
    "Heartbeat",
    "Level",
    "Location",
    "Look",
    "Monitor",
    "Needs",
    "Node",
    "Ordering",
    "Quorum",
    "ScoreOf",
    "Script",
    "Service",
    "Spread",
    "Template",
    "Ticket",
    "Vip",
    "model_at",
]

Hosts = Annotated[
    tuple[str, ...],
    several(read_host, "an address"),
    one_or_more({"type": "string", "minLength": 1}),
]


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


# The rest of the cluster -----------------------------------------------------------------------------


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
        default=[], description="Colocations, orderings, locations and tickets."
    )
    fencing: Annotated[
        Maybe[Fencing],
        WrapValidator(fencing_or_none),
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
    quorum: Maybe[Quorum] = Field(
        default=None, description="What happens to what runs without a majority."
    )
    health: Maybe[Health] = Field(
        default=None, description="How the health that nodes report decides what runs there."
    )
    heartbeat: Maybe[Heartbeat] = Field(
        default=None, description="How often nodes are heard, and what silence means."
    )
    scripts: Maybe[Folder] = Field(
        default=None,
        description="Where every node has the files that commands name by `./...`. Needed where the nodes do "
        "not have the folder of this file at the same path, as with a git repository.",
    )
    witnesses: Annotated[tuple[str, ...], *names(0, None, "This is a list of names")] = Field(
        default=(), description="Members that vote and run nothing."
    )


def model_at(path: tuple[int | str, ...]) -> type[Strict] | None:
    """The model of the mapping at this place of a document; None where keys are free."""
    match tuple(str(step) for step in path):
        case ():
            return Document
        case ("constraints", _, _, "during"):
            return During
        case ("constraints", _, name):
            models = CONSTRAINTS
        case (("templates" | "services"), _, name) | ("defaults", name):
            models = _SETTINGS
        case (name,):
            models = _SINGLE
        case (name, _) | (_, name, _):
            models = _ENTRIES
        case _:
            return None
    return models.get(name)


_SINGLE: dict[str, type[Strict]] = {
    "defaults": ClusterDefaults,
    "fencing": Fencing,
    "quorum": Quorum,
    "health": Health,
    "heartbeat": Heartbeat,
}
_ENTRIES: dict[str, type[Strict]] = {
    "nodes": Node,
    "templates": Template,
    "services": Service,
    "groups": Group,
    "devices": Device,
    "levels": Level,
}
_SETTINGS: dict[str, type[Strict]] = {
    "monitor": Monitor,
    "monitor-promoted": MonitorPromoted,
    "start": Start,
    "stop": Stop,
    "promote": Promote,
    "demote": Demote,
    "failures": Failures,
    "script": Script,
    "vip": Vip,
}
