"""What an agent must not forget, and the records that make it so.

The memory is exactly the fold of its records: `remember` is the only way to change it, in the running
brain and when a journal is read again, so the two can never disagree. Bounded: at most
`STEPS_MAX` orders are kept, and the oldest acknowledged ones go first.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import TypeVar

from reconciler.model.ids import Digest, Epoch, Incarnation, NodeName, ServiceName
from reconciler.model.intent import FenceDevice, Service
from reconciler.model.observed import Failure
from reconciler.model.operation import Step, StepKey, StepResult

STEPS_MAX = 1024
"""Orders remembered. A controller has a few dozen outstanding at a time."""
OUTPUT_KEPT = 4096
"""Characters of an operation's output that are kept until the result is acknowledged."""

Term = tuple[Incarnation, Epoch]
K = TypeVar("K")
V = TypeVar("V")


def _nothing() -> Mapping[K, V]:
    return MappingProxyType({})


class Phase(StrEnum):
    """Where a copy of this node stands in its life."""

    STARTING = "starting"
    """A start has begun; whether anything runs is not known before it ends or a probe looks."""
    RUNNING = "running"
    BROKEN = "broken"
    """It ran, and then a look found it stopped, broken or invisible: a stop and a start repair it."""
    FAILED = "failed"
    """Its start did not succeed, and it never ran: nothing is to be repaired, only stopped."""
    LEAVING = "leaving"
    """It is being sent, or was sent, to another node: what is left of it here is to be stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnCopy:
    """A copy on this node with the definition it runs by, which is the one that can stop it."""

    definition: Service
    digest: Digest | None
    """None when it was found running and nobody knows what it was started with."""
    phase: Phase
    promoted: bool = False
    """It is promoted, or may be: a promotion has begun, and no demotion has succeeded since."""
    failed_operation: str = ""
    """Which operation says that it is broken."""
    migrating_from: NodeName | None = None
    """Where a migration to here, which has not succeeded, began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """An attribute of this node that counts."""

    value: str
    forever: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEntry:
    """An order, how far it came, and whether the controller knows."""

    step: Step
    begun: bool = False
    result: StepResult | None = None
    acknowledged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Everything durable that an agent knows."""

    term: Term = (Incarnation(0), Epoch(0))
    services: tuple[Service, ...] = ()
    assigned: frozenset[ServiceName] = frozenset()
    maintenance: frozenset[ServiceName] = frozenset()
    devices: tuple[FenceDevice, ...] = ()
    """Those that services here watch."""
    copies: Mapping[ServiceName, OwnCopy] = field(default_factory=_nothing)
    blocks: Mapping[ServiceName, str] = field(default_factory=_nothing)
    failures: Mapping[ServiceName, Failure] = field(default_factory=_nothing)
    steps: Mapping[StepKey, StepEntry] = field(default_factory=_nothing)
    """Oldest first."""
    scores: Mapping[ServiceName, int] = field(default_factory=_nothing)
    attributes: Mapping[str, Attribute] = field(default_factory=_nothing)

    def of_another_boot(self) -> "Memory":
        """What still holds after the node was booted: nothing of what ran."""
        return replace(
            self,
            copies=_nothing(),
            blocks=_nothing(),
            failures=_nothing(),
            scores=_nothing(),
            attributes=MappingProxyType({n: a for n, a in self.attributes.items() if a.forever}),
        )

    def with_a_gap(self) -> "Memory":
        """What still holds after records were lost: not what ran, since a stop may be among them.

        A block stays: at worst an operator clears it once more.
        """
        return replace(self, copies=_nothing())


@dataclass(frozen=True, slots=True, kw_only=True)
class TermRaised:
    """From now on no lower term is obeyed."""

    incarnation: Incarnation
    epoch: Epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinitionsKept:
    """These definitions replace the earlier ones."""

    services: tuple[Service, ...]
    assigned: frozenset[ServiceName]
    maintenance: frozenset[ServiceName]
    devices: tuple[FenceDevice, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StepBegun:
    """An order is about to have an effect."""

    step: Step


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEnded:
    """An order has a result, or was refused."""

    step: Step
    result: StepResult


@dataclass(frozen=True, slots=True, kw_only=True)
class StepAcknowledged:
    """The controller keeps the result of this order; only its key matters here from now on."""

    key: StepKey


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyKept:
    """A copy is in a new phase, or there is none any more."""

    service: ServiceName
    copy: OwnCopy | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockKept:
    """A service must not be touched, for this reason; None: it may be again."""

    service: ServiceName
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureKept:
    """The failures of a service here, or that they are forgotten."""

    service: ServiceName
    failure: Failure | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreKept:
    """How fit the copy of a service here is to be promoted; None: nothing is said of it any more."""

    service: ServiceName
    score: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeKept:
    """An attribute of this node, or that it has none of this name any more."""

    name: str
    attribute: Attribute | None


Record = (
    TermRaised
    | DefinitionsKept
    | StepBegun
    | StepEnded
    | StepAcknowledged
    | CopyKept
    | BlockKept
    | FailureKept
    | ScoreKept
    | AttributeKept
)


def remember(memory: Memory, record: Record) -> Memory:  # noqa: PLR0911 - one for each kind
    """Add one record to a memory."""
    match record:
        case TermRaised():
            return replace(memory, term=(record.incarnation, record.epoch))
        case DefinitionsKept():
            return replace(
                memory,
                services=record.services,
                assigned=record.assigned,
                maintenance=record.maintenance,
                devices=record.devices,
            )
        case StepBegun() | StepEnded() | StepAcknowledged():
            return replace(memory, steps=_stepped(memory.steps, record))
        case CopyKept(service=name, copy=copy):
            return replace(memory, copies=_put(memory.copies, name, copy))
        case BlockKept(service=name, reason=reason):
            return replace(memory, blocks=_put(memory.blocks, name, reason))
        case FailureKept(service=name, failure=failure):
            return replace(memory, failures=_put(memory.failures, name, failure))
        case ScoreKept() | AttributeKept():
            return _told(memory, record)


def condense(memory: Memory) -> Iterator[Record]:
    """The fewest records that make this memory."""
    incarnation, epoch = memory.term
    yield TermRaised(incarnation=incarnation, epoch=epoch)
    yield DefinitionsKept(
        services=memory.services,
        assigned=memory.assigned,
        maintenance=memory.maintenance,
        devices=memory.devices,
    )
    for name, copy in memory.copies.items():
        yield CopyKept(service=name, copy=copy)
    for name, reason in memory.blocks.items():
        yield BlockKept(service=name, reason=reason)
    for name, failure in memory.failures.items():
        yield FailureKept(service=name, failure=failure)
    for name, score in memory.scores.items():
        yield ScoreKept(service=name, score=score)
    for attribute_name, attribute in memory.attributes.items():
        yield AttributeKept(name=attribute_name, attribute=attribute)
    for key, entry in memory.steps.items():
        if entry.begun:
            yield StepBegun(step=entry.step)
        if entry.result is not None:
            yield StepEnded(step=entry.step, result=entry.result)
        if entry.acknowledged:
            yield StepAcknowledged(key=key)


def _told(memory: Memory, record: ScoreKept | AttributeKept) -> Memory:
    match record:
        case ScoreKept(service=name, score=score):
            return replace(memory, scores=_put(memory.scores, name, score))
        case AttributeKept(name=name, attribute=attribute):
            return replace(memory, attributes=_put(memory.attributes, name, attribute))


def _stepped(
    steps: Mapping[StepKey, StepEntry], record: StepBegun | StepEnded | StepAcknowledged
) -> Mapping[StepKey, StepEntry]:
    match record:
        case StepBegun(step=step):
            entry = replace(steps.get(step.key) or StepEntry(step=step), begun=True)
        case StepEnded(step=step, result=result):
            entry = replace(steps.get(step.key) or StepEntry(step=step), result=_short(result))
        case StepAcknowledged(key=key):
            known = steps.get(key)
            if known is None or known.result is None:
                return steps
            entry = replace(known, acknowledged=True, result=_silent(known.result))
    return _bounded({**steps, entry.step.key: entry})


def _bounded(steps: dict[StepKey, StepEntry]) -> Mapping[StepKey, StepEntry]:
    """Keep the limit: the oldest acknowledged goes first, then the oldest that has ended."""
    if len(steps) > STEPS_MAX:
        ended = [key for key, entry in steps.items() if entry.result is not None]
        settled = [key for key in ended if steps[key].acknowledged]
        for key in (settled or ended)[: len(steps) - STEPS_MAX]:
            del steps[key]
    return MappingProxyType(steps)


def _short(result: StepResult) -> StepResult:
    output = result.outcome.output[-OUTPUT_KEPT:]
    return replace(result, outcome=replace(result.outcome, output=output))


def _silent(result: StepResult) -> StepResult:
    return replace(result, outcome=replace(result.outcome, output=""))


def _put(mapping: Mapping[K, V], key: K, value: V | None) -> Mapping[K, V]:
    changed = {name: kept for name, kept in mapping.items() if name != key}
    if value is not None:
        changed[key] = value
    return MappingProxyType(changed)
