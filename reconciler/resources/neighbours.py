"""Talks to the neighbours on one link: asks whether an address is taken, and announces a new holder.

A raw packet socket for each exchange; nothing is kept open. Links without ARP (loopback, tunnels) have no
neighbours to ask or to tell.
"""

import asyncio
import contextlib
import socket
from collections.abc import Iterator

from reconciler.resources import frames
from reconciler.resources.frames import Address

ANNOUNCE_GAPS_MS = (200, 300, 500, 1000)
"""Pauses between announcements: neighbours may lose some, and switches may still be learning."""

_QUESTIONS = 3
_QUESTION_GAP_S = 0.07
_FRAME_BYTES_MAX = 2048


async def ask(interface: str, mac: bytes, address: Address) -> bytes | None:
    """Ask three times within 0.21 s who holds an address; return the MAC address of another holder."""
    loop = asyncio.get_running_loop()
    with _link(interface, address) as link:
        for _ in range(_QUESTIONS):
            link.send(frames.question(address, mac))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_QUESTION_GAP_S):
                    return await _answer(loop, link, mac, address)
    return None


async def announce(interface: str, mac: bytes, address: Address) -> None:
    """Announce again and again after the first time; a link that goes away ends it quietly."""
    with contextlib.suppress(OSError):
        for gap_ms in ANNOUNCE_GAPS_MS:
            await asyncio.sleep(gap_ms / 1000)
            announce_once(interface, mac, address)


def announce_once(interface: str, mac: bytes, address: Address) -> None:
    """Tell every neighbour once that this interface holds the address.

    Errors: `OSError` if the link is not there.
    """
    with _link(interface, address) as link:
        link.send(frames.announcement(address, mac))


async def _answer(
    loop: asyncio.AbstractEventLoop, link: socket.socket, mac: bytes, address: Address
) -> bytes:
    while True:
        frame = await loop.sock_recv(link, _FRAME_BYTES_MAX)
        found = frames.holder(frame, address)
        if found is not None and found != mac:
            return found


@contextlib.contextmanager
def _link(interface: str, address: Address) -> Iterator[socket.socket]:
    protocol = frames.ETHERTYPE_ARP if address.version == 4 else frames.ETHERTYPE_IPV6  # noqa: PLR2004
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(protocol)) as link:
        link.bind((interface, protocol))
        link.setblocking(False)  # noqa: FBT003 - it has no keywords
        yield link
