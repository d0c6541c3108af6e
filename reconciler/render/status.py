"""What `status` says: the controller's answer as values, and what it amounts to.

The answer may have more in it than is known here; what is known has to be of its type.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class TermPart:
    """The right by which the controller decides."""

    incarnation: int
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerPart:
    """Who decides, and since when."""

    name: str
    term: TermPart | None = None
    since: str | None = None
    settled: bool = True
    """False just after its start, while it waits to hear every node before it acts."""
    trouble: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RevisionPart:
    """An intent by its names."""

    revision: str
    digest: str | None = None
    held: str = ""
    """Why it is not in force by itself."""
    subject: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentPart:
    """What is wanted, and what waits to be."""

    accepted: RevisionPart | None = None
    candidate: RevisionPart | None = None
    source: str | None = None
    trouble: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuorumPart:
    """Votes heard, and how many are needed."""

    held: bool
    votes: int
    needed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePart:
    """A node as the controller hears it."""

    name: str
    liveness: str
    heard_ago_ms: int | None = None
    boot: str | None = None
    ready: bool = True
    connected: bool = True
    listed: bool = True
    """False for a node that the intent does not name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyPart:
    """A copy of a service."""

    node: str
    instance: int = 0
    role: str = "started"
    state: str = "running"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePart:
    """A service with its copies."""

    name: str
    state: str
    copies: tuple[CopyPart, ...] = ()
    wanted: int | None = None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPart:
    """An action of the plan under way."""

    id: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitionPart:
    """The plan under way."""

    number: int
    revision: str = ""
    abandoned: str | None = None
    """Why no more of it is begun."""
    actions: tuple[StepPart, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A cluster at one moment."""

    version: int
    cluster: str | None
    controller: ControllerPart
    quorum: QuorumPart
    intent: IntentPart = field(default_factory=IntentPart)
    nodes: tuple[NodePart, ...] = ()
    services: tuple[ServicePart, ...] = ()
    transition: TransitionPart | None = None
    blocked: tuple[str, ...] = ()
