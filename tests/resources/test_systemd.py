"""Units of a real systemd, booted for these tests: what fails, hangs, dies or vanishes."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from reconciler.model.ids import ServiceName
from reconciler.model.intent import Kind, Service
from reconciler.model.operation import Verdict
from reconciler.ports import OperationContext
from reconciler.resources.systemd import SystemdHand
from tests.resources import scripts
from tests.resources.systemd_host import SystemdHost, systemd_host

UNITS = {
    "good.service": "[Service]\nExecStart=/bin/sleep infinity\n",
    "other.service": "[Service]\nExecStart=/bin/sleep infinity\n",
    "again.service": "[Service]\nExecStart=/bin/sleep infinity\nRestart=always\nRestartSec=100ms\n",
    "broken.service": "[Service]\nType=oneshot\nExecStart=/bin/false\n",
    "absent.service": "[Service]\nExecStart=/nowhere/program\n",
    "once.service": "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n",
    "slow.service": "[Service]\nType=oneshot\nExecStart=/bin/sleep 1000\n",
    "deaf.service": (
        "[Service]\nExecStart=/bin/bash -c 'trap \"\" TERM; while :; do sleep 1; done'\n"
        "TimeoutStopSec=1000\n"
    ),
    "spare.service": (
        # Forking: it counts as started only once both of its processes are there.
        "[Service]\nType=forking\nKillMode=process\nGuessMainPID=no\nPIDFile=/run/spare.pid\n"
        "ExecStart=/bin/bash -c 'sleep 1000 & sleep infinity & echo $$! > /run/spare.pid'\n"
    ),
    "copy@.service": "[Service]\nExecStart=/bin/sleep infinity\n",
}

pytestmark = [pytest.mark.real, pytest.mark.xdist_group("systemd")]


@pytest.fixture(scope="module")
def host():
    with systemd_host("units", UNITS) as booted:
        yield booted


def unit(name: str) -> Service:
    return Service(name=ServiceName("web"), kind=Kind.SYSTEMD, agent=name)


def with_hand(host: SystemdHost, story: Callable[[SystemdHand], Awaitable[None]]) -> None:
    async def whole() -> None:
        hand = SystemdHand(host.address)
        try:
            await story(hand)
        finally:
            await hand.close()

    asyncio.run(whole())


@pytest.mark.parametrize("name", ["good", "good.service", "once", "copy@a", "copy@b-c.service"])
def test_units_start_and_stop(host, tmp_path, name):
    context = scripts.context(tmp_path)

    async def story(hand):
        assert (await hand.start(unit(name), context)).verdict is Verdict.RUNNING
        assert (await hand.stop(unit(name), context)).verdict is Verdict.STOPPED

    with_hand(host, story)


@pytest.mark.parametrize(
    ("name", "definite", "words"),
    [
        ("broken", False, "ended as failed"),
        ("nowhere", True, "not found"),
        ("absent", False, "exit-code"),
    ],
)
def test_a_start_that_fails_says_why(host, tmp_path, name, definite, words):
    async def story(hand):
        outcome = await hand.start(unit(name), scripts.context(tmp_path))
        if name == "absent":  # systemd calls a simple unit started before it has executed anything
            outcome = await hand.probe(unit(name), scripts.context(tmp_path))
            assert outcome.verdict is Verdict.STOPPED
        else:
            assert outcome.verdict is Verdict.FAILED
        assert outcome.definite == definite
        assert words in outcome.reason

    with_hand(host, story)


def test_a_unit_that_nobody_knows_does_not_run(host, tmp_path):
    async def story(hand):
        outcome = await hand.probe(unit("nowhere"), scripts.context(tmp_path))
        assert (outcome.verdict, outcome.reason) == (Verdict.STOPPED, "unit not-found")
        outcome = await hand.stop(unit("nowhere"), scripts.context(tmp_path))
        assert outcome.verdict is Verdict.STOPPED

    with_hand(host, story)


def test_a_start_past_its_deadline_is_unknown_and_taken_back(host, tmp_path):
    async def story(hand):
        began = time.monotonic()
        hurried = scripts.context(tmp_path, timeout_ms=300)
        outcome = await hand.start(unit("slow"), hurried)
        assert outcome.verdict is Verdict.UNKNOWN
        assert time.monotonic() - began < 2.3
        assert (await hand.probe(unit("slow"), hurried)).verdict is Verdict.UNKNOWN
        assert (await hand.stop(unit("slow"), scripts.context(tmp_path))).verdict is Verdict.STOPPED

    with_hand(host, story)
    assert host.systemctl("list-jobs", "--no-legend") in {"", "No jobs running."}


def test_a_stop_past_its_deadline_is_no_proof(host, tmp_path):
    async def story(hand):
        context = scripts.context(tmp_path)
        assert (await hand.start(unit("deaf"), context)).verdict is Verdict.RUNNING
        hurried = scripts.context(tmp_path, timeout_ms=300)
        assert (await hand.stop(unit("deaf"), hurried)).verdict is Verdict.UNKNOWN

    with_hand(host, story)
    host.systemctl("kill", "--signal=KILL", "deaf.service")


def test_a_stop_that_leaves_a_process_is_no_proof(host, tmp_path):
    """KillMode=process: systemd calls the unit inactive while one of its processes lives on."""

    async def story(hand):
        assert (
            await hand.start(unit("spare"), scripts.context(tmp_path))
        ).verdict is Verdict.RUNNING
        outcome = await hand.stop(unit("spare"), scripts.context(tmp_path, timeout_ms=600))
        assert outcome.verdict is Verdict.FAILED
        assert "1 of its processes still run" in outcome.reason
        host.systemctl("kill", "--signal=KILL", "spare.service")

    with_hand(host, story)


def test_a_kill_reaches_the_watcher_at_once(host, tmp_path):
    async def story(hand):
        context = scripts.context(tmp_path)
        died, other_died = asyncio.Event(), asyncio.Event()
        for name in ("good", "other"):
            assert (await hand.start(unit(name), context)).verdict is Verdict.RUNNING
        hand.watch(unit("good"), context, died.set)
        hand.watch(unit("other"), context, other_died.set)
        await settled(hand, context)
        await asyncio.to_thread(host.kill, "good.service")
        async with asyncio.timeout(1):
            await died.wait()
        outcome = await hand.probe(unit("good"), context)
        assert (outcome.verdict, outcome.reason) == (Verdict.STOPPED, "failed (failed): signal")
        assert not other_died.is_set()
        assert (await hand.start(unit("good"), context)).verdict is Verdict.RUNNING
        assert (await hand.stop(unit("other"), context)).verdict is Verdict.STOPPED

    with_hand(host, story)


def test_a_watch_on_what_is_dead_already_says_so(host, tmp_path):
    async def story(hand):
        died = asyncio.Event()
        context = scripts.context(tmp_path)
        await hand.stop(unit("good"), context)
        hand.watch(unit("good"), context, died.set)
        async with asyncio.timeout(2):
            await died.wait()

    with_hand(host, story)


def test_a_unit_that_systemd_restarts_is_waited_for(host, tmp_path):
    async def story(hand):
        context = scripts.context(tmp_path)
        assert (await hand.start(unit("again"), context)).verdict is Verdict.RUNNING
        await asyncio.to_thread(host.kill, "again.service")
        assert (await hand.probe(unit("again"), context)).verdict is Verdict.RUNNING
        assert (await hand.stop(unit("again"), context)).verdict is Verdict.STOPPED

    with_hand(host, story)


def test_a_bus_that_goes_away_proves_nothing_and_is_found_again(host, tmp_path):
    async def story(hand):
        context = scripts.context(tmp_path)
        died = asyncio.Event()
        assert (await hand.start(unit("good"), context)).verdict is Verdict.RUNNING
        hand.watch(unit("good"), context, died.set)
        await settled(hand, context)
        await asyncio.to_thread(host.systemctl, "stop", "dbus.socket", "dbus.service")
        assert (await hand.probe(unit("good"), context)).verdict is Verdict.UNKNOWN
        await asyncio.to_thread(host.systemctl, "kill", "--signal=KILL", "good.service")
        await asyncio.to_thread(host.systemctl, "start", "dbus.socket")
        async with asyncio.timeout(10):
            await died.wait()  # noticed once the bus is back
        outcome = await hand.probe(unit("good"), context)
        assert outcome.verdict is Verdict.STOPPED

    with_hand(host, story)


async def settled(hand: SystemdHand, context: OperationContext) -> None:
    """Give watches time to find their units: they ask over the same connection, in turn."""
    for _ in range(5):
        await hand.probe(unit("good"), context)
