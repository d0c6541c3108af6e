"""Services that are units of the node's systemd: service, socket, mount, timer and path units.

systemd's own word counts, not the result of a call: a unit runs when it is `active`, and is stopped when it
is `inactive` or `failed` *and* has no process left. What is on its way is waited for, then unknown.
A unit should not be enabled at boot: two would start it then.
Source: org.freedesktop.systemd1(5); capabilities A71.
"""

import asyncio
import contextlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from reconciler.model.ids import Millis
from reconciler.model.intent import Service
from reconciler.model.operation import Outcome, Verdict
from reconciler.ports import OperationContext
from reconciler.resources import outcomes
from reconciler.resources.outcomes import Deadline
from reconciler.resources.systemd_bus import BusGone, RefusedBySystemd, SystemdBus

_SUFFIXES = (".service", ".socket", ".mount", ".timer", ".path")
_UNIT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9:_.\\@-]{0,247}", re.ASCII)
_UP = frozenset({"active", "reloading", "refreshing"})
_DOWN = frozenset({"inactive", "failed"})
_NO_SUCH_UNIT = "org.freedesktop.systemd1.NoSuchUnit"
_MASKED = "org.freedesktop.systemd1.UnitMasked"
_SETTLE_SHARE = 3 / 4
"""How much of a look's time is spent waiting for a unit that is starting or stopping."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitState:
    """A unit at one moment, in systemd's own words."""

    path: str
    active: str
    sub: str
    loaded: str
    processes: int
    result: str = ""

    @property
    def settled(self) -> bool:
        """False while it is on its way from one state to another."""
        return self.active in _UP or (self.active in _DOWN and self.processes == 0)

    def outcome(self) -> Outcome:
        """What this state means for a service."""
        words = f"{self.active} ({self.sub})"
        if self.active in _UP:
            return Outcome(verdict=Verdict.RUNNING)
        if self.active in _DOWN and self.processes == 0:
            missing = self.loaded not in {"loaded", "masked"}
            reason = f"unit {self.loaded}" if missing else words
            failed = f": {self.result}" if self.active == "failed" and self.result else ""
            return Outcome(verdict=Verdict.STOPPED, reason=reason + failed)
        if self.active in _DOWN:
            reason = f"{words}, yet {self.processes} of its processes still run"
            return Outcome(verdict=Verdict.FAILED, reason=reason)
        return Outcome(verdict=Verdict.UNKNOWN, reason=words)


class SystemdHand:
    """`ports.ResourceAgent` for services of kind `systemd`.

    `address` is a D-Bus address such as `unix:path=/run/dbus/system_bus_socket`, which is the default.
    """

    def __init__(self, address: str | None = None) -> None:
        self._bus = SystemdBus(address)
        self._watches: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """End all watches and let go of the bus."""
        for task in list(self._watches):
            task.cancel()
        await self._bus.close()

    async def start(self, service: Service, context: OperationContext) -> Outcome:
        """Start the unit, wait for its job, and look."""
        return await self._change("StartUnit", service, context)

    async def stop(self, service: Service, context: OperationContext) -> Outcome:
        """Stop the unit, wait for its job, and look until no process of it is left."""
        return await self._change("StopUnit", service, context)

    async def probe(self, service: Service, context: OperationContext) -> Outcome:
        """Ask systemd; wait a little for a unit that is on its way."""
        deadline = Deadline(context.timeout_ms)
        unit = _unit_name(service)
        if unit is None:
            return _no_unit_name(service, Verdict.UNKNOWN)
        try:
            async with asyncio.timeout(context.timeout_ms / 1000):
                waiting = Deadline(Millis(int(context.timeout_ms * _SETTLE_SHARE)))
                return await outcomes.look_until(
                    lambda: self._look(unit),
                    lambda seen: seen.verdict is not Verdict.UNKNOWN,
                    waiting,
                )
        except TimeoutError:
            return _late("systemd did not answer", context, deadline)
        except (BusGone, RefusedBySystemd) as trouble:
            return _unknown(trouble, deadline)

    def watch(
        self, service: Service, context: OperationContext, died: Callable[[], None]
    ) -> Callable[[], None] | None:
        """Hear from systemd when the unit is no longer up."""
        del context
        unit = _unit_name(service)
        if unit is None:
            return None
        task = asyncio.create_task(self._watch(unit, died))
        self._watches.add(task)
        task.add_done_callback(self._watches.discard)

        def end() -> None:
            task.cancel()

        return end

    async def _change(self, member: str, service: Service, context: OperationContext) -> Outcome:
        deadline = Deadline(context.timeout_ms)
        unit = _unit_name(service)
        if unit is None:
            return _no_unit_name(service, Verdict.FAILED)
        try:
            async with asyncio.timeout(context.timeout_ms / 1000):
                if member == "StartUnit":
                    return await self._start(unit, deadline)
                return await self._stop(unit, deadline)
        except TimeoutError:
            return _late(f"{member} of {unit} did not end", context, deadline)
        except (BusGone, RefusedBySystemd) as trouble:
            return _unknown(trouble, deadline)

    async def _start(self, unit: str, deadline: Deadline) -> Outcome:
        with contextlib.suppress(RefusedBySystemd):  # not loaded: nothing to forget
            await self._bus.call("ResetFailedUnit", "s", (unit,))
        try:
            result = await self._job("StartUnit", unit)
        except RefusedBySystemd as refused:
            definite = refused.name in {_NO_SUCH_UNIT, _MASKED}
            reason = f"systemd refused to start {unit}: {refused}"
            return Outcome(
                verdict=Verdict.FAILED,
                reason=reason,
                took_ms=deadline.took_ms(),
                definite=definite,
            )
        if result == "done":
            return outcomes.after_start(await self._look(unit), deadline.took_ms())
        seen = await self._look(unit)
        reason = f"the start of {unit} ended as {result}: {seen.reason}"
        return Outcome(verdict=Verdict.FAILED, reason=reason, took_ms=deadline.took_ms())

    async def _stop(self, unit: str, deadline: Deadline) -> Outcome:
        try:
            result = await self._job("StopUnit", unit)
        except RefusedBySystemd as refused:
            if refused.name != _NO_SUCH_UNIT:
                reason = f"systemd refused to stop {unit}: {refused}"
                return Outcome(verdict=Verdict.FAILED, reason=reason, took_ms=deadline.took_ms())
            result = "done"  # nothing to stop; the look has the last word
        # Systemd may call a unit stopped while processes outside its main group still go.
        half = Deadline(Millis(deadline.left_ms() // 2))
        seen = await outcomes.look_until(lambda: self._look(unit), outcomes.stopped, half)
        if result not in {"done", "skipped"} and not outcomes.stopped(seen):
            reason = f"the stop of {unit} ended as {result}: {seen.reason}"
            return Outcome(verdict=Verdict.FAILED, reason=reason, took_ms=deadline.took_ms())
        return outcomes.after_stop(seen, deadline.took_ms())

    async def _job(self, member: str, unit: str) -> str:
        """Run a job to its end; whoever stops waiting takes it back, so that nothing starts late."""
        path = await self._bus.job(member, unit)
        try:
            return await self._bus.job_result(path)
        except asyncio.CancelledError:
            with contextlib.suppress(BusGone, RefusedBySystemd, TimeoutError):
                async with asyncio.timeout(1):
                    number = int(path.rpartition("/")[2])
                    await self._bus.call("CancelJob", "u", (number,))
            raise

    async def _look(self, unit: str) -> Outcome:
        return (await self._state(unit)).outcome()

    async def _state(self, unit: str) -> UnitState:
        (path,) = await self._bus.call("LoadUnit", "s", (unit,))
        properties = await self._bus.properties(path)
        active = str(properties["ActiveState"])
        processes = 0
        if active not in _UP:
            with contextlib.suppress(RefusedBySystemd):  # a unit that is not loaded has none
                (found,) = await self._bus.call("GetUnitProcesses", "s", (unit,))
                processes = len(found)
        return UnitState(
            path=path,
            active=active,
            sub=str(properties["SubState"]),
            loaded=str(properties["LoadState"]),
            processes=processes,
            result=await self._result(path, unit) if active == "failed" else "",
        )

    async def _result(self, path: str, unit: str) -> str:
        """Why a unit failed: `signal`, `exit-code`, `oom-kill`, ..."""
        interface = f"org.freedesktop.systemd1.{unit.rpartition('.')[2].capitalize()}"
        with contextlib.suppress(RefusedBySystemd):
            return str((await self._bus.properties(path, interface)).get("Result", ""))
        return ""

    async def _watch(self, unit: str, died: Callable[[], None]) -> None:
        """Wait until the unit is up no more; listen first and look second, so that nothing slips by."""
        doubt, down = asyncio.Event(), asyncio.Event()

        def hear(properties: dict[str, Any] | None) -> None:
            if properties is not None and properties.get("ActiveState", "active") not in _UP:
                down.set()
            if properties is None or down.is_set():
                doubt.set()

        try:
            (path,) = await self._bus.call("LoadUnit", "s", (unit,))
        except (BusGone, RefusedBySystemd):
            return  # only monitors tell, then
        end = self._bus.listen(path, hear)
        try:
            while not down.is_set() and await self._is_up(path):
                await doubt.wait()
                doubt.clear()
        finally:
            end()
        died()

    async def _is_up(self, path: str) -> bool:
        """Say whether a unit is up; without a bus it is taken to be, until the bus is back."""
        try:
            return (await self._bus.properties(path))["ActiveState"] in _UP
        except BusGone:
            return True
        except RefusedBySystemd:
            return False  # systemd has forgotten the unit, which it never does while it is up


def _unit_name(service: Service) -> str | None:
    """The full name of the unit; None if the intent names none that this hand may touch."""
    unit = service.agent
    if not _UNIT.fullmatch(unit):
        return None
    return unit if unit.endswith(_SUFFIXES) else f"{unit}.service"


def _no_unit_name(service: Service, verdict: Verdict) -> Outcome:
    reason = f"{service.agent[:80]!r} is no name of a unit"
    return Outcome(verdict=verdict, reason=reason, definite=True)


def _late(what: str, context: OperationContext, deadline: Deadline) -> Outcome:
    reason = f"{what} within {context.timeout_ms} ms"
    return Outcome(verdict=Verdict.UNKNOWN, reason=reason, took_ms=deadline.took_ms())


def _unknown(trouble: Exception, deadline: Deadline) -> Outcome:
    return Outcome(verdict=Verdict.UNKNOWN, reason=str(trouble), took_ms=deadline.took_ms())
