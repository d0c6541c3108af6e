"""A whole cluster of real processes on loopback: a controller, agents, and services that sleep."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

from reconciler.model.errors import ReconcilerError
from reconciler.runtime import pki
from reconciler.runtime.client import Client

PATIENCE_S = 30

_CONTROLLER = """
import sys
from pathlib import Path
from reconciler.cli.controller import Options, run_controller
source, state, pki, listen, accept, branch, path, secrets, agents = sys.argv[1:]
sys.exit(run_controller(Options(source=source, branch=branch, path=path, state=Path(state),
    pki=Path(pki), listen=listen, accept=accept, every_s=0.2, verbose=False,
    secrets=Path(secrets), fence_agents=(Path(agents),))))
"""
_SCRIPT = """#!/bin/sh
# start|stop|status NAME: a service that sleeps, and notes every start and stop.
# Files beside its pid make it misbehave: NAME.hang (status), NAME.lie (stop), NAME.noise (status).
pid="$RECONCILE_RUN/$2.pid"
case "$1" in
  start) echo "start $2" >> "$RECONCILE_RUN/log"
    setsid sleep 100000 >/dev/null 2>&1 </dev/null &
    echo $! > "$pid";;
  stop) echo "stop $2" >> "$RECONCILE_RUN/log"
    [ -f "$RECONCILE_RUN/$2.lie" ] && exit 0
    [ -f "$pid" ] && kill -9 "$(cat "$pid")"; rm -f "$pid";;
  status)
    [ -f "$RECONCILE_RUN/$2.hang" ] && sleep 1000
    [ -f "$RECONCILE_RUN/$2.noise" ] && head -c 50000000 /dev/zero
    [ -f "$pid" ] && kill -0 "$(cat "$pid")" 2>/dev/null || exit 3;;
esac
exit 0
"""


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Whole:
    """Starts, kills and asks. Everything it started is gone after `end`."""

    def __init__(self, root, nodes, *, accept="ask", source=None, branch="", path=""):
        self.root, self.nodes, self.accept = root, nodes.split(), accept
        self.files = root / "cluster"
        self.files.mkdir()
        self.source, self.branch, self.path = source or self.files, branch, path
        self.pki = root / "pki"
        self.port = free_port()
        self.script = root / "service"
        self.script.write_text(_SCRIPT)
        self.script.chmod(0o755)
        pki.create_authority(self.pki, cluster="whole")
        pki.issue(self.pki, pki.Role.CONTROLLER, "main")
        pki.issue(self.pki, pki.Role.OPERATOR, "olga")
        for node in self.nodes:
            pki.issue(self.pki, pki.Role.AGENT, node)
        self.processes = {}

    def text(
        self,
        services,
        *,
        heartbeat="{every: 100ms, suspect-after: 300ms, lost-after: 800ms}",
        fencing="fencing: none\naccept-split-brain: true\n",
    ):
        """The cluster's file with these services: a name, or a name and more settings."""
        nodes = "\n".join(
            f"  {node}: {{address: 127.0.0.{at}}}" for at, node in enumerate(self.nodes, 1)
        )
        lines = "\n".join(self._service(word) for word in services)
        return (
            f"version: 1\ncluster: whole\nheartbeat: {heartbeat}\nnodes:\n{nodes}\n"
            f"services:\n{lines}\n{fencing}"
        )

    def _service(self, word):
        name, _, more = word.partition(" ")
        commands = ", ".join(
            f"{verb}: {self.script} {verb} {name}" for verb in ("start", "stop", "status")
        )
        if "monitor:" not in more:
            more = ", ".join(filter(None, ("monitor: {every: 2s, timeout: 10s}", more)))
        return f"  {name}: {{script: {{{commands}, pidfile: {name}.pid}}, {more}}}"

    def write(self, *services, **more):
        (self.files / "cluster.yaml").write_text(self.text(services, **more))

    def run(self, name):
        return self.root / f"run-{name}"

    def start_controller(self):
        words = [
            sys.executable, "-c", _CONTROLLER, str(self.source), str(self.root / "state"),
            str(self.pki), f"127.0.0.1:{self.port}", self.accept, self.branch, self.path,
            str(self.root / "secrets"), str(self.root / "agents"),
        ]  # fmt: skip
        self._spawn("controller", words)

    def start_agent(self, node):
        words = [
            sys.executable, "-m", "reconciler.runtime.agent", "--node", node,
            "--controller", f"127.0.0.1:{self.port}", "--pki", str(self.pki),
            "--state", str(self.root / f"agent-{node}"), "--run", str(self.run(node)),
            "--pretend-addresses", "--secrets", str(self.root / "secrets"),
            "--fence-agents", str(self.root / "agents"),
        ]  # fmt: skip
        self._spawn(node, words)

    def _spawn(self, name, words):
        with (self.root / f"{name}.log").open("ab") as output:
            self.processes[name] = subprocess.Popen(
                words,
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,
            )

    def start(self):
        self.start_controller()
        for node in self.nodes:
            self.start_agent(node)
        return self

    def kill(self, name, number=signal.SIGKILL):
        process = self.processes.pop(name)
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        return process.wait(timeout=PATIENCE_S)

    def pid_of(self, service, node):
        for place in self.run(node).rglob(f"{service}.pid"):
            with contextlib.suppress(ValueError, OSError):
                pid = int(place.read_text())
                os.kill(pid, 0)
                return pid
        return None

    def running(self):
        """Services by the processes that really run."""
        return sorted(
            f"{place.stem}@{node}"
            for node in self.nodes
            for place in self.run(node).rglob("*.pid")
            if self.pid_of(place.stem, node) is not None
        )

    def log_of(self, node):
        """Every start and stop that really happened there."""
        return [
            line
            for place in self.run(node).rglob("log")
            for line in place.read_text().split("\n")
            if line
        ]

    def power_off(self, node):
        """The agent, its heartbeats and every service of a node, at once."""
        os.killpg(self.processes[node].pid, signal.SIGKILL)
        self.kill(node)
        for place in self.run(node).rglob("*.pid"):
            if (pid := self.pid_of(place.stem, node)) is not None:
                os.kill(pid, signal.SIGKILL)
        shutil.rmtree(self.run(node), ignore_errors=True)

    def until(self, condition, what):
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, f"{what}\n{self.logs()}"
            time.sleep(0.01)

    def logs(self):
        return "\n".join(
            f"== {place.name}\n{place.read_text()[-3000:]}"
            for place in sorted(self.root.glob("*.log"))
        )

    async def client(self):
        return await Client.connect("127.0.0.1", self.port, self.pki)

    def ask(self, method, **body):
        async def asking():
            client = await self.client()
            try:
                return await client.ask(method, body)
            finally:
                await client.close()

        return asyncio.run(asking())

    def order(self, **body):
        """Apply, and return every event."""

        async def ordering():
            client = await self.client()
            try:
                return [event async for event in client.follow("apply", body)]
            finally:
                await client.close()

        return asyncio.run(ordering())

    def status(self):
        with contextlib.suppress(ReconcilerError):
            return self.ask("status")
        return None

    def until_status(self, condition, what):
        last = {}

        def holds():
            last["status"] = self.status()
            return last["status"] is not None and condition(last["status"])

        try:
            self.until(holds, what)
        except AssertionError as trouble:
            raise AssertionError(f"{trouble}\n{json.dumps(last, indent=1)}") from None
        return last["status"]

    def end(self):
        for name in list(self.processes):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.processes[name].pid, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.kill(name)
        for node in self.nodes:
            for place in self.run(node).rglob("*.pid"):
                if (pid := self.pid_of(place.stem, node)) is not None:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def whole(root, nodes, **more):
    made = Whole(root, nodes, **more)
    try:
        yield made
    finally:
        made.end()
