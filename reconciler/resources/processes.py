"""Processes by number and start time: the pair that is never used twice within a boot.

A number alone may belong to somebody else by now. Whether a process has ended comes from a pidfd, which
needs no polling and works for processes that are not our children.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_PID_FILE_BYTES_MAX = 64
_STATE, _SESSION, _START_TIME = 0, 3, 19
"""Positions in /proc/PID/stat, counted after the command's closing parenthesis."""
_STAT_BYTES_MAX = 4096
"""More than the kernel writes."""
_ENDED = frozenset("ZXx")
_PID_DIGITS_MAX = 10
_REUSE_SLACK_TICKS = 200
"""The boot time is known to the second only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process of this boot; start times are in clock ticks since it."""

    pid: int
    start_ticks: int


def process(pid: int) -> Process | None:
    """The process that has this number now; None if there is none, or only its corpse."""
    fields = _fields(pid)
    if fields is None or fields[_STATE] in _ENDED:
        return None
    return Process(pid=pid, start_ticks=int(fields[_START_TIME]))


def session_of_dead(pid: int) -> int | None:
    """The session that a process belonged to when it died; None while it lives, or once it is buried."""
    fields = _fields(pid)
    return int(fields[_SESSION]) if fields is not None and fields[_STATE] in _ENDED else None


def lives(known: Process) -> bool:
    """Say whether exactly this process still runs."""
    return process(known.pid) == known


def number_in(path: Path) -> int | None:
    """The process number in a pid file; None if there is no such file.

    Errors: `ValueError` for a file that cannot be read or holds no process number.
    """
    try:
        with path.open("rb") as file:
            words = file.read(_PID_FILE_BYTES_MAX).split()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as trouble:
        raise ValueError(f"the pidfile cannot be read: {trouble.strerror}") from trouble
    if not words or not words[0].isdigit() or len(words[0]) > _PID_DIGITS_MAX or int(words[0]) <= 1:
        raise ValueError("the pidfile holds no process number")
    return int(words[0])


def read_pid_file(path: Path) -> Process | None:
    """The living process whose number a pid file holds; None for no file, no process, or garbage."""
    try:
        number = number_in(path)
    except ValueError:
        return None
    return process(number) if number is not None else None


def reused(known: Process, path: Path) -> bool:
    """Say whether this process is younger than the pid file, so that the file speaks of another one.

    A wall clock set forward since looks the same: never take this alone for a proof that nothing runs.
    """
    try:
        written_s = path.stat().st_mtime
    except OSError:
        return False
    return known.start_ticks > _ticks(written_s) + _REUSE_SLACK_TICKS


def watch(known: Process, ended: Callable[[], None]) -> Callable[[], None] | None:
    """Call `ended` once, as soon as the process ends; return what ends the watch.

    None if the process is gone already. Needs a running event loop.
    """
    try:
        descriptor = os.pidfd_open(known.pid)
    except OSError:
        return None
    if not lives(known):
        os.close(descriptor)
        return None
    loop = asyncio.get_running_loop()
    open_descriptors = [descriptor]

    def end() -> None:
        while open_descriptors:
            loop.remove_reader(open_descriptors[-1])
            os.close(open_descriptors.pop())

    def notice() -> None:
        end()
        ended()

    loop.add_reader(descriptor, notice)
    return end


def kill_group(pid: int) -> None:
    """Kill the process group that this process leads, with all its members at once."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _fields(pid: int) -> list[str] | None:
    """What the kernel says of a process, from its state on."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:  # noqa: PTH123 - read very often
            stat = file.read(_STAT_BYTES_MAX)
    except OSError:
        return None
    fields = stat.rpartition(b")")[2].decode("ascii").split()
    return fields if len(fields) > _START_TIME else None


def _ticks(wall_s: float) -> int:
    """A wall-clock time as ticks since boot."""
    for line in Path("/proc/stat").read_text(encoding="ascii").splitlines():
        if line.startswith("btime "):
            return int((wall_s - int(line.split()[1])) * os.sysconf("SC_CLK_TCK"))
    return 0
