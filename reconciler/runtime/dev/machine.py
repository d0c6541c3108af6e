"""One machine of `reconcile dev`: a node, or where the controller runs. It has power, or has not.

`namespaces` machines are as good as real ones: a cut kills every process at once, in the kernel.
`plain` ones share this machine's network and places; what their services started is killed one by one.
"""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from reconciler.model.errors import Refused

READY_TIMEOUT_S = 15.0
OFF_TIMEOUT_S = 5.0
NAMESPACES = ("--net", "--mount", "--pid", "--uts", "--ipc")
ISOLATED = ("unshare", *NAMESPACES, "--fork", "--kill-child=KILL", "--mount-proc", "--")
SEPARATE_NETWORK = ("unshare", "--net", "--")
INIT = (sys.executable, "-P", "-m", "reconciler.runtime.dev.node_init")


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """What a machine is made of; the same for all its boots."""

    name: str
    isolated: bool
    """With all its namespaces, or with none."""
    separate_network: bool = False
    """With a network namespace and no other: what a switch lives in."""
    log: Path
    directory: Path
    command: tuple[str, ...] = ()
    environment: Mapping[str, str]
    keep: tuple[Path, ...] = ()


class Machine:
    """A machine that can be switched on and off. `heard` gets what its init says: `started PID`, ..."""

    def __init__(self, build: Build, heard: Callable[[str], None]) -> None:
        self.build = build
        self._heard = heard
        self._process: Process | None = None
        self._ear: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._init = 0

    @property
    def on(self) -> bool:
        """Whether it has power."""
        return self._process is not None and self._process.returncode is None

    @property
    def init(self) -> int:
        """Its first process, as seen from outside."""
        return self._init

    async def boot(self, boot_id: str) -> None:
        """Give it power and wait until its init waits for `go`.

        Errors: `Refused` when the namespaces cannot be made; its log says why.
        """
        self._ready = asyncio.Event()
        with self.build.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._wrapper(),
                *INIT,
                *self._options(boot_id),
                stdin=PIPE,
                stdout=PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl-C at the terminal is for `dev` alone
            )
        self._ear = asyncio.create_task(self._listen(self._process))
        ended = asyncio.create_task(self._process.wait())
        ready = asyncio.create_task(self._ready.wait())
        await asyncio.wait(
            (ready, ended), timeout=READY_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED
        )
        ready.cancel()
        ended.cancel()
        if not self._ready.is_set():
            await self.cut()
            raise Refused(f"{self.build.name} did not come up; see {self.build.log}")
        self._init = self._first_process()

    def say(self, word: str) -> None:
        """Tell the init: `go`, `freeze`, `thaw`, `kill-agent`."""
        if self._process is not None and self._process.stdin is not None and self.on:
            self._process.stdin.write(f"{word}\n".encode())

    async def cut(self) -> None:
        """Take its power: when this returns, none of its processes lives."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            self._pull(process)
        try:
            await asyncio.wait_for(process.wait(), OFF_TIMEOUT_S)
        except TimeoutError:  # a plain init that is stopped or stuck
            process.kill()
            await process.wait()
        if self._ear is not None:
            await self._ear

    def _pull(self, process: Process) -> None:
        if self.build.isolated:
            os.kill(self._init or process.pid, signal.SIGKILL)
        elif process.stdin is not None:
            process.stdin.close()

    async def _listen(self, process: Process) -> None:
        if process.stdout is None:
            return
        async for line in process.stdout:
            words = line.decode(errors="replace").strip()
            if words == "ready":
                self._ready.set()
            else:
                self._heard(words)

    def _first_process(self) -> int:
        """The pid of the init: with namespaces, the only child of `unshare`."""
        if self._process is None:
            return 0
        pid = self._process.pid
        if not self.build.isolated:
            return pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
        return int(children.split()[0])

    def _wrapper(self) -> tuple[str, ...]:
        if self.build.isolated:
            return ISOLATED
        return SEPARATE_NETWORK if self.build.separate_network else ()

    def _options(self, boot_id: str) -> list[str]:
        build = self.build
        options = ["--name", build.name, "--log", str(build.log)]
        options += ["--directory", str(build.directory)]
        if build.isolated:
            options += ["--isolated", "--boot", boot_id]
            options += [part for path in build.keep for part in ("--keep", str(path))]
        options += [f"--setting={name}={value}" for name, value in build.environment.items()]
        return [*options, "--", *build.command]
