"""The network of a cluster under `reconcile dev`: one switch, a port for every node, and one for us.

The switch is a bridge in a namespace of its own, so that neither this machine's firewall nor its names
have a part in it; only `Wiring.uplink`, with one address in each network, is seen outside, and the kernel
takes it away with the namespace. Law: nothing is added to a network that this machine already uses.
"""

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_interface,
    ip_network,
)

from pyroute2 import IPRoute, netns
from pyroute2.netlink.exceptions import NetlinkError

from reconciler.model.errors import Refused
from reconciler.model.ids import NodeName
from reconciler.model.intent import Intent, Kind

INTERFACE = "eth0"
"""The name of a node's only interface."""

Interface = IPv4Interface | IPv6Interface
Network = IPv4Network | IPv6Network

_IFA_F_NODAD = 0x02


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """Who has which address. `ours` is our own in each network, the controller's first."""

    uplink: str
    ours: tuple[Interface, ...]
    nodes: Mapping[NodeName, tuple[Interface, ...]]

    @property
    def controller(self) -> str:
        """The address at which nodes and commands meet the controller."""
        return str(self.ours[0].ip)


def wiring(intent: Intent, *, uplink: str) -> Wiring:
    """Lay out the addresses that the intent names, as /24 and /64 networks on one wire.

    Errors: `Refused` when a node's address is not one that a wire can carry.
    """
    nodes = {
        node.name: tuple(_interface(node.name, text) for text in node.addresses)
        for node in intent.nodes
    }
    virtual = _virtual_addresses(intent)
    networks = list(dict.fromkeys(own.network for held in nodes.values() for own in held))
    for address in virtual:
        if not any(address.ip in network for network in networks):
            networks.append(address.network)
    taken = {own.ip for held in nodes.values() for own in held} | {own.ip for own in virtual}
    return Wiring(
        uplink=uplink,
        ours=tuple(_last_free(network, taken) for network in networks),
        nodes=nodes,
    )


def refuse_if_used(wires: Wiring) -> None:
    """Look whether this machine already has a part in one of the networks.

    Errors: `Refused`, naming the interface that has.
    """
    with IPRoute() as machine:
        names = {link["index"]: link.get_attr("IFLA_IFNAME") for link in machine.get_links()}
        held = [
            (
                names.get(address["index"], "?"),
                ip_network(
                    f"{address.get_attr('IFA_ADDRESS')}/{address['prefixlen']}", strict=False
                ),
            )
            for address in machine.get_addr()
        ]
    for ours in wires.ours:
        for name, network in held:
            if network.version == ours.version and network.overlaps(ours.network):
                raise Refused(
                    f"{ours.network} is already a network of this machine ({name}, {network}). "
                    "If another `reconcile dev` has it, stop that one; else use other addresses."
                )


def remove_uplink(wires: Wiring) -> None:
    """Take our own port away at once, or what a crashed run left of it; absent is a success.

    The kernel does so too, some time after the switch's namespace has lost its last process.
    """
    with IPRoute() as machine:
        _remove(machine, wires.uplink)


class Switch:
    """The bridge, inside the network namespace of process `holder`. Its methods block for milliseconds."""

    def __init__(self, *, holder: int, wires: Wiring) -> None:
        self._namespace = f"/proc/{holder}/ns/net"
        self._wires = wires
        with _inside(self._namespace) as inside:
            inside.link("set", index=1, state="up")
            inside.link("add", ifname="switch", kind="bridge", br_forward_delay=0)
            inside.link("set", index=_index(inside, "switch"), state="up")
            _add_port(inside, port="uplink", peer=wires.uplink, owner=os.getpid())
        with IPRoute() as machine:
            _dress(machine, wires.uplink, wires.ours)

    def plug(self, node: NodeName, init: int) -> None:
        """Connect a node that has just got its power, known by its first process, and address it."""
        with _inside(self._namespace) as inside:
            _add_port(inside, port=self._port(node), peer=INTERFACE, owner=init)
        own = self._wires.nodes[node]
        with _inside(f"/proc/{init}/ns/net") as there:
            there.link("set", index=1, state="up")
            there.link("set", index=_index(there, INTERFACE), address=_card_address(node))
            index = _dress(there, INTERFACE, own)
            for network in sorted({ours.network for ours in self._wires.ours}, key=str):
                if network not in {held.network for held in own} and any(
                    held.version == network.version for held in own
                ):
                    there.route("add", dst=str(network), oif=index, scope="link")

    def unplug(self, node: NodeName) -> None:
        """Take a node's port away, and with it whatever answered behind it; absent is a success."""
        with _inside(self._namespace) as inside:
            _remove(inside, self._port(node))

    def carry(self, node: NodeName, *, traffic: bool) -> None:
        """Cut a node's cable, or mend it."""
        with _inside(self._namespace) as inside:
            inside.link(
                "set",
                index=_index(inside, self._port(node)),
                state="up" if traffic else "down",
            )

    def _port(self, node: NodeName) -> str:
        return f"port{sorted(self._wires.nodes).index(node)}"  # names of nodes may be too long


@contextlib.contextmanager
def _inside(namespace: str) -> Iterator[IPRoute]:
    """Work in another network namespace, with this thread alone.

    `IPRoute(netns=...)` forks and ends its child by SIGTERM, which asyncio's wake-up pipe, inherited by the
    child, would report to us as our own.
    """
    with contextlib.ExitStack() as stack:
        home, there = (
            stack.enter_context(open(path, "rb"))  # noqa: PTH123 - a descriptor is wanted
            for path in ("/proc/thread-self/ns/net", namespace)
        )
        netns.setns(there.fileno())
        stack.callback(netns.setns, home.fileno())
        yield stack.enter_context(IPRoute())


def _interface(node: NodeName, text: str) -> Interface:
    try:
        address = ip_interface(text)
    except ValueError as trouble:
        raise Refused(
            f"node {node} has the address {text!r}; `reconcile dev` needs IP addresses, "
            "since it builds the network itself (or `--plain`, which needs none)"
        ) from trouble
    if address.ip.is_loopback or address.ip.is_multicast or address.ip.is_unspecified:
        raise Refused(f"node {node} has the address {text}, which no wire carries; try `--plain`")
    return ip_interface(f"{address.ip}/{24 if address.version == 4 else 64}")  # noqa: PLR2004


def _virtual_addresses(intent: Intent) -> tuple[Interface, ...]:
    found = []
    for service in intent.services:
        parameters = dict(service.parameters)
        if service.kind is Kind.VIP and "address" in parameters:
            own = ip_interface(parameters["address"])
            length = parameters.get("prefix", str(own.network.prefixlen))
            found.append(ip_interface(f"{own.ip}/{length}"))
    return tuple(found)


def _last_free(network: Network, taken: set[IPv4Address | IPv6Address]) -> Interface:
    """Our own address in a network: the highest that nobody has, `.254` if possible."""
    last = int(network.broadcast_address) - (1 if network.version == 4 else 0)  # noqa: PLR2004
    while (own := ip_interface((last, network.prefixlen))).ip in taken:
        last -= 1
    return own


def _add_port(inside: IPRoute, *, port: str, peer: str, owner: int) -> None:
    """Make a cable between the switch and the network of process `owner`."""
    inside.link("add", ifname=port, kind="veth", peer={"ifname": peer, "net_ns_pid": owner})
    inside.link("set", index=_index(inside, port), master=_index(inside, "switch"), state="up")


def _dress(namespace: IPRoute, name: str, addresses: tuple[Interface, ...]) -> int:
    """Give an interface its addresses and set it up; returns its index."""
    index = _index(namespace, name)
    namespace.link("set", index=index, state="up")
    for own in addresses:
        flags = {"flags": _IFA_F_NODAD} if own.version == 6 else {}  # noqa: PLR2004
        namespace.addr(
            "add", index=index, address=str(own.ip), prefixlen=own.network.prefixlen, **flags
        )
    return index


def _card_address(node: NodeName) -> str:
    """The hardware address of a node: the same after every boot, as neighbours remember it."""
    octets = hashlib.sha256(node.encode()).digest()[:5]
    return ":".join(["02", *(f"{octet:02x}" for octet in octets)])


def _remove(namespace: IPRoute, name: str) -> None:
    for index in namespace.link_lookup(ifname=name):
        try:
            namespace.link("del", index=index)
        except NetlinkError as trouble:
            if trouble.code != errno.ENODEV:  # the kernel was faster, its other end had gone
                raise


def _index(namespace: IPRoute, name: str) -> int:
    (index,) = namespace.link_lookup(ifname=name)
    return int(index)
