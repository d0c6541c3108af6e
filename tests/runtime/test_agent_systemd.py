"""A whole agent whose services are units of a booted systemd: started, killed, reported, started again."""

import asyncio
import os
import signal
import time

import pytest

from reconciler.model.ids import Millis, NodeName, ServiceName
from reconciler.model.intent import Kind, Operation, Service
from reconciler.model.observed import Certainty
from reconciler.model.operation import Verdict
from reconciler.model.plan import ActionKind
from reconciler.resources.registry import hands
from reconciler.runtime.agent import Settings, serve
from tests.resources.systemd_host import systemd_host
from tests.runtime.agent_peer import Controller, authority, until

pytestmark = pytest.mark.real

UNITS = {"site.service": "[Service]\nExecStart=/bin/sleep infinity\n"}
SITE = Service(
    name=ServiceName("site"),
    kind=Kind.SYSTEMD,
    agent="site",
    monitor=Operation(timeout_ms=Millis(10_000), every_ms=Millis(60_000)),
)


def test_a_unit_is_started_its_death_reported_at_once_and_it_is_started_again(tmp_path):
    with systemd_host("agent", UNITS) as host:

        async def story():
            async with Controller() as controller:
                settings = Settings(
                    node=NodeName("alpha"),
                    controllers=(("127.0.0.1", controller.port),),
                    pki=authority(),
                    state=tmp_path / "state",
                    run=tmp_path / "run",
                )
                agent = asyncio.create_task(serve(settings, hands(bus_address=host.address)))
                try:
                    await heal(controller, host)
                finally:
                    os.kill(os.getpid(), signal.SIGTERM)  # what ends an agent
                    await agent
                assert host.systemctl("is-active", "site") == "active", "it outlives its agent"

        asyncio.run(story())


async def heal(controller: Controller, host) -> None:
    await until(lambda: controller.stream, "the agent connects")
    controller.define(SITE)
    await controller.report(lambda r: "site" in r.probed, "it is probed")
    assert (await controller.do(ActionKind.START, SITE)).outcome.verdict is Verdict.RUNNING
    first = host.main_pid("site.service")
    await asyncio.sleep(0)
    seen, killed = len(controller.reports), time.monotonic()
    await asyncio.to_thread(host.kill, "site.service")
    report = await controller.report(
        lambda r: any(c.failed and c.certainty is Certainty.OBSERVED for c in r.copies),
        "its death is reported",
        seen,
    )
    assert time.monotonic() - killed < 5, "long before its next monitor"
    assert [f.operation for f in report.failures] == ["monitor"]
    assert (await controller.do(ActionKind.STOP, SITE)).outcome.verdict is Verdict.STOPPED
    assert (await controller.do(ActionKind.START, SITE)).outcome.verdict is Verdict.RUNNING
    assert host.main_pid("site.service") not in {0, first}
