"""The hand for services of kind `fence-device`: asks a device regularly whether it would work when needed.

To start it is to ask once; to stop it there is nothing to do but to ask no more. A mark in the run directory
says that this node does it. No node is ever named to the device, so that nothing can be fenced by a look.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from reconciler.fencing.fences import DeviceFences
from reconciler.model.errors import Refused
from reconciler.model.intent import FenceDevice, Service
from reconciler.model.operation import Outcome, Verdict
from reconciler.ports import OperationContext

_DIRECTORY = "fence-devices"


class FenceDeviceHand:
    """`ports.ResourceAgent` for fence devices."""

    def __init__(self, fences: DeviceFences) -> None:
        """`fences` drives the fence agents of this node."""
        self._fences = fences

    async def start(self, service: Service, context: OperationContext) -> Outcome:
        """Ask the device once, and begin to watch it if it answers."""
        outcome = await self._monitor(service, context)
        if outcome.verdict is not Verdict.RUNNING:
            return Outcome(verdict=Verdict.FAILED, reason=outcome.reason)
        mark = _mark(service, context)
        try:
            mark.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            mark.touch()
        except OSError as trouble:
            return Outcome(verdict=Verdict.FAILED, reason=str(trouble))
        return outcome

    async def stop(self, service: Service, context: OperationContext) -> Outcome:
        """Watch it no more."""
        try:
            _mark(service, context).unlink(missing_ok=True)
        except OSError as trouble:
            return Outcome(verdict=Verdict.FAILED, reason=str(trouble))
        return Outcome(verdict=Verdict.STOPPED)

    async def probe(self, service: Service, context: OperationContext) -> Outcome:
        """Ask the device, if this node watches it."""
        if not _mark(service, context).exists():
            return Outcome(verdict=Verdict.STOPPED, reason="this node does not watch it")
        return await self._monitor(service, context)

    def watch(
        self, service: Service, context: OperationContext, died: Callable[[], None]
    ) -> Callable[[], None] | None:
        """There is no process to watch: only monitors tell."""
        del service, context, died
        return None

    async def _monitor(self, service: Service, context: OperationContext) -> Outcome:
        device = context.device
        if device is None:
            reason = f"fence device {service.agent} is not known here"
            return Outcome(verdict=Verdict.FAILED, reason=reason)
        try:
            answer = await (await self._fences.device(_within(device, context))).monitor()
        except Refused as trouble:
            return Outcome(verdict=Verdict.FAILED, reason=str(trouble), definite=True)
        verdict = Verdict.RUNNING if answer.succeeded else Verdict.FAILED
        return Outcome(verdict=verdict, reason=answer.words)


def _within(device: FenceDevice, context: OperationContext) -> FenceDevice:
    """The device, with the operation's own limit for one request."""
    others = tuple(pair for pair in device.parameters if pair[0] != "time-limit")
    limit = ("time-limit", f"{context.timeout_ms}ms")
    return replace(device, parameters=tuple(sorted((*others, limit))))


def _mark(service: Service, context: OperationContext) -> Path:
    return context.run_directory / _DIRECTORY / service.name
