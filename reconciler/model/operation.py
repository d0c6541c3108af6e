"""Operations: what an agent is told to do on its node, and what came of it.

A verdict never says more than was seen. A probe that timed out, crashed or answered with an undefined
code is UNKNOWN, and unknown is never stopped.
"""

from dataclasses import dataclass
from enum import StrEnum

from reconciler.model.ids import ActionId, Digest, Epoch, Incarnation, Millis, PlanId, ServiceName
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


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """What came of a step."""

    key: StepKey
    outcome: Outcome
    refused: str | None = None
    """Why the agent did not even begin (old epoch, expired, unknown definition)."""
