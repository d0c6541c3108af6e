"""OCF agents: one of our own that ends as it is told, and the distribution's, unchanged."""

import asyncio
import dataclasses
import os
import time
from pathlib import Path

import pytest

from reconciler.model.ids import Millis, ServiceName
from reconciler.model.intent import Kind, Service
from reconciler.model.operation import Outcome, Verdict
from reconciler.resources import lookup, metadata, reaper
from reconciler.resources.ocf import OcfHand
from tests.resources import scripts
from tests.resources.namespaces import cable, inside

PUPPET = """\
#!/bin/bash
# An agent that ends with the code in the file named by the action, and keeps what it was told.
echo "$1" >> "$OCF_RESKEY_directory/calls"
env > "$OCF_RESKEY_directory/env-$1"
[ -e "$OCF_RESKEY_directory/$1-says" ] && cat "$OCF_RESKEY_directory/$1-says" >&2
[ -e "$OCF_RESKEY_directory/$1-hangs" ] && sleep 1000
exit "$(cat "$OCF_RESKEY_directory/$1" 2>/dev/null || echo 0)"
"""


class Puppet:
    """The agent above as `test:puppet`, and its strings."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.root = directory / "resource.d"
        self.path = self.root / "test" / "puppet"
        self.path.parent.mkdir(parents=True)
        scripts.script(self.path.parent, "puppet", PUPPET)
        self.service = ocf("puppet", provider="test", directory=str(directory))
        self.context = scripts.context(directory, timeout_ms=2_000)
        self.hand = OcfHand(self.root)

    def told(self, **codes: int) -> "Puppet":
        for action, code in codes.items():
            (self.directory / action).write_text(str(code))
        return self

    def carry_out(self, operation: str) -> Outcome:
        return asyncio.run(getattr(self.hand, operation)(self.service, self.context))

    def seen(self, action: str) -> dict[str, str]:
        lines = (self.directory / f"env-{action}").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)


@pytest.fixture
def puppet(tmp_path) -> Puppet:
    if os.geteuid() != 0:
        pytest.skip("agents belong to root")
    return Puppet(tmp_path)


def ocf(agent: str, *, provider: str = "heartbeat", **parameters: str) -> Service:
    return Service(
        name=ServiceName(f"the-{agent}"),
        kind=Kind.OCF,
        agent=f"{provider}:{agent}",
        parameters=tuple(sorted(parameters.items())),
    )


@pytest.mark.parametrize("code", [1, 7, 5, 9, 77])
def test_a_start_counts_only_if_a_monitor_agrees(puppet, code):
    outcome = puppet.told(start=0, monitor=code).carry_out("start")
    assert outcome.verdict in (Verdict.FAILED, Verdict.UNKNOWN)
    assert outcome.verdict is (Verdict.UNKNOWN if code in (5, 77) else Verdict.FAILED)


@pytest.mark.parametrize("code", [0, 1, 2, 3, 4, 5, 6, 8, 9, 77, 190, 191])
def test_a_stop_counts_only_if_a_monitor_says_not_running(puppet, code):
    """Not installed (5) is no proof either: whatever ran may run on without its program."""
    outcome = puppet.told(stop=0, monitor=code).carry_out("stop")
    assert outcome.verdict in (Verdict.FAILED, Verdict.UNKNOWN)
    assert puppet.told(monitor=7).carry_out("stop").verdict is Verdict.STOPPED


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 6, 7, 77])
def test_a_failing_stop_is_never_a_proof(puppet, code):
    outcome = puppet.told(stop=code, monitor=7).carry_out("stop")
    assert (outcome.verdict, outcome.exit_code) == (Verdict.FAILED, code)
    assert outcome.definite == (code in (2, 3, 4, 5, 6))


def test_a_stop_is_called_even_when_nothing_runs(puppet):
    """Leftovers of a dead service are the agent's business (G9)."""
    puppet.told(stop=0, monitor=7).carry_out("stop")
    assert "stop" in (puppet.directory / "calls").read_text().split()


def test_the_exit_reason_reaches_the_operator(puppet):
    says = "noise\nocf-exit-reason:first\nocf-exit-reason:the disk is gone\nmore noise\n"
    (puppet.directory / "start-says").write_text(says)
    outcome = puppet.told(start=1).carry_out("start")
    assert outcome.reason == "start: failed (exit code 1): the disk is gone"
    assert says in outcome.output


@pytest.mark.parametrize("operation", ["start", "stop", "probe"])
def test_what_hangs_is_unknown_at_its_deadline(puppet, operation):
    action = "monitor" if operation == "probe" else operation
    (puppet.directory / f"{action}-hangs").touch()
    puppet.context = dataclasses.replace(puppet.context, timeout_ms=Millis(300))
    began = time.monotonic()
    outcome = puppet.carry_out(operation)
    assert outcome.verdict is Verdict.UNKNOWN
    assert time.monotonic() - began < 2.3


def test_what_an_agent_is_told(puppet):
    puppet.service = dataclasses.replace(puppet.service, replicas=3, promoted=1)
    puppet.context = dataclasses.replace(puppet.context, secrets=(("password", "hunter2"),))
    outcome = puppet.told(monitor=0).carry_out("start")
    assert "hunter2" not in repr(outcome)
    seen = puppet.seen("start")
    expected = {
        "OCF_ROOT": "/usr/lib/ocf",
        "OCF_RA_VERSION_MAJOR": "1",
        "OCF_RA_VERSION_MINOR": "1",
        "OCF_RESOURCE_INSTANCE": "the-puppet",
        "OCF_RESOURCE_PROVIDER": "test",
        "OCF_RESOURCE_TYPE": "puppet",
        "OCF_CHECK_LEVEL": "0",
        "OCF_RESKEY_directory": str(puppet.directory),
        "OCF_RESKEY_password": "hunter2",
        "OCF_RESKEY_CRM_meta_name": "start",
        "OCF_RESKEY_CRM_meta_interval": "0",
        "OCF_RESKEY_CRM_meta_on_node": "alpha",
        "OCF_RESKEY_CRM_meta_clone_max": "3",
        "OCF_RESKEY_CRM_meta_promotable": "true",
        "HA_RSCTMP": str(puppet.context.run_directory / "resource-agents"),
    }
    assert expected.items() <= seen.items()
    assert 0 < int(seen["OCF_RESKEY_CRM_meta_timeout"]) <= 2_000


def test_a_look_at_what_runs_is_a_monitor_and_any_other_a_probe(puppet):
    """Agents answer a probe (interval 0) more leniently than a monitor."""
    puppet.told(monitor=7).carry_out("probe")
    assert puppet.seen("monitor")["OCF_RESKEY_CRM_meta_interval"] == "0"
    puppet.told(monitor=0).carry_out("start")
    assert puppet.seen("monitor")["OCF_RESKEY_CRM_meta_interval"] == "10000"
    puppet.told(monitor=7).carry_out("stop")
    assert puppet.seen("monitor")["OCF_RESKEY_CRM_meta_interval"] == "0"


def test_an_agent_that_goes_missing_leaves_what_runs_unknown(puppet):
    """As while its package is upgraded. On a node where it never ran, it is simply not installed."""
    puppet.told(monitor=0)
    assert puppet.carry_out("probe").verdict is Verdict.RUNNING
    puppet.told(monitor=5)
    assert puppet.carry_out("probe").verdict is Verdict.UNKNOWN
    puppet.path.unlink()
    assert puppet.carry_out("probe").verdict is Verdict.UNKNOWN
    elsewhere = asyncio.run(OcfHand(puppet.root).probe(puppet.service, puppet.context))
    assert (elsewhere.verdict, elsewhere.definite) == (Verdict.STOPPED, True)
    for operation in ("start", "stop"):
        outcome = puppet.carry_out(operation)
        assert (outcome.verdict, outcome.definite) == (Verdict.FAILED, True)


@pytest.mark.parametrize("agent", ["../x:puppet", "test:../../bin/sh", "test:-x", "", "\0"])
def test_a_name_that_leads_elsewhere_runs_nothing_and_proves_nothing(puppet, agent):
    puppet.service = dataclasses.replace(puppet.service, agent=agent)
    assert puppet.carry_out("probe").verdict is Verdict.UNKNOWN
    assert puppet.carry_out("start").verdict is Verdict.FAILED
    assert puppet.carry_out("stop").verdict is Verdict.FAILED
    assert not (puppet.directory / "calls").exists()


@pytest.mark.parametrize("value", ["a\nLD_PRELOAD=/evil.so", "a\0b"])
def test_a_value_that_could_smuggle_is_refused(puppet, value):
    parameters = (*puppet.service.parameters, ("x", value))
    puppet.service = dataclasses.replace(puppet.service, parameters=parameters)
    assert puppet.carry_out("probe").verdict is Verdict.UNKNOWN
    assert puppet.carry_out("start").verdict is Verdict.FAILED
    assert not (puppet.directory / "calls").exists()


# The distribution's agents ---------------------------------------------------------------------------


def _agents() -> list[str]:
    path = lookup.ROOT / "heartbeat"
    return sorted(agent.name for agent in path.glob("[!.]*")) if path.is_dir() else []


@pytest.mark.real
def test_the_meta_data_of_every_agent_is_understood(tmp_path):
    """Of all agents of the resource-agents package: those that cannot describe themselves are named."""
    if not _agents() or os.geteuid() != 0:
        pytest.skip("needs root and resource-agents (scripts/packages)")
    context = scripts.context(tmp_path)
    mute = []

    async def story() -> None:
        hand = OcfHand()
        for agent in _agents():
            try:
                found = await hand.describe(ocf(agent), context)
            except (metadata.Corrupt, lookup.NotTrusted) as trouble:
                mute.append(f"{agent}: {trouble}")
                continue
            names = {action.name for action in found.actions}
            assert {"start", "stop", "meta-data"} <= names, agent
            assert all(parameter.name for parameter in found.parameters), agent

    asyncio.run(story())
    assert mute == []
    assert len(_agents()) >= 100


@pytest.mark.real
@pytest.mark.parametrize(
    ("agent", "parameters"),
    [
        ("AudibleAlarm", {}),
        ("Delay", {"startdelay": "0", "stopdelay": "0", "mondelay": "0"}),
        ("Dummy", {}),
        ("Filesystem", {"device": "tmpfs", "directory": "{}/mount", "fstype": "tmpfs"}),
        ("IPaddr2", {"ip": "10.7.0.50", "cidr_netmask": "24", "nic": "eth0"}),
        ("IPv6addr", {"ipv6addr": "fd00:7::50", "cidr_netmask": "64", "nic": "eth0"}),
        ("Route", {"destination": "10.99.0.0/24", "gateway": "10.7.0.2"}),
        ("SendArp", {"ip": "10.7.0.1", "nic": "eth0"}),
        ("Stateful", {}),
        ("SysInfo", {}),
        ("anything", {"binfile": "/bin/sleep", "cmdline_options": "1000"}),
        ("dummypy", {"state": "{}/dummypy.state"}),
        ("symlink", {"target": "{}/target", "link": "{}/link"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_agent_of_the_distribution_works_unchanged(tmp_path, agent, parameters):
    if agent not in _agents():
        pytest.skip(f"needs resource-agents with {agent} (scripts/packages)")
    (tmp_path / "mount").mkdir()
    (tmp_path / "target").touch()
    service = ocf(agent, **{name: value.format(tmp_path) for name, value in parameters.items()})
    context = scripts.context(tmp_path, timeout_ms=20_000, interface="eth0")

    async def story() -> list[Verdict]:
        end = reaper.adopt_orphans()
        hand = OcfHand()
        try:
            return [
                (await operation(service, context)).verdict
                for operation in (
                    hand.probe,
                    hand.start,
                    hand.start,
                    hand.probe,
                    hand.stop,
                    hand.stop,
                    hand.probe,
                )
            ]
        finally:
            await hand.stop(service, context)
            end()

    with cable("agents") as wire, inside(wire.here):
        verdicts = asyncio.run(story())
    stopped, running = Verdict.STOPPED, Verdict.RUNNING
    assert verdicts == [stopped, running, running, running, stopped, stopped, stopped]


@pytest.mark.real
def test_a_broken_service_of_a_real_agent_is_seen(tmp_path):
    """A file system that somebody unmounts, seen by the next monitor."""
    if "Filesystem" not in _agents() or os.geteuid() != 0:
        pytest.skip("needs root and resource-agents (scripts/packages)")
    (tmp_path / "mount").mkdir()
    service = ocf("Filesystem", device="tmpfs", directory=str(tmp_path / "mount"), fstype="tmpfs")
    context = scripts.context(tmp_path, timeout_ms=20_000)

    async def story() -> None:
        hand = OcfHand()
        assert (await hand.start(service, context)).verdict is Verdict.RUNNING
        unmount = await asyncio.create_subprocess_exec("umount", str(tmp_path / "mount"))
        assert await unmount.wait() == 0
        assert (await hand.probe(service, context)).verdict is Verdict.STOPPED

    asyncio.run(story())
