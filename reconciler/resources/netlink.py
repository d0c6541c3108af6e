"""The addresses and links of this network namespace, read, changed and watched over netlink.

The only module that knows pyroute2. Each question opens a socket of its own, so that nothing can go stale;
one more socket listens for changes while somebody watches.
"""

import asyncio
import contextlib
import errno
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any

from pyroute2.iproute.linux import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkError

from reconciler.resources.frames import Address

_IFF_UP = 0x1
_IFF_LOOPBACK = 0x8
_IFF_NOARP = 0x80
_NO_DUPLICATE_DETECTION = 0x02
_DUPLICATE = 0x08
_LINK_DOWN = frozenset({"DOWN", "LOWERLAYERDOWN", "NOTPRESENT"})
_AGAIN_S = 0.2

Changed = Callable[[], None]


class NetlinkTrouble(OSError):  # noqa: N818
    """The kernel refused, or could not be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A network interface."""

    index: int
    name: str
    mac: bytes
    up: bool
    """Administratively up, and with a carrier."""
    neighbours: bool
    """Whether there is anybody on it to ask and to tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An address on an interface."""

    index: int
    address: Address
    prefix: int
    duplicate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Links and addresses at one moment."""

    links: tuple[Link, ...]
    held: tuple[Held, ...]

    def link(self, name: str) -> Link | None:
        """The interface of that name."""
        return next((link for link in self.links if link.name == name), None)

    def holders(self, address: Address) -> tuple[tuple[Link, Held], ...]:
        """Where an address is, if anywhere."""
        return tuple(
            (link, held)
            for held in self.held
            for link in self.links
            if held.address == address and held.index == link.index
        )

    def reach(self, address: Address) -> tuple[Link, int] | None:
        """The interface whose own network holds an address, and that network's prefix; the narrowest."""
        found = [
            (held.prefix, held.index)
            for held in self.held
            if held.address != address
            and held.address.version == address.version
            and address in ip_network(f"{held.address}/{held.prefix}", strict=False)
        ]
        for prefix, index in sorted(found, key=lambda pair: (-pair[0], pair[1])):
            for link in self.links:
                if link.index == index:
                    return link, prefix
        return None


async def read() -> Network:
    """Read every link and address.

    Errors: `NetlinkTrouble`.
    """
    with _troubles():
        async with AsyncIPRoute() as route:
            links = [_link(message) async for message in await route.link("dump")]
            held = [_held(message) async for message in await route.addr("dump")]
    return Network(links=tuple(links), held=tuple(held))


async def add(link: Link, address: Address, prefix: int) -> None:
    """Put an address on an interface; there already is a success.

    Errors: `NetlinkTrouble`.
    """
    more = {} if isinstance(address, IPv4Address) else {"flags": _NO_DUPLICATE_DETECTION}
    with _troubles(errno.EEXIST):
        async with AsyncIPRoute() as route:
            await route.addr(
                "add", index=link.index, address=str(address), prefixlen=prefix, **more
            )


async def remove(held: Held) -> None:
    """Take an address from an interface; gone already is a success.

    Errors: `NetlinkTrouble`.
    """
    with _troubles(errno.EADDRNOTAVAIL, errno.ENODEV):
        async with AsyncIPRoute() as route:
            await route.addr(
                "del", index=held.index, address=str(held.address), prefixlen=held.prefix
            )


class Monitor:
    """Tells listeners whenever a link or an address changed; what changed they read for themselves."""

    def __init__(self) -> None:
        self._listeners: list[Changed] = []
        self._task: asyncio.Task[None] | None = None

    def listen(self, changed: Changed) -> Callable[[], None]:
        """Call `changed` after every change, and once at the start; return what ends it."""
        self._listeners.append(changed)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        else:
            asyncio.get_running_loop().call_soon(changed)

        def end() -> None:
            if changed in self._listeners:
                self._listeners.remove(changed)
            if not self._listeners and self._task is not None:
                self._task.cancel()
                self._task = None

        return end

    async def _run(self) -> None:
        """Listen until cancelled; a socket that overflows is opened anew, and everybody told to look."""
        while True:
            with contextlib.suppress(OSError, NetlinkError):
                async with AsyncIPRoute() as route:
                    await route.bind()
                    self._tell()
                    while True:  # each `get` ends after a batch
                        async for _ in route.get():
                            self._tell()
            await asyncio.sleep(_AGAIN_S)

    def _tell(self) -> None:
        for changed in list(self._listeners):
            changed()


def _link(message: Any) -> Link:  # noqa: ANN401 - pyroute2 has no types
    flags = int(message["flags"])
    mac = str(message.get_attr("IFLA_ADDRESS") or "")
    state = message.get_attr("IFLA_OPERSTATE")
    return Link(
        index=int(message["index"]),
        name=str(message.get_attr("IFLA_IFNAME")),
        mac=bytes.fromhex(mac.replace(":", "")),
        up=bool(flags & _IFF_UP) and state not in _LINK_DOWN,
        neighbours=not flags & (_IFF_LOOPBACK | _IFF_NOARP)
        and len(mac) == len("00:00:00:00:00:00"),
    )


def _held(message: Any) -> Held:  # noqa: ANN401
    text = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
    flags = int(message.get_attr("IFA_FLAGS") or message["flags"])
    return Held(
        index=int(message["index"]),
        address=ip_address(text),
        prefix=int(message["prefixlen"]),
        duplicate=bool(flags & _DUPLICATE) and ":" in text,
    )


@contextlib.contextmanager
def _troubles(*harmless: int) -> Iterator[None]:
    try:
        yield
    except NetlinkError as trouble:
        if trouble.code not in harmless:
            raise NetlinkTrouble(f"the kernel refused: {trouble}") from trouble
    except OSError as trouble:
        raise NetlinkTrouble(f"netlink failed: {trouble}") from trouble
