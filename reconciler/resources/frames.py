"""Ethernet frames that tell neighbours who holds an address, and ask whether anybody does.

IPv4: gratuitous ARP and ARP probes; IPv6: unsolicited neighbour advertisements and the solicitations of
duplicate address detection. Bytes in, bytes out; sending them is `neighbours`' business.
Source: RFC 826, RFC 5227 (IPv4 address conflict detection), RFC 4861 and RFC 4862 (IPv6 neighbours).
"""

import struct
from ipaddress import IPv4Address, IPv6Address

Address = IPv4Address | IPv6Address

ETHERTYPE_ARP = 0x0806
ETHERTYPE_IPV6 = 0x86DD

_BROADCAST = b"\xff" * 6
_NOBODY_MAC = b"\x00" * 6
_ARP_REQUEST = 1
_ARP = struct.Struct("!HHBBH6s4s6s4s")
_ARP_HEADER = (1, 0x0800, 6, 4)
_ALL_NODES = IPv6Address("ff02::1")
_SOLICITED_NODE = int(IPv6Address("ff02::1:ff00:0"))
_NOBODY = IPv6Address("::")
_ICMPV6 = 58
_SOLICITATION, _ADVERTISEMENT = 135, 136
_OVERRIDE = 0x2000_0000
_HOP_LIMIT = 255
_ETHERNET_BYTES = 14
_IPV6_BYTES = 40
_NEIGHBOUR_BYTES = 24


def announcement(address: Address, mac: bytes) -> bytes:
    """Tell every neighbour that `mac` holds `address` now."""
    if isinstance(address, IPv4Address):
        arp = _ARP.pack(
            *_ARP_HEADER, _ARP_REQUEST, mac, address.packed, _NOBODY_MAC, address.packed
        )
        return _BROADCAST + mac + struct.pack("!H", ETHERTYPE_ARP) + arp
    option = b"\x02\x01" + mac  # target link-layer address
    message = struct.pack("!BBHI", _ADVERTISEMENT, 0, 0, _OVERRIDE) + address.packed + option
    return _icmpv6(address, _ALL_NODES, mac, message)


def question(address: Address, mac: bytes) -> bytes:
    """Ask whether anybody holds `address`, without claiming it."""
    if isinstance(address, IPv4Address):
        arp = _ARP.pack(*_ARP_HEADER, _ARP_REQUEST, mac, b"\x00" * 4, _NOBODY_MAC, address.packed)
        return _BROADCAST + mac + struct.pack("!H", ETHERTYPE_ARP) + arp
    group = IPv6Address(_SOLICITED_NODE | (int(address) & 0xFF_FFFF))
    message = struct.pack("!BBHI", _SOLICITATION, 0, 0, 0) + address.packed
    return _icmpv6(_NOBODY, group, mac, message)


def holder(frame: bytes, address: Address) -> bytes | None:
    """The MAC address of whoever says in this frame that it holds `address`; None if it says nothing."""
    if len(frame) < _ETHERNET_BYTES:
        return None
    (ethertype,) = struct.unpack_from("!H", frame, 12)
    if isinstance(address, IPv4Address):
        if ethertype != ETHERTYPE_ARP or len(frame) < _ETHERNET_BYTES + _ARP.size:
            return None
        *_, mac, sender, _, _ = _ARP.unpack_from(frame, _ETHERNET_BYTES)
        return bytes(mac) if sender == address.packed else None
    neighbour = frame[_ETHERNET_BYTES + _IPV6_BYTES :]
    if ethertype != ETHERTYPE_IPV6 or len(neighbour) < _NEIGHBOUR_BYTES:
        return None
    advertises = frame[_ETHERNET_BYTES + 6] == _ICMPV6 and neighbour[0] == _ADVERTISEMENT
    return frame[6:12] if advertises and neighbour[8:24] == address.packed else None


def _icmpv6(source: IPv6Address, target: IPv6Address, mac: bytes, message: bytes) -> bytes:
    """Wrap an ICMPv6 message to a multicast group, with its checksum, for the wire."""
    pseudo = source.packed + target.packed + struct.pack("!II", len(message), _ICMPV6)
    checksum = struct.pack("!H", _checksum(pseudo + message))
    message = message[:2] + checksum + message[4:]
    header = struct.pack("!IHBB", 0x6000_0000, len(message), _ICMPV6, _HOP_LIMIT)
    group_mac = b"\x33\x33" + target.packed[12:]
    ethernet = group_mac + mac + struct.pack("!H", ETHERTYPE_IPV6)
    return ethernet + header + source.packed + target.packed + message


def _checksum(data: bytes) -> int:
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
