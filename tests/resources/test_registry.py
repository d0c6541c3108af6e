"""Every kind has a hand, and nobody pays for a library that no service needs."""

import asyncio
import subprocess
import sys

import pytest

from reconciler.model.intent import Kind
from reconciler.resources.pretended_vip import PretendedVipHand
from reconciler.resources.registry import hands

PROGRAM = """
import sys
from reconciler.model.intent import Kind
from reconciler.resources.registry import hands

made = hands()
for kind in sys.argv[1:]:
    made[Kind(kind)]
print(*(name for name in ("pyroute2", "dbus_fast") if name in sys.modules))
"""


ELSEWHERE = {Kind.FENCE_DEVICE}
"""Kinds whose hand is not of this package: the agent brings it along."""


def test_every_kind_has_a_hand():
    assert set(hands()) == set(Kind) - ELSEWHERE
    assert set(hands(others=dict.fromkeys(ELSEWHERE, PretendedVipHand))) == set(Kind)


def test_a_hand_is_made_once_and_closed():
    made = hands(pretend_addresses=True)
    assert made[Kind.SCRIPT] is made[Kind.SCRIPT]
    assert isinstance(made[Kind.VIP], PretendedVipHand)
    asyncio.run(made.close())


@pytest.mark.parametrize(
    ("kinds", "loaded"),
    [
        ((), ""),
        (("script", "ocf"), ""),
        (("systemd",), "dbus_fast"),
        (("vip",), "pyroute2"),
    ],
)
def test_libraries_come_with_the_kinds_that_need_them(kinds, loaded):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *kinds], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == loaded


def test_an_agent_with_every_hand_stays_small():
    """60 MiB for the whole agent is the law; the hands may take 48 of them."""
    program = PROGRAM + "\nprint(open('/proc/self/status').read())"
    kinds = [kind.value for kind in Kind if kind not in ELSEWHERE]
    done = subprocess.run(
        [sys.executable, "-c", program, *kinds], capture_output=True, text=True, check=True
    )
    resident_kib = int(done.stdout.partition("VmRSS:")[2].split()[0])
    assert resident_kib < 48 * 1024
