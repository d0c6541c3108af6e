"""Orphans of services come to the agent, which buries them at once.

A daemon belongs to whoever is first process on the machine once its start script has ended. In containers
and on small systems that process buries the dead late or never, and until then `kill -0`, on which most
scripts rely, says that a dead service lives. So an agent asks the kernel for its services' orphans.
They stay what they were when the agent ends: somebody else inherits them, and nothing else changes.

Law: buries only the dead, and only of sessions that are not the agent's own; a child that the agent
started outside the `runner` keeps its exit status as long as it shares the agent's session.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
from collections.abc import Callable
from pathlib import Path

from reconciler.resources import processes, runner

_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> Callable[[], None]:
    """Take in and bury orphans while this event loop runs, which must be the main thread's.

    Returns what ends it. Where the kernel knows no such thing, nothing changes.
    """
    _set_subreaper(wanted=True)
    loop = asyncio.get_running_loop()
    # Later, so that the `runner` has taken what is its own, which is nearly always all there is.
    loop.add_signal_handler(signal.SIGCHLD, lambda: loop.call_soon(bury))
    bury()

    def end() -> None:
        loop.remove_signal_handler(signal.SIGCHLD)
        _set_subreaper(wanted=False)

    return end


def bury() -> None:
    """Reap every dead child that came from elsewhere."""
    if not _any_dead():
        return
    session = os.getsid(0)
    for pid in _children():
        if pid not in runner.RUNNING and processes.session_of_dead(pid) not in {None, session}:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def _any_dead() -> bool:
    """Ask the kernel, which knows at once; looking at every child takes as long as running a monitor."""
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return found is not None


def _children() -> list[int]:
    found: list[int] = []
    for path in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(word) for word in path.read_text(encoding="ascii").split()]
    return found


def _set_subreaper(*, wanted: bool) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(wanted), 0, 0, 0)
