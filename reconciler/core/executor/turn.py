"""The working copy of one step: changes are collected here, and made values and effects at the end.

Whoever changes a service only says what is wanted (`step`, `look`, `repair`); the turn keeps the queues,
the timers and the reports in line with it.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType

from reconciler.core.executor import timing
from reconciler.core.executor.events import (
    Effect,
    Note,
    Persist,
    RunOperation,
    SendDone,
    SendReport,
    SetTimer,
    Unwatch,
    Verb,
)
from reconciler.core.executor.memory import (
    BlockKept,
    CopyKept,
    FailureKept,
    Memory,
    OwnCopy,
    Record,
    ScoreKept,
    remember,
)
from reconciler.core.executor.state import LANE_LIMITS, Held, Lane, Look, State, UnderWay
from reconciler.core.executor.views import copy_of
from reconciler.model.errors import BrokenLaw
from reconciler.model.ids import Millis, NodeName, ServiceName
from reconciler.model.intent import FenceDevice, Kind, Service
from reconciler.model.observed import Failure
from reconciler.model.operation import Step, StepResult, Verdict

_View = tuple[object, ...]


class Turn:
    """One step in the making. Nothing outside sees it before `close`."""

    def __init__(self, state: State, now_ms: Millis, *, trouble: str | None = None) -> None:
        self.now_ms = now_ms
        self.trouble = trouble
        """Why nothing can be made durable now; None: it can."""
        self.state = state
        self.memory: Memory = state.memory
        self.services = state.services.copy()
        self._unseen = state.unseen
        self._queues = {lane: deque(state.queues.get(lane, ())) for lane in Lane}
        self._busy = {lane: state.busy.get(lane, 0) for lane in Lane}
        self._before: dict[ServiceName, _View] = {}
        self._records: list[Record] = []
        self._durable = False
        self._effects: list[Effect] = []
        self._report = False
        self._results: list[StepResult] = []
        self._runs: list[RunOperation] = []

    # What is known of a service -------------------------------------------------------------------

    def own(self, name: ServiceName) -> OwnCopy | None:
        """The copy of a service that this node has, by its memory."""
        return self.memory.copies.get(name)

    def put(self, name: ServiceName, held: Held) -> None:
        """Keep what is known of a service, and queue it for what it wants."""
        self._touch(name)
        earlier = self.services.get(name)
        self._unseen += _is_unseen(held) - _is_unseen(earlier)
        lane = _lane(held)
        if lane is not None and held.queued is not lane:
            self._queues[lane].append(name)
        self.services[name] = replace(held, queued=lane)

    def drop(self, name: ServiceName) -> None:
        """Forget a service of which nothing is here."""
        self._touch(name)
        self._unseen -= _is_unseen(self.services.pop(name))
        if name in self.memory.failures:
            self.record(FailureKept(service=name, failure=None))
        if name in self.memory.scores:
            self.record(ScoreKept(service=name, score=None))
        self.do(Unwatch(service=name))
        self.do(SetTimer(service=name, at_ms=None))

    # What is to be done ---------------------------------------------------------------------------

    def record(self, record: Record, *, durable: bool = False) -> None:
        """Remember something; durable: before anything else that comes of this step."""
        if isinstance(record, CopyKept | BlockKept | FailureKept | ScoreKept):
            self._touch(record.service)
        self.memory = remember(self.memory, record)
        self._records.append(record)
        self._durable = self._durable or durable

    def do(self, effect: Effect) -> None:
        """Let the shell do this, after what is recorded and before what is sent."""
        self._effects.append(effect)

    def report(self) -> None:
        """Send a report, once."""
        self._report = True

    def send(self, result: StepResult) -> None:
        """Send a result, after the report."""
        self._results.append(result)

    def run(
        self, name: ServiceName, definition: Service, under_way: UnderWay, timeout_ms: Millis
    ) -> None:
        """Begin the one operation of a service."""
        held = self.services[name]
        if held.under_way is not None:
            raise BrokenLaw("one operation at a time per service", str(name))
        self._busy[under_way.lane] += 1
        self.put(name, replace(held, under_way=under_way, monitor_at_ms=None))
        own, step = self.own(name), under_way.step
        self._runs.append(
            RunOperation(
                service=name,
                verb=under_way.verb,
                definition=definition,
                timeout_ms=timeout_ms,
                promoted=held.promoted or (own is not None and own.promoted),
                peer=_other_end(step, under_way.verb),
                notify=step.notify if step is not None else (),
                device=self._device(definition),
            )
        )

    def _device(self, definition: Service) -> FenceDevice | None:
        if definition.kind is not Kind.FENCE_DEVICE:
            return None
        named = (device for device in self.memory.devices if device.name == definition.agent)
        return next(named, None)

    def finish(self, name: ServiceName) -> UnderWay:
        """The operation of a service has ended: say which it was."""
        held = self.services.get(name)
        if held is None or held.under_way is None:
            raise BrokenLaw("only what runs can finish", str(name))
        self._busy[held.under_way.lane] -= 1
        self.put(name, replace(held, under_way=None))
        return held.under_way

    # The end --------------------------------------------------------------------------------------

    def close(
        self, begin: Callable[["Turn", ServiceName], None]
    ) -> tuple[State, tuple[Effect, ...]]:
        """Begin what has room, set the timers, and give the new state with its effects in order."""
        self._begin_waiting(begin)
        for name in tuple(self._before):
            held = self.services.get(name)
            if held is not None and not held.wanted and self._is_gone(name, held):
                self.drop(name)
        for name in self._before:
            self._arm(name)
        state = self._new_state()
        changed = any(self._view(name) != view for name, view in self._before.items())
        if state.connected and (
            self._report or state.ready != self.state.ready or (changed and state.ready)
        ):
            self._effects.append(SendReport())
        if state.connected:
            self._effects += [SendDone(result=result) for result in self._results]
        return state, (*self._written(), *self._effects, *self._runs)

    def _begin_waiting(self, begin: Callable[["Turn", ServiceName], None]) -> None:
        for lane in Lane:
            queue = self._queues[lane]
            while queue and self._busy[lane] < LANE_LIMITS[lane]:
                name = queue.popleft()
                held = self.services.get(name)
                if held is not None and held.queued is lane:
                    self.services[name] = replace(held, queued=None)
                    begin(self, name)

    def _is_gone(self, name: ServiceName, held: Held) -> bool:
        return (
            held.under_way is None
            and held.step is None
            and held.seen in (None, Verdict.STOPPED)
            and name not in self.memory.copies
            and name not in self.memory.blocks
        )

    def _arm(self, name: ServiceName) -> None:
        held = self.services.get(name)
        if held is None:
            return
        held = replace(held, monitor_at_ms=timing.monitor_at(self._here(name, held)))
        due_ms = timing.due(self._here(name, held))
        if due_ms != held.timer_ms:
            self.do(SetTimer(service=name, at_ms=due_ms))
        self.services[name] = replace(held, timer_ms=due_ms)

    def _here(self, name: ServiceName, held: Held) -> timing.Here:
        return timing.Here(
            held=held,
            own=self.own(name),
            blocked=name in self.memory.blocks,
            failure=self.failure(name),
            assigned=name in self.memory.assigned,
            alone_ms=self.state.alone_ms,
            cut_off_ms=self.cut_off_ms,
            grace_ms=self.state.grace_ms,
            now_ms=self.now_ms,
        )

    @property
    def cut_off_ms(self) -> Millis:
        """Since when nobody has certainly been heard: since the agent's start, if ever."""
        heard = [at for at in (self.state.heard_ms, self.state.backed_ms) if at is not None]
        if heard:
            return max(heard)
        alone_ms = self.state.alone_ms if self.state.alone_ms is not None else self.now_ms
        return Millis(alone_ms - self.state.grace_ms)

    def here(self, name: ServiceName) -> timing.Here:
        """What timing needs to know of a service."""
        return self._here(name, self.services[name])

    def failure(self, name: ServiceName) -> Failure | None:
        """The failures of a service here."""
        return self.memory.failures.get(name)

    def _new_state(self) -> State:
        return replace(
            self.state,
            memory=self.memory,
            services=MappingProxyType(self.services),
            unseen=self._unseen,
            ready=self.state.ready or self._unseen == 0,
            queues=MappingProxyType({lane: tuple(queue) for lane, queue in self._queues.items()}),
            busy=MappingProxyType(self._busy),
        )

    def _written(self) -> tuple[Effect, ...]:
        if not self._records or self.trouble is not None:
            return ()
        records = tuple(self._records)
        return (Persist(records=records) if self._durable else Note(records=records),)

    def _touch(self, name: ServiceName) -> None:
        if name not in self._before:
            self._before[name] = self._view(name)

    def _view(self, name: ServiceName) -> _View:
        held = self.services.get(name)
        if held is None:
            return (None, None, False, None)
        own, blocked = self.memory.copies.get(name), self.memory.blocks.get(name)
        copy = copy_of(self.state.node, held, own=own, blocked=blocked)
        scores = self.memory.scores
        return (copy, self.memory.failures.get(name), held.seen is not None, scores.get(name))


def look_for(held: Held, look: Look) -> Held:
    """Ask for a look; of two that wait, the one that means more stays."""
    order = (Look.MONITOR, Look.AGAIN, Look.DEATH, Look.FIRST)
    if held.look is not None and order.index(held.look) >= order.index(look):
        return held
    return replace(held, look=look)


def is_stopping(held: Held) -> bool:
    """Say whether a stop is under way."""
    return held.under_way is not None and held.under_way.verb is Verb.STOP


def _other_end(step: Step | None, verb: Verb) -> NodeName | None:
    match verb:
        case Verb.MIGRATE_TO if step is not None:
            return step.target
        case Verb.MIGRATE_FROM if step is not None:
            return step.source
        case _:
            return None


def _lane(held: Held) -> Lane | None:
    if held.under_way is not None:
        return None
    if held.step or held.repair or held.release or held.look in (Look.DEATH, Look.AGAIN):
        return Lane.URGENT
    return Lane.ROUTINE if held.look else None


def _is_unseen(held: Held | None) -> bool:
    return held is not None and held.seen is None
