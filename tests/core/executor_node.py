"""A node without a world: drives the brain as its shell would, and lets a test say how operations end.

It checks the laws of the border at every event: `Persist` first and at most once, every start and stop for
an order after one, and a memory that is exactly what the journal holds.
"""

from dataclasses import replace

from reconciler.core.definition import definition_digest
from reconciler.core.executor import (
    Booted,
    Connected,
    DefinitionsArrived,
    Disconnected,
    Due,
    Effect,
    HangUp,
    Memory,
    NotDurable,
    Note,
    OperationFinished,
    Persist,
    Record,
    RunOperation,
    SendDone,
    SendReport,
    ServiceDied,
    SetTimer,
    Snapshot,
    State,
    StepArrived,
    Unwatch,
    Verb,
    Watch,
    remember,
    snapshot,
    step,
)
from reconciler.core.executor.events import Happening
from reconciler.model.ids import ActionId, Epoch, Incarnation, Millis, NodeName, PlanId, ServiceName
from reconciler.model.intent import Kind, Operation, Service
from reconciler.model.observed import Copy
from reconciler.model.operation import Outcome, Step, StepKey, StepResult, Verdict
from reconciler.model.plan import ActionKind

GRACE_MS = 3_500


def service(name: str, **changes) -> Service:
    every = Operation(timeout_ms=Millis(20_000), every_ms=Millis(10_000))
    plain = Service(name=ServiceName(name), kind=Kind.SCRIPT, monitor=every)
    return replace(plain, **changes)


class Node:
    """One agent's life after another on one boot of a node."""

    def __init__(self, *, now_ms: int = 1_000_000) -> None:
        self.now_ms = now_ms
        self.journal = Memory()
        self.full_disk = False
        self._dirty = False
        self.begun: list[StepKey] = []
        """Keys of every start and stop that ever began for an order."""
        self.terms: list[tuple[int, int]] = []
        """Terms of those, in order."""
        self.boot()

    # Life -----------------------------------------------------------------------------------------

    def boot(self, memory: Memory | None = None) -> None:
        """An agent starts with what the journal holds."""
        self.journal = memory or self.journal
        self._dirty = False
        self._past = {key for key, entry in self.journal.steps.items() if entry.begun}
        self.state = State(node=NodeName("alpha"))
        self.running: dict[ServiceName, RunOperation] = {}
        self.timers: dict[ServiceName | None, int] = {}
        self.watched: set[ServiceName] = set()
        self.sent: list[StepResult] = []
        self.reports: list[Snapshot] = []
        self.hung_up = False
        self.tell(Booted(memory=self.journal))

    def tell(self, event: Happening) -> tuple[Effect, ...]:
        """Take in an event as a shell does: what has to be durable first, then the effects."""
        effects = self.take(event)
        for effect in effects:
            self._carry_out(effect)
        return effects

    def take(self, event: Happening) -> tuple[Effect, ...]:
        """Take in an event up to its effects, which a crash then prevents."""
        state, effects = step(self.state, event, Millis(self.now_ms))
        written = [effect for effect in effects if isinstance(effect, Persist | Note)]
        assert written in ([], list(effects[:1])), "at most one write, and first"
        assert written or state.memory == self.state.memory or isinstance(event, Booted)
        if written and self.full_disk:
            self._dirty = True
            if isinstance(written[0], Persist):
                state, effects = step(
                    self.state, NotDurable(event=event, reason="disk full"), Millis(self.now_ms)
                )
                assert not any(isinstance(effect, Persist | Note) for effect in effects)
        elif written:
            self._write(written[0].records, state.memory)
        self.state = state
        return effects

    def _write(self, records: tuple[Record, ...], memory: Memory) -> None:
        for record in records:
            self.journal = remember(self.journal, record)
        if self._dirty:  # a journal that failed is written anew
            self.journal, self._dirty = memory, False
        assert self.journal == memory, "the journal and the memory disagree"

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case RunOperation(service=name, verb=verb):
                assert name not in self.running, "two operations of one service"
                self.running[name] = effect
                order = self.state.services[name].under_way.step
                if order is not None and verb is not Verb.PROBE:
                    assert self.journal.steps[order.key].begun, "begun before it was durable"
                    assert order.key not in self.begun, "one key, twice"
                    assert order.key not in self._past, "done again by the next agent"
                    self.begun.append(order.key)
                    self.terms.append((order.incarnation, order.epoch))
                    assert self.terms == sorted(self.terms), "an older term was obeyed"
            case Watch(definition=definition):
                self.watched.add(definition.name)
            case Unwatch(service=name):
                self.watched.discard(name)
            case SetTimer(service=name, at_ms=None):
                self.timers.pop(name, None)
            case SetTimer(service=name, at_ms=at_ms):
                self.timers[name] = at_ms
            case SendReport():
                self.reports.append(self.seen)
            case SendDone(result=result):
                self.sent.append(result)
            case HangUp():
                self.hung_up = True
            case Persist() | Note():
                pass

    # What happens to it ---------------------------------------------------------------------------

    def define(self, *services: Service, assigned=None, maintenance=(), epoch: int = 1) -> None:
        names = frozenset(s.name for s in services)
        self.tell(
            DefinitionsArrived(
                incarnation=Incarnation(1),
                epoch=Epoch(epoch),
                services=services,
                assigned=names if assigned is None else frozenset(map(ServiceName, assigned)),
                maintenance=frozenset(map(ServiceName, maintenance)),
            )
        )

    def connect(self, *, epoch: int = 1) -> None:
        self.tell(
            Connected(
                incarnation=Incarnation(1),
                epoch=Epoch(epoch),
                grace_ms=Millis(GRACE_MS),
                sent_ms=Millis(self.now_ms),
            )
        )

    def disconnect(self) -> None:
        self.tell(Disconnected())

    def order(self, order: Step) -> None:
        self.tell(StepArrived(step=order))

    def finish(self, name: str, verdict: Verdict, **more) -> tuple[Effect, ...]:
        """End the operation under way, which has to be there."""
        del self.running[ServiceName(name)]
        outcome = Outcome(verdict=verdict, **more)
        return self.tell(OperationFinished(service=ServiceName(name), outcome=outcome))

    def die(self, name: str) -> None:
        assert name in self.watched, "nobody watches it"
        self.watched.discard(ServiceName(name))
        self.tell(ServiceDied(service=ServiceName(name)))

    def wait(self, ms: int) -> None:
        """Let time pass, and every timer come at its time."""
        end = self.now_ms + ms
        while True:
            due = min(
                ((at, n) for n, at in self.timers.items() if at <= end),
                key=lambda timer: (timer[0], timer[1] or ""),
                default=None,
            )
            if due is None:
                break
            at, name = due
            del self.timers[name]
            self.now_ms = max(self.now_ms, at)
            self.tell(Due(service=name))
        self.now_ms = end

    # What a test looks at -------------------------------------------------------------------------

    @property
    def seen(self) -> Snapshot:
        return snapshot(self.state, Millis(self.now_ms))

    def copy(self, name: str) -> Copy | None:
        return next((c for c in self.seen.copies if c.service == name), None)

    def failures(self, name: str) -> int:
        return next((f.count for f in self.seen.failures if f.service == name), 0)

    def verb(self, name: str) -> Verb | None:
        order = self.running.get(ServiceName(name))
        return order.verb if order is not None else None


def settled(*services: Service, runs=(), assigned=None, epoch: int = 1) -> Node:
    """A connected node that knows these services and has looked at all of them."""
    node = Node()
    node.connect(epoch=epoch)
    node.define(*services, assigned=assigned, epoch=epoch)
    while node.running:
        name = next(iter(node.running))
        node.finish(name, Verdict.RUNNING if name in runs else Verdict.STOPPED)
    node.sent.clear()
    node.reports.clear()
    return node


def order(
    kind: ActionKind, of: Service, *, attempt: int = 1, epoch: int = 1, plan: str = "p", **changes
) -> Step:
    plain = Step(
        key=StepKey(plan=PlanId(plan), action=ActionId(f"{kind}:{of.name}"), attempt=attempt),
        kind=kind,
        service=of.name,
        definition=definition_digest(of),
        epoch=Epoch(epoch),
        incarnation=Incarnation(1),
        valid_ms=Millis(GRACE_MS),
    )
    return replace(plain, **changes)
