"""The shape of a cluster's file: what may be written, key by key, with the words that editors show.

One model per mapping of the file; unknown keys are refused. Readers in `values` check single values,
so a document that these models accept is well formed, and nothing more: whether its names exist and
whether it can be satisfied is checked by `references`, `contradictions` and `safety`.
Deliberately not the shape of the core: `assemble` turns it into `Intent`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    Tag,
    WithJsonSchema,
    WrapValidator,
)

from reconciler.config.values import (
    NAME_PATTERN,
    ActionName,
    Amount,
    Command,
    Count,
    Duration,
    Flag,
    Interface,
    Name,
    Ocf,
    OrderingWord,
    PidFile,
    Points,
    Positive,
    Prefixed,
    Replicas,
    RoleName,
    SafetyWord,
    Score,
    Stickiness,
    Text,
    Unit,
    Version,
    WhenEqualWord,
    read_host,
    read_name,
    read_path,
    read_text,
    shown,
    wrong,
)
from reconciler.model.intent import OrderingKind

T = TypeVar("T")


def _present(value: object) -> object:
    """Refuse an empty value: a file cut short must not read as "nothing wanted"."""
    if value is None:
        raise wrong(
            "Nothing stands after this key. Write its value, or remove the key. (An empty list is [], "
            "an empty mapping {}.)",
            "R012",
        )
    return value


Maybe = Annotated[T | None, BeforeValidator(_present)]
"""Absent, or there with a value; never there and empty."""


MODEL = "x-model"
"""In a schema written by hand here: stands for the schema of the model of that name."""


def _kebab(name: str) -> str:
    return name.replace("_", "-")


class Strict(BaseModel):
    """Base of every mapping in the file: its keys are known, and written with hyphens."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=_kebab, defer_build=True)


# Lists that may be written as one --------------------------------------------------------------------


def _several(read: Callable[[object], str], what: str) -> PlainValidator:
    def read_several(value: object) -> tuple[str, ...]:
        items = value if isinstance(value, list) else [value]
        if not items:
            raise wrong(f"The list is empty; {what} is needed.")
        found = tuple(read(item) for item in items)
        if len(set(found)) < len(found):
            twice = next(item for item in found if found.count(item) > 1)
            raise wrong(f"{shown(twice)} stands twice in this list.")
        return found

    return PlainValidator(read_several)


def _one_or_more(item: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [item, {"type": "array", "items": item, "minItems": 1}]})


_NAME_SCHEMA = {"type": ["string", "integer"], "pattern": f"^{NAME_PATTERN}$"}
Hosts = Annotated[
    tuple[str, ...],
    _several(read_host, "an address"),
    _one_or_more({"type": "string", "minLength": 1}),
]
NodeNames = Annotated[tuple[str, ...], _several(read_name, "a node"), _one_or_more(_NAME_SCHEMA)]


def _names(least: int, most: int | None, what: str) -> tuple[PlainValidator, WithJsonSchema]:
    schema: dict[str, Any] = {"type": "array", "items": _NAME_SCHEMA, "minItems": least}
    if most is not None:
        schema["maxItems"] = most

    def read(value: object) -> tuple[str, ...]:
        if not isinstance(value, list) or not least <= len(value) <= (most or len(value)):
            raise wrong(f"{what}, not {_sized(value)}.", "R012")
        found = tuple(read_name(item) for item in value)
        if len(set(found)) < len(found):
            twice = next(item for item in found if found.count(item) > 1)
            raise wrong(f"{shown(twice)} stands twice in this list.", "R027")
        return found

    return PlainValidator(read), WithJsonSchema(schema)


def _sized(value: object) -> str:
    return f"a list of {len(value)}" if isinstance(value, list) else shown(value)


# Parameters and secrets ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that stays on the nodes; the file has its name only."""

    name: str


def _parameter(value: object) -> str | Secret:
    if not isinstance(value, dict):
        text = read_text(value)
        if len(text) > 65_536:  # noqa: PLR2004 - what an environment can carry, with room
            raise wrong("The value is longer than 65,536 characters. Put it into a file.")
        return text
    if set(value) != {"secret"}:
        raise wrong("A parameter is a text, a number, or {secret: NAME}.", "R012")
    return Secret(read_name(value["secret"]))


Parameter = Annotated[
    str | Secret,
    PlainValidator(_parameter),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": ["string", "number", "boolean"]},
                {
                    "type": "object",
                    "properties": {
                        "secret": _NAME_SCHEMA
                        | {"description": "Name of a secret that the node holds."}
                    },
                    "required": ["secret"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
Parameters = dict[Name, Parameter]

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


# Services --------------------------------------------------------------------------------------------


class Script(Strict):
    """A service made of commands. Each is a list of arguments, or a text split into them; no shell."""

    start: Command = Field(description="Starts it and returns once it runs; status 0 is success.")
    stop: Command = Field(description="Stops it and returns once it is gone; status 0 is success.")
    status: Command = Field(
        description="Status 0: it runs. 3: it does not. 1, 2: dead. Else unknown."
    )
    pidfile: Maybe[PidFile] = Field(
        default=None,
        description="File with its process id, to notice at once when it dies. A relative one lies below "
        "the node's run directory ($RECONCILE_RUN).",
    )


def _script(value: object, handler: Callable[[object], Script]) -> Script:
    if isinstance(value, str):
        path = read_path(value)
        return handler({verb: [path, verb] for verb in ("start", "stop", "status")})
    return handler(_present(value))


class Vip(Strict):
    """An address that moves between nodes."""

    address: Prefixed = Field(description="Address with prefix length, such as 10.0.0.100/24.")
    interface: Maybe[Interface] = Field(
        default=None,
        description="Interface that gets it; by default the one whose network it is in.",
    )


def _vip(value: object, handler: Callable[[object], Vip]) -> Vip:
    return handler({"address": value} if isinstance(value, str) else _present(value))


class Monitor(Strict):
    """How a running service is looked at."""

    every: Maybe[Duration] = Field(default=None, description="Time between two looks.")
    timeout: Maybe[Duration] = Field(
        default=None, description="A look that takes longer has failed."
    )


class Deadline(Strict):
    """How long an operation may take."""

    timeout: Duration = Field(
        description="An operation that takes longer is killed and has failed."
    )


class Failures(Strict):
    """When a node is given up for a service."""

    max: Maybe[Positive] = Field(
        default=None, description="Failures on one node after which it is left for another."
    )
    forget_after: Maybe[Duration] = Field(
        default=None, description="Failures are forgotten after this long without another."
    )


class Defaults(Strict):
    """Settings of every service that does not say otherwise."""

    priority: Maybe[Points] = Field(
        default=None,
        json_schema_extra={"default": 0},
        description="Where room is short, the higher priority runs. Default 0.",
    )
    stickiness: Maybe[Stickiness] = Field(
        default=None,
        json_schema_extra={"default": 100},
        description="Points that a preference must win by before a healthy copy is disturbed. Default 100.",
    )
    safety: Maybe[SafetyWord] = Field(
        default=None,
        description="`exclusive`: never a copy too many, so a silent node must be fenced first. "
        "`best-effort`: taken over on suspicion. Default: `exclusive`, but `best-effort` for a `vip` that "
        "stands on its own.",
    )
    demand: dict[Name, Amount] = Field(
        default={}, description="What one copy needs of its node's capacity."
    )
    monitor: Maybe[Monitor] = Field(
        default=None, description="How it is looked at. Default every 10s, timeout 20s."
    )
    start: Maybe[Deadline] = Field(default=None, description="Deadline of a start. Default 60s.")
    stop: Maybe[Deadline] = Field(default=None, description="Deadline of a stop. Default 60s.")
    failures: Maybe[Failures] = Field(
        default=None, description="When a node is given up. Default max 3, forget-after 10m."
    )
    enabled: Maybe[Flag] = Field(
        default=None,
        json_schema_extra={"default": True},
        description="false: it should not run anywhere, and is stopped. Default true.",
    )
    maintenance: Maybe[Flag] = Field(
        default=None,
        json_schema_extra={"default": False},
        description="true: nothing is done to it, no action, no monitor. Default false.",
    )


class ClusterDefaults(Defaults):
    """Settings of every service that does not say otherwise, and of the choice between placements."""

    when_equal: Maybe[WhenEqualWord] = Field(
        default=None,
        json_schema_extra={"default": "stay"},
        description="Among equally good placements: `stay` disturbs the fewest services, `spread` balances "
        "first. Default `stay`.",
    )


class Template(Defaults):
    """What several services have in common. A service that names it overrides key by key."""

    ocf: Maybe[Ocf] = Field(
        default=None,
        description="An OCF resource agent, as provider:type (`heartbeat:Filesystem`).",
    )
    systemd: Maybe[Unit] = Field(
        default=None, description="A systemd unit; `.service` is added where no type is given."
    )
    script: Annotated[
        Script | None,
        WrapValidator(_script),
        WithJsonSchema(
            {
                "anyOf": [
                    {MODEL: "Script"},
                    {"type": "string", "pattern": r"^(/|\./)"},
                ]
            }
        ),
    ] = Field(
        default=None,
        description="Commands that start, stop and look at it; or one program, called with start, stop or "
        "status as its only argument. `./` is the folder of this file.",
    )
    vip: Annotated[
        Vip | None,
        WrapValidator(_vip),
        WithJsonSchema(
            {
                "anyOf": [
                    {MODEL: "Vip"},
                    {"type": "string", "pattern": "^[0-9A-Fa-f.:]+/[0-9]{1,3}$"},
                ]
            }
        ),
    ] = Field(default=None, description="An address that moves between nodes (`10.0.0.100/24`).")
    parameters: Parameters = Field(
        default={}, description="Parameters of the OCF agent. A secret is written {secret: NAME}."
    )
    replicas: Annotated[
        Replicas, Field(description="Copies wanted, at most one on a node; or `all`.")
    ] = 1
    promoted: Count = Field(
        default=0, description="How many of the copies are promoted (OCF only)."
    )
    rank: Points = Field(
        default=0, description="Among services of equal priority, the lowest rank is placed first."
    )


class Service(Template):
    """A thing kept running. It has exactly one of the kinds `ocf`, `systemd`, `script` and `vip`."""

    template: Maybe[Name] = Field(
        default=None, description="Template whose settings it takes over."
    )


class Group(Strict):
    """Services that run together, started left to right and stopped right to left."""

    members: Annotated[tuple[str, ...], *_names(1, None, "A group is a list of services")] = Field(
        description="Services, in the order in which they start."
    )
    replicas: Maybe[Replicas] = Field(
        default=None, description="Copies of the whole group, or `all`."
    )


def _group(value: object, handler: Callable[[object], Group]) -> Group:
    return handler({"members": value} if isinstance(value, list) else _present(value))


GroupBody = Annotated[
    Group,
    WrapValidator(_group),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "array", "items": _NAME_SCHEMA, "minItems": 1},
                {MODEL: "Group"},
            ]
        }
    ),
]

# Constraints -----------------------------------------------------------------------------------------


class Colocation(Strict):
    """Where one service runs relative to another."""

    colocation: Annotated[
        tuple[str, ...], *_names(2, 2, "A colocation is a list of two: [dependent, primary]")
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
        *_names(2, None, "An ordering is a list of two or more, the first to start first"),
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
                    _NAME_SCHEMA,
                    {"type": "array", "items": _NAME_SCHEMA, "minItems": 1},
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
    return None if value == NO_FENCING else handler(_present(value))


class Heartbeat(Strict):
    """How often nodes are heard, and what silence means."""

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
        Fencing | None,
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
    witnesses: Annotated[tuple[str, ...], *_names(0, None, "This is a list of names")] = Field(
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
