"""Addresses that follow the services: put on an interface, announced to the neighbours, taken away again.

The kernel's own word counts: an address is held when netlink lists it, on a link that is up. An address
that a neighbour still answers for is waited for until the deadline, since two holders are worse than none and
a holder that lost its controller gives up by its own clock. Works in the network namespace that the agent
runs in.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from reconciler.model.ids import ServiceName
from reconciler.model.intent import Service
from reconciler.model.operation import Outcome, Verdict
from reconciler.ports import OperationContext
from reconciler.resources import neighbours, netlink, outcomes
from reconciler.resources.frames import Address
from reconciler.resources.netlink import Link, NetlinkTrouble, Network
from reconciler.resources.outcomes import Deadline

HELD_PAUSE_MS_FIRST, HELD_PAUSE_MS_MAX = 100, 2_000
"""Between two questions whether another machine still holds the address; twice as long each time."""


ASK_MS = 400
"""Enough for one more question, and for the answer to whoever waits."""


class BadAddress(ValueError):  # noqa: N818 - it names what was found
    """Parameters that name no usable address. Becomes an outcome, never leaves the hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The settings of an address."""

    address: Address
    prefix: int | None
    interface: str | None

    @classmethod
    def read(cls, service: Service, context: OperationContext) -> "Wanted":
        """Read `address` (with or without `/prefix`), `prefix` and `interface`.

        Errors: `BadAddress`, in words for the operator.
        """
        parameters = dict(service.parameters)
        text, _, length = parameters.get("address", "").partition("/")
        length = parameters.get("prefix") or length
        try:
            address = ip_address(text)
            prefix = int(length) if length else None
        except ValueError as trouble:
            raise BadAddress(f"{text[:60]!r}/{length[:10]} is no address: {trouble}") from trouble
        if prefix is not None and not 0 < prefix <= address.max_prefixlen:
            raise BadAddress(f"/{prefix} is no prefix of {address}")
        if address.is_multicast or address.is_unspecified:
            raise BadAddress(f"{address} cannot be held by a machine")
        interface = parameters.get("interface") or context.interface
        return cls(address=address, prefix=prefix, interface=interface)

    def destination(self, network: Network) -> tuple[Link, int]:
        """The interface that it belongs on, and its prefix.

        Errors: `BadAddress` if there is no such interface here.
        """
        reach = network.reach(self.address)
        link = network.link(self.interface) if self.interface else reach[0] if reach else None
        if link is None and self.interface:
            raise BadAddress(f"there is no interface {self.interface} on this node")
        if link is None:
            raise BadAddress(f"no interface has a network with {self.address}; name an interface")
        near = reach[1] if reach and reach[0] == link else self.address.max_prefixlen
        return link, self.prefix or near

    def judge(self, network: Network) -> Outcome:
        """What the kernel's list says of it."""
        holders = network.holders(self.address)
        if not holders:
            return Outcome(verdict=Verdict.STOPPED, reason=f"{self.address} is not held")
        for link, held in holders:
            if self.interface not in {None, link.name}:
                reason = f"{self.address} is on {link.name} rather than {self.interface}"
                return Outcome(verdict=Verdict.FAILED, reason=reason)
            if not link.up:
                return Outcome(verdict=Verdict.FAILED, reason=f"the link of {link.name} is down")
            if held.duplicate:
                reason = f"{self.address} is held by another machine too"
                return Outcome(verdict=Verdict.FAILED, reason=reason)
        return Outcome(verdict=Verdict.RUNNING)


class VipHand:
    """`ports.ResourceAgent` for services of kind `vip`."""

    def __init__(self) -> None:
        self._monitor = netlink.Monitor()
        self._announcing: dict[ServiceName, asyncio.Task[None]] = {}
        self._watches: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """End announcements and watches; addresses stay where they are."""
        for task in [*self._announcing.values(), *self._watches]:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def start(self, service: Service, context: OperationContext) -> Outcome:
        """Ask the neighbours, add the address, announce it; the later announcements go on after this."""
        return await _limited(lambda deadline: self._start(service, context, deadline), context)

    async def stop(self, service: Service, context: OperationContext) -> Outcome:
        """Take the address from wherever it is, and look."""
        return await _limited(lambda deadline: self._stop(service, context, deadline), context)

    async def probe(self, service: Service, context: OperationContext) -> Outcome:
        """Look at the kernel's list of addresses; where it is held, say so to the neighbours again.

        A node that comes back from a silence may be the one that keeps the address: the other has announced
        it last and is gone, and nobody else would tell the neighbours before they forget by themselves.
        """

        async def look(_: Deadline) -> Outcome:
            wanted = Wanted.read(service, context)
            network = await netlink.read()
            outcome = wanted.judge(network)
            if outcomes.runs(outcome):
                _remind(wanted.address, network)
            return outcome

        return await _limited(look, context, if_unusable=Verdict.UNKNOWN)

    def watch(
        self, service: Service, context: OperationContext, died: Callable[[], None]
    ) -> Callable[[], None] | None:
        """Hear from the kernel when the address is taken away or its link goes down."""
        try:
            wanted = Wanted.read(service, context)
        except BadAddress:
            return None
        task = asyncio.create_task(self._watch(wanted, died))
        self._watches.add(task)
        task.add_done_callback(self._watches.discard)

        def end() -> None:
            task.cancel()

        return end

    async def _start(
        self, service: Service, context: OperationContext, deadline: Deadline
    ) -> Outcome:
        wanted = Wanted.read(service, context)
        network = await netlink.read()
        present = wanted.judge(network)
        if outcomes.runs(present):
            return present
        link, prefix = wanted.destination(network)
        if not link.up:
            return Outcome(verdict=Verdict.FAILED, reason=f"the link of {link.name} is down")
        if link.neighbours and not network.holders(wanted.address):
            other = await _other_holder(link, wanted.address, deadline)
            if other is not None:
                reason = f"{wanted.address} is held by {other.hex(':')} on {link.name}"
                return Outcome(verdict=Verdict.FAILED, reason=reason, took_ms=deadline.took_ms())
        _keep_secondaries(link)
        await netlink.add(link, wanted.address, prefix)
        if link.neighbours:
            self._announce(service.name, link, wanted.address)
        return outcomes.after_start(wanted.judge(await netlink.read()), deadline.took_ms())

    async def _stop(
        self, service: Service, context: OperationContext, deadline: Deadline
    ) -> Outcome:
        wanted = Wanted.read(service, context)
        announcing = self._announcing.pop(service.name, None)
        if announcing is not None:
            announcing.cancel()
        for _, held in (await netlink.read()).holders(wanted.address):
            await netlink.remove(held)
        return outcomes.after_stop(wanted.judge(await netlink.read()), deadline.took_ms())

    def _announce(self, name: ServiceName, link: Link, address: Address) -> None:
        with contextlib.suppress(OSError):
            neighbours.announce_once(link.name, link.mac, address)
        task = asyncio.create_task(neighbours.announce(link.name, link.mac, address))
        self._announcing[name] = task

        def forget(done: asyncio.Task[None]) -> None:
            if self._announcing.get(name) is done:
                del self._announcing[name]

        task.add_done_callback(forget)

    async def _watch(self, wanted: Wanted, died: Callable[[], None]) -> None:
        changed = asyncio.Event()
        end = self._monitor.listen(changed.set)
        try:
            while True:
                await changed.wait()
                changed.clear()
                with contextlib.suppress(NetlinkTrouble):
                    if not outcomes.runs(wanted.judge(await netlink.read())):
                        break
        finally:
            end()
        died()


async def _limited(
    act: Callable[[Deadline], Awaitable[Outcome]],
    context: OperationContext,
    if_unusable: Verdict = Verdict.FAILED,
) -> Outcome:
    """Run an operation under its deadline, and turn what the kernel or the operator did into an outcome."""
    deadline = Deadline(context.timeout_ms)
    try:
        async with asyncio.timeout(context.timeout_ms / 1000):
            return await act(deadline)
    except TimeoutError:
        reason = f"did not end within {context.timeout_ms} ms"
        return Outcome(verdict=Verdict.UNKNOWN, reason=reason, took_ms=deadline.took_ms())
    except BadAddress as trouble:
        return Outcome(verdict=if_unusable, reason=str(trouble), definite=True)
    except OSError as trouble:
        return Outcome(verdict=if_unusable, reason=str(trouble), took_ms=deadline.took_ms())


async def _other_holder(link: Link, address: Address, deadline: Deadline) -> bytes | None:
    """Wait until nobody else answers for an address; its holder's MAC address if somebody always does.

    A holder that goes away is no failure of this node, so only the deadline makes one of it.
    """
    pause_ms = HELD_PAUSE_MS_FIRST
    while True:
        other = await neighbours.ask(link.name, link.mac, address)
        if other is None or deadline.left_ms() < pause_ms + ASK_MS:
            return other
        await asyncio.sleep(pause_ms / 1000)
        pause_ms = min(2 * pause_ms, HELD_PAUSE_MS_MAX)


def _remind(address: Address, network: Network) -> None:
    for link, _ in network.holders(address):
        if link.neighbours:
            with contextlib.suppress(OSError):
                neighbours.announce_once(link.name, link.mac, address)


def _keep_secondaries(link: Link) -> None:
    """Without this the kernel drops all other addresses of a network along with its first one."""
    with contextlib.suppress(OSError):
        path = Path("/proc/sys/net/ipv4/conf") / link.name / "promote_secondaries"
        path.write_text("1", encoding="ascii")
