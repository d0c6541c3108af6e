"""The shape of services, templates, defaults and groups in the file."""

from collections.abc import Callable
from typing import Annotated

from pydantic import Field, WithJsonSchema, WrapValidator

from reconciler.config.document_operations import (
    Demote,
    Failures,
    Monitor,
    MonitorPromoted,
    Promote,
    Start,
    Stop,
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
from reconciler.config.started import Command, Ocf, PidFile, Unit, read_path
from reconciler.config.values import (
    Amount,
    Count,
    Flag,
    Interface,
    Name,
    Points,
    Positive,
    Prefixed,
    Replicas,
    Stickiness,
    read_name,
)
from reconciler.config.words import (
    MultipleActiveWord,
    NegativeScoresWord,
    OrphansWord,
    PackingWord,
    RequiresWord,
    SafetyWord,
    WhenEqualWord,
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
    promoted_stickiness: Maybe[Stickiness] = Field(
        default=None,
        description="Points that a preference must win by before a healthy promoted copy is demoted. "
        "Default: the `stickiness`.",
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
    monitor_promoted: Maybe[MonitorPromoted] = Field(
        default=None,
        description="How a promoted copy is looked at; what is not said here is as in `monitor`.",
    )
    start: Maybe[Start] = Field(default=None, description="Starts. Default timeout 60s.")
    stop: Maybe[Stop] = Field(default=None, description="Stops. Default timeout 60s.")
    promote: Maybe[Promote] = Field(default=None, description="Promotions. Default timeout 60s.")
    demote: Maybe[Demote] = Field(default=None, description="Demotions. Default timeout 60s.")
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
    managed: Maybe[Flag] = Field(
        default=None,
        json_schema_extra={"default": True},
        description="false: it is watched and never touched. Default true.",
    )
    critical: Maybe[Flag] = Field(
        default=None,
        json_schema_extra={"default": True},
        description="false: where it cannot run, what it depends on does not move for its sake. Default "
        "true.",
    )
    requires: Maybe[RequiresWord] = Field(
        default=None,
        json_schema_extra={"default": "fencing"},
        description="What a start waits for: `fencing` (a quorum, and every unclean node fenced, the "
        "default), `quorum`, or `nothing`.",
    )
    multiple_active: Maybe[MultipleActiveWord] = Field(
        default=None,
        json_schema_extra={"default": "stop-unexpected"},
        description="Where more copies run than wanted: `stop-unexpected` stops those too many (the "
        "default), `stop-start` stops all and starts anew, `stop-only` stops all, `block` waits for an "
        "operator.",
    )
    migratable: Maybe[Flag] = Field(
        default=None,
        json_schema_extra={"default": False},
        description="true: a healthy copy moves live where that is possible. Default false.",
    )
    interleave: Maybe[Flag] = Field(
        default=None,
        json_schema_extra={"default": True},
        description="true: copies that depend on one another do so node by node. false: each waits for all "
        "of the other's. Default true.",
    )
    ordered: Maybe[Flag] = Field(
        default=None,
        json_schema_extra={"default": False},
        description="true: copies start and stop one after the other. Default false.",
    )
    notify: Maybe[Flag] = Field(
        default=None,
        json_schema_extra={"default": False},
        description="true: copies are told before and after others change. Default false.",
    )


class ClusterDefaults(Defaults):
    """Settings of every service that does not say otherwise, and of the choice between placements."""

    when_equal: Maybe[WhenEqualWord] = Field(
        default=None,
        json_schema_extra={"default": "stay"},
        description="Among equally good placements: `stay` disturbs the fewest services, `spread` balances "
        "first. Default `stay`.",
    )
    packing: Maybe[PackingWord] = Field(
        default=None,
        json_schema_extra={"default": "count"},
        description="Among nodes of equal score: `count` takes the one with the fewest copies, `room` the "
        "one with the most capacity left, `fewest-nodes` as few nodes as will do. Default `count`.",
    )
    negative_scores: Maybe[NegativeScoresWord] = Field(
        default=None,
        json_schema_extra={"default": "avoid"},
        description="A node whose scores add up to less than zero is the last choice (`avoid`, the default), "
        "or none (`forbid`).",
    )
    orphans: Maybe[OrphansWord] = Field(
        default=None,
        json_schema_extra={"default": "stop"},
        description="Copies of services that no file names any more: `stop` them (the default), or `keep` "
        "them.",
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
    fence_device: Maybe[Name] = Field(
        default=None,
        description="A device under `fencing`, asked regularly from where this runs whether it would work.",
    )
    parameters: Parameters = Field(
        default={}, description="Parameters of the OCF agent. A secret is written {secret: NAME}."
    )
    replicas: Annotated[
        Replicas, Field(description="Copies wanted; or `all`, one on every eligible node.")
    ] = 1
    replicas_per_node: Positive = Field(default=1, description="Most copies on one node.")
    promotable: Flag = Field(
        default=False,
        description="true: its copies have roles (OCF only). `promoted` above 0 says so too.",
    )
    promoted: Count = Field(
        default=0, description="How many of the copies are promoted (OCF only)."
    )
    reloadable: Annotated[
        tuple[str, ...],
        several(read_name, "a parameter"),
        one_or_more(NAME_SCHEMA),
    ] = Field(
        default=(),
        description="Parameters that a running copy takes over with a reload (OCF only).",
    )
    rank: Points = Field(
        default=0, description="Among services of equal priority, the lowest rank is placed first."
    )


class Service(Template):
    """A thing kept running. It has exactly one kind: `ocf`, `systemd`, `script`, `vip` or `fence-device`."""

    template: Maybe[Name] = Field(
        default=None, description="Template whose settings it takes over."
    )


class Group(Strict):
    """Services that run together, started left to right and stopped right to left."""

    members: Annotated[tuple[str, ...], *names(1, None, "A group is a list of services")] = Field(
        description="Services, in the order in which they start."
    )
    ordered: Flag = Field(
        default=True,
        description="false: members start and stop in any order, and none waits for another.",
    )
    colocated: Flag = Field(default=True, description="false: members need not share a node.")
    replicas: Maybe[Replicas] = Field(
        default=None, description="Copies of the whole group, or `all`."
    )
    replicas_per_node: Maybe[Positive] = Field(
        default=None, description="Most copies of the whole group on one node."
    )
    promotable: Maybe[Flag] = Field(default=None, description="Every member's copies have roles.")
    promoted: Maybe[Count] = Field(
        default=None, description="How many copies of the whole group are promoted."
    )
    interleave: Maybe[Flag] = Field(
        default=None, description="Copies of the group depend on others node by node."
    )
    notify: Maybe[Flag] = Field(
        default=None, description="Copies are told before and after others change."
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
