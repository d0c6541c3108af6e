"""A whole cluster in one process and in virtual time: the real brain of the controller, agents made of a
dictionary each, and a store that outlives controllers. Nothing in it reads a clock; equal calls give equal
histories."""

import heapq
import itertools
from dataclasses import replace

from reconciler.codec import canonical, saved_plan
from reconciler.core import control
from reconciler.core.definition import definition_digest
from reconciler.core.facts import NodeReport
from reconciler.core.reconcile import reconcile
from reconciler.core.verify import verify
from reconciler.membership import votes
from reconciler.model.ids import BootId
from reconciler.model.observed import Certainty, Copy, Failure, Liveness
from reconciler.model.operation import Outcome, StepKey, StepResult, Verdict
from reconciler.model.plan import ActionKind
from reconciler.stores.decisions import encode, restore
from reconciler.stores.memory import MemoryStore

MEANS = control.Means(
    plan=reconcile,
    verify=verify,
    bind=lambda decision, intent, revision, observed: saved_plan.bind(
        decision, intent=intent, revision=revision, observed=observed
    ),
    fingerprint=canonical.fingerprint,
    changes=saved_plan.changes,
    quorate=lambda members, heard: votes.count(members, heard).quorate,
)
STEP_MS = 40
WIRE_MS = 1


class Crash(Exception):  # noqa: N818
    """The controller dies here."""


class Agent:
    """A node: what runs on it, and every order it ever carried out."""

    def __init__(self, cluster: "Cluster", name: str) -> None:
        self.cluster, self.name = cluster, name
        self.up = True
        self.life = 0
        self.connected = False
        self.term = 0
        self.generation = 0
        self.probed: set[str] = set()
        self.running: dict[str, str | None] = {}
        self.failed: set[str] = set()
        self.failures: dict[str, int] = {}
        self.failed_ms: dict[str, int] = {}
        self.results: dict = {}
        self.acknowledged: set = set()
        self.under_way: set = set()
        self.services: dict = {}
        self.assigned: tuple = ()
        self.refuses_to_start: set[str] = set()

    @property
    def boot(self) -> BootId:
        return BootId(f"{self.name}-{self.life}")

    def connect(self) -> None:
        if self.up and self.cluster.alive and not self.connected:
            self.connected = True
            if self.cluster.terms > self.term:  # a later term: what was acknowledged is forgotten
                self.term = self.cluster.terms
                for key in self.acknowledged:
                    self.results.pop(key, None)
            self.say(control.AgentConnected(node=self.name, boot=self.boot))
            self.report()
            for key, result in self.results.items():
                if key not in self.acknowledged:
                    self.say(control.StepEnded(node=self.name, result=result))

    def say(self, event: control.Event) -> None:
        """What is on the wire is lost with the controller that it was for."""
        term = self.cluster.terms
        if self.connected:
            self.cluster.later(
                WIRE_MS, lambda: self.cluster.hear(event) if term == self.cluster.terms else None
            )

    def report(self) -> None:
        copies = tuple(
            Copy(
                service=service,
                node=self.name,
                digest=digest,
                failed=service in self.failed,
                certainty=Certainty.OBSERVED,
            )
            for service, digest in sorted(self.running.items())
        )
        failures = tuple(
            Failure(
                service=service,
                node=self.name,
                count=count,
                operation="monitor",
                reason="it died",
                last_ms=self.cluster.now - self.failed_ms.get(service, self.cluster.now),
            )
            for service, count in sorted(self.failures.items())
        )
        report = NodeReport(
            boot=self.boot,
            ready=True,
            probed=frozenset(self.probed),
            copies=copies,
            failures=failures,
        )
        self.say(control.ReportArrived(node=self.name, report=report))

    def take(self, effect: control.Effect) -> None:
        match effect:
            case control.Define(services=services, assigned=assigned):
                self.services = {service.name: service for service in services}
                self.assigned = assigned
                if not self.probed >= self.services.keys():
                    self.probed |= self.services.keys()
                    self.report()
            case control.Order(step=step):
                self._order(step)
            case control.AcknowledgeStep(key=key):
                self.acknowledged.add(key)
            case control.ForgetFailures(service=service):
                gone = list(self.failures) if service is None else [service]
                for name in gone:
                    self.failures.pop(name, None)
                self.report()

    def _order(self, step) -> None:
        if step.key in self.results:
            self.say(control.StepEnded(node=self.name, result=self.results[step.key]))
        elif step.key not in self.under_way:
            self.under_way.add(step.key)
            generation = self.generation
            self.cluster.later(STEP_MS, lambda: self._end(step, generation))

    def _end(self, step, generation: int) -> None:
        if not self.up or generation != self.generation:
            return
        self.under_way.discard(step.key)
        self.cluster.done.append((self.name, step.key, step.kind))
        verdict = Verdict.STOPPED
        match step.kind:
            case ActionKind.START if step.service in self.refuses_to_start:
                verdict = Verdict.FAILED
                self.count_failure(step.service)
            case ActionKind.START:
                verdict = Verdict.RUNNING
                self.running[step.service] = definition_digest(self.services[step.service])
            case ActionKind.STOP:
                self.running.pop(step.service, None)
                self.failed.discard(step.service)
            case ActionKind.PROBE:
                self.probed.add(step.service)
                verdict = Verdict.RUNNING if step.service in self.running else Verdict.STOPPED
        self.results[step.key] = StepResult(key=step.key, outcome=Outcome(verdict=verdict))
        self.report()
        self.say(control.StepEnded(node=self.name, result=self.results[step.key]))

    def count_failure(self, service: str) -> None:
        self.failures[service] = self.failures.get(service, 0) + 1
        self.failed_ms[service] = self.cluster.now

    def kill_service(self, service: str) -> None:
        self.failed.add(service)
        self.count_failure(service)
        self.report()

    def lose_orders(self) -> None:
        """What it was asked for never arrived, or is forgotten."""
        self.generation += 1
        self.under_way.clear()

    def power_off(self) -> None:
        self.up = self.connected = False
        self.life += 1
        self.lose_orders()
        self.running.clear()
        self.failed.clear()
        self.failures.clear()
        self.probed.clear()
        self.results.clear()


class Cluster:
    """The controller, its store, its agents, and the time."""

    def __init__(self, nodes: str, *, accept_auto: bool = False) -> None:
        self.now = 0
        self.queue: list = []
        self.numbers = itertools.count()
        self.store = MemoryStore()
        self.accept_auto = accept_auto
        self.agents = {name: Agent(self, name) for name in nodes.split()}
        self.told: list[tuple[int, dict, bool]] = []
        self.refused: list[control.Refuse] = []
        self.records: list[control.Record] = []
        self.done: list[tuple[str, StepKey, ActionKind]] = []
        self.persists = 0
        self.crash_at: tuple[int, bool] | None = None
        self.after_step = lambda: None
        self.wake = None
        self.terms = 0
        self.begin_controller()

    def later(self, delay_ms: int, call) -> None:
        heapq.heappush(self.queue, (self.now + delay_ms, next(self.numbers), call))

    def begin_controller(self) -> None:
        term = self.store.begin_term()
        self.terms += 1
        self.alive = True
        self.state = control.start(
            restore(self.store),
            incarnation=term.incarnation,
            epoch=term.epoch,
            now_ms=self.now,
            accept_auto=self.accept_auto,
        )
        self.hear(control.Tick())
        for agent in self.agents.values():
            agent.connect()
            if agent.connected:
                self.heartbeats({agent.name: Liveness.ALIVE}, after_ms=2)

    def kill_controller(self) -> None:
        self.alive = False
        for agent in self.agents.values():
            agent.connected = False

    def heartbeats(self, nodes: dict[str, Liveness], *, after_ms: int = 0) -> None:
        event = control.LivenessChanged(nodes=tuple(nodes.items()))
        term = self.terms
        self.later(after_ms, lambda: self.hear(event) if term == self.terms else None)

    def hear(self, event: control.Event) -> None:
        if not self.alive:
            return
        try:
            self._step(event)
        except Crash:
            self.crash_at = None
            self.kill_controller()
            self.later(500, self.begin_controller)

    def _step(self, event: control.Event) -> None:
        state, effects = control.step(self.state, event, self.now, MEANS)
        for effect in effects:
            if isinstance(effect, control.Persist):
                self.persists += 1
                at = self.crash_at
                if at == (self.persists, False):
                    raise Crash
                self.store.put(encode(effect.values))
                if at == (self.persists, True):
                    raise Crash
        self.state = state
        for effect in effects:
            self._do(effect)
        self.after_step()

    def _do(self, effect: control.Effect) -> None:
        match effect:
            case control.Tell(request=request, body=body, last=last):
                self.told.append((request, dict(body), last))
            case control.Refuse():
                self.refused.append(effect)
            case control.Record():
                self.records.append(effect)
            case control.WakeAt(at_ms=at_ms):
                self.wake = at_ms
                if at_ms is not None:
                    self.later(max(0, at_ms - self.now), self._tick(at_ms))
            case control.Persist():
                pass
            case _:
                agent = self.agents[effect.node]
                term = self.terms
                if agent.connected:
                    self.later(WIRE_MS, lambda: self._deliver(agent, effect, term))

    def _deliver(self, agent: Agent, effect: control.Effect, term: int) -> None:
        if agent.connected and term == self.terms:
            agent.take(effect)

    def _tick(self, at_ms: int):
        return lambda: self.hear(control.Tick()) if self.wake == at_ms else None

    def run(self, *, ms: int = 60_000) -> "Cluster":
        """Let things happen until nothing is left to, or for so long."""
        end = self.now + ms
        while self.queue and self.queue[0][0] <= end:
            self.now, _, call = heapq.heappop(self.queue)
            call()
        self.now = end
        return self

    # What operators do ---------------------------------------------------------------------------

    def apply(self, intent, *, request: int = 1, **more) -> "Cluster":
        self.hear(
            control.ApplyRequested(
                request=request,
                intent=intent,
                digest=canonical.intent_digest(intent),
                revision=more.pop("revision", f"r{request}"),
                **more,
            )
        )
        return self

    def commit(self, intent, *, revision: str, **more) -> "Cluster":
        digest = canonical.intent_digest(intent) if intent else None
        self.hear(control.IntentFound(revision=revision, intent=intent, digest=digest, **more))
        return self

    def plan(self, intent, revision: str = "saved"):
        """What `reconcile plan --out` would have written now."""
        observed = control.observe_state(self.state, self.now)
        decision = reconcile(intent, observed, self.now)
        return MEANS.bind(decision, intent, revision, observed)

    # What one can see ----------------------------------------------------------------------------

    def runs(self) -> str:
        return " ".join(
            sorted(f"{service}@{a.name}" for a in self.agents.values() for service in a.running)
        )

    def effects(self) -> list[tuple[StepKey, ActionKind]]:
        """Every order that was carried out and changed something, in order."""
        return [(key, kind) for _, key, kind in self.done if kind is not ActionKind.PROBE]

    def events(self, request: int = 1) -> list[str]:
        return [body["event"] for who, body, _ in self.told if who == request and "event" in body]

    def disconnect(self, name: str) -> None:
        """Its connection breaks; its heartbeats do not."""
        self.agents[name].connected = False
        self.later(WIRE_MS, lambda: self.hear(control.AgentDisconnected(node=name)))

    def lose(self, name: str) -> "Cluster":
        """A power cut: silence, then suspicion, then loss."""
        agent = self.agents[name]
        agent.power_off()
        life = agent.life
        for after_ms, liveness in ((1_500, Liveness.SUSPECT), (3_500, Liveness.LOST)):
            self.later(after_ms, lambda said=liveness: self._silence(agent, life, said))
        self.later(4_000, lambda: self._silence(agent, life, None))
        return self

    def _silence(self, agent: Agent, life: int, said: Liveness | None) -> None:
        if agent.up or agent.life != life:
            return
        if said is None:
            self.hear(control.AgentDisconnected(node=agent.name))
        elif self.state.nodes[agent.name].liveness is not Liveness.UNKNOWN:
            self.hear(control.LivenessChanged(nodes=((agent.name, said),)))

    def boot(self, name: str) -> "Cluster":
        agent = self.agents[name]
        agent.up = True
        agent.connect()
        self.heartbeats({name: Liveness.ALIVE}, after_ms=5)
        return self


def edited(intent, **services):
    """The intent with fields of its services replaced."""
    return replace(
        intent,
        services=tuple(
            replace(service, **services.get(service.name, {})) for service in intent.services
        ),
    )
