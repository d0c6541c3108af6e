"""Intent: what should run where, as the operators wrote it, after validation.

These are frozen values with sorted tuples, so that equal intents are equal, hash equal and serialise
to equal bytes. Names refer only to things that exist: `config` has seen to that. Defaults and templates
are already merged into each service. Nothing here knows YAML, time or what currently runs.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from reconciler.model.conditions import AttributeTest, During
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


class OnFail(StrEnum):
    """What a failed operation of a copy leads to."""

    RESTART = "restart"
    IGNORE = "ignore"
    """The failure is recorded and shown, and changes nothing."""
    BLOCK = "block"
    """Nothing is done to the copy until an operator has cleared it."""
    STOP = "stop"
    """The service is stopped and starts nowhere until an operator has cleared it."""
    DEMOTE = "demote"
    """A promoted copy is demoted, and may be promoted again elsewhere."""
    STANDBY = "standby"
    """Everything leaves the node."""
    FENCE = "fence"


class MultipleActive(StrEnum):
    """What to do with more copies than wanted, found running."""

    STOP_START = "stop-start"
    """Stop them all, then start the wanted ones: each may have harmed the other."""
    STOP_UNEXPECTED = "stop-unexpected"
    """Stop only the ones too many."""
    STOP_ONLY = "stop-only"
    BLOCK = "block"


class OnLoss(StrEnum):
    """What to do with what runs when the quorum is lost, or a ticket."""

    STOP = "stop"
    FREEZE = "freeze"
    """What runs goes on and is restarted where it is; nothing else starts."""
    DEMOTE = "demote"
    FENCE = "fence"
    IGNORE = "ignore"
    """Carry on as if nothing were lost (quorum only)."""


class Requires(StrEnum):
    """What a start waits for."""

    FENCING = "fencing"
    """A quorum, and every unclean node fenced."""
    QUORUM = "quorum"
    NOTHING = "nothing"


class Orphans(StrEnum):
    """What to do with copies of services that the intent does not name."""

    STOP = "stop"
    KEEP = "keep"


class NegativeScores(StrEnum):
    """Whether a node whose scores add up to less than zero is merely the last choice, or none."""

    AVOID = "avoid"
    FORBID = "forbid"


class Packing(StrEnum):
    """How capacities choose between nodes of equal score."""

    COUNT = "count"
    """The node with the fewest copies."""
    ROOM = "room"
    """The node with the most room left."""
    FEWEST_NODES = "fewest-nodes"
    """As few nodes as will do."""


class HealthStrategy(StrEnum):
    """How the health that nodes report decides what may run there."""

    NONE = "none"
    MIGRATE_ON_RED = "migrate-on-red"
    ONLY_GREEN = "only-green"
    PROGRESSIVE = "progressive"
    CUSTOM = "custom"


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
    FENCE_DEVICE = "fence-device"
    """Keeps watch over a fence device: the node asks it regularly whether it would work."""


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
    on_fail: OnFail | None = None
    """None: a failed stop leads to a fence where one is possible, else to a block; all else restarts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A thing kept running: one copy, several, or one on every node."""

    name: ServiceName
    kind: Kind
    agent: str = ""
    """`provider:type` of an OCF agent, unit of a systemd service, name of a fence device, else empty."""
    parameters: Pairs = ()
    """Settings of this kind. Scripts: `start`, `stop`, `status` as JSON argument lists, `pidfile`.
    Addresses: `address`, `prefix`, `interface`. OCF: the agent's own parameters."""
    secrets: Pairs = ()
    """Parameter name to secret name; the value is resolved on the node and never leaves it."""
    replicas: int | None = 1
    """Wanted copies; None means one on every eligible node."""
    replicas_per_node: int = 1
    """Most copies on one node."""
    promotable: bool = False
    """Its copies have roles."""
    promoted: int = 0
    """How many of the copies are promoted; 0 for a service without roles."""
    interleave: bool = True
    """Copies that depend on one another do so node by node; else each waits for all of the other's."""
    ordered: bool = False
    """Its copies start and stop one after the other."""
    notify: bool = False
    """Its copies are told before and after the others change."""
    safety: Safety = Safety.EXCLUSIVE
    priority: int = 0
    rank: int = 0
    """Order among services of equal priority, lowest first."""
    stickiness: int = 100
    """What it costs to stop, restart or move one healthy copy, in score points. Never negative."""
    promoted_stickiness: int | None = None
    """What it costs to demote a healthy promoted copy; None: as much as its stickiness."""
    demand: Amounts = ()
    enabled: bool = True
    """False: it should not run anywhere (it stays known and is stopped)."""
    maintenance: bool = False
    """Nothing is done to it: no action, no monitor."""
    managed: bool = True
    """False: it is watched and never touched."""
    critical: bool = True
    """False: where it cannot run, what it depends on does not move for its sake."""
    survive: int | None = None
    """A promise, which decides nothing: it runs with any so many nodes lost at once. `simulate` tries it."""
    multiple_active: MultipleActive = MultipleActive.STOP_UNEXPECTED
    migratable: bool = False
    """A healthy copy moves live, where nothing that it needs must stop meanwhile."""
    reloadable: tuple[str, ...] = ()
    """Parameters that a running copy takes over with a reload, sorted."""
    requires: Requires = Requires.FENCING
    start: Operation = Operation(timeout_ms=Millis(60_000))
    stop: Operation = Operation(timeout_ms=Millis(60_000))
    promote: Operation = Operation(timeout_ms=Millis(60_000))
    demote: Operation = Operation(timeout_ms=Millis(60_000))
    monitor: Operation = Operation(timeout_ms=Millis(20_000), every_ms=Millis(10_000))
    monitor_promoted: Operation | None = None
    """For promoted copies, where it differs from `monitor`."""
    failures_max: int | None = 3
    """Failures on one node, restarts in place included, after which that node is banned; None: never."""
    failures_forget_ms: Millis | None = Millis(600_000)
    """Failures are forgotten after this long without another one; None: only when cleared."""
    origin: Origin | None = field(default=None, compare=False)

    def gives_up(self, failures: int) -> bool:
        """Whether so many failures ban a node."""
        return self.failures_max is not None and failures >= self.failures_max

    def forgets_ms(self, last_ms: Millis) -> Millis | None:
        """When failures, the last of them at `last_ms`, are forgotten; None: never by themselves."""
        if self.failures_forget_ms is None:
            return None
        return Millis(last_ms + self.failures_forget_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Services that run together, started left to right and stopped right to left.

    Each member needs the one before it: on the same node, and running. A prefix may run alone.
    """

    name: GroupName
    members: tuple[ServiceName, ...]
    ordered: bool = True
    """False: members start and stop in any order, and none waits for another."""
    colocated: bool = True
    """False: members need not share a node."""
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
    influence: bool = True
    """False: a primary that runs does not move for the dependent's sake."""
    attribute: str = ""
    """Label that the two nodes share, such as `rack`; empty means the node itself."""
    origin: Origin | None = field(default=None, compare=False)


class OrderingKind(StrEnum):
    """Required: `then` runs only if `first` does, and restarts with it. Optional: only within one plan.

    Serialize: never both at once, in whichever order.
    """

    REQUIRED = "required"
    OPTIONAL = "optional"
    SERIALIZE = "serialize"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordering:
    """`first` starts before `then`, and stops after it. Both name a service or a group."""

    first: str
    then: str
    kind: OrderingKind = OrderingKind.REQUIRED
    first_action: str = "start"
    then_action: str = "start"
    symmetrical: bool = True
    """Stops come in the reverse order, and what depends on `first` stops with it."""
    minimum: int | None = None
    """How many copies of `first` are enough; None: one, and all that start are waited for."""
    any_of: tuple[str, ...] = ()
    """More services than `first`, any one of which will do."""
    origin: Origin | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketRule:
    """A service or a group that may run only while this site holds a ticket."""

    ticket: str
    service: str
    role: Role | None = None
    """Only copies in this role need the ticket."""
    on_loss: OnLoss = OnLoss.STOP
    origin: Origin | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How node attributes named `health-...` (red, yellow, green or a number) count."""

    strategy: HealthStrategy = HealthStrategy.NONE
    base: int = 0
    green: int = 0
    yellow: int = 0
    red: int = -1_000_000
    """Scores of -1000000 or less forbid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Where a service or a group runs: only there, never there, or rather (not) there.

    `nodes` is what the selector chose, sorted. Required: no other node is eligible.
    """

    service: str
    nodes: tuple[NodeName, ...]
    strength: Strength = Mandate.REQUIRED
    role: Role | None = None
    where: tuple[AttributeTest, ...] = ()
    """It names only those of its nodes that pass all of these; required, and none does: nowhere."""
    during: During | None = None
    """At all other times it says nothing; None: it always counts."""
    score_attribute: str = ""
    """If not empty, the score is what each node's attribute of this name says, and `strength` is 0."""
    origin: Origin | None = field(default=None, compare=False)

    @property
    def conditional(self) -> bool:
        """Whether it may name other nodes, or none, when facts or the time change."""
        return bool(self.where) or self.during is not None or bool(self.score_attribute)


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
class FenceLevel:
    """Devices that together fence some nodes; the next level is tried when this one fails."""

    nodes: tuple[NodeName, ...]
    level: int
    devices: tuple[str, ...]
    origin: Origin | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fencing:
    """How silent nodes are dealt with; without devices the operators have accepted a split brain."""

    devices: tuple[FenceDevice, ...] = ()
    levels: tuple[FenceLevel, ...] = ()
    """Which devices together fence a node, the lowest level first; empty: any device that can."""
    action: str = "reboot"
    """What is done to a node: `reboot` or `off`."""
    unseen: bool = False
    """Nodes that were never heard are fenced too, since anything may run there; else they are waited for."""
    priority_delay_ms: Millis = Millis(0)
    """Head start, without a majority, of the side that runs what matters most."""
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
    tickets: tuple[TicketRule, ...] = ()
    when_equal: WhenEqual = WhenEqual.STAY
    packing: Packing = Packing.COUNT
    negative_scores: NegativeScores = NegativeScores.AVOID
    orphans: Orphans = Orphans.STOP
    on_quorum_loss: OnLoss = OnLoss.FREEZE
    health: Health = Health()
    fencing: Fencing = Fencing()
    heartbeat: Heartbeat = Heartbeat()
    witnesses: tuple[str, ...] = ()
    """Names of members that vote and run nothing."""
