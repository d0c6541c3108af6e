"""Operations: what an agent is told to do on its node, and what came of it.

A verdict never says more than was seen. A probe that timed out, crashed or answered with an undefined
code is UNKNOWN, and unknown is never stopped.
"""

from dataclasses import dataclass
from enum import StrEnum

from reconciler.model.ids import (
    ActionId,
    Digest,
    Epoch,
    Incarnation,
    Millis,
    NodeName,
    PlanId,
    ServiceName,
)
from reconciler.model.intent import Pairs
from reconciler.model.plan import ActionKind


class Verdict(StrEnum):
    """What an operation found or left behind."""

    RUNNING = "running"
    PROMOTED = "promoted"
    STOPPED = "stopped"
    FAILED = "failed"
    """A probe: it runs but is broken, or half runs. A start or stop: it did not succeed."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The result of one operation. A start that worked is RUNNING, a stop that was verified STOPPED."""

    verdict: Verdict
    reason: str = ""
    """One line for people: the agent's exit reason, or what went wrong."""
    exit_code: int | None = None
    """None when there was no exit: a deadline, a signal, or no process at all."""
    output: str = ""
    """The last of what it printed, at most 64 KiB kept."""
    took_ms: Millis = Millis(0)
    definite: bool = False
    """A failure that another try on this node cannot change (not installed, wrong settings)."""
    fatal: bool = False
    """A failure that no other node can change either."""
    degraded: bool = False
    """It runs, and its agent says that all is not well with it."""
    promoted: bool = False
    """A failure of a copy that is, or was, promoted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepKey:
    """Names one try of one action; an agent carries out each key at most once, ever."""

    plan: PlanId
    action: ActionId
    attempt: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """An order to an agent, from the controller of one epoch."""

    key: StepKey
    kind: ActionKind
    service: ServiceName
    definition: Digest
    """Digest of the definition to use; the agent must hold it."""
    epoch: Epoch
    incarnation: Incarnation
    valid_ms: Millis
    """Refused by an agent that reads it later than this after it last heard from the controller."""
    source: NodeName | None = None
    """Of a migration: an agent of this name sends the copy, and one of the target's name takes it in."""
    target: NodeName | None = None
    notify: Pairs = ()
    """For services that want to be told: which copies there are, and what the plan does to which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What came of a step."""

    key: StepKey
    outcome: Outcome
    refused: str | None = None
    """Why the agent did not even begin (old epoch, expired, unknown definition)."""
