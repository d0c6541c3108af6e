"""Fencing by real programs: levels, attempts, limits, secrets, and devices that fail or lie."""

import asyncio
import json
import shutil

import pytest

from reconciler.fencing.agent import read_metadata, request
from reconciler.fencing.device import read_settings
from reconciler.model.errors import Corrupt, Refused
from reconciler.model.ids import Millis, NodeName, ServiceName
from reconciler.model.intent import FenceDevice, FenceLevel, Fencing, Kind, Service
from reconciler.model.operation import Verdict
from reconciler.ports import OperationContext
from reconciler.runtime.fence_agents import device_fences
from tests.fencing.devices import install

A, B = NodeName("a"), NodeName("b")
SECRET = "correct horse"


class Room:
    """Devices in a directory."""

    def __init__(self, path):
        self.path = path
        self.secrets = path / "secrets"
        self.secrets.mkdir(mode=0o700)
        (self.secrets / "ipmi").touch(mode=0o600)
        (self.secrets / "ipmi").write_text(SECRET)
        self.states = {}

    def device(self, name="toy", mood="", **parameters):
        self.states[name] = install(self.path, f"fence_{name}")
        (self.states[name] / "mood").write_text(mood)
        given = {key.replace("_", "-"): value for key, value in parameters.items()}
        return FenceDevice(
            name=name,
            agent=f"fence_{name}",
            nodes=(A, B),
            parameters=tuple(sorted(given.items())),
            secrets=(("password", "ipmi"),),
        )

    def fences(self):
        return device_fences(
            run_directory=self.path / "run", secrets=self.secrets, places=(self.path,)
        )

    def fence(self, *devices, node=A, **fencing):
        wanted = Fencing(devices=devices, **fencing)
        return asyncio.run(self.fences().fence(node, wanted))

    def asked(self, name="toy"):
        log = self.states[name] / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        return [json.loads(line) for line in lines]

    def actions(self, name="toy"):
        return [entry[0] for entry in self.asked(name)]

    def power(self, node, name="toy"):
        return (self.states[name] / node).read_text()


@pytest.fixture
def room(tmp_path):
    return Room(tmp_path)


def test_a_node_is_switched_off_and_seen_to_be_off(room):
    outcome = room.fence(room.device(), action="off")
    assert (outcome.verdict, outcome.reason) == (Verdict.STOPPED, "toy switched it off")
    assert room.actions() == ["off", "status"]
    assert room.power("a") == "off"


def test_a_reboot_is_seen_to_be_off_before_it_is_on_again(room):
    assert room.fence(room.device()).verdict is Verdict.STOPPED
    assert room.actions() == ["off", "status", "on"]
    assert room.power("a") == "on"


def test_a_node_that_does_not_come_on_again_is_fenced_all_the_same(room):
    outcome = room.fence(room.device(mood="stays off"))
    assert outcome.verdict is Verdict.STOPPED
    assert "could not switch it on" in outcome.reason


@pytest.mark.parametrize("action", ["off", "reboot"])
def test_a_device_that_lies_confirms_nothing(room, action):
    outcome = room.fence(room.device(mood="lie"), action=action)
    assert outcome.verdict is Verdict.FAILED
    assert "still on" in outcome.reason
    assert "on" not in room.actions()


def test_a_failure_is_tried_again_and_in_the_end_told(room):
    assert room.fence(room.device(mood="once"), action="off").verdict is Verdict.STOPPED
    assert room.actions() == ["off", "off", "status"]
    outcome = room.fence(room.device("bad", mood="fail", attempts="3"), action="off")
    assert outcome.verdict is Verdict.FAILED
    assert "the device is not reachable" in outcome.reason
    assert room.actions("bad") == ["off"] * 3


def test_a_device_that_hangs_is_ended_at_its_limit(room):
    device = room.device(mood="hang", time_limit="300ms", attempts="1")
    outcome = room.fence(device, action="off")
    assert outcome.verdict is Verdict.FAILED
    assert "did not end within 300 ms" in outcome.reason


def test_all_devices_of_a_level_have_to_confirm_and_the_next_level_is_tried(room):
    one, two = room.device("one"), room.device("two", mood="fail")
    three = room.device("three")
    levels = (
        FenceLevel(nodes=(A,), level=2, devices=("three",)),
        FenceLevel(nodes=(A,), level=1, devices=("one", "two")),
    )
    outcome = room.fence(one, two, three, levels=levels)
    assert (outcome.verdict, outcome.reason) == (Verdict.STOPPED, "three rebooted it")
    assert room.actions("one") == ["off", "status"], "off, and not on again: two did not confirm"
    assert room.actions("three") == ["off", "status", "on"]
    both = (FenceLevel(nodes=(A,), level=1, devices=("one", "three")),)
    assert room.fence(one, three, levels=both).reason == "one, three rebooted it"
    assert room.actions("one")[2:] == ["off", "status", "on"]
    assert room.actions("three")[3:] == ["off", "status", "on"]


def test_without_levels_every_device_is_tried_and_all_troubles_are_told(room):
    good = room.device("yes")
    assert room.fence(room.device("no", mood="fail"), good).reason == "yes rebooted it"
    (room.states["yes"] / "mood").write_text("fail")
    outcome = room.fence(room.device("never", mood="lie"), good, action="off")
    assert "never:" in outcome.reason
    assert "yes:" in outcome.reason
    assert room.fence(good, node=NodeName("stranger")).definite


def test_secrets_go_in_by_standard_input_and_nothing_of_us_is_inherited(room, monkeypatch):
    monkeypatch.setenv("LD_LIBRARY_PATH", "/nowhere")
    outcome = room.fence(room.device(ip="10.0.0.7"), action="off")
    _, plug, given, arguments, environment = room.asked()[0]
    assert (plug, given) == ("a", {"plug": "a", "ip": "10.0.0.7", "password": SECRET})
    assert arguments == []
    assert set(environment) - {"LC_CTYPE"} == {"PATH", "LANG", "HOME"}
    assert SECRET not in outcome.reason + str(outcome)


def test_a_device_may_know_nodes_by_other_names(room):
    assert room.fence(room.device(host_map="a:7;b:8"), action="off").verdict is Verdict.STOPPED
    assert room.power("7") == "off"
    named = room.device("named", plug="the only one")
    assert room.fence(named, action="off").verdict is Verdict.STOPPED
    assert room.asked("named")[0][1] == "the only one"


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"time_limit": "soon"}, "time-limit"),
        ({"time_limit": "0s"}, "time-limit"),
        ({"attempts": "0"}, "attempts"),
        ({"attempts": "many"}, "attempts"),
        ({"host_map": "a"}, "host-map"),
        ({"ip": "1\naction=on"}, "line break"),
    ],
)
def test_settings_that_make_no_sense_fence_nothing(room, parameters, words):
    outcome = room.fence(room.device(**parameters), action="off")
    assert outcome.verdict is Verdict.FAILED
    assert words in outcome.reason
    assert room.asked() == []


def test_a_missing_agent_or_secret_is_a_reason(room):
    device = room.device()
    (room.secrets / "ipmi").unlink()
    assert "secret ipmi" in room.fence(device).reason
    (room.path / "fence_toy").unlink()
    assert "fence_toy is not installed" in room.fence(device).reason
    sly = FenceDevice(name="sly", agent="../bin/sh", nodes=(A,))
    assert "not installed" in room.fence(sly).reason


def test_what_is_no_metadata_is_refused():
    for text in ("", "<a>", "<a/>", '<!DOCTYPE a [<!ENTITY b "c">]><a><action name="off"/></a>'):
        with pytest.raises(Corrupt):
            read_metadata(text)


def test_a_request_has_one_line_for_each_parameter():
    assert request("off", {"plug": "a", "x": "1=2"}) == b"action=off\nplug=a\nx=1=2\n"
    for name, value in (("x", "1\n2"), ("x\n", "1"), ("x", "\0"), ("x=y", "1")):
        with pytest.raises(Refused):
            request("off", {name: value})


def test_settings_have_defaults():
    settings = read_settings(FenceDevice(name="d", agent="fence_d", nodes=(A,)))
    assert (settings.time_limit_ms, settings.attempts, settings.verify) == (60_000, 2, True)


# The hand ------------------------------------------------------------------------------------------


def watching(room, device):
    from reconciler.fencing.watch import FenceDeviceHand

    service = Service(name=ServiceName("watch"), kind=Kind.FENCE_DEVICE, agent="toy")
    context = OperationContext(
        node=B, timeout_ms=Millis(5_000), run_directory=room.path / "run", device=device
    )
    return FenceDeviceHand(room.fences()), service, context


def test_a_watched_device_is_asked_and_no_node_is_named(room):
    hand, service, context = watching(room, room.device())

    async def run():
        assert (await hand.probe(service, context)).verdict is Verdict.STOPPED
        assert room.asked() == []
        assert (await hand.start(service, context)).verdict is Verdict.RUNNING
        assert (await hand.probe(service, context)).verdict is Verdict.RUNNING
        (room.states["toy"] / "mood").write_text("fail")
        failed = await hand.probe(service, context)
        assert (failed.verdict, "not reachable" in failed.reason) == (Verdict.FAILED, True)
        assert (await hand.stop(service, context)).verdict is Verdict.STOPPED
        assert (await hand.start(service, context)).verdict is Verdict.FAILED
        assert (await hand.probe(service, context)).verdict is Verdict.STOPPED

    asyncio.run(run())
    assert set(room.actions()) == {"monitor"}
    assert all(plug == "" for _, plug, *_ in room.asked())


def test_a_device_that_nobody_knows_cannot_be_watched(room):
    hand, service, context = watching(room, None)
    assert "not known" in asyncio.run(hand.start(service, context)).reason


# A real one ----------------------------------------------------------------------------------------


@pytest.mark.real
def test_the_distribution_s_own_dummy_agent_is_driven(tmp_path):
    if shutil.which("fence_dummy", path="/usr/sbin") is None:
        pytest.skip("needs fence-agents")
    room = Room(tmp_path)
    status = tmp_path / "status"
    status.write_text("on")
    device = FenceDevice(
        name="dummy",
        agent="fence_dummy",
        nodes=(A,),
        parameters=(("status_file", str(status)), ("time-limit", "20s")),
    )
    assert room.fence(device, action="off").verdict is Verdict.STOPPED
    assert status.read_text() == "off"
    assert room.fence(device).verdict is Verdict.STOPPED
    assert status.read_text() == "on"
    hand, service, context = watching(room, device)
    assert asyncio.run(hand.start(service, context)).verdict is Verdict.RUNNING
