"""Addresses that are only pretended: for `reconcile dev` where nobody may touch the network.

NOT FOR PRODUCTION. No interface gets an address and no neighbour hears of one; a file below the node's run
directory says that the node would hold it. Everything else behaves as with `vip`, so that plans, moves and
recoveries can be watched without root.
"""

from collections.abc import Callable

from reconciler.model.intent import Service
from reconciler.model.operation import Outcome, Verdict
from reconciler.ports import OperationContext

_DIRECTORY = "pretended-addresses"


class PretendedVipHand:
    """`ports.ResourceAgent` for services of kind `vip` on a node that is only a process."""

    async def start(self, service: Service, context: OperationContext) -> Outcome:
        """Write the file."""
        path = context.run_directory / _DIRECTORY / service.name
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.write_text(dict(service.parameters).get("address", ""), encoding="utf-8")
        except OSError as trouble:
            return Outcome(verdict=Verdict.FAILED, reason=str(trouble))
        return await self.probe(service, context)

    async def stop(self, service: Service, context: OperationContext) -> Outcome:
        """Remove the file."""
        try:
            (context.run_directory / _DIRECTORY / service.name).unlink(missing_ok=True)
        except OSError as trouble:
            return Outcome(verdict=Verdict.FAILED, reason=str(trouble))
        return await self.probe(service, context)

    async def probe(self, service: Service, context: OperationContext) -> Outcome:
        """Look for the file."""
        held = (context.run_directory / _DIRECTORY / service.name).exists()
        verdict = Verdict.RUNNING if held else Verdict.STOPPED
        return Outcome(verdict=verdict, reason="an address that is only pretended")

    def watch(
        self, service: Service, context: OperationContext, died: Callable[[], None]
    ) -> Callable[[], None] | None:
        """Nothing to watch: only monitors tell."""
        del service, context, died
        return None
