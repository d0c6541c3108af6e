"""Which nodes hear which others, and how many of them tell a dead controller from a cut cable.

A node that hears no controller knows one thing only: one of the two is cut off. Others on its side that
hear none either tell more. The controller acts elsewhere only with a majority of all votes, its own included;
once this side has so many nodes that the rest is none, nothing can have been moved, and what runs here stays.

Every node speaks to the next `PEERS_MAX` in a ring, so that the cost grows with the nodes and not with
their square. The ring is in the order of a checksum, since neighbours by name often share a rack.

Law: up to seven voters the count is a proof. In larger clusters `PEERS_MAX` peers are all that a node
hears, and then all of them have to agree.
"""

import zlib
from collections.abc import Collection

from reconciler.model.ids import NodeName

PEERS_MAX = 3


def hears(members: Collection[NodeName], name: NodeName) -> tuple[NodeName, ...]:
    """The members that speak to this one: those before it in the ring, the nearest first."""
    return _around(members, name, -1)


def speaks_to(members: Collection[NodeName], name: NodeName) -> tuple[NodeName, ...]:
    """The members that this one speaks to: those after it in the ring, the nearest first."""
    return _around(members, name, 1)


def enough(voters: int, *, majority: bool = True) -> int:
    """How many peers without a controller leave the controller's side without a majority.

    `voters` are nodes and witnesses; the controller has one more vote. Where the intent lets it act without a
    majority, all of them.
    """
    total = voters + 1
    needed = total // 2 + 1 if majority else 2
    return max(0, min(total - needed, PEERS_MAX))


def _around(members: Collection[NodeName], name: NodeName, way: int) -> tuple[NodeName, ...]:
    ring = sorted({*members, name}, key=lambda member: (zlib.crc32(member.encode()), member))
    place = ring.index(name)
    count = min(PEERS_MAX, len(ring) - 1)
    return tuple(ring[(place + way * step) % len(ring)] for step in range(1, count + 1))
