"""The shape of services, templates, defaults and groups in the file."""

from collections.abc import Callable
from typing import Annotated

from pydantic import Field, WithJsonSchema, WrapValidator

from reconciler.config.shapes import MODEL, NAME_SCHEMA, Maybe, Parameters, Strict, names
from reconciler.config.values import (
    Amount,
    Command,
    Count,
    Duration,
    Flag,
    Interface,
    Name,
    Ocf,
    PidFile,
    Points,
    Positive,
    Prefixed,
    Replicas,
    SafetyWord,
    Stickiness,
    Unit,
    WhenEqualWord,
    read_path,
)


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
    return handler(value)


class Vip(Strict):
    """An address that moves between nodes."""

    address: Prefixed = Field(description="Address with prefix length, such as 10.0.0.100/24.")
    interface: Maybe[Interface] = Field(
        default=None,
        description="Interface that gets it; by default the one whose network it is in.",
    )


def _vip(value: object, handler: Callable[[object], Vip]) -> Vip:
    return handler({"address": value} if isinstance(value, str) else value)


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
    survive: Maybe[Count] = Field(
        default=None,
        description="A promise: it runs with any so many nodes lost at once. It decides nothing; "
        "`reconcile simulate --sweep` tries it.",
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
        Maybe[Script],
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
        Maybe[Vip],
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

    members: Annotated[tuple[str, ...], *names(1, None, "A group is a list of services")] = Field(
        description="Services, in the order in which they start."
    )
    replicas: Maybe[Replicas] = Field(
        default=None, description="Copies of the whole group, or `all`."
    )


def _group(value: object, handler: Callable[[object], Group]) -> Group:
    return handler({"members": value} if isinstance(value, list) else value)


GroupBody = Annotated[
    Group,
    WrapValidator(_group),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "array", "items": NAME_SCHEMA, "minItems": 1},
                {MODEL: "Group"},
            ]
        }
    ),
]
