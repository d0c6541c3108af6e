"""Two network namespaces joined by a cable, for tests of addresses; `inside` works in one of them."""

import contextlib
import ctypes
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Cable:
    """`here` holds 10.7.0.1/24 and fd00:7::1/64 on `eth0`, `there` 10.7.0.2/24 and fd00:7::2/64."""

    here: str
    there: str

    def ip(self, side: str, *arguments: str) -> str:
        """Run ip(8) on one side."""
        command = ["ip", "-n", side, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@contextlib.contextmanager
def cable(name: str) -> Iterator[Cable]:
    """Make both namespaces and the cable, and remove them afterwards."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("needs root and iproute2 (scripts/packages)")
    own = f"{name}-{os.getpid()}"  # tests may run side by side
    made = Cable(here=f"{own}-here", there=f"{own}-there")
    try:
        for side in (made.here, made.there):
            _run("ip", "netns", "add", side)
        peer = ("peer", "name", "eth0", "netns", made.there)
        _run("ip", "-n", made.here, "link", "add", "eth0", "type", "veth", *peer)
        for number, side in enumerate((made.here, made.there), start=1):
            _run("ip", "-n", side, "link", "set", "lo", "up")
            _run("ip", "-n", side, "link", "set", "eth0", "up")
            _run("ip", "-n", side, "address", "add", f"10.7.0.{number}/24", "dev", "eth0")
            six = (f"fd00:7::{number}/64", "dev", "eth0", "nodad")
            _run("ip", "-n", side, "-6", "address", "add", *six)
        yield made
    finally:
        for side in (made.here, made.there):
            subprocess.run(["ip", "netns", "del", side], check=False, capture_output=True)


@contextlib.contextmanager
def inside(namespace: str) -> Iterator[None]:
    """Let this thread, and what it starts, live in a network namespace for a while."""
    with (
        Path("/proc/self/ns/net").open("rb") as home,
        Path("/run/netns", namespace).open("rb") as there,
    ):
        _enter(there.fileno())
        try:
            yield
        finally:
            _enter(home.fileno())


def sniffer(namespace: str, protocol: int) -> socket.socket:
    """A socket that hears every frame of one Ethernet protocol on `eth0` of a namespace."""
    with inside(namespace):
        heard = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(protocol))
        heard.bind(("eth0", protocol))
    heard.setblocking(False)  # noqa: FBT003
    return heard


def _enter(descriptor: int) -> None:
    if _LIBC.setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def _run(*arguments: str) -> None:
    subprocess.run(arguments, check=True, capture_output=True)
