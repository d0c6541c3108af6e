"""Programs that an agent was running when it died: found and ended by the next agent.

Each running program has a file, named by its process number, for as long as it runs. An orphaned start that
went on after its agent's death could bring a service up behind the back of the next agent, which
has just found it stopped. So the next agent first ends what is unfinished, and only then looks.

Law: only a program whose main process still runs is ended. What a finished one left running is the service.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from reconciler.resources import processes
from reconciler.resources.processes import Process

_DIRECTORY = "programs"


@contextlib.contextmanager
def recorded(run_directory: Path, pid: int) -> Iterator[None]:
    """Keep a record of a running program while the block lasts."""
    path = run_directory / _DIRECTORY / str(pid)
    found = processes.process(pid)
    if found is not None:
        with contextlib.suppress(OSError):  # a full disk must not keep a service from stopping
            _write(path, str(found.start_ticks))
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def end_leftovers(run_directory: Path) -> tuple[int, ...]:
    """Kill the process groups of programs that an earlier agent left unfinished; return their numbers.

    Call once, before anything is probed and before this agent runs programs of its own.
    """
    ended = []
    for path in sorted((run_directory / _DIRECTORY).glob("[0-9]*")):
        known = _read(path)
        if known is not None and processes.lives(known):
            processes.kill_group(known.pid)
            ended.append(known.pid)
        with contextlib.suppress(OSError):
            path.unlink()
    return tuple(ended)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="ascii")
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")


def _read(path: Path) -> Process | None:
    try:
        return Process(pid=int(path.name), start_ticks=int(path.read_text(encoding="ascii")))
    except (OSError, ValueError):
        return None
