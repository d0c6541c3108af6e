"""Scripts that work, and scripts that hang, lie, or break: a lie never becomes a proof."""

import asyncio
import dataclasses
import json
import os
import time

import pytest

from reconciler.model.operation import Outcome, Verdict
from reconciler.resources import reaper
from reconciler.resources.script import ScriptHand
from tests.resources import scripts
from tests.resources.systemd_host import wait_until


def carry_out(operation: str, service, context) -> Outcome:
    """One operation of a fresh hand, in a loop that buries orphans as an agent's does."""

    async def whole() -> Outcome:
        end = reaper.adopt_orphans()
        try:
            return await getattr(ScriptHand(), operation)(service, context)
        finally:
            end()

    return asyncio.run(whole())


STATE = "state=$RECONCILE_RUN/state; "
SIMPLE = {
    "start": STATE + "touch $state",
    "stop": STATE + "rm -f $state",
    "status": STATE + "[ -e $state ] || exit 3",
}


def simple(directory, *, pidfile=None, **instead):
    """A service that is a file, but for the commands given."""
    return scripts.service(directory, pidfile=pidfile, texts=SIMPLE | instead)


def test_a_start_that_returns_early_is_waited_for(tmp_path):
    slow = simple(tmp_path, start=STATE + "(sleep 0.3; touch $state) >/dev/null 2>&1 &")
    began = time.monotonic()
    assert carry_out("start", slow, scripts.context(tmp_path)).verdict is Verdict.RUNNING
    assert time.monotonic() - began >= 0.3


def test_a_start_that_lies_is_a_failure(tmp_path):
    liar = simple(tmp_path, start="exit 0")
    outcome = carry_out("start", liar, scripts.context(tmp_path, timeout_ms=300))
    assert outcome.verdict is Verdict.FAILED
    assert "does not run" in outcome.reason


def test_a_stop_that_lies_is_no_proof(tmp_path):
    liar = simple(tmp_path, stop="exit 0")
    context = scripts.context(tmp_path, timeout_ms=500)
    assert carry_out("start", liar, context).verdict is Verdict.RUNNING
    outcome = carry_out("stop", liar, context)
    assert outcome.verdict is Verdict.FAILED
    assert "nothing shows that it is stopped" in outcome.reason


def test_a_stop_that_hides_its_living_process_is_found_out(tmp_path):
    """It removes the pid file, its status says stopped, and the process lives: only the pid tells."""
    hider = scripts.service(
        tmp_path,
        pidfile="web.pid",
        texts={
            "stop": "rm -f $RECONCILE_RUN/web.pid",
            "status": "[ -e $RECONCILE_RUN/web.pid ] || exit 3",
        },
    )
    context = scripts.context(tmp_path, timeout_ms=500)
    assert carry_out("start", hider, context).verdict is Verdict.RUNNING
    pid = int((context.run_directory / "web.pid").read_text())
    try:
        outcome = carry_out("stop", hider, context)
        assert outcome.verdict is Verdict.FAILED
        assert f"process {pid} still runs" in outcome.reason
    finally:
        os.kill(pid, 9)


def test_a_status_that_lies_is_held_against_the_pid_file(tmp_path):
    always = {"status": "exit 0"}
    never = {"status": "exit 3"}
    context = scripts.context(tmp_path)
    honest = scripts.service(tmp_path, pidfile="web.pid")
    assert carry_out("start", honest, context).verdict is Verdict.RUNNING
    denied = scripts.service(tmp_path, pidfile="web.pid", texts=never)
    assert carry_out("probe", denied, context).verdict is Verdict.FAILED
    pid_file = context.run_directory / "web.pid"
    os.kill(int(pid_file.read_text()), 9)
    claimed = scripts.service(tmp_path, pidfile="web.pid", texts=always)
    wait_until(
        "its death shows",
        lambda: carry_out("probe", claimed, context).verdict is Verdict.FAILED,
    )


@pytest.mark.parametrize("operation", ["start", "stop", "probe"])
def test_what_hangs_is_unknown_at_its_deadline(tmp_path, operation):
    hung = "trap '' TERM; sleep 1000"
    command = "status" if operation == "probe" else operation
    context = scripts.context(tmp_path, timeout_ms=300)
    if operation == "stop":
        assert carry_out("start", simple(tmp_path), context).verdict is Verdict.RUNNING
    began = time.monotonic()
    outcome = carry_out(operation, simple(tmp_path, **{command: hung}), context)
    assert outcome.verdict is Verdict.UNKNOWN
    assert "did not end within" in outcome.reason
    assert time.monotonic() - began < 2.3


def test_a_status_that_hangs_leaves_time_for_the_stop(tmp_path):
    context = scripts.context(tmp_path, timeout_ms=1_000)
    assert carry_out("start", simple(tmp_path), context).verdict is Verdict.RUNNING
    outcome = carry_out("stop", simple(tmp_path, status="sleep 1000"), context)
    assert outcome.verdict is Verdict.UNKNOWN
    assert not (context.run_directory / "state").exists()


@pytest.mark.parametrize("code", [1, 2, 4, 5, 77, 126, 127, 255])
def test_a_failing_stop_is_a_failure_even_if_its_status_says_stopped(tmp_path, code):
    context = scripts.context(tmp_path)
    service = simple(tmp_path, stop=STATE + f"rm -f $state; exit {code}")
    assert carry_out("start", service, context).verdict is Verdict.RUNNING
    outcome = carry_out("stop", service, context)
    assert (outcome.verdict, outcome.exit_code) == (Verdict.FAILED, code)


def test_what_is_half_dead_or_unknown_is_not_started_over(tmp_path):
    for code, verdict in ((1, Verdict.FAILED), (4, Verdict.UNKNOWN), (99, Verdict.UNKNOWN)):
        service = simple(tmp_path, status=f"exit {code}")
        outcome = carry_out("start", service, scripts.context(tmp_path))
        assert outcome.verdict is verdict
        assert "not started" in outcome.reason
    assert not (tmp_path / "run" / "state").exists()


def test_a_missing_program_is_a_failure_that_another_try_cannot_change(tmp_path):
    service = scripts.service(tmp_path, texts=SIMPLE, start='["/nowhere/start"]')
    outcome = carry_out("start", service, scripts.context(tmp_path))
    assert (outcome.verdict, outcome.definite) == (Verdict.FAILED, True)
    service = scripts.service(tmp_path, texts=SIMPLE, status='["/nowhere/status"]')
    assert carry_out("probe", service, scripts.context(tmp_path)).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"start": "not json"}, "list of words"),
        ({"start": "[]"}, "list of words"),
        ({"start": '["a", 1]'}, "list of words"),
        ({"start": '[""]'}, "empty program"),
        ({"start": '["a\\u0000b"]'}, "NUL"),
        ({"start": "[" * 100_000}, "list of words"),
        ({"pidfile": "../../etc/passwd"}, "'..'"),
    ],
)
def test_settings_that_make_no_sense_are_refused_and_prove_nothing(tmp_path, settings, words):
    service = scripts.service(tmp_path, texts=SIMPLE, **settings)
    context = scripts.context(tmp_path)
    for operation, verdict in (
        ("start", Verdict.FAILED),
        ("stop", Verdict.FAILED),
        ("probe", Verdict.UNKNOWN),
    ):
        outcome = carry_out(operation, service, context)
        assert (outcome.verdict, outcome.definite) == (verdict, True)
        assert words in outcome.reason


def test_a_pid_file_that_holds_garbage_says_nothing(tmp_path):
    context = scripts.context(tmp_path)
    service = simple(tmp_path, pidfile="web.pid")
    for garbage in ("", "web", "-1", "1", "9" * 30, "\0"):
        (context.run_directory / "web.pid").write_text(garbage)
        assert carry_out("start", service, context).verdict is Verdict.RUNNING
        assert carry_out("probe", service, context).verdict is Verdict.RUNNING
        assert carry_out("stop", service, context).verdict is Verdict.STOPPED


def test_a_pid_file_older_than_the_process_of_that_number_speaks_of_another(tmp_path):
    """As after a boot, with a pid file that was kept on disk."""
    service = simple(tmp_path, pidfile="web.pid")
    context = scripts.context(tmp_path)
    pid_file = context.run_directory / "web.pid"
    pid_file.write_text(str(os.getpid()))
    assert carry_out("probe", service, context).verdict is Verdict.FAILED
    os.utime(pid_file, (1_000_000_000, 1_000_000_000))
    assert carry_out("probe", service, context).verdict is Verdict.STOPPED


def test_commands_learn_where_they_are_and_secrets_stay_out_of_outcomes(tmp_path):
    service = simple(tmp_path, start="env; echo hunter2 >&2; exit 1")
    service = with_parameter(service, "port", "80")
    context = scripts.context(tmp_path, secrets=(("password", "hunter2"),))
    outcome = carry_out("start", service, context)
    for line in (
        "RECONCILE_ACTION=start",
        "RECONCILE_NODE=alpha",
        f"RECONCILE_RUN={context.run_directory}",
        "RECONCILE_SERVICE=web",
        "RECONCILE_PARAMETER_port=80",
        "RECONCILE_PARAMETER_password=[secret]",
    ):
        assert line in outcome.output.splitlines()
    assert "hunter2" not in repr(outcome)


def test_a_death_reaches_the_watcher_within_50_ms(tmp_path):
    service = scripts.service(tmp_path, pidfile="web.pid")
    context = scripts.context(tmp_path)

    async def story() -> list[float]:
        end = reaper.adopt_orphans()
        hand = ScriptHand()
        took = []
        for _ in range(5):
            assert (await hand.start(service, context)).verdict is Verdict.RUNNING
            died = asyncio.Event()
            assert hand.watch(service, context, died.set) is not None
            pid = int((context.run_directory / "web.pid").read_text())
            began = time.monotonic()
            os.kill(pid, 9)
            async with asyncio.timeout(5):
                await died.wait()
            took.append(time.monotonic() - began)
        end()
        return took

    assert sorted(asyncio.run(story()))[2] < 0.05  # the median: the machine may be busy


def test_there_is_nothing_to_watch_without_a_living_process(tmp_path):
    service = scripts.service(tmp_path, pidfile="web.pid")

    async def story() -> None:
        watched = ScriptHand().watch(service, scripts.context(tmp_path), lambda: None)
        assert watched is None

    asyncio.run(story())


def with_parameter(service, name, value):
    return dataclasses.replace(service, parameters=(*service.parameters, (name, value)))


def test_a_start_right_after_a_verified_stop_looks_once_and_after_anything_else_twice(tmp_path):
    service = scripts.service(tmp_path, pidfile="web.pid")
    context = scripts.context(tmp_path)
    looks = tmp_path / "looks"
    parameters = dict(service.parameters)
    counting = ["/bin/sh", "-c", f'echo look >> {looks}; exec "$@"', "status"]
    parameters["status"] = json.dumps([*counting, *json.loads(parameters["status"])])
    service = dataclasses.replace(service, parameters=tuple(sorted(parameters.items())))

    def looked() -> int:
        return len(looks.read_text().splitlines())

    async def story():
        hand = ScriptHand()
        assert (await hand.stop(service, context)).verdict is Verdict.STOPPED
        before = looked()
        assert (await hand.start(service, context)).verdict is Verdict.RUNNING
        assert looked() == before + 1
        assert (await hand.start(service, context)).verdict is Verdict.RUNNING
        assert looked() == before + 2, "it runs: nothing is started again"
        assert (await hand.stop(service, context)).verdict is Verdict.STOPPED
        before = looked()
        other = ScriptHand()  # as after the agent's own restart: it knows nothing of the stop
        assert (await other.start(service, context)).verdict is Verdict.RUNNING
        assert looked() == before + 2
        await other.stop(service, context)

    asyncio.run(story())
