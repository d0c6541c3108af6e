"""Operations on a node: hands at work, each under its deadline, and their watches.

Whatever a hand does, an operation ends with exactly one outcome: a hand that does not return in time, or
raises, leaves it unknown. A secret that cannot be read is an outcome too.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from reconciler.core.executor import (
    AttributesSeen,
    OperationFinished,
    RunOperation,
    SeenAttribute,
    ServiceDied,
    Verb,
)
from reconciler.model.errors import Refused
from reconciler.model.ids import Millis, NodeName, ServiceName
from reconciler.model.intent import Kind, Pairs, Service
from reconciler.model.operation import Outcome, Verdict
from reconciler.ports import OperationContext, ResourceAgent, RoleAgent
from reconciler.resources import attributes
from reconciler.runtime import clock
from reconciler.runtime.log import Events
from reconciler.runtime.secret_files import read_secret

LATE_MS = 2_500
"""A hand has two seconds after its deadline to give up; nobody waits longer than this."""

Tell = Callable[[OperationFinished | ServiceDied | AttributesSeen], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Premises:
    """Where the operations of a node run."""

    node: NodeName
    run: Path
    interface: str | None
    secrets: Path


class Operations:
    """Runs what the brain orders, and tells it what came of it."""

    def __init__(
        self, hands: Mapping[Kind, ResourceAgent], premises: Premises, tell: Tell, log: Events
    ) -> None:
        self._hands = hands
        self._premises = premises
        self._tell = tell
        self._log = log
        self._watches: dict[ServiceName, Callable[[], None]] = {}
        self._changes: set[asyncio.Task[None]] = set()
        self._looks: set[asyncio.Task[None]] = set()

    def run(self, order: RunOperation) -> None:
        """Begin an operation; it ends with `OperationFinished`."""
        tasks = self._looks if order.verb is Verb.PROBE else self._changes
        task = asyncio.get_running_loop().create_task(self._run(order))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def watch(self, definition: Service) -> None:
        """Watch a running service, unless that is done already or its hand cannot."""
        name = definition.name
        if name in self._watches:
            return

        def died() -> None:
            if self._watches.pop(name, None) is not None:
                self._tell(ServiceDied(service=name))

        context = OperationContext(
            node=self._premises.node,
            timeout_ms=definition.monitor.timeout_ms,
            run_directory=self._premises.run,
            interface=self._premises.interface,
        )
        try:
            end = self._hands[definition.kind].watch(definition, context, died)
        except Exception as trouble:  # noqa: BLE001 - a hand's bug must not end the agent
            self._log.bug("a hand failed to watch", trouble, service=name)
            return
        if end is not None:
            self._watches[name] = end

    def unwatch(self, name: ServiceName) -> None:
        """End the watch of a service, if there is one."""
        end = self._watches.pop(name, None)
        if end is not None:
            end()

    async def finish(self, patience_ms: int) -> None:
        """Let starts and stops under way end, for at most so long; drop everything else."""
        if self._changes:
            await asyncio.wait(self._changes, timeout=patience_ms / 1000)
        for name in tuple(self._watches):
            self.unwatch(name)
        left = [*self._looks, *self._changes]
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=1)

    async def _run(self, order: RunOperation) -> None:
        began_ms = clock.monotonic_ms()
        outcome = await self._outcome(order)
        took_ms = Millis(clock.monotonic_ms() - began_ms)
        if order.definition.kind is Kind.OCF:  # no other kind speaks of attributes
            self._tell(_seen(attributes.read(self._premises.run)))
        self._tell(
            OperationFinished(service=order.service, outcome=replace(outcome, took_ms=took_ms))
        )

    async def _outcome(self, order: RunOperation) -> Outcome:
        """Do it, and make an outcome of everything that can happen."""
        try:
            secrets = self._secrets(order.definition)
        except Refused as trouble:
            verdict = Verdict.UNKNOWN if order.verb is Verb.PROBE else Verdict.FAILED
            return Outcome(verdict=verdict, reason=str(trouble), definite=order.verb is Verb.START)
        work = asyncio.ensure_future(self._hand_at_work(order, secrets))
        try:
            done, _ = await asyncio.wait({work}, timeout=(order.timeout_ms + LATE_MS) / 1000)
        except asyncio.CancelledError:
            work.cancel()
            raise
        if not done:
            work.cancel()
            reason = f"{order.verb} did not return within {order.timeout_ms} ms and more"
            self._log.error("a hand hangs", service=order.service, verb=order.verb)
            return Outcome(verdict=Verdict.UNKNOWN, reason=reason)
        try:
            return work.result()
        except Exception as trouble:  # noqa: BLE001 - a hand's bug must not end the agent
            self._log.bug("a hand failed", trouble, service=order.service, verb=order.verb)
            return Outcome(verdict=Verdict.UNKNOWN, reason=f"{order.verb}: {trouble!r}"[:300])

    async def _hand_at_work(self, order: RunOperation, secrets: Pairs) -> Outcome:
        hand, service = self._hands[order.definition.kind], order.definition
        context = self._context(order, secrets)
        methods = {Verb.START: hand.start, Verb.STOP: hand.stop, Verb.PROBE: hand.probe}
        if isinstance(hand, RoleAgent):
            methods |= {
                Verb.PROMOTE: hand.promote,
                Verb.DEMOTE: hand.demote,
                Verb.RELOAD: hand.reload,
                Verb.MIGRATE_TO: hand.migrate_to,
                Verb.MIGRATE_FROM: hand.migrate_from,
            }
        method = methods.get(order.verb)
        if method is None:
            reason = f"services of kind {service.kind} cannot {order.verb}"
            return Outcome(verdict=Verdict.FAILED, reason=reason, definite=True)
        return await method(service, context)

    def _secrets(self, service: Service) -> Pairs:
        directory = self._premises.secrets
        return tuple((name, read_secret(directory, secret)) for name, secret in service.secrets)

    def _context(self, order: RunOperation, secrets: Pairs) -> OperationContext:
        return OperationContext(
            node=self._premises.node,
            timeout_ms=order.timeout_ms,
            run_directory=self._premises.run,
            interface=self._premises.interface,
            secrets=secrets,
            promoted=order.promoted,
            peer=order.peer,
            notify=order.notify,
            device=order.device,
        )


def _seen(said: attributes.Everything) -> AttributesSeen:
    return AttributesSeen(
        attributes=tuple(
            SeenAttribute(
                name=found.name,
                value=found.value,
                settle_ms=found.settle_ms,
                forever=found.forever,
            )
            for found in said.attributes
        ),
        scores=tuple((ServiceName(name), score) for name, score in said.scores),
    )
