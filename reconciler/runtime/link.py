"""The agent's end of the connection to its controller: dials, keeps, and dials again.

Messages become events and results become messages; nothing is decided here. Reports are asked for as
often as anything changes and leave at most every `REPORT_EVERY_MS`, always before a result that comes later.

A `Ping` goes out several times within the validity of an order. Only its answer counts as having heard the
controller: an order that waited in a buffer while this node slept is then as old as it is.
"""

import asyncio
import random
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import assert_never

from reconciler.codec.messages import (
    PROTOCOL,
    Acknowledge,
    AnyMessage,
    Definitions,
    Do,
    Done,
    Forget,
    Hello,
    Peers,
    Ping,
    Pong,
    Report,
    Request,
    Response,
    Welcome,
)
from reconciler.core.executor import (
    Acknowledged,
    Connected,
    DefinitionsArrived,
    Disconnected,
    ForgetAsked,
    Heard,
    Snapshot,
    StepArrived,
)
from reconciler.model.errors import Corrupt, ReconcilerError, Refused, Unreachable
from reconciler.model.ids import BootId, Epoch, Incarnation, Millis
from reconciler.model.operation import StepResult
from reconciler.runtime import clock, heartbeat
from reconciler.runtime.address import Address
from reconciler.runtime.log import Events
from reconciler.runtime.pki import Credentials, Role
from reconciler.runtime.stream import Stream, connect

REPORT_EVERY_MS = 10
WELCOME_MS = 5_000
PAUSE_FIRST_MS = 100
PAUSE_MAX_MS = 2_000
"""How long to wait before dialling again: twice as long each time, up to this."""
PING_MIN_MS, PING_MAX_MS = 20, 1_000
LINKS_MAX = 8

Arrived = (
    Acknowledged | Connected | DefinitionsArrived | Disconnected | ForgetAsked | Heard | StepArrived
)
Tell = Callable[[Arrived], bool]
"""Takes in an event; False when there are too many."""


class Link:
    """Keeps the agent connected, and speaks for it."""

    def __init__(  # noqa: PLR0913 - it joins what knows nothing of each other
        self,
        controllers: Sequence[Address],
        credentials: Credentials,
        *,
        boot: BootId,
        term: Callable[[], tuple[Incarnation, Epoch]],
        snapshot: Callable[[], Snapshot],
        tell: Tell,
        speaker: heartbeat.Speaker,
        log: Events,
    ) -> None:
        self.sequence = 0
        """Of the last report in this connection."""
        self.beat_every_ms = Millis(500)
        self._controllers = tuple(controllers)
        self._credentials = credentials
        self._boot = boot
        self._term = term
        self._snapshot = snapshot
        self._tell = tell
        self._speaker = speaker
        self._log = log
        self._stream: Stream | None = None
        self._reported_ms = 0
        self._report_timer: asyncio.TimerHandle | None = None

    async def keep(self) -> None:
        """Be connected whenever a controller answers, until cancelled."""
        pause_ms, said = PAUSE_FIRST_MS, ""
        while True:
            try:
                stream = await connect(self._controllers, self._credentials, Role.CONTROLLER)
                welcome, sent_ms = await self._greet(stream)
                await self._converse(stream, welcome, sent_ms)
                if clock.monotonic_ms() - sent_ms > PAUSE_MAX_MS:
                    pause_ms, said = PAUSE_FIRST_MS, ""
            except ReconcilerError as trouble:
                if str(trouble) != said:
                    said = str(trouble)
                    self._log.warning("no controller", reason=said)
            await asyncio.sleep(pause_ms * random.uniform(0.5, 1) / 1000)  # noqa: S311 - no secret
            pause_ms = min(2 * pause_ms, PAUSE_MAX_MS)

    def report(self) -> None:
        """Send a report now, or as soon as the last one is old enough."""
        if self._stream is None or self._report_timer is not None:
            return
        wait_ms = self._reported_ms + REPORT_EVERY_MS - clock.monotonic_ms()
        if wait_ms <= 0:
            self._send_report()
        else:
            loop = asyncio.get_running_loop()
            self._report_timer = loop.call_later(wait_ms / 1000, self._send_report)

    def done(self, result: StepResult) -> None:
        """Send a result, after the report that is waiting."""
        if self._report_timer is not None:
            self._send_report()
        self._send(Done(result=result))

    def hang_up(self, reason: str) -> None:
        """End the connection, and try again."""
        if self._stream is not None:
            self._stream.abort(reason)

    async def close(self) -> None:
        """Send what is waiting, and end the connection."""
        if self._stream is not None:
            await self._stream.close()

    async def _greet(self, stream: Stream) -> tuple[Welcome, Millis]:
        sent_ms = clock.monotonic_ms()
        incarnation, epoch = self._term()
        stream.send(
            Hello(
                protocol=PROTOCOL,
                boot=self._boot,
                incarnation=incarnation,
                epoch=epoch,
                peer_port=self._speaker.peer_port,
            )
        )
        try:
            async with asyncio.timeout(WELCOME_MS / 1000):
                welcome = await stream.receive()
        except TimeoutError as trouble:
            stream.abort("no welcome")
            raise Unreachable(f"{stream.address} does not answer") from trouble
        if not isinstance(welcome, Welcome) or welcome.protocol != PROTOCOL:
            stream.abort("not a welcome of this protocol")
            raise Refused(f"{stream.address} does not speak protocol {PROTOCOL}")
        return welcome, sent_ms

    async def _converse(self, stream: Stream, welcome: Welcome, sent_ms: Millis) -> None:
        """Turn messages into events until the connection ends."""
        self._stream, self.sequence = stream, 0
        self._log.info(
            "connected", controller=stream.address, term=f"{welcome.incarnation}.{welcome.epoch}"
        )
        connected = Connected(
            incarnation=welcome.incarnation,
            epoch=welcome.epoch,
            grace_ms=welcome.heartbeat.lost_ms,
            sent_ms=sent_ms,
        )
        self._tell(connected)
        pinging = asyncio.get_running_loop().create_task(self._ping(stream, welcome))
        try:
            await self._begin_heartbeats(stream, welcome)
            async for message in stream:
                if isinstance(message, Peers):
                    self._speaker.know(message)
                elif not self._tell(_event(message)):
                    stream.abort("more arrives than this node can take in")
        finally:
            pinging.cancel()
            self._forget_report()
            stream.abort("closed here")
            self._stream = None
            self._tell(Disconnected())
            self._log.warning("disconnected", controller=stream.address, reason=stream.ended)

    async def _begin_heartbeats(self, stream: Stream, welcome: Welcome) -> None:
        hosts = dict.fromkeys([_host(stream.address), *await self._other_hosts()])
        links = [
            heartbeat.Link(target=host, port=welcome.heartbeat_port)
            for host in list(hosts)[:LINKS_MAX]
        ]
        self.beat_every_ms = welcome.heartbeat.every_ms
        self._speaker.speak(
            session=welcome.session,
            key=welcome.key,
            links=links,
            every_ms=welcome.heartbeat.every_ms,
        )

    async def _other_hosts(self) -> list[str]:
        """Numeric addresses of all that we were given: more links to the same controller."""
        loop = asyncio.get_running_loop()
        found: list[str] = []
        if len(self._controllers) > 1:
            for host, port in self._controllers:
                with suppress(OSError):
                    answers = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
                    found += [str(place[0]) for *_, place in answers]
        return found

    async def _ping(self, stream: Stream, welcome: Welcome) -> None:
        every_ms = min(PING_MAX_MS, max(PING_MIN_MS, welcome.heartbeat.lost_ms // 4))
        with suppress(Unreachable):
            while True:
                stream.send(Ping(sent=clock.monotonic_ms()))
                await asyncio.sleep(every_ms / 1000)

    def _send_report(self) -> None:
        self._forget_report()
        self._reported_ms = clock.monotonic_ms()
        self.sequence += 1
        known = self._snapshot()
        self._send(
            Report(
                sequence=self.sequence,
                boot=self._boot,
                ready=known.ready,
                probed=known.probed,
                copies=known.copies,
                failures=known.failures,
                attributes=known.attributes,
                promotion_scores=known.promotion_scores,
            )
        )

    def _forget_report(self) -> None:
        if self._report_timer is not None:
            self._report_timer.cancel()
            self._report_timer = None

    def _send(self, message: Report | Done) -> None:
        if self._stream is not None:
            with suppress(Unreachable):  # whoever receives notices that the connection is gone
                self._stream.send(message)


def _event(message: AnyMessage) -> Arrived:
    match message:
        case Definitions():
            return DefinitionsArrived(
                incarnation=message.incarnation,
                epoch=message.epoch,
                services=message.services,
                assigned=frozenset(message.assigned),
                maintenance=frozenset(message.maintenance),
                devices=message.devices,
            )
        case Do(step=step):
            return StepArrived(step=step)
        case Acknowledge(key=key):
            return Acknowledged(key=key)
        case Forget(service=service):
            return ForgetAsked(service=service)
        case Pong(sent=sent):
            return Heard(sent_ms=Millis(sent))
        case Peers() | Hello() | Report() | Done() | Ping() | Welcome() | Request() | Response():
            raise Corrupt(f"a controller does not send {type(message).__name__}")
        case _:
            assert_never(message)


def _host(address: str) -> str:
    return address.rpartition(":")[0].removeprefix("[").removesuffix("]")
