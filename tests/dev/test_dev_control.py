"""The control socket and the state directory of `reconcile dev`."""

import asyncio
import json
import subprocess
from pathlib import Path

import pytest

from reconciler.model.errors import Refused, Unreachable
from reconciler.runtime.dev import control
from reconciler.runtime.dev.control import Request
from reconciler.runtime.dev.premises import Premises


def test_a_request_is_answered_or_refused_even_below_a_long_path(tmp_path: Path) -> None:
    state = tmp_path / ("long-" * 30)
    state.mkdir()

    async def obey(request: Request) -> str:
        if request.target != "alpha":
            raise Refused(f"no machine is called {request.target}")
        return f"{request.do} {request.target}"

    async def story() -> None:
        async with control.serve(state, obey):
            said = await asyncio.to_thread(control.ask, state, Request(do="kill", target="alpha"))
            assert said == "kill alpha"
            for request, reason in (
                (Request(do="kill", target="beta"), "no machine is called beta"),
                (Request(do="explode", target="alpha"), "no such verb"),
            ):
                with pytest.raises(Refused, match=reason):
                    await asyncio.to_thread(control.ask, state, request)

    asyncio.run(story())
    with pytest.raises(Unreachable, match="no `reconcile dev` answers"):
        control.ask(state, Request(do="describe"))


@pytest.mark.parametrize("line", [b"\n", b"{}\n", b'{"do": 1}\n', b"x" * 100_000, b""])
def test_nonsense_on_the_socket_harms_nobody(tmp_path: Path, line) -> None:
    async def obey(request: Request) -> str:
        return "fine"

    async def story() -> None:
        async with control.serve(tmp_path, obey):
            reader, writer = await asyncio.open_unix_connection(str(tmp_path / control.SOCKET))
            writer.write(line)
            writer.write_eof()
            answer = await reader.read()
            assert b"refused" in answer or answer == b""
            writer.close()
            said = await asyncio.to_thread(control.ask, tmp_path, Request(do="describe"))
            assert said == "fine"

    asyncio.run(story())


def test_where_none_has_run_none_is_asked(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="no `reconcile dev` has run"):
        control.ask(tmp_path / "nowhere", Request(do="describe"))


def test_a_state_directory_has_one_user(tmp_path: Path) -> None:
    with (
        Premises(tmp_path).held(),
        pytest.raises(Refused, match="another `reconcile dev`"),
        Premises(tmp_path).held(),
    ):
        raise AssertionError
    with Premises(tmp_path).held() as left:
        assert left == ()


def test_a_later_run_ends_what_a_crashed_one_recorded_and_nothing_else(tmp_path: Path) -> None:
    ours, reused = (subprocess.Popen(["/bin/sleep", "60"]) for _ in range(2))
    premises = Premises(tmp_path)
    with premises.held():
        premises.record([ours.pid, reused.pid])
        record = (tmp_path / "dev.json").read_bytes()
    # As a crash leaves it: the record is there, and one of its numbers is somebody else's by now.
    held = json.loads(record)
    (other,) = (process for process in held["processes"] if process["pid"] == reused.pid)
    other["started"] -= 1
    (tmp_path / "dev.json").write_text(json.dumps(held))
    try:
        with Premises(tmp_path).held() as left:
            assert [process.pid for process in left] == [ours.pid]
            assert ours.wait(5) == -9
            assert reused.poll() is None
    finally:
        reused.kill()
        reused.wait()


def test_marks_tell_state_directories_apart(tmp_path: Path) -> None:
    assert Premises(tmp_path / "a").mark != Premises(tmp_path / "b").mark
