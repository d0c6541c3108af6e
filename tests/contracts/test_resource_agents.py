"""The contract of `ports.ResourceAgent`, on the fake hand and on every real one.

Each hand brings a service that it can run here, and a way to end it behind the hand's back.
"""

import asyncio
import contextlib
import dataclasses
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from reconciler.fencing.watch import FenceDeviceHand
from reconciler.model.ids import Millis, ServiceName
from reconciler.model.intent import FenceDevice, Kind, Service
from reconciler.model.operation import Outcome, Verdict
from reconciler.ports import OperationContext, ResourceAgent, RoleAgent
from reconciler.resources import reaper
from reconciler.resources.lookup import ROOT
from reconciler.resources.ocf import OcfHand
from reconciler.resources.pretended_vip import PretendedVipHand
from reconciler.resources.script import ScriptHand
from reconciler.runtime.fence_agents import device_fences
from tests.contracts.fake_hand import FakeHand
from tests.fencing.devices import install
from tests.resources import scripts
from tests.resources.namespaces import cable, inside
from tests.resources.systemd_host import systemd_host

PROBE_S = 0.05


@dataclass
class Case:
    """One hand, a service for it, and how to end that service behind its back."""

    make: Callable[[], ResourceAgent]
    service: Service
    context: OperationContext
    kill: Callable[[ResourceAgent], None] | None = None


def vip_service(address: str) -> Service:
    return Service(name=ServiceName("address"), kind=Kind.VIP, parameters=(("address", address),))


def ocf_service(agent: str, **parameters: str) -> Service:
    return Service(
        name=ServiceName("thing"),
        kind=Kind.OCF,
        agent=f"heartbeat:{agent}",
        parameters=tuple(sorted(parameters.items())),
    )


def kill_by(pid_file: Path) -> Callable[[ResourceAgent], None]:
    return lambda _: os.kill(int(pid_file.read_text()), signal.SIGKILL)


@contextlib.contextmanager
def fake(directory: Path) -> Iterator[Case]:
    service = scripts.service(directory)

    def kill(hand: ResourceAgent) -> None:
        assert isinstance(hand, FakeHand)
        hand.kill(service.name)

    yield Case(FakeHand, service, scripts.context(directory), kill)


@contextlib.contextmanager
def script(directory: Path) -> Iterator[Case]:
    context = scripts.context(directory)
    service = scripts.service(directory, pidfile="web.pid")
    yield Case(ScriptHand, service, context, kill_by(context.run_directory / "web.pid"))


@contextlib.contextmanager
def pretended_vip(directory: Path) -> Iterator[Case]:
    yield Case(PretendedVipHand, vip_service("10.0.0.9"), scripts.context(directory))


@contextlib.contextmanager
def ocf(directory: Path) -> Iterator[Case]:
    _needs_agents()
    yield Case(OcfHand, ocf_service("Dummy"), scripts.context(directory))


@contextlib.contextmanager
def ocf_with_pid_file(directory: Path) -> Iterator[Case]:
    _needs_agents()
    pid_file = directory / "sleep.pid"
    service = ocf_service(
        "anything", binfile="/bin/sleep", cmdline_options="1000", pidfile=str(pid_file)
    )
    yield Case(OcfHand, service, scripts.context(directory, timeout_ms=15_000), kill_by(pid_file))


@contextlib.contextmanager
def vip(directory: Path) -> Iterator[Case]:
    from reconciler.resources.vip import VipHand

    with cable("contract") as wire, inside(wire.here):

        def kill(_: ResourceAgent) -> None:
            wire.ip(wire.here, "address", "del", "10.7.0.100/24", "dev", "eth0")

        service = vip_service("10.7.0.100/24")
        yield Case(VipHand, service, scripts.context(directory, interface="eth0"), kill)


@contextlib.contextmanager
def systemd(directory: Path) -> Iterator[Case]:
    from reconciler.resources.systemd import SystemdHand

    units = {"web.service": "[Service]\nExecStart=/bin/sleep infinity\n"}
    with systemd_host("contract", units) as host:
        service = Service(name=ServiceName("web"), kind=Kind.SYSTEMD, agent="web")
        yield Case(
            lambda: SystemdHand(host.address),
            service,
            scripts.context(directory),
            lambda _: host.kill("web.service"),
        )


@contextlib.contextmanager
def fence_device(directory: Path) -> Iterator[Case]:
    install(directory)
    device = FenceDevice(name="toy", agent="fence_toy", nodes=())
    context = dataclasses.replace(scripts.context(directory), device=device)
    fences = device_fences(
        run_directory=context.run_directory, secrets=directory, places=(directory,)
    )
    service = Service(name=ServiceName("watch"), kind=Kind.FENCE_DEVICE, agent="toy")
    yield Case(lambda: FenceDeviceHand(fences), service, context)


@contextlib.contextmanager
def stateful(directory: Path) -> Iterator[Case]:
    _needs_agents()
    if not (ROOT / "pacemaker" / "Stateful").exists():
        pytest.skip("needs pacemaker-resource-agents (scripts/packages)")
    service = dataclasses.replace(
        ocf_service("Stateful", state=str(directory / "stateful"), envfile=str(directory / "env")),
        agent="pacemaker:Stateful",
        promotable=True,
        promoted=1,
    )
    yield Case(OcfHand, service, scripts.context(directory, timeout_ms=15_000))


def _needs_agents() -> None:
    if os.geteuid() != 0 or not ROOT.is_dir():
        pytest.skip("needs root and resource-agents (scripts/packages)")


FAST = [fake, script, pretended_vip, fence_device]
REAL = [ocf, ocf_with_pid_file, stateful, vip, systemd]
WITH_ROLES = [fake, pytest.param(stateful, marks=pytest.mark.real)]


def real(case: Callable[..., object]) -> tuple[pytest.MarkDecorator, ...]:
    """Marks of a case; its tests stay together, so that what it brings is made once."""
    return pytest.mark.real, pytest.mark.xdist_group(f"contract-{case.__name__}")


@pytest.fixture(
    scope="module",
    params=[*FAST, *(pytest.param(case, marks=pytest.mark.real) for case in REAL)],
    ids=lambda case: case.__name__,
)
def case(request, tmp_path_factory) -> Iterator[Case]:
    with request.param(tmp_path_factory.mktemp("contract")) as made:
        yield made


def against(case: Case, story: Callable[[ResourceAgent], Awaitable[None]]) -> None:
    """Run a story with a fresh hand, and leave the service stopped."""

    async def whole() -> None:
        hand = case.make()
        end_adopting = reaper.adopt_orphans()
        try:
            await story(hand)
        finally:
            await hand.stop(case.service, case.context)
            if hasattr(hand, "close"):
                await hand.close()
            end_adopting()

    asyncio.run(whole())


def test_a_service_that_never_ran_is_stopped(case):
    async def story(hand):
        assert (await hand.probe(case.service, case.context)).verdict is Verdict.STOPPED

    against(case, story)


def test_start_leaves_it_running_and_stop_leaves_it_stopped(case):
    async def story(hand):
        assert (await hand.start(case.service, case.context)).verdict is Verdict.RUNNING
        assert (await hand.probe(case.service, case.context)).verdict is Verdict.RUNNING
        assert (await hand.stop(case.service, case.context)).verdict is Verdict.STOPPED
        assert (await hand.probe(case.service, case.context)).verdict is Verdict.STOPPED

    against(case, story)


def test_starting_what_runs_and_stopping_what_does_not_are_successes(case):
    async def story(hand):
        assert (await hand.stop(case.service, case.context)).verdict is Verdict.STOPPED
        for _ in range(2):
            assert (await hand.start(case.service, case.context)).verdict is Verdict.RUNNING
        for _ in range(2):
            assert (await hand.stop(case.service, case.context)).verdict is Verdict.STOPPED

    against(case, story)


def test_another_hand_finds_it_running(case):
    """An agent that restarts adopts what runs: nothing of importance is kept in a hand."""
    if case.make is FakeHand:
        pytest.skip("the fake hand is its own world")

    async def story(hand):
        assert (await hand.start(case.service, case.context)).verdict is Verdict.RUNNING
        other = case.make()
        assert (await other.probe(case.service, case.context)).verdict is Verdict.RUNNING
        assert (await other.stop(case.service, case.context)).verdict is Verdict.STOPPED
        if hasattr(other, "close"):
            await other.close()

    against(case, story)


def test_a_deadline_is_kept_and_nothing_is_raised(case):
    hurried = dataclasses.replace(case.context, timeout_ms=Millis(1))

    async def story(hand):
        for operation in (hand.probe, hand.start, hand.stop):
            began = time.monotonic()
            outcome = await operation(case.service, hurried)
            assert isinstance(outcome, Outcome)
            assert time.monotonic() - began < 2.001

    against(case, story)


def test_a_death_is_noticed_and_probed_as_not_running(case):
    if case.kill is None:
        pytest.skip("this service has no process of its own")

    async def story(hand):
        died = asyncio.Event()
        assert (await hand.start(case.service, case.context)).verdict is Verdict.RUNNING
        end = hand.watch(case.service, case.context, died.set)
        assert end is not None
        await asyncio.sleep(PROBE_S)  # a watch may need a moment to be in place
        case.kill(hand)
        async with asyncio.timeout(5):
            await died.wait()
        found = await hand.probe(case.service, case.context)
        assert found.verdict in (Verdict.STOPPED, Verdict.FAILED)

    against(case, story)


def test_a_watch_that_was_ended_stays_silent(case):
    async def story(hand):
        calls = []
        assert (await hand.start(case.service, case.context)).verdict is Verdict.RUNNING
        end = hand.watch(case.service, case.context, lambda: calls.append(1))
        if end is None:
            return
        end()
        end()
        assert (await hand.stop(case.service, case.context)).verdict is Verdict.STOPPED
        assert calls == []

    against(case, story)


# Roles ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=WITH_ROLES, ids=lambda case: case.__name__)
def roles(request, tmp_path_factory) -> Iterator[Case]:
    with request.param(tmp_path_factory.mktemp("roles")) as made:
        yield made


def test_a_copy_starts_unpromoted_and_is_promoted_and_demoted(roles):
    async def story(hand):
        assert isinstance(hand, RoleAgent)
        service, context = roles.service, roles.context
        promoted = dataclasses.replace(context, promoted=True)
        assert (await hand.start(service, context)).verdict is Verdict.RUNNING
        assert (await hand.promote(service, context)).verdict is Verdict.PROMOTED
        assert (await hand.probe(service, promoted)).verdict is Verdict.PROMOTED
        assert (await hand.demote(service, promoted)).verdict is Verdict.RUNNING
        assert (await hand.probe(service, context)).verdict is Verdict.RUNNING

    against(roles, story)


def test_promoting_what_is_promoted_and_demoting_what_is_not_are_successes(roles):
    async def story(hand):
        assert (await hand.start(roles.service, roles.context)).verdict is Verdict.RUNNING
        for operation, wanted in ((hand.promote, Verdict.PROMOTED), (hand.demote, Verdict.RUNNING)):
            for _ in range(2):
                assert (await operation(roles.service, roles.context)).verdict is wanted

    against(roles, story)


def test_what_does_not_run_is_neither_promoted_nor_demoted(roles):
    async def story(hand):
        for operation in (hand.promote, hand.demote):
            outcome = await operation(roles.service, roles.context)
            assert outcome.verdict not in (Verdict.RUNNING, Verdict.PROMOTED)
        assert (await hand.probe(roles.service, roles.context)).verdict is Verdict.STOPPED

    against(roles, story)


def test_a_reload_keeps_the_role(roles):
    async def story(hand):
        assert (await hand.start(roles.service, roles.context)).verdict is Verdict.RUNNING
        assert (await hand.promote(roles.service, roles.context)).verdict is Verdict.PROMOTED
        promoted = dataclasses.replace(roles.context, promoted=True)
        assert (await hand.reload(roles.service, promoted)).verdict is Verdict.PROMOTED
        # An agent need not know how to stop a promoted copy: plans demote it first.
        assert (await hand.demote(roles.service, promoted)).verdict is Verdict.RUNNING

    against(roles, story)
