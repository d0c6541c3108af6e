"""Who gets which address on the wire of `reconcile dev`."""

import pytest

from reconciler.model.errors import Refused
from reconciler.model.ids import NodeName, ServiceName
from reconciler.model.intent import Intent, Kind, Node, Service
from reconciler.runtime.dev.network import wiring


def intent(*addresses: str, vip: str | None = None) -> Intent:
    nodes = tuple(
        Node(name=NodeName(f"n{number}"), addresses=tuple(text.split()))
        for number, text in enumerate(addresses)
    )
    services = (
        (
            Service(
                name=ServiceName("ip"),
                kind=Kind.VIP,
                parameters=(("address", vip.split("/")[0]), ("prefix", vip.split("/")[1])),
            ),
        )
        if vip
        else ()
    )
    return Intent(cluster="c", nodes=nodes, services=services)


@pytest.mark.parametrize(
    ("addresses", "vip", "ours"),
    [
        (("10.0.0.1", "10.0.0.2"), None, ["10.0.0.254/24"]),
        (("10.0.0.1", "10.0.0.254"), None, ["10.0.0.253/24"]),
        (("10.0.0.1",), "10.0.0.254/24", ["10.0.0.253/24"]),
        (("10.0.0.1", "10.0.1.1"), None, ["10.0.0.254/24", "10.0.1.254/24"]),
        (("10.0.0.1",), "192.168.7.9/28", ["10.0.0.254/24", "192.168.7.14/28"]),
        (("fd00::1", "fd00::2"), None, ["fd00::ffff:ffff:ffff:ffff/64"]),
        (("10.0.0.1 fd00::1",), None, ["10.0.0.254/24", "fd00::ffff:ffff:ffff:ffff/64"]),
    ],
)
def test_our_own_address_in_each_network_is_one_that_nobody_has(addresses, vip, ours) -> None:
    wires = wiring(intent(*addresses, vip=vip), uplink="rcx")
    assert [str(own) for own in wires.ours] == ours
    assert wires.controller == ours[0].split("/")[0]


@pytest.mark.parametrize("address", ["alpha.example.org", "127.0.0.1", "0.0.0.0", "224.0.0.1"])
def test_an_address_that_no_wire_carries_is_refused(address) -> None:
    with pytest.raises(Refused, match="--plain"):
        wiring(intent(address), uplink="rcx")
