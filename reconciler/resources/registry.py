"""The hands of a node, by the kind of service that each knows.

A hand is made when its kind is first needed, and only then are its libraries imported: a node without
addresses never loads netlink, a node without units never loads D-Bus.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from reconciler.model.intent import Kind
from reconciler.ports import ResourceAgent


class Hands(Mapping[Kind, ResourceAgent]):
    """Every kind of service is a key; looking one up makes its hand."""

    def __init__(self, makers: Mapping[Kind, Callable[[], ResourceAgent]]) -> None:
        self._makers = dict(makers)
        self._made: dict[Kind, ResourceAgent] = {}

    def __getitem__(self, kind: Kind) -> ResourceAgent:
        if kind not in self._made:
            self._made[kind] = self._makers[kind]()
        return self._made[kind]

    def __iter__(self) -> Iterator[Kind]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)

    async def close(self) -> None:
        """End watches and connections of every hand; services run on."""
        for hand in self._made.values():
            close: Callable[[], Any] | None = getattr(hand, "close", None)
            if close is not None:
                await close()


def hands(
    *,
    pretend_addresses: bool = False,
    ocf_root: Path | None = None,
    bus_address: str | None = None,
    others: Mapping[Kind, Callable[[], ResourceAgent]] | None = None,
) -> Hands:
    """The hands of this node.

    `pretend_addresses` is for nodes that are only processes; `ocf_root` and `bus_address` stand in for
    the places where the distribution puts OCF agents and the system bus. `others` make hands that are not
    of this package.
    """
    return Hands(
        {
            Kind.SCRIPT: _script,
            Kind.OCF: lambda: _ocf(ocf_root),
            Kind.SYSTEMD: lambda: _systemd(bus_address),
            Kind.VIP: _pretended_vip if pretend_addresses else _vip,
            **(others or {}),
        }
    )


def _script() -> ResourceAgent:
    from reconciler.resources.script import ScriptHand

    return ScriptHand()


def _ocf(root: Path | None) -> ResourceAgent:
    from reconciler.resources.ocf import OcfHand

    return OcfHand(root) if root is not None else OcfHand()


def _systemd(address: str | None) -> ResourceAgent:
    from reconciler.resources.systemd import SystemdHand

    return SystemdHand(address)


def _vip() -> ResourceAgent:
    from reconciler.resources.vip import VipHand

    return VipHand()


def _pretended_vip() -> ResourceAgent:
    from reconciler.resources.pretended_vip import PretendedVipHand

    return PretendedVipHand()
