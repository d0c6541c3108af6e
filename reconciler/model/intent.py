"""Intent: what should run where, as the operators wrote it, after validation.

These are frozen values with sorted tuples, so that equal intents are equal, hash equal and serialise
to equal bytes. Names refer only to things that exist: `config` has seen to that. Defaults and templates
are already merged into each service. Nothing here knows YAML, time or what currently runs.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from reconciler.model.ids import GroupName, Millis, NodeName, ServiceName

Amounts = tuple[tuple[str, int], ...]
"""Amounts of named resources (`cpu`, `memory` in bytes, ...), sorted by name."""

Pairs = tuple[tuple[str, str], ...]
"""String pairs sorted by their first half: labels, attributes, parameters."""


class Mandate(StrEnum):
    """A constraint that no sum of scores can outvote."""

    REQUIRED = "required"
    FORBIDDEN = "forbidden"


Strength = int | Mandate
"""How much a constraint matters: a score (negative: rather not), or a mandate."""


class Role(StrEnum):
    """What a copy of a service is doing. Only promotable services know the last two."""

    STOPPED = "stopped"
    STARTED = "started"
    UNPROMOTED = "unpromoted"
    PROMOTED = "promoted"


class Safety(StrEnum):
    """Whether a second copy is a disaster or a nuisance."""

    EXCLUSIVE = "exclusive"
    BEST_EFFORT = "best-effort"


class Kind(StrEnum):
    """Which hand on the node starts and stops a service."""

    OCF = "ocf"
    SYSTEMD = "systemd"
    SCRIPT = "script"
    VIP = "vip"


class WhenEqual(StrEnum):
    """Among placements of equal preference: disturb as few as possible, or balance first."""

    STAY = "stay"
    SPREAD = "spread"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where in the operators' files something was written; lines and columns count from 1."""

    path: str
    line: int
    column: int = 1

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A machine of the cluster."""

    name: NodeName
    addresses: tuple[str, ...]
    """Heartbeat and control addresses, in the order of preference."""
    labels: Pairs = ()
    capacity: Amounts = ()
    """What this node can hold; a resource that is not named here is not limited."""
    standby: bool = False
    """Nothing may run here; what does is moved away."""
    maintenance: bool = False
    """Nothing is touched here: no action, no monitor."""
    origin: Origin | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """How long an operation may take and, for monitors, how often it runs."""

    timeout_ms: Millis
    every_ms: Millis = Millis(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A thing kept running: one copy, several, or one on every node."""

    name: ServiceName
    kind: Kind
    agent: str = ""
    """`provider:type` of an OCF agent, the unit of a systemd service, else empty."""
    parameters: Pairs = ()
    """Settings of this kind. Scripts: `start`, `stop`, `status` as JSON argument lists, `pidfile`.
    Addresses: `address`, `prefix`, `interface`. OCF: the agent's own parameters."""
    secrets: Pairs = ()
    """Parameter name to secret name; the value is resolved on the node and never leaves it."""
    replicas: int | None = 1
    """Wanted copies, at most one on a node; None means one on every eligible node."""
    promoted: int = 0
    """How many of the copies are promoted; 0 for a service without roles."""
    safety: Safety = Safety.EXCLUSIVE
    priority: int = 0
    rank: int = 0
    """Order among services of equal priority, lowest first."""
    stickiness: int = 100
    """What it costs to stop, restart or move one healthy copy, in score points. Never negative."""
    demand: Amounts = ()
    enabled: bool = True
    """False: it should not run anywhere (it stays known and is stopped)."""
    maintenance: bool = False
    """Nothing is done to it: no action, no monitor."""
    start: Operation = Operation(timeout_ms=Millis(60_000))
    stop: Operation = Operation(timeout_ms=Millis(60_000))
    monitor: Operation = Operation(timeout_ms=Millis(20_000), every_ms=Millis(10_000))
    failures_max: int = 3
    """Failures on one node, restarts in place included, after which that node is banned."""
    failures_forget_ms: Millis = Millis(600_000)
    """Failures are forgotten after this long without another one."""
    origin: Origin | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Services that run together, started left to right and stopped right to left.

    Each member needs the one before it: on the same node, and running. A prefix may run alone.
    """

    name: GroupName
    members: tuple[ServiceName, ...]
    origin: Origin | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Colocation:
    """`dependent` is placed relative to `primary`: with it, or away from it.

    Both name a service or a group. Required: every copy of the dependent shares a node with a copy of
    the primary. Forbidden: none does. A score counts once per copy of the dependent that shares one.
    """

    dependent: str
    primary: str
    strength: Strength = Mandate.REQUIRED
    dependent_role: Role | None = None
    primary_role: Role | None = None
    origin: Origin | None = field(default=None, compare=False)


class OrderingKind(StrEnum):
    """Required: `then` runs only if `first` does, and restarts with it. Optional: only within one plan."""

    REQUIRED = "required"
    OPTIONAL = "optional"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordering:
    """`first` starts before `then`, and stops after it. Both name a service or a group."""

    first: str
    then: str
    kind: OrderingKind = OrderingKind.REQUIRED
    first_action: str = "start"
    then_action: str = "start"
    origin: Origin | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Where a service or a group runs: only there, never there, or rather (not) there.

    `nodes` is what the selector chose, sorted. Required: no other node is eligible.
    """

    service: str
    nodes: tuple[NodeName, ...]
    strength: Strength = Mandate.REQUIRED
    role: Role | None = None
    origin: Origin | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FenceDevice:
    """A device that can make nodes provably unable to act. Its use comes with fencing itself."""

    name: str
    agent: str
    nodes: tuple[NodeName, ...]
    parameters: Pairs = ()
    secrets: Pairs = ()
    origin: Origin | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fencing:
    """How silent nodes are dealt with; without devices the operators have accepted a split brain."""

    devices: tuple[FenceDevice, ...] = ()
    accept_split_brain: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """How often nodes are heard, and how long a silence means that a node is suspect or lost."""

    every_ms: Millis = Millis(500)
    suspect_ms: Millis = Millis(1_500)
    lost_ms: Millis = Millis(3_500)


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """One cluster as its operators want it.

    Shape: all tuples are sorted by name, constraints by their place in the files.
    """

    cluster: str
    nodes: tuple[Node, ...]
    services: tuple[Service, ...] = ()
    groups: tuple[Group, ...] = ()
    colocations: tuple[Colocation, ...] = ()
    orderings: tuple[Ordering, ...] = ()
    locations: tuple[Location, ...] = ()
    when_equal: WhenEqual = WhenEqual.STAY
    fencing: Fencing = Fencing()
    heartbeat: Heartbeat = Heartbeat()
    witnesses: tuple[str, ...] = ()
    """Names of members that vote and run nothing."""
