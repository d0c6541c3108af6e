"""The keys under which nodes hear each other, and who hears whom: the controller's part of `membership.ring`.

A key belongs to one boot of one node, since a sender's counter begins anew with each boot. Where a node is
reached is what its own connection shows, and the numeric addresses that the intent gives it.
"""

import ipaddress
import secrets
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from reconciler.codec.datagram import KEY_BYTES
from reconciler.codec.messages import Peers
from reconciler.membership import ring
from reconciler.model.ids import BootId, Millis, NodeName
from reconciler.model.intent import Intent, OnLoss

HOSTS_MAX = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    boot: BootId
    host: str
    port: int
    session: int
    key: bytes = field(repr=False)


class PeerSessions:
    """Knows every connected agent; says to each what changed for it."""

    def __init__(self) -> None:
        self._members: dict[NodeName, _Member] = {}
        self._gone: dict[NodeName, _Member] = {}
        self._told: dict[NodeName, Peers] = {}
        self._known: tuple[Intent, Millis] | None = None
        """What it was last worked out for; None: somebody has come or gone since."""

    def admit(self, node: NodeName, boot: BootId, *, host: str, port: int) -> None:
        """An agent has connected from this host, and hears others on this port (0: on none)."""
        self._known = None
        before = self._gone.pop(node, None) or self._members.get(node)
        same = before is not None and before.boot == boot
        self._members[node] = _Member(
            boot=boot,
            host=host,
            port=port,
            session=before.session if same and before else secrets.randbits(63),
            key=before.key if same and before else secrets.token_bytes(KEY_BYTES),
        )
        self._told.pop(node, None)

    def dismiss(self, node: NodeName) -> None:
        """Its connection has ended."""
        self._known = None
        if node in self._members:
            self._gone[node] = self._members.pop(node)
        self._told.pop(node, None)

    def news(self, intent: Intent, every_ms: Millis) -> Iterator[tuple[NodeName, Peers]]:
        """What has to be said to which node, once."""
        if self._known is not None and (self._known[0] is intent, self._known[1]) == (
            True,
            every_ms,
        ):
            return
        self._known = (intent, every_ms)
        voters = {*(node.name for node in intent.nodes), *map(NodeName, intent.witnesses)}
        present = voters & self._members.keys()
        majority = intent.on_quorum_loss is not OnLoss.IGNORE
        enough = ring.enough(len(voters), majority=majority)
        listed = {node.name: node.addresses for node in intent.nodes}
        for node in sorted(present):
            peers = self._peers(node, present, listed, every_ms, enough)
            if self._told.get(node) != peers:
                self._told[node] = peers
                yield node, peers

    def _peers(
        self,
        node: NodeName,
        present: Collection[NodeName],
        listed: Mapping[NodeName, tuple[str, ...]],
        every_ms: Millis,
        enough: int,
    ) -> Peers:
        own = self._members[node]
        to = [(name, self._members[name]) for name in ring.speaks_to(present, node)]
        heard = [self._members[name] for name in ring.hears(present, node)]
        return Peers(
            every_ms=every_ms,
            session=own.session,
            key=own.key,
            to=tuple(
                (host, member.port)
                for name, member in to
                if member.port
                for host in _hosts(member.host, listed.get(name, ()))
            ),
            hear=tuple((member.session, member.key) for member in heard),
            enough=enough,
        )


def _hosts(connected: str, listed: tuple[str, ...]) -> tuple[str, ...]:
    """Where to send: a node on this machine is on no other address, however its intent may call it."""
    if ipaddress.ip_address(connected.partition("%")[0]).is_loopback:
        return (connected,)
    return tuple(dict.fromkeys((connected, *filter(_is_numeric, listed))))[:HOSTS_MAX]


def _is_numeric(address: str) -> bool:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True
