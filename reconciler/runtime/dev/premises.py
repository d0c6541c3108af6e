"""The state directory of one `reconcile dev`: who uses it, what it started, where things lie.

Law: one `dev` at a time, and a later one clears what a crashed one left, by its record alone: a process is
ended only if its id and its start time are the recorded ones.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import msgspec

from reconciler.model.errors import Refused

LOCK = "dev.lock"
RECORD = "dev.json"


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """A process that `dev` started, beyond doubt: process ids are used again, start times are not."""

    pid: int
    started: int
    """In clock ticks since the machine booted."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What a `dev` has to take away again."""

    processes: tuple[Process, ...] = ()


class Premises:
    """The state directory, held by this process."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.pki = root / "pki"
        self.controller = root / "controller"

    @property
    def mark(self) -> str:
        """Six characters that no other state directory on this machine has."""
        return hashlib.sha256(os.fsencode(self.root)).hexdigest()[:6]

    def node(self, name: str) -> Path:
        """Where a node keeps what survives its boots."""
        return self.root / "nodes" / name

    def run(self, name: str) -> Path:
        """Where a plain node keeps what does not survive its boots."""
        return self.node(name) / "run"

    def sweep_run(self, name: str) -> Path:
        """Empty a plain node's run directory, as a reboot does."""
        shutil.rmtree(self.run(name), ignore_errors=True)
        self.run(name).mkdir(mode=0o700, parents=True)
        return self.run(name)

    @contextlib.contextmanager
    def held(self) -> Iterator[tuple[Process, ...]]:
        """Hold the directory, after clearing what a crashed run left; yields what that was.

        Errors: `Refused` when another `dev` holds it.
        """
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.root / LOCK).open("a", encoding="ascii") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as trouble:
                raise Refused(
                    f"another `reconcile dev` runs in {self.root}; end it, or give this one a --state"
                ) from trouble
            yield self._clear()
            (self.root / RECORD).unlink(missing_ok=True)

    def record(self, pids: list[int]) -> None:
        """Note which processes are ours now."""
        processes = tuple(found for pid in pids if (found := _process(pid)) is not None)
        fresh = self.root / f"{RECORD}.new"
        fresh.write_bytes(msgspec.json.encode(Record(processes=processes)))
        fresh.replace(self.root / RECORD)

    def _clear(self) -> tuple[Process, ...]:
        try:
            record = msgspec.json.decode((self.root / RECORD).read_bytes(), type=Record)
        except (OSError, msgspec.DecodeError):
            return ()
        left = tuple(held for held in record.processes if _process(held.pid) == held)
        for held in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(held.pid, signal.SIGKILL)
        return left


def _process(pid: int) -> Process | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name, in parentheses, may hold anything; the start time is the 20th field after it.
    return Process(pid=pid, started=int(text.rpartition(")")[2].split()[19]))
