"""Programs that hang, flood, fork, lie in wait behind pipes, or try to smuggle something in."""

import asyncio
import os
import resource
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.ids import Millis
from reconciler.resources import environment, leftovers, processes, reaper, runner
from reconciler.resources.capture import TAIL_BYTES_MAX
from reconciler.resources.runner import Exited, Killed, NotBegun, TimedOut
from tests.resources.systemd_host import wait_until


def bash(
    text: str, directory: Path, *, timeout_ms: int = 5_000, **variables: str
) -> runner.Execution:
    """Run a text with bash, alive for as long as its main process."""
    return asyncio.run(
        runner.run(
            ["/bin/bash", "-c", text],
            variables,
            timeout_ms=Millis(timeout_ms),
            run_directory=directory,
        )
    )


def test_an_exit_code_and_both_outputs_are_kept(tmp_path):
    done = bash("echo out; echo err >&2; exit 7", tmp_path)
    assert (done.ending, done.output, done.errors) == (Exited(code=7), "out\n", "err\n")
    assert done.last_words == "err"


def test_a_signal_is_no_exit_code(tmp_path):
    done = bash("kill -SEGV $$", tmp_path)
    assert done.ending == Killed(signal=11)
    assert done.exit_code is None


@pytest.mark.parametrize(
    "text",
    [
        "sleep 1000",
        "trap '' TERM INT HUP; while :; do sleep 1000; done",
        "sleep 1000 & sleep 1000 & (sleep 1000 & wait) & wait",
        "exec 1>&- 2>&-; sleep 1000",
    ],
    ids=["hangs", "ignores signals", "has children", "closed its pipes"],
)
def test_at_the_deadline_the_whole_group_is_dead(tmp_path, text):
    began = time.monotonic()
    done = bash(f"echo $$ > {tmp_path}/group; {text}", tmp_path, timeout_ms=300)
    assert done.ending == TimedOut(timeout_ms=Millis(300))
    assert time.monotonic() - began < 2.3
    group = int((tmp_path / "group").read_text())
    wait_until("the group is dead", lambda: not living_members(group))


def test_a_brood_that_forks_on_and_on_dies_at_the_deadline(tmp_path):
    """Killing a group is one act of the kernel: no child slips through by being born meanwhile."""
    brood = "echo $$ > {}/group; f() {{ sleep 0.05; f & f & wait; }}; f & f & wait"
    done = bash(brood.format(tmp_path), tmp_path, timeout_ms=400)
    assert isinstance(done.ending, TimedOut)
    group = int((tmp_path / "group").read_text())
    wait_until("the brood is dead", lambda: not living_members(group))


def test_a_flood_without_newline_is_cut_to_its_tail_and_fills_no_memory(tmp_path):
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    done = bash(
        "head -c 100000000 /dev/zero | tr '\\0' x; printf end; printf E >&2",
        tmp_path,
        timeout_ms=60_000,
    )
    assert done.ending == Exited(code=0)
    assert len(done.output) == TAIL_BYTES_MAX
    assert done.output.endswith("xend")
    assert done.errors == "E"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 8 * 1024


def test_an_endless_flood_ends_at_the_deadline(tmp_path):
    began = time.monotonic()
    done = bash("cat /dev/zero & cat /dev/zero >&2", tmp_path, timeout_ms=300)
    assert isinstance(done.ending, TimedOut)
    assert time.monotonic() - began < 2.3


def test_bytes_that_are_no_text_become_text(tmp_path):
    done = bash("printf '\\xff\\x00ok'", tmp_path)
    assert done.output == "��ok"


def test_a_daemon_that_holds_the_pipe_delays_nothing_and_may_go_on_writing(tmp_path):
    """Once a start has ended, its daemon lives on, even when nobody reads what it prints (no SIGPIPE)."""
    daemon = f"""
        (echo $BASHPID > {tmp_path}/pid
         trap 'echo pipe > {tmp_path}/broken' PIPE
         for i in $(seq 1 2000); do echo $i 0123456789012345678901234567890123456789 || exit; done
         while [ ! -e {tmp_path}/enough ]; do echo more; sleep 0.01; done
         echo done > {tmp_path}/end) &
        while [ ! -s {tmp_path}/pid ]; do :; done
        echo started"""
    began = time.monotonic()
    done = bash(daemon, tmp_path)
    assert done.ending == Exited(code=0)
    assert time.monotonic() - began < 2
    # The loop that ran it is gone, as after the agent's death; the daemon prints on.
    assert processes.process(int((tmp_path / "pid").read_text())) is not None
    (tmp_path / "enough").touch()
    wait_until("the daemon came to its own end", (tmp_path / "end").exists)
    assert not (tmp_path / "broken").exists()


def test_the_environment_is_built_from_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("LD_PRELOAD", "/nowhere/evil.so")
    monkeypatch.setenv("BASH_ENV", "/nowhere/evil.sh")
    monkeypatch.setenv("IFS", "x")
    done = asyncio.run(
        runner.run(
            ["/usr/bin/env"], {"GIVEN": "a b"}, timeout_ms=Millis(5_000), run_directory=tmp_path
        )
    )
    assert sorted(done.output.splitlines()) == [
        "GIVEN=a b",
        "HOME=/",
        "LANG=C",
        f"PATH={environment.PATH}",
    ]


def test_it_runs_in_a_session_of_its_own_without_our_descriptors(tmp_path):
    leak = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(leak, True)  # noqa: FBT003
    try:
        done = bash(
            "ls /proc/self/fd | wc -w; ps -o sid= -p $$; echo $$; umask; pwd; cat", tmp_path
        )
    finally:
        os.close(leak)
    descriptors, session, number, umask, directory = done.output.split()
    assert (descriptors, umask, directory) == ("4", "0022", "/")  # 0, 1, 2 and the one of ls
    assert session == number


@pytest.mark.parametrize("value", ["a\nb", "a\0b", "\r"])
def test_a_value_that_could_smuggle_is_refused_and_not_shown(tmp_path, value):
    done = bash("touch ran", tmp_path, SECRET=value)
    assert isinstance(done.ending, NotBegun)
    assert "SECRET" in done.ending.reason
    assert value not in done.ending.reason
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["A=B", "", "1A", "a b", "A\n", "É"])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(environment.BadVariable):
        environment.build({name: "x"})


@given(st.text(max_size=20), st.text(max_size=20))
def test_an_environment_is_refused_or_has_exactly_what_was_given(name, value):
    try:
        built = environment.build({name: value})
    except environment.BadVariable:
        return
    assert built[name] == value
    assert not set(value) & set("\0\n\r")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["/nowhere/program"], "No such file"),
        (["/etc/passwd"], "Permission denied"),
        (["/tmp"], "Permission denied"),
        (["/bin/true", "a\0b"], "null"),
        (["/bin/true", "x" * 3_000_000], "too long"),
    ],
)
def test_what_cannot_run_is_said(tmp_path, arguments, words):
    done = asyncio.run(runner.run(arguments, {}, timeout_ms=Millis(1_000), run_directory=tmp_path))
    assert isinstance(done.ending, NotBegun)
    assert words in done.ending.reason


def test_no_descriptor_is_left_open(tmp_path):
    async def several() -> int:
        for text in ("exit 0", "sleep 5", "echo x; exit 3"):
            await runner.run(
                ["/bin/bash", "-c", text], {}, timeout_ms=Millis(100), run_directory=tmp_path
            )
        await runner.run(["/nowhere"], {}, timeout_ms=Millis(100), run_directory=tmp_path)
        return open_descriptors()

    async def twice() -> None:
        assert await several() == await several()

    before = set(runner.RUNNING)
    asyncio.run(twice())
    assert before == runner.RUNNING
    assert list((tmp_path / "programs").iterdir()) == []


def test_whoever_stops_waiting_kills_it(tmp_path):
    async def cancelled() -> None:
        text = f"echo $$ > {tmp_path}/group; sleep 1000"
        running = asyncio.create_task(
            runner.run(
                ["/bin/bash", "-c", text], {}, timeout_ms=Millis(60_000), run_directory=tmp_path
            )
        )
        await asyncio.to_thread(
            wait_until, "it wrote its group", lambda: text_of(tmp_path / "group")
        )
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(cancelled())
    group = int((tmp_path / "group").read_text())
    wait_until("the group is dead", lambda: not living_members(group))


def test_the_next_agent_ends_what_was_left_unfinished_and_spares_what_was_started(tmp_path):
    """An agent that dies in a start leaves a script that may still act; what earlier starts left is safe."""
    agent = os.fork()
    if agent == 0:
        os.setsid()
        started = f"setsid sleep 1000 </dev/null >/dev/null 2>&1 & echo $! > {tmp_path}/service"
        bash(started, tmp_path)
        bash(f"echo $$ > {tmp_path}/group; sleep 1000; touch {tmp_path}/late", tmp_path)
        os._exit(0)
    wait_until("the start is under way", lambda: list((tmp_path / "programs").glob("*")) != [])
    wait_until("it wrote its group", lambda: text_of(tmp_path / "group"))
    os.kill(agent, 9)
    os.waitpid(agent, 0)
    group = int((tmp_path / "group").read_text())
    service = int((tmp_path / "service").read_text())
    try:
        assert living_members(group)
        assert leftovers.end_leftovers(tmp_path) == (group,)
        wait_until("the start is dead", lambda: not living_members(group))
        assert processes.process(service) is not None
        assert leftovers.end_leftovers(tmp_path) == ()
    finally:
        os.kill(service, 9)


def test_a_number_that_another_process_has_now_is_no_leftover(tmp_path):
    record = tmp_path / "programs" / str(os.getpid())
    record.parent.mkdir()
    record.write_text("1")  # this process did not start one tick after boot
    garbage = tmp_path / "programs" / "123456"
    garbage.write_text("what?")
    assert leftovers.end_leftovers(tmp_path) == ()
    assert not record.exists()


def test_orphans_are_buried_and_our_own_children_keep_their_status(tmp_path):
    async def story() -> None:
        end = reaper.adopt_orphans()
        try:
            text = f"setsid sleep 1000 </dev/null >/dev/null 2>&1 & echo $! > {tmp_path}/pid"
            await runner.run(
                ["/bin/bash", "-c", text], {}, timeout_ms=Millis(5_000), run_directory=tmp_path
            )
            pid = int((tmp_path / "pid").read_text())
            own = await asyncio.create_subprocess_exec("/bin/bash", "-c", "exit 9")
            os.kill(pid, 9)
            corpse = Path(f"/proc/{pid}")
            await asyncio.to_thread(wait_until, "it is buried", lambda: not corpse.exists(), 1)
            assert await own.wait() == 9
        finally:
            end()

    asyncio.run(story())


def open_descriptors() -> int:
    """How many descriptors this process has."""
    return len(list(Path("/proc/self/fd").iterdir()))


def text_of(path: Path) -> str:
    """What a file holds, nothing while it is not there."""
    return path.read_text() if path.exists() else ""


def living_members(group: int) -> list[int]:
    """Processes of a group that are not dead."""
    members = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] not in "ZX":
            members.append(int(path.parent.name))
    return members
