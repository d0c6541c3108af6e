"""Placement: where each copy of each service should run, and why.

The value of a placement is a `Score`, compared level by level; DESIGN calls the levels 1 to 4.
"""

from dataclasses import dataclass
from enum import StrEnum

from reconciler.model.ids import NodeName, ServiceName
from reconciler.model.intent import Origin, Role


class Why(StrEnum):
    """Codes of reasons, closed. `docs/reasons.md` explains each."""

    WANTED = "wanted"
    NOT_WANTED = "not-wanted"
    REMOVED = "removed"
    FAILED = "failed"
    CHANGED = "changed"
    NODE_LOST = "node-lost"
    NODE_UNKNOWN = "node-unknown"
    STANDBY = "standby"
    MAINTENANCE = "maintenance"
    BANNED = "banned"
    ONLY_ELSEWHERE = "only-elsewhere"
    FAILED_TOO_OFTEN = "failed-too-often"
    NOT_WITH = "not-with"
    NEEDS = "needs"
    CAPACITY = "capacity"
    NO_PROOF = "no-proof"
    NO_QUORUM = "no-quorum"
    NO_TICKET = "no-ticket"
    FENCED_FIRST = "fenced-first"
    BLOCKED = "blocked"
    UNKNOWN_STATE = "unknown-state"
    PREFERRED = "preferred"
    DEPENDS = "depends"
    MAKES_ROOM = "makes-room"
    EXTRA_COPY = "extra-copy"
    NOT_PROBED = "not-probed"
    ENOUGH = "enough"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One cause of a decision, in words, with the line of intent or the fact that it comes from."""

    why: Why
    text: str
    origin: Origin | None = None
    node: NodeName | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """One copy of one service on one node, as it should be."""

    service: ServiceName
    node: NodeName
    instance: int = 0
    role: Role = Role.STARTED


@dataclass(frozen=True, slots=True, kw_only=True)
class Unplaced:
    """A service that runs fewer copies than wanted, with every reason that matters."""

    service: ServiceName
    wanted: int
    placed: int
    blocked: bool
    """True when it is unsafe rather than impossible: it waits for a proof, a quorum or an operator."""
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How good a placement is; `levels` compares as a tuple, greater is better."""

    levels: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where everything should be. `optimal` speaks of levels 1 to 3 only, and is never a guess."""

    seats: tuple[Seat, ...]
    unplaced: tuple[Unplaced, ...] = ()
    score: Score = Score(levels=())
    optimal: bool = True
    bound: Score | None = None
    """When not proven optimal: no placement is better than this."""
