"""The controller's shell: real TLS, real heartbeats, and an agent that the test plays itself."""

import asyncio
import contextlib
import time
from dataclasses import replace

import msgspec
import pytest

from reconciler.codec.messages import (
    PROTOCOL,
    Acknowledge,
    Definitions,
    Do,
    Done,
    Hello,
    Ping,
    Pong,
    Report,
    Welcome,
)
from reconciler.core.definition import definition_digest
from reconciler.model.errors import Refused, Unreachable
from reconciler.model.observed import Copy, Failure
from reconciler.model.operation import Outcome, StepResult, Verdict
from reconciler.model.plan import ActionKind
from reconciler.runtime.client import Client
from reconciler.runtime.controller import Controller, Settings
from reconciler.runtime.heartbeat import Link, Speaker
from reconciler.runtime.pki import Role
from reconciler.runtime.stream import connect
from reconciler.stores.memory import MemoryStore
from tests.builders import intent
from tests.runtime.members import authority, member

PATIENCE_S = 10
SHOP = replace(intent("alpha", {"web": {"failures_max": 100}}), cluster="shop")
WEB = SHOP.services[0]
FOUND = {
    ActionKind.START: Verdict.RUNNING,
    ActionKind.STOP: Verdict.STOPPED,
    ActionKind.PROBE: Verdict.STOPPED,
}


class Disk(MemoryStore):
    """A store that refuses when told to."""

    full = False

    def put(self, values):
        if self.full:
            raise Refused("the disk is full")
        super().put(values)


class Played:
    """An agent whose services are words: it does what it is told, and reports that."""

    def __init__(self, stream, speaker):
        self.stream, self.speaker = stream, speaker
        self.boot = "boot-1"
        self.copies = {}
        self.failures = {}
        self.orders = []
        self.acknowledged = []
        self.pongs = []
        self.obeys = True
        self._sequence = 0
        self._stirred = asyncio.Event()
        self.task = asyncio.create_task(self._listen())

    @classmethod
    async def connect(cls, address, *, protocol=PROTOCOL):
        stream = await connect([address], member(Role.AGENT), Role.CONTROLLER)
        stream.send(Hello(protocol=protocol, boot="boot-1", incarnation=0, epoch=0))
        welcome = await stream.receive()
        assert isinstance(welcome, Welcome)
        speaker = Speaker.start("boot-1")
        link = Link(target="127.0.0.1", port=welcome.heartbeat_port)
        speaker.speak(
            session=welcome.session,
            key=welcome.key,
            links=[link],
            every_ms=welcome.heartbeat.every_ms,
        )
        return cls(stream, speaker)

    async def _listen(self):
        async for message in self.stream:
            match message:
                case Definitions():
                    self.report()
                case Do(step=step):
                    self.orders.append((step, time.monotonic()))
                    if self.obeys:
                        self.obey(step)
                case Acknowledge(key=key):
                    self.acknowledged.append(key)
                case Pong(sent=sent):
                    self.pongs.append(sent)
            self._stirred.set()

    def obey(self, step):
        match step.kind:
            case ActionKind.START:
                self.copies[step.service] = Copy(
                    service=step.service, node="alpha", digest=step.definition
                )
            case ActionKind.STOP:
                self.copies.pop(step.service, None)
        self.report()
        outcome = Outcome(verdict=FOUND[step.kind])
        self.stream.send(Done(result=StepResult(key=step.key, outcome=outcome)))

    def report(self):
        self._sequence += 1
        self.stream.send(
            Report(
                sequence=self._sequence,
                boot=self.boot,
                ready=True,
                probed=("web",),
                copies=tuple(self.copies.values()),
                failures=tuple(self.failures.values()),
            )
        )

    def kill(self, service):
        """The service dies; says when that was reported."""
        count = self.failures[service].count + 1 if service in self.failures else 1
        self.failures[service] = Failure(
            service=service, node="alpha", count=count, operation="watch", reason="died", last_ms=0
        )
        self.copies[service] = replace(self.copies[service], failed=True)
        self.report()
        return time.monotonic()

    async def until(self, condition):
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._stirred.clear()
                await self._stirred.wait()

    async def end(self):
        self.speaker.stop()
        self.stream.abort("the test is over")
        await asyncio.gather(self.task, return_exceptions=True)


@contextlib.asynccontextmanager
async def controller(store):
    settings = Settings(
        credentials=member(Role.CONTROLLER), listen=("127.0.0.1", 0), accept_auto=False
    )
    made, ready = Controller(settings, store), asyncio.Event()
    task = asyncio.create_task(made.run(None, ready.set))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, waiting, return_exceptions=True)


@contextlib.asynccontextmanager
async def operator(made):
    client = await Client.connect(*made.address, authority())
    try:
        yield client
    finally:
        await client.close()


@contextlib.asynccontextmanager
async def cluster(store=None):
    """A controller, its one agent, an operator, and `web` running."""
    async with controller(store or Disk()) as made:
        agent = await Played.connect(made.address)
        try:
            async with operator(made) as client:
                body = {"intent": msgspec.to_builtins(SHOP), "revision": "r1"}
                events = [event async for event in client.follow("apply", body)]
                assert events[-1]["event"] == "converged", events
                yield made, agent, client
        finally:
            await agent.end()


def test_an_apply_reaches_the_agent_and_its_end_the_operator():
    async def story():
        async with cluster() as (made, agent, client):
            step = agent.orders[-1][0]
            assert (step.kind, step.service) == (ActionKind.START, "web")
            assert step.definition == definition_digest(WEB)
            assert (step.incarnation, step.epoch) == (1, 1)
            status = await client.ask("status", {})
            assert [service["state"] for service in status["services"]] == ["running"]
            assert status["quorum"] == {"held": True, "votes": 2, "needed": 2, "total": 2}
            assert made.revision == "r1"

    asyncio.run(story())


def test_from_a_death_report_to_the_order_it_takes_milliseconds():
    async def story():
        async with cluster() as (_, agent, _):
            delays = []
            for _ in range(5):
                count = len(agent.orders)
                died = agent.kill("web")
                await agent.until(lambda n=count: len(agent.orders) >= n + 2)
                delays.append(agent.orders[count][1] - died)
            # A loaded machine may be slow a few times; the way itself has to be short.
            assert min(delays) < 0.03, delays

    asyncio.run(story())


def test_a_result_is_acknowledged_only_when_it_is_kept():
    async def story():
        store = Disk()
        async with cluster(store) as (_, agent, _):
            agent.obeys = False
            count = len(agent.acknowledged)
            agent.kill("web")
            await agent.until(lambda: agent.orders[-1][0].kind is ActionKind.STOP)
            store.full = True
            step = agent.orders[-1][0]
            agent.obey(step)
            agent.stream.send(Ping(sent=7))
            await agent.until(lambda: 7 in agent.pongs)
            assert len(agent.acknowledged) == count
            store.full = False
            await agent.until(lambda: len(agent.acknowledged) > count)
            assert agent.acknowledged[-1] == step.key
            await agent.until(lambda: agent.orders[-1][0].kind is ActionKind.START)

    asyncio.run(story())


def test_a_disk_that_refuses_stops_orders_and_nothing_else():
    async def story():
        store = Disk()
        async with cluster(store) as (_, agent, client):
            store.full = True
            count = len(agent.orders)
            agent.kill("web")
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    status = await client.ask("status", {})
                    if status["controller"]["trouble"]:
                        break
            assert "the disk is full" in status["controller"]["trouble"]
            assert len(agent.orders) == count
            assert agent.stream.ended is None
            store.full = False
            await agent.until(lambda: len(agent.orders) >= count + 2)

    asyncio.run(story())


def test_the_next_controller_takes_up_what_was_under_way_under_the_same_key():
    async def story():
        store = Disk()
        async with cluster(store) as (_, agent, _):
            agent.obeys = False
            count = len(agent.orders)
            agent.kill("web")
            await agent.until(lambda: len(agent.orders) > count)
            first = agent.orders[-1][0]
            copies, failures = dict(agent.copies), dict(agent.failures)
        async with controller(store) as made:
            agent = await Played.connect(made.address)
            agent.copies, agent.failures = copies, failures
            agent.report()
            await agent.until(lambda: len(agent.orders) >= 2)
            again = agent.orders[0][0]
            assert again.key == first.key
            assert again.epoch == first.epoch + 1
            await agent.end()

    asyncio.run(story())


def test_a_second_connection_of_a_node_takes_over():
    async def story():
        async with cluster() as (made, agent, client):
            other = await Played.connect(made.address)
            other.copies = dict(agent.copies)
            other.report()
            await asyncio.wait([agent.task], timeout=PATIENCE_S)
            assert agent.stream.ended is not None
            count = len(other.orders)
            other.kill("web")
            await other.until(lambda: len(other.orders) >= count + 2)
            status = await client.ask("status", {})
            assert status["nodes"][0]["connected"]
            await other.end()

    asyncio.run(story())


def test_an_agent_of_another_protocol_is_turned_away():
    async def story():
        async with controller(Disk()) as made:
            with pytest.raises(Unreachable):
                await Played.connect(made.address, protocol=PROTOCOL + 1)

    asyncio.run(story())


def test_a_port_that_is_taken_ends_it_with_words():
    async def story():
        async with controller(Disk()) as made:
            settings = Settings(
                credentials=member(Role.CONTROLLER), listen=made.address, accept_auto=False
            )
            with pytest.raises(Unreachable, match="listen"):
                await Controller(settings, Disk()).run(None)

    asyncio.run(story())
