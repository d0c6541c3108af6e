"""Frames byte by byte, and whatever else may come along the wire."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.resources import frames

MAC = bytes.fromhex("020000000001")
FOUR = IPv4Address("10.7.0.100")
SIX = IPv6Address("fd00:7::100")


def test_a_gratuitous_arp_as_the_rfc_draws_it():
    assert frames.announcement(FOUR, MAC).hex(" ") == (
        "ff ff ff ff ff ff 02 00 00 00 00 01 08 06 "
        "00 01 08 00 06 04 00 01 "
        "02 00 00 00 00 01 0a 07 00 64 "
        "00 00 00 00 00 00 0a 07 00 64"
    )


def test_an_arp_probe_claims_nothing():
    sender = frames.question(FOUR, MAC)[28:32]
    assert sender == b"\0\0\0\0"
    assert frames.holder(frames.question(FOUR, MAC), FOUR) is None


def test_an_unsolicited_advertisement_overrides_and_is_for_everybody():
    frame = frames.announcement(SIX, MAC)
    assert frame[:6] == bytes.fromhex("333300000001")
    assert frame[6:14] == MAC + b"\x86\xdd"
    assert frame[21] == 255  # hop limit: from this link
    assert frame[22:38] == SIX.packed
    assert frame[38:54] == IPv6Address("ff02::1").packed
    assert frame[54] == 136
    assert frame[58] == 0x20  # override, neither router nor solicited
    assert frame[62:78] == SIX.packed
    assert frame[78:] == b"\x02\x01" + MAC


def test_duplicate_detection_asks_the_solicited_node_group_as_nobody():
    frame = frames.question(SIX, MAC)
    assert frame[:6] == bytes.fromhex("3333ff000100")
    assert frame[22:38] == bytes(16)
    assert frame[38:54] == IPv6Address("ff02::1:ff00:100").packed
    assert frame[54] == 135


@pytest.mark.parametrize("frame", [frames.announcement(SIX, MAC), frames.question(SIX, MAC)])
def test_checksums_sum_up(frame):
    message = frame[54:]
    data = frame[22:54] + len(message).to_bytes(4, "big") + (58).to_bytes(4, "big") + message
    total = sum(int.from_bytes(data[i : i + 2], "big") for i in range(0, len(data), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    assert total == 0xFFFF


addresses = st.ip_addresses(v=4) | st.ip_addresses(v=6)


@given(addresses, addresses, st.binary(min_size=6, max_size=6))
def test_an_announcement_names_its_holder_for_its_address_only(address, other, mac):
    frame = frames.announcement(address, mac)
    assert frames.holder(frame, address) == mac
    if other != address:
        assert frames.holder(frame, other) is None


@given(st.binary(max_size=200), addresses)
def test_garbage_from_the_wire_names_at_most_a_mac(garbage, address):
    for frame in (garbage, MAC + MAC + b"\x08\x06" + garbage, MAC + MAC + b"\x86\xdd" + garbage):
        found = frames.holder(frame, address)
        assert found is None or len(found) == 6


def test_addresses_of_both_kinds_are_known():
    assert isinstance(ip_address("10.0.0.1"), frames.Address)
