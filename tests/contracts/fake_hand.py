"""A hand without a world: services are entries in a set, and every bad day can be ordered.

It keeps the whole contract of `ports.ResourceAgent`, so that tests of the agent and the controller mean
something: `tests/contracts/test_resource_agents.py` runs the same suite on it and on the real hands.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from reconciler.model.ids import Millis, ServiceName
from reconciler.model.intent import Service
from reconciler.model.operation import Outcome, Verdict
from reconciler.ports import OperationContext


class Fault(StrEnum):
    """What an operation does instead of working."""

    HANGS = "hangs"
    """Nothing, until its deadline."""
    FAILS = "fails"
    """Ends at once, changes nothing and says so."""
    BREAKS = "breaks"
    """The same, and another try here cannot help."""
    LIES = "lies"
    """A start leaves nothing running, a stop leaves it running; both say that they worked."""


@dataclass(slots=True)
class FakeHand:
    """Services by name; `calls` keeps what was asked, in order."""

    running: set[ServiceName] = field(default_factory=set)
    promoted: set[ServiceName] = field(default_factory=set)
    """Those of the running ones that are promoted."""
    faults: dict[tuple[ServiceName, str], Fault] = field(default_factory=dict)
    """By service and operation (`start`, `stop`, `probe`, `promote`, `demote`, `reload`)."""
    takes_ms: dict[str, int] = field(default_factory=dict)
    """How long an operation takes when nothing is wrong with it."""
    watches: bool = True
    calls: list[tuple[str, ServiceName]] = field(default_factory=list)
    _watchers: dict[ServiceName, list[Callable[[], None]]] = field(default_factory=dict)

    def kill(self, name: ServiceName) -> None:
        """End a running service behind everybody's back; its watchers hear of it at once."""
        self.running.discard(name)
        self.promoted.discard(name)
        for died in self._watchers.pop(name, []):
            died()

    async def start(self, service: Service, context: OperationContext) -> Outcome:
        trouble = await self._trouble("start", service, context)
        if trouble is not None:
            return trouble
        if self.faults.get((service.name, "start")) is Fault.LIES:
            return Outcome(verdict=Verdict.FAILED, reason="start succeeded, but it does not run")
        self.running.add(service.name)
        return Outcome(verdict=self._role(service), exit_code=0)

    async def stop(self, service: Service, context: OperationContext) -> Outcome:
        trouble = await self._trouble("stop", service, context)
        if trouble is not None:
            return trouble
        if self.faults.get((service.name, "stop")) is Fault.LIES and service.name in self.running:
            return Outcome(verdict=Verdict.FAILED, reason="stop succeeded, but it still runs")
        self._watchers.pop(service.name, None)
        self.running.discard(service.name)
        self.promoted.discard(service.name)
        return Outcome(verdict=Verdict.STOPPED, exit_code=0)

    async def probe(self, service: Service, context: OperationContext) -> Outcome:
        trouble = await self._trouble("probe", service, context)
        if trouble is not None:
            return trouble
        return Outcome(verdict=self._role(service))

    async def promote(self, service: Service, context: OperationContext) -> Outcome:
        return await self._change("promote", service, context, promoted=True)

    async def demote(self, service: Service, context: OperationContext) -> Outcome:
        return await self._change("demote", service, context, promoted=False)

    async def reload(self, service: Service, context: OperationContext) -> Outcome:
        return await self._change("reload", service, context, promoted=None)

    async def migrate_to(self, service: Service, context: OperationContext) -> Outcome:
        return await self._change("migrate-to", service, context, promoted=None)

    async def migrate_from(self, service: Service, context: OperationContext) -> Outcome:
        trouble = await self._trouble("migrate-from", service, context)
        if trouble is not None:
            return trouble
        self.running.add(service.name)
        return Outcome(verdict=self._role(service), exit_code=0)

    def watch(
        self, service: Service, context: OperationContext, died: Callable[[], None]
    ) -> Callable[[], None] | None:
        if not self.watches or service.name not in self.running:
            return None
        watchers = self._watchers.setdefault(service.name, [])
        watchers.append(died)

        def end() -> None:
            if died in watchers:
                watchers.remove(died)

        return end

    def _role(self, service: Service) -> Verdict:
        if service.name not in self.running:
            return Verdict.STOPPED
        return Verdict.PROMOTED if service.name in self.promoted else Verdict.RUNNING

    async def _change(
        self, operation: str, service: Service, context: OperationContext, *, promoted: bool | None
    ) -> Outcome:
        """Change what runs; a lie changes nothing, and the look that follows finds that out."""
        trouble = await self._trouble(operation, service, context)
        if trouble is not None:
            return trouble
        if service.name not in self.running:
            return Outcome(verdict=Verdict.FAILED, reason=f"{operation}: it does not run")
        if promoted is not None and self.faults.get((service.name, operation)) is not Fault.LIES:
            (self.promoted.add if promoted else self.promoted.discard)(service.name)
        wanted = {True: Verdict.PROMOTED, False: Verdict.RUNNING}.get(promoted)
        if wanted not in (None, self._role(service)):
            return Outcome(verdict=Verdict.FAILED, reason=f"{operation} left it as it was")
        return Outcome(verdict=self._role(service), exit_code=0)

    async def _trouble(
        self, operation: str, service: Service, context: OperationContext
    ) -> Outcome | None:
        self.calls.append((operation, service.name))
        fault = self.faults.get((service.name, operation))
        if fault is Fault.HANGS:
            await asyncio.sleep(context.timeout_ms / 1000)
            return Outcome(
                verdict=Verdict.UNKNOWN,
                reason=f"{operation} did not end within {context.timeout_ms} ms",
                took_ms=Millis(context.timeout_ms),
            )
        await asyncio.sleep(self.takes_ms.get(operation, 0) / 1000)
        if fault in (Fault.FAILS, Fault.BREAKS):
            return Outcome(
                verdict=Verdict.FAILED,
                reason=f"{operation} was told to fail",
                exit_code=1,
                definite=fault is Fault.BREAKS,
            )
        return None
