"""The brain through histories that nobody would write: orders twice and late, crashes between the journal and
the effect, full disks, boots, definitions that come and go, hands that answer anything.

The driver checks at every step that what begins is durable, that no key begins twice in any life, that one
service has one operation, and that the journal makes the same memory. Here: what may run is never hidden.
"""

from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from reconciler.core.executor import (
    Acknowledged,
    Connected,
    ForgetAsked,
    Heard,
    Memory,
    OperationFinished,
    ServiceDied,
    StepArrived,
    Verb,
    condense,
    remember,
)
from reconciler.model.ids import Epoch, Incarnation, Millis, ServiceName
from reconciler.model.intent import Kind, Role, Safety
from reconciler.model.observed import Certainty
from reconciler.model.operation import Outcome, Verdict
from reconciler.model.plan import ActionKind
from tests.core.executor_node import GRACE_MS, Node, order, service

_NAMES = ("a", "b", "c")
_VARIANTS = [
    service(name, parameters=(("pidfile", version),), failures_max=2, **more)
    for name, more in (
        ("a", {}),
        ("b", {"promotable": True, "promoted": 1}),
        ("c", {"kind": Kind.VIP, "safety": Safety.BEST_EFFORT}),
    )
    for version in ("1", "2")
]
_KINDS = [ActionKind.START, ActionKind.START, ActionKind.STOP, ActionKind.STOP, ActionKind.PROBE]
_KINDS += [ActionKind.PROMOTE, ActionKind.DEMOTE, ActionKind.RELOAD, ActionKind.MIGRATE]
_ENDS = [("alpha", "bravo"), ("bravo", "alpha")]
names = st.sampled_from(_NAMES)
verdicts = st.sampled_from(list(Verdict))
rarely = st.integers(0, 7).map(lambda number: number == 0)


class Histories(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.node = Node()
        self.orders = []
        self.epoch = 1
        self.may_run: set[str] = set()
        """Started, or seen in any way but stopped, and not seen stopped since."""
        self.may_be_promoted: set[str] = set()
        """A promotion has begun, or it was seen promoted, and not seen in another role since."""
        self.promoting: set[str] = set()
        """Those of which an order says so, which every later agent of this boot has to know."""

    @initialize(runs=st.sets(names))
    def begin(self, runs):
        """Most histories begin where most nodes are: connected, and everything looked at."""
        self.node.connect()
        self.node.define(*_VARIANTS[::2])
        for name in _NAMES:
            self.finish_one(name, Verdict.RUNNING if name in runs else Verdict.STOPPED)

    # The controller ------------------------------------------------------------------------------

    @rule(left_out=st.none() | names, other=st.none() | names, idle=names, older=rarely)
    def define(self, left_out, other, idle, older):
        """Leave a service out, or take its other variant."""
        chosen = [_VARIANTS[2 * number + (name == other)] for number, name in enumerate(_NAMES)]
        services = {one.name: one for one in chosen if one.name != left_out}
        assigned = [name for name in services if name != idle]
        epoch = self.epoch - 1 if older else self.epoch
        self.node.define(*services.values(), assigned=assigned, epoch=epoch)

    @rule(raised=rarely, older=rarely)
    def connect(self, raised, older):
        self.epoch += raised
        self.node.connect(epoch=self.epoch - older)

    def answer(self):
        self.node.tell(Heard(sent_ms=Millis(self.node.now_ms)))

    @rule(
        name=names,
        kind=st.sampled_from(_KINDS),
        other=rarely,
        older=rarely,
        late=rarely,
        ends=st.sampled_from(_ENDS),
    )
    def order(self, name, kind, other, older, late, ends):
        """Most orders meet a node that listens, and a definition that it has."""
        if not self.node.state.connected and not late:
            self.node.connect(epoch=self.epoch)
        if self.node.verb(name) is Verb.PROBE and not late:
            self.finish_one(name, Verdict.STOPPED if kind is ActionKind.START else Verdict.RUNNING)
        held = self.node.state.services.get(ServiceName(name))
        definition = held.definition if held and not other else _VARIANTS[0]
        fresh = order(kind, definition, attempt=len(self.orders) + 1, epoch=self.epoch - older)
        if kind is ActionKind.MIGRATE:
            fresh = replace(fresh, source=ends[0], target=ends[1])
        self.orders.append(fresh)
        if not late:
            self.answer()
        self._order(fresh)

    @precondition(lambda self: self.orders)
    @rule(data=st.data(), newer=st.booleans())
    def order_again(self, data, newer):
        self.answer()
        again = data.draw(st.sampled_from(self.orders))
        self._order(replace(again, epoch=Epoch(self.epoch)) if newer else again)

    @rule(data=st.data(), what=st.sampled_from(["disconnect", "forget", "acknowledge", "disk"]))
    def nudge(self, data, what):
        match what:
            case "disconnect":
                self.node.disconnect()
            case "forget":
                name = data.draw(st.none() | names)
                self.node.tell(ForgetAsked(service=name and ServiceName(name)))
            case "acknowledge" if self.orders:
                self.node.tell(Acknowledged(key=data.draw(st.sampled_from(self.orders)).key))
            case "disk":
                self.node.full_disk = not self.node.full_disk

    # The node ------------------------------------------------------------------------------------

    @precondition(lambda self: self.node.running)
    @rule(data=st.data(), well=st.booleans(), verdict=verdicts, definite=rarely)
    def finish(self, data, well, verdict, definite):
        """End any operation; half of the starts and stops work."""
        name = data.draw(st.sampled_from(sorted(self.node.running)))
        good = {Verb.START: Verdict.RUNNING, Verb.STOP: Verdict.STOPPED}
        good |= {Verb.PROMOTE: Verdict.PROMOTED, Verb.DEMOTE: Verdict.RUNNING}
        verb = self.node.verb(name)
        self.finish_one(name, good.get(verb, verdict) if well else verdict, definite=definite)

    def finish_one(self, name, verdict, *, definite=False):
        ended = self.node.running.pop(ServiceName(name))
        self._learn(name, ended.verb, verdict)
        outcome = Outcome(verdict=verdict, definite=definite)
        self.node.tell(OperationFinished(service=ServiceName(name), outcome=outcome))
        self._launched()

    @precondition(lambda self: self.node.watched)
    @rule(data=st.data())
    def die(self, data):
        self.node.die(data.draw(st.sampled_from(sorted(self.node.watched))))

    @rule(ms=st.sampled_from([1, 900, GRACE_MS + 1, 10_000, 600_000]))
    def wait(self, ms):
        self.node.wait(ms)
        self._launched()

    # Crashes -------------------------------------------------------------------------------------

    @rule(what=st.sampled_from(["the agent", "the agent", "the journal's end", "the node"]))
    def lose(self, what):
        match what:
            case "the agent":
                self._boot(self.node.journal)
            case "the journal's end":
                self.promoting.clear()
                self._boot(self.node.journal.with_a_gap())
            case "the node":
                self.may_run.clear()
                self.promoting.clear()
                self._boot(self.node.journal.of_another_boot())

    @rule(data=st.data(), verdict=verdicts)
    def crash_before_the_effects(self, data, verdict):
        """What the next event writes is durable; nothing else of it happens."""
        events = [
            Connected(
                incarnation=Incarnation(1),
                epoch=Epoch(self.epoch),
                grace_ms=Millis(GRACE_MS),
                sent_ms=Millis(self.node.now_ms),
            ),
            *(StepArrived(step=step) for step in self.orders[-3:]),
            *(ServiceDied(service=name) for name in self.node.watched),
        ]
        event = data.draw(st.sampled_from(events))
        ended = data.draw(st.none() | st.sampled_from(sorted(self.node.running) or [None]))
        if ended is not None:
            event = OperationFinished(service=ended, outcome=Outcome(verdict=verdict))
            self._learn(ended, self.node.running[ended].verb, verdict)
        self.node.take(event)
        self._boot(self.node.journal)

    # Laws ----------------------------------------------------------------------------------------

    @invariant()
    def what_may_run_is_never_reported_stopped(self):
        seen = self.node.seen
        shown = {copy.service for copy in seen.copies}
        assert self.may_run & set(seen.probed) <= shown

    @invariant()
    def what_may_be_promoted_is_never_reported_in_another_role(self):
        # A broken copy is stopped before anything else is done with it, whatever its role.
        for copy in self.node.seen.copies:
            working = copy.service in self.may_be_promoted and not copy.failed
            assert not working or copy.role is Role.PROMOTED

    @invariant()
    def a_start_under_way_is_never_a_fact(self):
        for name in self.node.running:
            if self.node.verb(name) is Verb.START and (copy := self.node.copy(name)):
                assert copy.certainty is not Certainty.OBSERVED or copy.failed or self._ran(name)

    @invariant()
    def ready_means_that_all_was_looked_at_once(self):
        held = self.node.state.services.values()
        assert self.node.state.unseen == sum(one.seen is None for one in held)

    @invariant()
    def counters_and_queues_agree_with_what_is_under_way(self):
        assert sum(self.node.state.busy.values()) == len(self.node.running)
        for name, held in self.node.state.services.items():
            waiting = held.step or held.look or held.repair or held.release
            waits = held.under_way is None and waiting
            assert (held.queued is not None) == bool(waits)
            if held.queued is not None:
                assert name in self.node.state.queues[held.queued]

    @invariant()
    def a_condensed_memory_is_the_same_memory(self):
        memory = Memory()
        for record in condense(self.node.state.memory):
            memory = remember(memory, record)
        assert memory == self.node.state.memory

    def _order(self, wanted):
        self.node.order(wanted)
        self._launched()

    def _launched(self):
        starts = (Verb.START, Verb.MIGRATE_FROM)
        self.may_run |= {name for name in self.node.running if self.node.verb(name) in starts}
        running = self.node.running
        self.promoting |= {n for n in running if self.node.verb(n) is Verb.PROMOTE}
        self.may_be_promoted |= self.promoting

    def _learn(self, name, verb, verdict):
        if verdict is Verdict.PROMOTED:
            self.may_be_promoted.add(name)
        elif verdict in (Verdict.RUNNING, Verdict.STOPPED):
            self.may_be_promoted.discard(name)
            self.promoting.discard(name)
        if verdict is Verdict.STOPPED and verb is not Verb.START:
            self.may_run.discard(name)
        elif verdict is not Verdict.STOPPED:
            self.may_run.add(name)

    def _ran(self, name):
        own = self.node.state.memory.copies.get(name)
        return own is not None and own.phase in ("running", "broken")

    def _boot(self, memory):
        self.node.boot(memory)
        self.may_be_promoted = set(self.promoting)
        self._launched()


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=35, stateful_step_count=50, deadline=None)


@pytest.mark.slow
class TestManyHistories(Histories.TestCase):
    settings = settings(max_examples=400, stateful_step_count=60, deadline=None)
