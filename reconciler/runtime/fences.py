"""Fences at work: each beside the controller's loop, and each ending in exactly one event.

Whatever a device does, no more is believed than what `ports.Fences` says was confirmed. A controller that
ends in the middle leaves the fence unlearned: the next one decides from the facts.
"""

import asyncio
from collections.abc import Callable

from reconciler.core.control import Fence, FenceEnded
from reconciler.model.ids import NodeName
from reconciler.model.intent import Fencing
from reconciler.model.operation import Outcome, Verdict
from reconciler.ports import Fences
from reconciler.runtime.log import Events


class NoFences:
    """`ports.Fences` of a controller that has no devices: nothing is ever confirmed."""

    async def fence(self, node: NodeName, fencing: Fencing) -> Outcome:
        """Say that this cannot be done here."""
        named = sum(node in device.nodes for device in fencing.devices)
        devices = f"{named} fence devices are named for it" if named else "it has no fence device"
        reason = f"{node} cannot be fenced: {devices}, and this controller cannot drive any"
        return Outcome(verdict=Verdict.FAILED, reason=reason)


class Fencer:
    """Runs what the brain orders, and tells it what came of it."""

    def __init__(self, fences: Fences, tell: Callable[[FenceEnded], None], events: Events) -> None:
        self._fences = fences
        self._tell = tell
        self._log = events
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, order: Fence) -> None:
        """Begin to fence a node."""
        task = asyncio.get_running_loop().create_task(self._run(order))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End what is under way; nobody waits for it any more."""
        for task in tuple(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1)

    async def _run(self, order: Fence) -> None:
        self._log.warning("fence", node=order.node)
        try:
            outcome = await self._fences.fence(order.node, order.fencing)
        except Exception as bug:  # noqa: BLE001 - a bug in a device's driver must not end the controller
            self._log.bug("a fence failed", bug, node=order.node)
            outcome = Outcome(verdict=Verdict.UNKNOWN, reason=f"{bug!r}"[:300])
        self._log.warning(
            "fence ended", node=order.node, verdict=outcome.verdict, reason=outcome.reason or None
        )
        self._tell(FenceEnded(node=order.node, key=order.key, outcome=outcome))
