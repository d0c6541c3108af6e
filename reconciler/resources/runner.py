"""Run one program for a service, under a deadline, and say how it ended.

The program is an argument vector (there is no shell), in a session and process group of its own, with an
environment built from nothing, no more on its standard input than it is given, and its output captured with a
cap. How it ended is decided by its main process alone, seen through a pidfd.

Law: at the deadline the whole process group gets SIGKILL. There is no SIGTERM before it: a script that is
told to end may run a trap and act after its time. What a *finished* program left running is never touched:
no signal, no parent-death signal, and a pipe that it still writes to stays open even after this agent's end.
"""

import asyncio
import contextlib
import os
import select
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler.model.ids import Millis
from reconciler.resources import environment, leftovers, processes
from reconciler.resources.capture import Capture

RUNNING: set[int] = set()
"""Numbers of our own children, whose exit status nobody else may take."""

_REAP_S = 1.0
"""A killed process may still sit in the kernel (a dead disk); nobody waits longer for it than this."""

_REASON_CHARACTERS_MAX = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Exited:
    """The program ended by itself."""

    code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Killed:
    """A signal ended the program, and it was not ours."""

    signal: int

    def __str__(self) -> str:
        try:
            return f"killed by {signal.Signals(self.signal).name}"
        except ValueError:
            return f"killed by signal {self.signal}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedOut:
    """The deadline came first, and the process group was killed."""

    timeout_ms: Millis

    def __str__(self) -> str:
        return f"did not end within {self.timeout_ms} ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotBegun:
    """The program never ran."""

    reason: str

    def __str__(self) -> str:
        return self.reason


Ending = Exited | Killed | TimedOut | NotBegun


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """How a program ended, the tail of what it printed, and how long it took."""

    ending: Ending
    output: str = ""
    errors: str = ""
    took_ms: Millis = Millis(0)

    @property
    def exit_code(self) -> int | None:
        """The exit code, if the program came to one."""
        return self.ending.code if isinstance(self.ending, Exited) else None

    @property
    def last_words(self) -> str:
        """The last line that it printed, errors first."""
        for text in (self.errors, self.output):
            for line in reversed(text.splitlines()):
                if line.strip():
                    return line.strip()[:_REASON_CHARACTERS_MAX]
        return ""


async def run(
    arguments: Sequence[str],
    variables: Mapping[str, str],
    *,
    timeout_ms: Millis,
    run_directory: Path,
    given: bytes = b"",
) -> Execution:
    """Run a program to its end or to its deadline; never raises for anything that it does.

    `given` is all that it can read from its standard input.

    Cancelling this kills the process group: nobody would be left to keep its deadline.
    """
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    captures = Capture(loop), Capture(loop)
    try:
        child = _begin(arguments, variables, captures, given)
    except (OSError, ValueError) as trouble:
        for capture in captures:
            capture.abandon()
        return Execution(ending=NotBegun(reason=_why_not_begun(arguments, trouble)))
    for capture in captures:
        capture.begin()
    try:
        with leftovers.recorded(run_directory, child.pid):
            ending = await _ending(child, timeout_ms)
    finally:
        output, errors = (_finish(capture) for capture in captures)
    took_ms = Millis(round((loop.time() - began_s) * 1000))
    return Execution(ending=ending, output=output, errors=errors, took_ms=took_ms)


def _begin(
    arguments: Sequence[str],
    variables: Mapping[str, str],
    captures: tuple[Capture, Capture],
    given: bytes,
) -> "subprocess.Popen[bytes]":
    with _input(given) as standard_input:
        child = subprocess.Popen(
            list(arguments),
            env=environment.build(variables),
            cwd="/",
            stdin=standard_input,
            stdout=captures[0].write_fd,
            stderr=captures[1].write_fd,
            start_new_session=True,
            umask=0o022,
        )
    RUNNING.add(child.pid)
    return child


@contextlib.contextmanager
def _input(given: bytes) -> Iterator[int]:
    """A descriptor to read this from: it waits whole in a pipe, so that nobody has to feed it."""
    if not given:
        yield subprocess.DEVNULL
        return
    if len(given) > select.PIPE_BUF * 16:
        raise ValueError("more than a pipe holds is given to it")
    reading, writing = os.pipe()
    try:
        with open(writing, "wb") as pipe:  # noqa: PTH123 - a descriptor
            pipe.write(given)
        yield reading
    finally:
        os.close(reading)


async def _ending(child: "subprocess.Popen[bytes]", timeout_ms: Millis) -> Ending:
    """Wait for the main process; kill its group at the deadline, or when nobody waits any more."""
    ended = asyncio.Event()

    def reap() -> None:
        child.wait()
        ended.set()

    _on_end(child.pid, reap)
    try:
        async with asyncio.timeout(max(timeout_ms, 0) / 1000):
            await ended.wait()
    except TimeoutError:
        if not ended.is_set():  # once reaped, its number may be somebody else's
            processes.kill_group(child.pid)
            await _wait_for_corpse(ended)
            return TimedOut(timeout_ms=timeout_ms)
    except asyncio.CancelledError:
        if not ended.is_set():
            processes.kill_group(child.pid)
        raise
    if child.returncode < 0:
        return Killed(signal=-child.returncode)
    return Exited(code=child.returncode)


async def _wait_for_corpse(ended: asyncio.Event) -> None:
    """Wait a little for a killed process; it is reaped on the day the kernel lets go of it."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_REAP_S):
            await ended.wait()


def _finish(capture: Capture) -> str:
    """Take the rest of the output; if a process still holds the pipe, leave it a reader.

    Without one its next line would kill it by SIGPIPE: a start must not doom the daemon that it started.
    `cat` drains the pipe for as long as somebody holds it, whatever becomes of this agent.
    """
    held = capture.end()
    if held is not None:
        with open(held, "rb") as pipe:  # noqa: PTH123 - a descriptor
            os.set_blocking(held, True)
            _drain(pipe.fileno())
    return capture.text()


def _drain(pipe: int) -> None:
    """Start a reader for a pipe that outlives whoever started it; no `Popen`, which insists on its end."""
    nowhere = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_WRONLY, 0) for number in (1, 2)]
    pid = os.posix_spawn(
        "/bin/cat",
        ["cat"],
        environment.build({}),
        file_actions=[(os.POSIX_SPAWN_DUP2, pipe, 0), *nowhere],
        setsid=True,
    )
    RUNNING.add(pid)
    _on_end(pid, lambda: os.waitpid(pid, 0))


def _on_end(pid: int, ended: Callable[[], object]) -> None:
    """Call `ended`, which must reap it, as soon as a child of ours ends."""
    loop = asyncio.get_running_loop()
    descriptor = os.pidfd_open(pid)

    def notice() -> None:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        ended()
        RUNNING.discard(pid)

    loop.add_reader(descriptor, notice)


def _why_not_begun(arguments: Sequence[str], trouble: OSError | ValueError) -> str:
    if isinstance(trouble, environment.BadVariable):
        return str(trouble)
    program = arguments[0][:120] if arguments else "nothing"
    what = trouble.strerror if isinstance(trouble, OSError) else str(trouble)
    return f"cannot run {program}: {what}"
