"""The small parts around an agent: secrets, log lines, hands that misbehave, the name of a boot, its unit."""

import asyncio
import configparser
import io
import json
import logging
import os
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.cli.agent import run_agent
from reconciler.core.executor import OperationFinished, RunOperation, ServiceDied, Verb
from reconciler.model.errors import Refused
from reconciler.model.ids import Millis, NodeName, ServiceName
from reconciler.model.intent import Kind
from reconciler.model.operation import Outcome, Verdict
from reconciler.runtime import agent, log, operations
from reconciler.runtime.operations import Operations, Premises
from reconciler.runtime.secret_files import read_secret
from tests.contracts.fake_hand import FakeHand, Fault
from tests.core.executor_node import service

WEB = service("web")


# Secrets -------------------------------------------------------------------------------------------


@pytest.fixture
def secrets(tmp_path):
    directory = tmp_path / "secrets"
    directory.mkdir(mode=0o700)
    return directory


def keep(directory, name, content, mode=0o600):
    path = directory / name
    path.write_bytes(content)
    path.chmod(mode)


def test_a_secret_is_read_without_its_last_line_break(secrets):
    keep(secrets, "db", "pass wörd\n\n".encode())
    assert read_secret(secrets, "db") == "pass wörd\n"


@pytest.mark.parametrize("name", ["../db", "/etc/passwd", ".db", "", "a/b", "a\0", "-x"])
def test_a_name_that_is_none_reads_nothing(secrets, name):
    with pytest.raises(Refused, match="no name of a secret"):
        read_secret(secrets, name)


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        (b"x", 0o644, "others may read"),
        (b"x", 0o620, "others may read"),
        (b"\xff\xfe", 0o600, "not UTF-8"),
        (b"a\0b", 0o600, "NUL"),
        (b"x" * 70_000, 0o600, "larger than"),
    ],
)
def test_a_secret_that_is_not_safe_is_refused_without_its_value(secrets, content, mode, words):
    keep(secrets, "db", content, mode)
    with pytest.raises(Refused, match=words):
        read_secret(secrets, "db")


def test_links_directories_and_open_directories_are_refused(secrets):
    keep(secrets, "real", b"x")
    (secrets / "link").symlink_to(secrets / "real")
    (secrets / "folder").mkdir()
    os.mkfifo(secrets / "pipe", 0o600)
    for name, words in (("link", "secret link"), ("folder", "secret folder"), ("pipe", "plain")):
        with pytest.raises(Refused, match=words):
            read_secret(secrets, name)
    with pytest.raises(Refused, match="No such file"):
        read_secret(secrets, "absent")
    secrets.chmod(0o777)
    with pytest.raises(Refused, match="others may write"):
        read_secret(secrets, "real")


# Operations ----------------------------------------------------------------------------------------


class Broken(FakeHand):
    """A hand with bugs: it raises, or goes on for ever after it was cancelled."""

    async def start(self, service, context):
        raise KeyError("a bug")

    async def stop(self, service, context):
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                if self.faults:
                    raise

    async def probe(self, service, context):
        return Outcome(verdict=Verdict.RUNNING, output=dict(context.secrets).get("password", ""))


def told(hand, tmp_path, *orders, act=None):
    """Run operations and give what was told."""

    async def story():
        queue = asyncio.Queue()
        premises = Premises(
            node=NodeName("alpha"), run=tmp_path, interface=None, secrets=tmp_path / "secrets"
        )
        work = Operations({Kind.SCRIPT: hand}, premises, queue.put_nowait, log.events())
        for order in orders:
            work.run(order)
        async with asyncio.timeout(5):
            events = [await queue.get() for _ in orders]
        if act:
            act(work)
        hand.faults[ServiceName("any"), "stop"] = Fault.HANGS
        await work.finish(0)
        while not queue.empty():
            events.append(queue.get_nowait())
        return events

    return asyncio.run(story())


def operation(verb, definition=WEB):
    return RunOperation(
        service=definition.name, verb=verb, definition=definition, timeout_ms=Millis(50)
    )


def test_a_hand_that_raises_or_hangs_leaves_the_outcome_unknown(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(operations, "LATE_MS", 10)
    with caplog.at_level(logging.CRITICAL):
        events = told(Broken(), tmp_path, operation(Verb.START), operation(Verb.STOP))
    assert [event.outcome.verdict for event in events] == [Verdict.UNKNOWN, Verdict.UNKNOWN]
    assert "KeyError" in events[0].outcome.reason
    assert "did not return" in events[1].outcome.reason


def test_secrets_reach_the_hand_and_a_missing_one_is_an_outcome(tmp_path, secrets):
    keep(secrets, "db", b"canary")
    known = replace(WEB, secrets=(("password", "db"),))
    missing = replace(WEB, secrets=(("password", "none"),))
    events = told(
        Broken(),
        tmp_path,
        operation(Verb.PROBE, known),
    )
    assert events[0].outcome.output == "canary"
    for verb, verdict in (
        (Verb.PROBE, Verdict.UNKNOWN),
        (Verb.START, Verdict.FAILED),
        (Verb.STOP, Verdict.FAILED),
    ):
        outcome = told(Broken(), tmp_path, operation(verb, missing))[0].outcome
        assert (outcome.verdict, "secret none" in outcome.reason) == (verdict, True)


def test_a_watch_fires_once_and_not_after_its_end(tmp_path):
    hand = FakeHand(running={WEB.name})

    def act(work):
        work.watch(WEB)
        work.watch(WEB)
        hand.kill(WEB.name)
        hand.running.add(WEB.name)
        work.watch(WEB)
        work.unwatch(WEB.name)
        hand.kill(WEB.name)

    events = told(hand, tmp_path, operation(Verb.PROBE), act=act)
    assert [type(event) for event in events] == [OperationFinished, ServiceDied]


# Logs ----------------------------------------------------------------------------------------------


def written(write):
    stream = io.StringIO()
    logger = logging.Logger("alone")  # noqa: LOG001 - nobody else may hear it
    handler = logging.StreamHandler(stream)
    handler.setFormatter(log.Lines())
    logger.addHandler(handler)
    write(log.Events(logger, {"node": "alpha"}))
    return stream.getvalue()


def test_an_event_is_one_line_with_keys():
    line = written(lambda events: events.info("order", action="start:web@alpha", reason=None))
    assert line.split(" ", 1)[1] == "info order node=alpha action=start:web@alpha\n"


def test_nothing_that_a_script_prints_makes_a_second_line():
    said = 'a "quoted"\nline\r\x1b[31m' + "x" * 5_000
    line = written(lambda events: events.bind(service="web").warning("it said", output=said))
    assert line.count("\n") == 1
    value = line.rstrip("\n").partition("output=")[2]
    assert json.loads(value) == said[: log.VALUE_MAX] + "..."


def test_a_bug_is_logged_with_its_place_in_one_line():
    line = written(lambda events: events.bug("a hand failed", KeyError("x"), service="web"))
    assert line.count("\n") == 1
    assert "KeyError" in line


# The rest ------------------------------------------------------------------------------------------


def test_the_name_of_a_boot_stays_until_the_kernel_or_the_run_directory_is_new(
    tmp_path, monkeypatch
):
    first = agent.boot_of(tmp_path / "run")
    assert agent.boot_of(tmp_path / "run") == first
    kernel = tmp_path / "kernel"
    kernel.write_text("another\n")
    monkeypatch.setattr(agent, "_KERNEL_BOOT", kernel)
    second = agent.boot_of(tmp_path / "run")
    assert second != first
    (tmp_path / "run" / "boot").write_bytes(b"\xff")
    with pytest.raises(Refused, match="cannot be the run directory"):
        agent.boot_of(tmp_path / "run")


def test_the_command_line_refuses_before_it_becomes_an_agent(tmp_path, capsys):
    places = {"pki": tmp_path, "state": tmp_path, "run": tmp_path}
    assert run_agent(node="a b", controllers=["h:1"], **places) == 2
    assert "no name of a node" in capsys.readouterr().err


def test_the_unit_leaves_services_alone():
    path = Path(__file__).parents[2] / "packaging" / "reconcile-agent.service"
    unit = configparser.ConfigParser(interpolation=None, strict=True)
    unit.optionxform = str
    unit.read_string(path.read_text())
    assert unit["Service"]["KillMode"] == "process"
    assert unit["Service"]["RuntimeDirectoryPreserve"] == "yes"
    words = unit["Service"]["ExecStart"].split()[2:]
    words = [word.replace("${RECONCILE_NODE}", "alpha") for word in words]
    settings, _ = agent.parse([word.replace("${RECONCILE_CONTROLLER}", "h:1") for word in words])
    assert settings.run == Path("/run/reconcile")
