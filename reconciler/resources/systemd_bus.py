"""A conversation with one systemd manager over D-Bus, which mends itself when the bus goes away.

Raw messages, no introspection. The answer of a job may come before the call that began the job has returned,
so results are kept by job path whether or not somebody waits yet.
Source: org.freedesktop.systemd1(5).
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from dbus_fast import BusType, Message, MessageType
from dbus_fast.aio import MessageBus
from dbus_fast.errors import DBusFastError

MANAGER = "org.freedesktop.systemd1.Manager"
UNIT = "org.freedesktop.systemd1.Unit"
PROPERTIES = "org.freedesktop.DBus.Properties"

_NAME = "org.freedesktop.systemd1"
_PATH = "/org/freedesktop/systemd1"
_SIGNALS = f"type='signal',sender='{_NAME}'"
_MATCHES = (
    f"{_SIGNALS},interface='{MANAGER}',member='JobRemoved'",
    f"{_SIGNALS},interface='{PROPERTIES}',path_namespace='{_PATH}/unit'",
)
_JOBS_KEPT_MAX = 256
_RECONNECT_S = 1.0

UnitListener = Callable[[dict[str, Any] | None], None]


class BusGone(ConnectionError):  # noqa: N818 - it names what happened
    """There is no bus, or it went away in the middle. Becomes an outcome, never leaves the hand."""


class RefusedBySystemd(RuntimeError):  # noqa: N818
    """systemd answered with an error; `name` is the D-Bus name of it."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text or name)
        self.name = name


class SystemdBus:
    """One connection, made when it is first needed and again after it broke."""

    def __init__(self, address: str | None = None) -> None:
        self._address = address
        self._bus: MessageBus | None = None
        self._connecting = asyncio.Lock()
        self._jobs: dict[str, asyncio.Future[str]] = {}
        self._listeners: dict[str, list[UnitListener]] = {}
        self._keeper: asyncio.Task[None] | None = None

    async def call(
        self,
        member: str,
        signature: str = "",
        body: tuple[Any, ...] = (),
        *,
        path: str = _PATH,
        interface: str = MANAGER,
    ) -> list[Any]:
        """Call a method of systemd and return what it answered.

        Errors: `RefusedBySystemd` for an error reply, `BusGone` if nobody answered.
        """
        bus = await self._connected()
        return await _call(
            bus,
            Message(
                destination=_NAME,
                path=path,
                interface=interface,
                member=member,
                signature=signature,
                body=list(body),
            ),
        )

    async def properties(self, path: str, interface: str = UNIT) -> dict[str, Any]:
        """All properties of a unit under one interface."""
        (found,) = await self.call("GetAll", "s", (interface,), path=path, interface=PROPERTIES)
        return {name: variant.value for name, variant in found.items()}

    async def job(self, member: str, unit: str) -> str:
        """Begin a job (`StartUnit`, `StopUnit`) and return its path."""
        (path,) = await self.call(member, "ss", (unit, "replace"))
        self._job(path)
        return str(path)

    async def job_result(self, path: str) -> str:
        """Wait for the end of a job and return its result, `done` if it worked.

        Errors: `BusGone` if the bus goes away meanwhile.
        """
        try:
            return await asyncio.shield(self._job(path))
        finally:
            self._jobs.pop(path, None)

    def listen(self, path: str, changed: UnitListener) -> Callable[[], None]:
        """Hear of property changes of a unit; of None after a reconnect, when anything may have changed.

        Returns what ends it.
        """
        listeners = self._listeners.setdefault(path, [])
        listeners.append(changed)

        def end() -> None:
            if changed in listeners:
                listeners.remove(changed)
            if not listeners and self._listeners.get(path) is listeners:
                del self._listeners[path]

        return end

    async def close(self) -> None:
        """Let go of the bus; safe to call twice."""
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        self._drop("closed")

    async def _connected(self) -> MessageBus:
        async with self._connecting:
            if self._bus is not None and self._bus.connected:
                return self._bus
            self._drop("the bus went away")
            with _bus_troubles():
                bus = await MessageBus(bus_address=self._address, bus_type=BusType.SYSTEM).connect()
            self._bus = bus
            if self._keeper is None or self._keeper.done():
                self._keeper = asyncio.create_task(self._keep())
            bus.add_message_handler(self._receive)
            for rule in _MATCHES:
                await _call(bus, _match(rule))
            subscribe = Message(
                destination=_NAME, path=_PATH, interface=MANAGER, member="Subscribe"
            )
            with contextlib.suppress(RefusedBySystemd):  # already subscribed
                await _call(bus, subscribe)
            return bus

    async def _keep(self) -> None:
        """While somebody listens, come back after every break, and tell the listeners to look anew."""
        while True:
            bus = self._bus
            if bus is not None:
                with contextlib.suppress(Exception):  # the reason is of no use; the break is
                    await bus.wait_for_disconnect()  # type: ignore[no-untyped-call]
            self._fail_jobs("the bus went away")
            while self._listeners:
                await asyncio.sleep(_RECONNECT_S)
                with contextlib.suppress(BusGone, RefusedBySystemd):
                    await self._connected()
                    break
            else:
                return
            for path in list(self._listeners):
                self._tell(path, None)

    def _receive(self, message: Message) -> None:
        if message.message_type is not MessageType.SIGNAL:
            return
        if message.member == "JobRemoved":
            _, path, _, result = message.body
            job = self._job(path)
            if not job.done():
                job.set_result(result)
            while len(self._jobs) > _JOBS_KEPT_MAX:
                self._jobs.pop(next(iter(self._jobs)))
        elif message.member == "PropertiesChanged" and message.path in self._listeners:
            interface, changed, _ = message.body
            if interface == UNIT:
                self._tell(message.path, {name: value.value for name, value in changed.items()})

    def _tell(self, path: str, changed: dict[str, Any] | None) -> None:
        for listener in list(self._listeners.get(path, ())):
            listener(changed)

    def _job(self, path: str) -> "asyncio.Future[str]":
        """The result of a job, whoever comes first: the signal, or the one who waits."""
        return self._jobs.setdefault(path, asyncio.get_running_loop().create_future())

    def _fail_jobs(self, why: str) -> None:
        jobs, self._jobs = self._jobs, {}
        for job in jobs.values():
            if not job.done():
                job.set_exception(BusGone(why))
                job.exception()  # seen: not everybody waits

    def _drop(self, why: str) -> None:
        bus, self._bus = self._bus, None
        if bus is not None and bus.connected:
            bus.disconnect()
        self._fail_jobs(why)


async def _call(bus: MessageBus, message: Message) -> list[Any]:
    with _bus_troubles():
        reply = await bus.call(message)
    if reply is None:
        raise BusGone("no answer from systemd")
    if reply.message_type is MessageType.ERROR:
        text = str(reply.body[0]) if reply.body else ""
        raise RefusedBySystemd(reply.error_name or "", text)
    return list(reply.body)


def _match(rule: str) -> Message:
    return Message(
        destination="org.freedesktop.DBus",
        path="/org/freedesktop/DBus",
        interface="org.freedesktop.DBus",
        member="AddMatch",
        signature="s",
        body=[rule],
    )


@contextlib.contextmanager
def _bus_troubles() -> Iterator[None]:
    """Whatever a broken or missing bus raises, as one exception."""
    try:
        yield
    except (OSError, EOFError, DBusFastError, ValueError) as trouble:
        raise BusGone(f"systemd cannot be reached: {trouble}") from trouble
