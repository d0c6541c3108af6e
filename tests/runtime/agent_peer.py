"""A controller that only does as a test says, and real agent processes to talk to it.

The services are real processes: `sleep`, started by a script that leaves a pid file.
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.codec.messages import (
    PROTOCOL,
    Acknowledge,
    Definitions,
    Do,
    Done,
    Hello,
    Ping,
    Pong,
    Report,
    Welcome,
)
from reconciler.core.definition import definition_digest
from reconciler.model.ids import ActionId, Epoch, Incarnation, Millis, PlanId, ServiceName
from reconciler.model.intent import Heartbeat, Kind, Operation, Service
from reconciler.model.operation import Step, StepKey
from reconciler.runtime.pki import Role
from reconciler.runtime.stream import Server, Stream, serve
from tests.runtime.members import authority, member

DEADLINE_S = 15
_START = """
import subprocess, sys
nothing = subprocess.DEVNULL
started = subprocess.Popen(
    ["sleep", "600"], start_new_session=True, stdin=nothing, stdout=nothing, stderr=nothing
)
open(sys.argv[1], "w").write(str(started.pid))
"""
_STATUS = 'test -e "/proc/$(cat "$1")/exe" || exit 3'  # a zombie has none
_STOP = "import os, signal, sys; os.kill(int(open(sys.argv[1]).read()), signal.SIGKILL)"


def sleeper(name: str, run: Path, **operations) -> Service:
    """A service that is one sleeping process."""
    pid_file = run / f"{name}.pid"
    python = [sys.executable, "-I", "-c"]
    return Service(
        name=ServiceName(name),
        kind=Kind.SCRIPT,
        parameters=(
            ("pidfile", f"{name}.pid"),
            ("start", json.dumps([*python, _START, str(pid_file)])),
            ("status", json.dumps(["/bin/sh", "-c", _STATUS, "status", str(pid_file)])),
            ("stop", json.dumps([*python, _STOP, str(pid_file)])),
        ),
        **{"monitor": Operation(timeout_ms=Millis(5_000), every_ms=Millis(60_000)), **operations},
    )


async def until(condition, what: str, deadline_s: float = DEADLINE_S):
    """Poll a condition until it holds."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        if found := condition():
            return found
        await asyncio.sleep(0.005)
    raise AssertionError(f"not within {deadline_s} s: {what}")


@dataclass
class Controller:
    """Listens, keeps what agents say, and says what it is told to."""

    epoch: int = 1
    answers_pings: bool = True
    heartbeat: Heartbeat = field(default_factory=Heartbeat)
    hellos: list[Hello] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    done: list[Done] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    """When each report came."""
    stream: Stream | None = None
    port: int = 0
    _server: Server | None = None
    _attempts: int = 0

    async def __aenter__(self):
        await self.listen()
        return self

    async def __aexit__(self, *_):
        await self.close()

    async def listen(self):
        self._server = await serve(
            ("127.0.0.1", self.port), member(Role.CONTROLLER), self._talk, roles=(Role.AGENT,)
        )
        self.port = self._server.address[1]

    async def close(self):
        self.stream = None
        await self._server.close()

    async def _talk(self, stream: Stream):
        hello = await stream.receive()
        assert isinstance(hello, Hello)
        stream.send(
            Welcome(
                protocol=PROTOCOL,
                incarnation=Incarnation(1),
                epoch=Epoch(self.epoch),
                session=1,
                key=bytes(32),
                heartbeat_port=self.port,
                heartbeat=self.heartbeat,
            )
        )
        self.stream = stream
        self.hellos.append(hello)
        async for message in stream:
            match message:
                case Ping(sent=sent) if self.answers_pings:
                    stream.send(Pong(sent=sent))
                case Report():
                    self.reports.append(message)
                    self.times.append(time.monotonic())
                case Done():
                    self.done.append(message)
                case _:
                    pass

    def define(self, *services: Service):
        self.stream.send(
            Definitions(
                incarnation=Incarnation(1),
                epoch=Epoch(self.epoch),
                services=services,
                assigned=tuple(service.name for service in services),
                maintenance=(),
            )
        )

    def step(self, kind, service: Service, **changes) -> Step:
        self._attempts += 1
        key = StepKey(
            plan=PlanId("p" * 64),
            action=ActionId(f"{kind}:{service.name}@alpha"),
            attempt=self._attempts,
        )
        return Step(
            **{
                "key": key,
                "kind": kind,
                "service": service.name,
                "definition": definition_digest(service),
                "epoch": Epoch(self.epoch),
                "incarnation": Incarnation(1),
                "valid_ms": self.heartbeat.lost_ms,
                **changes,
            }
        )

    async def do(self, kind, service: Service, **changes):
        """Order something and wait for its result."""
        step = self.step(kind, service, **changes)
        self.stream.send(Do(step=step))
        return await self.result(step)

    async def result(self, step: Step):
        def ended():
            return [done.result for done in self.done if done.result.key == step.key]

        result = (await until(ended, f"the result of {step.key.action}"))[0]
        self.stream.send(Acknowledge(key=step.key))
        return result

    async def report(self, condition, what: str, after: int = 0) -> Report:
        """Wait for a report that says this; `after` skips as many."""
        return await until(
            lambda: next((r for r in self.reports[after:] if condition(r)), None), what
        )


class AgentProcess:
    """One node with its directories, and the agent process of the day."""

    def __init__(self, tmp_path: Path, port: int, *, verbose: bool = True, **options) -> None:
        self._verbose = verbose
        self.state = tmp_path / "state"
        self.run = tmp_path / "run"
        self.log = tmp_path / "log"
        self._options = {"node": "alpha", "controller": f"127.0.0.1:{port}", **options}
        self.process: subprocess.Popen | None = None

    def command(self) -> list[str]:
        words = [sys.executable, "-I", "-m", "reconciler.runtime.agent"]
        words += ["--verbose"] if self._verbose else []
        for name, value in {
            **self._options,
            "pki": authority(),
            "state": self.state,
            "run": self.run,
        }.items():
            words += [f"--{name}", str(value)]
        return words

    def start(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command(), stderr=log, stdin=subprocess.DEVNULL)

    def kill(self):
        self.process.kill()
        self.process.wait()

    async def end(self, number=signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return await until(
            lambda: self.process.poll() is not None and [self.process.returncode], "its end"
        )

    def pid_of(self, name: str) -> int:
        return int((self.run / f"{name}.pid").read_text())

    def clean_up(self):
        if self.process is not None and self.process.poll() is None:
            self.kill()
        for path in self.run.glob("*.pid"):
            with contextlib.suppress(ValueError, ProcessLookupError):
                os.kill(int(path.read_text()), signal.SIGKILL)


@contextlib.asynccontextmanager
async def cluster_of_one(tmp_path: Path, **options):
    """A controller and an agent that is connected to it."""
    async with Controller() as controller:
        agent = AgentProcess(tmp_path, controller.port, **options)
        agent.start()
        try:
            await until(lambda: controller.reports, "the first report")
            yield controller, agent
        finally:
            agent.clean_up()


def lives(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False
