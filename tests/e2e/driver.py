"""Drive a whole cluster as an operator does: `reconcile dev` in one terminal, commands in another.

`Dev` runs in a fresh git repository with a copy of a cluster's files. Nothing here sleeps for a fixed time:
`until` asks again until something holds or a deadline says that it never will.
"""

import asyncio
import json
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from reconciler.model.errors import ReconcilerError
from reconciler.runtime.client import Client
from reconciler.runtime.dev import control
from reconciler.runtime.dev.control import Request

ROOT = Path(__file__).resolve().parents[2]
QUICKSTART = ROOT / "examples" / "clusters" / "quickstart"
RECONCILE = str(Path(sys.executable).with_name("reconcile"))
AS_NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
NODES = ("alpha", "bravo", "charlie")

T = TypeVar("T")


def until(what: str, ask: Callable[[], T], timeout_s: float = 30.0) -> T:
    """Wait until something holds, and return it."""
    deadline_s = time.monotonic() + timeout_s
    while not (found := ask()):
        assert time.monotonic() < deadline_s, f"{what}: not within {timeout_s:.0f} s"
        time.sleep(0.02)
    return found


class Dev:
    """One `reconcile dev`, from its start to its end, and everything an operator can ask of it."""

    def __init__(
        self, place: Path, *, network: str, options: tuple[str, ...] = (), nobody: bool = False
    ) -> None:
        self.place = place
        self._as = AS_NOBODY if nobody else ()
        self._network = network
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.facts: dict[str, Any] = {}

    def prepare(self, source: Path = QUICKSTART) -> None:
        """Copy the files into a git repository, with addresses that no other cluster here has."""
        ignore = shutil.ignore_patterns("data", ".reconcile", "__pycache__")
        shutil.copytree(source, self.place, dirs_exist_ok=True, ignore=ignore)
        self.edit("10.77.0.", f"{self._network}.")
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("add", ".")
        self.git("commit", "--quiet", "--message", "Quickstart")
        if self._as:
            subprocess.run(["chown", "--recursive", "65534:65534", str(self.place)], check=True)

    def start(self) -> None:
        """Start it and wait until every node is alive and has looked at itself."""
        with (self.place / "dev.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._as, RECONCILE, "dev", "cluster.yaml", *self._options],
                cwd=self.place,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until("all nodes are ready", self._all_ready, 40)
        self.facts = self.describe()

    def end(self) -> int:
        """Ctrl-C; returns its status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(20)

    def crash(self) -> None:
        """Kill -9 of `dev` itself."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(5)

    def abandon(self) -> None:
        """End it in any case; for clearing up."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def log(self) -> str:
        """What `dev` printed, and the last of what its machines did."""
        logs = [self.place / "dev.log", *sorted(self.place.glob(".reconcile/dev/**/log"))]
        return "\n".join(
            f"== {log.relative_to(self.place)}\n" + "\n".join(log.read_text().splitlines()[-30:])
            for log in logs
            if log.exists()
        )

    def reconcile(self, *words: str, expect: int | None = 0) -> str:
        """Type a command; its output, after checking its status."""
        done = self.run(*words)
        assert expect is None or done.returncode == expect, (
            f"reconcile {' '.join(words)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        return done.stdout

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Type a command."""
        return subprocess.run(
            [*self._as, RECONCILE, *words],
            cwd=self.place,
            text=True,
            capture_output=True,
            timeout=120,
            check=False,
        )

    def spawn(self, *words: str) -> "subprocess.Popen[str]":
        """Type a command and look away."""
        return subprocess.Popen(
            [*self._as, RECONCILE, *words],
            cwd=self.place,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def apply(self) -> None:
        """Apply what the files say, and wait until it is so."""
        self.reconcile("apply", "--yes")

    def experiment(self, verb: str, target: str) -> None:
        """`reconcile dev --kill NODE` and its like."""
        self.reconcile("dev", f"--{verb}", target)

    def describe(self) -> dict[str, Any]:
        """Facts about the machines: `reconcile dev --describe` without the time it takes to start."""
        return json.loads(control.ask(self.place / ".reconcile/dev", Request(do="describe")))

    def pid(self, machine: str) -> int:
        """The first process of a machine."""
        return self.describe()["machines"][machine]["pid"]

    def status(self) -> dict[str, Any]:
        """What the controller says: `reconcile status` without the time it takes to start."""
        context = json.loads((self.place / ".reconcile/context.json").read_text())
        host, _, port = context["controller"].rpartition(":")

        async def ask() -> dict[str, Any]:
            client = await Client.connect(host, int(port), Path(context["pki"]))
            try:
                return await client.ask("status", {})
            finally:
                await client.close()

        return asyncio.run(ask())

    def node(self, name: str) -> dict[str, Any]:
        """A node of the status."""
        return next(node for node in self.status()["nodes"] if node["name"] == name)

    def service(self, name: str) -> dict[str, Any]:
        """A service of the status."""
        return next(service for service in self.status()["services"] if service["name"] == name)

    def running(self, name: str) -> list[str]:
        """The nodes on which a service runs."""
        return [copy["node"] for copy in self.service(name)["copies"] if copy["state"] == "running"]

    def where(self, name: str) -> str | None:
        """The one node on which it runs."""
        found = self.running(name)
        return found[0] if len(found) == 1 else None

    def ready(self, name: str) -> bool:
        """Whether a node is alive and has looked at itself; not, while no controller says so."""
        try:
            node = self.node(name)
        except ReconcilerError:
            return False
        return node["liveness"] == "alive" and node["ready"]

    def _all_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"dev ended: {self.log()}"
        try:
            nodes = self.status()["nodes"]
        except (OSError, ReconcilerError):
            return False  # the controller has not begun yet
        return len(nodes) == len(NODES) and all(
            node["liveness"] == "alive" and node["ready"] for node in nodes
        )

    @property
    def vip(self) -> str:
        """The website's address."""
        return f"{self._network}.100"

    def site(self) -> str | None:
        """The node that the website says it runs on."""
        plain = self.facts["plain"]
        addresses = self.facts["addresses"].values() if plain else (self.vip,)
        return next((node for at in addresses if (node := visit(at)) is not None), None)

    def run_directory(self, node: str) -> Path:
        """A node's run directory, seen from here."""
        if self.facts["plain"]:
            return self.place / ".reconcile" / "dev" / "nodes" / node / "run"
        return Path(f"/proc/{self.pid(node)}/root/run/reconcile")

    def service_pid(self, node: str, service: str) -> int | None:
        """The process of a service's pid file, as this machine numbers it."""
        try:
            inner = int((self.run_directory(node) / f"{service}.pid").read_text())
        except (OSError, ValueError):
            return None
        return inner if self.facts["plain"] else outer_pid(self.pid(node), inner)

    def edit(self, old: str, new: str) -> None:
        """Change the cluster's file."""
        file = self.place / "cluster.yaml"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))

    def git(self, *words: str) -> str:
        """Use git in the repository."""
        names = ("user.name=Test", "user.email=test@localhost", "commit.gpgsign=false")
        options = [part for name in names for part in ("-c", name)]
        return subprocess.run(
            ["git", "-C", str(self.place), *options, *words],
            text=True,
            capture_output=True,
            check=True,
        ).stdout


def outer_pid(init: int, inner: int) -> int | None:
    """Find a process of a PID namespace by its number in there."""
    namespace = Path(f"/proc/{init}/ns/pid").readlink()
    for entry in Path("/proc").iterdir():
        try:
            if not entry.name.isdecimal() or Path(entry / "ns" / "pid").readlink() != namespace:
                continue
            status = (entry / "status").read_text()
        except OSError:
            continue
        numbers = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()
        if int(numbers[-1]) == inner:
            return int(entry.name)
    return None


def visit(address: str, port: int = 8080) -> str | None:
    """The node that a page of the website comes from."""
    try:
        with urllib.request.urlopen(f"http://{address}:{port}/", timeout=0.2) as page:
            return page.read().decode().split("Hello from ")[1].split("<")[0]
    except (OSError, urllib.error.URLError, IndexError):
        return None


def write(address: str, line: str) -> bool:
    """Add a line to the ledger at an address; False where none runs."""
    try:
        request = urllib.request.Request(f"http://{address}:8081/", data=line.encode())
        with urllib.request.urlopen(request, timeout=0.5) as answer:
            return answer.status == 201
    except (OSError, urllib.error.URLError):
        return False
