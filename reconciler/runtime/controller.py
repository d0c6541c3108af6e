"""The controller: the shell around `core.control`. It hears, keeps, sends, and decides nothing.

One loop takes events in order and asks the brain. What has to be durable is written in a thread of its own
and awaited before anything is sent, so that heartbeats are heard while the disk is slow. When the disk
refuses, the event waits and is thought over again later: until then nothing is ordered, and nothing stops.

Law: no effect is carried out before the `Persist` of its step has returned; a controller that is killed at
any moment leaves a store from which the next one goes on.
"""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_never

from reconciler.codec import canonical, saved_plan
from reconciler.codec.messages import (
    PROTOCOL,
    Acknowledge,
    AnyMessage,
    Definitions,
    Do,
    Done,
    Forget,
    Hello,
    Ping,
    Pong,
    Report,
    Welcome,
)
from reconciler.config.load import load_files
from reconciler.core import control
from reconciler.core.facts import NodeReport
from reconciler.core.reconcile import reconcile
from reconciler.core.verify import verify
from reconciler.membership import liveness, votes
from reconciler.membership.heartbeat import Beat
from reconciler.model.errors import ReconcilerError, Refused, Unreachable
from reconciler.model.ids import Incarnation, Millis, NodeName
from reconciler.model.intent import Heartbeat
from reconciler.model.observed import Liveness
from reconciler.ports import Commit, Fences, IntentSource, Store
from reconciler.runtime import api, clock, log
from reconciler.runtime.address import Address, parse_address
from reconciler.runtime.fences import Fencer, NoFences
from reconciler.runtime.heartbeat import HeartbeatListener
from reconciler.runtime.history import History
from reconciler.runtime.operators import Operators
from reconciler.runtime.peer_sessions import PeerSessions
from reconciler.runtime.pki import Credentials, Role
from reconciler.runtime.status import Surroundings, status
from reconciler.runtime.stream import Server, Stream, serve
from reconciler.stores import decisions

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
HELLO_MS = 5_000
STORE_RETRY_S = 0.5
CLOCK_SET_MS = 1_000
"""A wall clock that is this far off was set; rules on hours and days follow it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a controller was started."""

    credentials: Credentials
    listen: Address
    accept_auto: bool
    source: str = ""
    """Where intents come from, for people."""
    base: Path | None = None
    """Folder that `./` in commands of services is relative to."""


class Controller:
    """Runs until cancelled."""

    def __init__(self, settings: Settings, store: Store, fences: Fences | None = None) -> None:
        """Begin a term with what the store holds.

        Errors: `Corrupt` or `Refused` when the store cannot be used.
        """
        self._settings = settings
        self._store = store
        restored = decisions.restore(store)
        term = store.begin_term()
        self._now = clock.monotonic_ms()
        self.state = control.start(
            restored,
            incarnation=term.incarnation,
            epoch=term.epoch,
            now_ms=self._now,
            accept_auto=settings.accept_auto,
        )
        self._log = log.events(term=f"{term.incarnation}.{term.epoch}")
        self._since = clock.stamp()
        self._events: asyncio.Queue[control.Event] = asyncio.Queue()
        self._disk = ThreadPoolExecutor(max_workers=1, thread_name_prefix="disk")
        self._history = History(store, self._disk, self._log)
        self._operators = Operators(
            cluster=settings.credentials.identity.cluster,
            tell=self._events.put_nowait,
            questions={"observe": self._observe, "status": self._status},
            history=self._history.read,
        )
        self._fencer = Fencer(fences or NoFences(), self._events.put_nowait, self._log)
        self._agents: dict[NodeName, Stream] = {}
        self._peers = PeerSessions()
        self._heartbeat = self._wanted_heartbeat()
        self._detector = liveness.begin(self._heartbeat, self._watched(), self._now)
        self._seen: Mapping[NodeName, Liveness] = {}
        self._heard_ms: dict[NodeName, Millis] = {}
        self._look_soon = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._source_trouble = ""
        self._store_trouble = ""
        self._listener: HeartbeatListener | None = None
        self.address: Address = settings.listen

    @property
    def revision(self) -> str:
        """The revision in force."""
        return self.state.accepted.revision if self.state.accepted else ""

    async def run(
        self, source: IntentSource | None, ready: Callable[[], None] = lambda: None
    ) -> None:
        """Serve, watch and decide; `ready` is called once the ports are open.

        Errors: `Unreachable` when the ports cannot be listened on.
        """
        server = await self._open()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._decide())
                tasks.create_task(self._watch_nodes())
                tasks.create_task(self._history.write())
                if source is not None:
                    tasks.create_task(source.watch(self._found, self._troubled))
                self._log.info("controller begins", listen=f"{self.address[0]}:{self.address[1]}")
                ready()
        except* ReconcilerError as troubles:
            # One reason to end is enough, and this is the one that the command line can tell.
            raise _first(troubles) from None
        finally:
            if self._timer is not None:
                self._timer.cancel()
            await self._fencer.close()
            await server.close()
            if self._listener is not None:
                self._listener.close()
            self._disk.shutdown(wait=True)
            self._history.flush()

    async def _open(self) -> Server:
        """Open the TLS port, and the heartbeats' port of the same number."""
        server = await serve(
            self._settings.listen,
            self._settings.credentials,
            self._serve_peer,
            notice=lambda address, why: self._log.warning("peer", address=address, reason=why),
        )
        self.address = server.address
        try:
            self._listener = HeartbeatListener(server.address, self._beat)
        except BaseException:
            await server.close()
            raise
        return server

    # Deciding ------------------------------------------------------------------------------------

    async def _decide(self) -> None:
        await self._take(control.ClockMoved(ahead_ms=clock.ahead_ms()))
        while True:
            await self._take(await self._events.get())

    async def _take(self, event: control.Event) -> None:
        """Think, make durable, and only then act."""
        while True:
            state, effects = control.step(self.state, event, clock.monotonic_ms(), MEANS)
            try:
                for effect in effects:
                    if isinstance(effect, control.Persist):
                        await self._put(effect)
                break
            except Refused as trouble:
                if str(trouble) != self._store_trouble:
                    self._store_trouble = str(trouble)
                    self._log.error("the store refuses", reason=trouble)
                await asyncio.sleep(STORE_RETRY_S)
        self._store_trouble = ""
        before, self.state = self.state, state
        for effect in effects:
            self._do(effect)
        if before.accepted is not state.accepted:
            self._watch_anew()
        self._follow_heartbeat()
        if state.settled and state.accepted is not None:
            for node, peers in self._peers.news(state.accepted.intent, self._heartbeat.every_ms):
                self._send(node, peers)

    async def _put(self, effect: control.Persist) -> None:
        values = decisions.encode(effect.values)
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._disk, self._store.put, values)

    def _do(self, effect: control.Effect) -> None:  # noqa: C901 - an arm per effect
        match effect:
            case control.Persist():
                pass
            case control.Define(node=node):
                self._send(
                    node,
                    Definitions(
                        incarnation=self.state.incarnation,
                        epoch=self.state.epoch,
                        services=effect.services,
                        assigned=effect.assigned,
                        maintenance=effect.maintenance,
                        devices=effect.devices,
                    ),
                )
            case control.Order(node=node, step=step):
                self._send(node, Do(step=step))
            case control.Fence():
                self._fencer.begin(effect)
            case control.AcknowledgeStep(node=node, key=key):
                self._send(node, Acknowledge(key=key))
            case control.ForgetFailures(node=node, service=service):
                self._send(node, Forget(service=service))
            case control.Tell(request=request, body=body, last=last):
                self._operators.answer(request, dict(body), last=last)
            case control.Refuse(request=request):
                body = {"changes": list(effect.changes)} if effect.changes else {}
                error = "stale" if effect.changes else effect.reason
                self._operators.answer(request, body, error=error)
            case control.Record():
                self._history.add(effect)
            case control.WakeAt(at_ms=at_ms):
                self._wake_at(at_ms)
            case _:
                assert_never(effect)

    def _wake_at(self, at_ms: Millis | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if at_ms is not None:
            delay_s = max(1, at_ms - clock.monotonic_ms()) / 1000
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(delay_s, self._events.put_nowait, control.Tick())

    def _follow_heartbeat(self) -> None:
        """Once nothing is under way, let everybody speak and be judged as the intent says.

        Agents hear of it as they connect, so their connections are ended: they are back at once.
        """
        wanted = self._wanted_heartbeat()
        if wanted == self._heartbeat or self.state.transition is not None:
            return
        self._heartbeat = wanted
        self._watch_anew()
        for stream in tuple(self._agents.values()):
            stream.abort("the intent changes how often nodes are heard")

    def _wanted_heartbeat(self) -> Heartbeat:
        """As the accepted intent says; before there is one, as the commit that waits does."""
        candidate = self.state.candidate
        if self.state.accepted is None and candidate is not None and candidate.intent is not None:
            return candidate.intent.heartbeat
        return self.state.heartbeat

    def _watch_anew(self) -> None:
        self._detector = liveness.watch(self._detector, self._heartbeat, self._watched())
        self._look_soon.set()

    def _send(self, node: NodeName, message: AnyMessage) -> None:
        stream = self._agents.get(node)
        if stream is not None:
            with contextlib.suppress(Unreachable):  # its end is noticed by whoever receives
                stream.send(message)

    # Nodes ---------------------------------------------------------------------------------------

    def _watched(self) -> frozenset[NodeName]:
        accepted = self.state.accepted
        listed = {node.name for node in accepted.intent.nodes} if accepted else set()
        witnesses = {NodeName(name) for name in accepted.intent.witnesses} if accepted else set()
        return frozenset(listed | witnesses | self._agents.keys())

    def _beat(self, node: NodeName, _beat: Beat, now_ms: Millis) -> None:
        """Take in a heartbeat; what it changes is looked at, at once if the node was not alive."""
        self._detector = liveness.hear(self._detector, node, now_ms)
        self._heard_ms[node] = now_ms
        if self._seen.get(node) is not Liveness.ALIVE:
            self._look_soon.set()

    async def _watch_nodes(self) -> None:
        """Judge every node whenever a judgement may change, and tell the brain what did."""
        while True:
            self._detector, view = liveness.look(self._detector, clock.monotonic_ms())
            seen = {one.node: one.liveness for one in view.judgements}
            changed = {n: now for n, now in seen.items() if self._seen.get(n) is not now}
            self._seen = seen
            if abs(clock.ahead_ms() - self.state.clock_ahead_ms) > CLOCK_SET_MS:
                self._events.put_nowait(control.ClockMoved(ahead_ms=clock.ahead_ms()))
            if changed:
                self._log.info("nodes", **{str(n): now.value for n, now in changed.items()})
                self._events.put_nowait(control.LivenessChanged(nodes=tuple(changed.items())))
            self._look_soon.clear()
            delay_s = max(1, view.wake_at_ms - clock.monotonic_ms()) / 1000
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay_s):
                    await self._look_soon.wait()

    # Peers ---------------------------------------------------------------------------------------

    async def _serve_peer(self, stream: Stream) -> None:
        match stream.peer.role:
            case Role.AGENT:
                await self._serve_agent(stream, NodeName(stream.peer.name))
            case Role.OPERATOR:
                await self._operators.serve(stream)
            case _:
                raise Refused(f"{stream.peer.uri} has nothing to ask of a controller")

    async def _serve_agent(self, stream: Stream, node: NodeName) -> None:
        """Hear an agent until it goes. Its name is the one in its certificate."""
        hello = await self._hello(stream)
        if (older := self._agents.get(node)) is not None:
            self._log.warning("a second connection takes over", node=node, address=stream.address)
            older.abort("the same node has connected again")
        self._agents[node] = stream
        host = parse_address(stream.address)[0]
        self._peers.admit(node, hello.boot, host=host, port=hello.peer_port)
        self._watch_anew()
        self._welcome(stream, node)
        self._log.info("agent connected", node=node, boot=hello.boot)
        connected = control.AgentConnected(
            node=node, boot=hello.boot, incarnation=hello.incarnation, epoch=hello.epoch
        )
        self._events.put_nowait(connected)
        try:
            async for message in stream:
                self._hear(stream, node, message)
        finally:
            if self._agents.get(node) is stream:
                del self._agents[node]
                self._peers.dismiss(node)
                self._events.put_nowait(control.AgentDisconnected(node=node))
                self._log.warning("agent disconnected", node=node, reason=stream.ended)

    async def _hello(self, stream: Stream) -> Hello:
        try:
            async with asyncio.timeout(HELLO_MS / 1000):
                hello = await stream.receive()
        except TimeoutError:
            raise Unreachable("it does not say hello") from None
        if not isinstance(hello, Hello) or hello.protocol != PROTOCOL:
            raise Refused(f"it does not speak protocol {PROTOCOL}")
        return hello

    def _welcome(self, stream: Stream, node: NodeName) -> None:
        if self._listener is None:
            raise Unreachable("not listening yet")
        session = self._listener.admit(node)
        stream.send(
            Welcome(
                protocol=PROTOCOL,
                incarnation=self.state.incarnation,
                epoch=self.state.epoch,
                session=session.number,
                key=session.key,
                heartbeat_port=self._listener.address[1],
                heartbeat=self._heartbeat,
            )
        )

    def _hear(self, stream: Stream, node: NodeName, message: AnyMessage) -> None:
        match message:
            case Report():
                report = NodeReport(
                    boot=message.boot,
                    ready=message.ready,
                    probed=frozenset(message.probed),
                    copies=message.copies,
                    failures=message.failures,
                    attributes=message.attributes,
                    promotion_scores=message.promotion_scores,
                )
                self._events.put_nowait(control.ReportArrived(node=node, report=report))
            case Done(result=result):
                self._events.put_nowait(control.StepEnded(node=node, result=result))
            case Ping(sent=sent):
                stream.send(Pong(sent=sent))
            case _:
                raise Refused(f"an agent does not send {type(message).__name__}")

    # Operators -------------------------------------------------------------------------------------

    def _observe(self) -> dict[str, Any]:
        return api.observe(self.state, clock.monotonic_ms())

    def _status(self) -> dict[str, Any]:
        return status(self.state, clock.monotonic_ms(), self._surroundings())

    def _surroundings(self) -> Surroundings:
        identity = self._settings.credentials.identity
        return Surroundings(
            name=identity.name,
            cluster=identity.cluster,
            since=self._since,
            source=self._settings.source,
            source_trouble=self._source_trouble,
            store_trouble=self._store_trouble,
            heard_ms=self._heard_ms,
        )

    # Intents -------------------------------------------------------------------------------------

    async def _found(self, commit: Commit) -> None:
        """Judge a commit beside the loop, since a large one takes seconds, and tell the brain."""
        loaded = await asyncio.to_thread(load_files, commit.files, base=self._settings.base)
        cluster = self._settings.credentials.identity.cluster
        held = commit.held
        if loaded.intent is not None and loaded.intent.cluster != cluster:
            held = f'it is for cluster "{loaded.intent.cluster}"; this is "{cluster}"'
        self._log.info(
            "commit found",
            revision=commit.revision,
            usable=loaded.intent is not None,
            diagnostics=len(loaded.diagnostics),
            held=held or None,
        )
        self._events.put_nowait(
            control.IntentFound(
                revision=commit.revision,
                intent=loaded.intent,
                digest=canonical.intent_digest(loaded.intent) if loaded.intent else None,
                diagnostics=loaded.diagnostics,
                held=held,
                subject=commit.subject,
            )
        )

    async def _troubled(self, words: str) -> None:
        self._source_trouble = words
        if words:
            self._log.warning("the source of intents cannot be read", reason=words)
        else:
            self._log.info("the source of intents can be read again")


async def run_until_told(
    build: Callable[[], Awaitable[None]], signals: tuple[int, ...] = (signal.SIGINT, signal.SIGTERM)
) -> None:
    """Run until a signal asks to end; services of the cluster run on."""
    task = asyncio.ensure_future(build())
    loop = asyncio.get_running_loop()
    told = False

    def end() -> None:
        nonlocal told
        told = True
        task.cancel()

    for number in signals:
        loop.add_signal_handler(number, end)
    try:
        await task
    except asyncio.CancelledError:
        if not told:
            raise


def _first(troubles: BaseExceptionGroup[ReconcilerError]) -> ReconcilerError:
    first = troubles.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


def new_incarnation() -> Incarnation:
    """The life of a store that is made now: later ones are greater, whatever was lost before."""
    return Incarnation(int(clock.utc().timestamp()))
