"""A whole cluster on this machine: a switch, a machine for the controller, one for every node.

As root each node is a machine of its own (`machine.py`), joined by a wire (`network.py`), and its virtual
addresses are real. Otherwise nodes are plain processes on this machine's loopback, and addresses are
pretended; `Cluster.plain` says which.
"""

import asyncio
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from reconciler.model.errors import Refused
from reconciler.model.ids import NodeName
from reconciler.model.intent import Intent
from reconciler.runtime import pki
from reconciler.runtime.dev import network
from reconciler.runtime.dev.control import Request
from reconciler.runtime.dev.machine import ISOLATED, Build, Machine
from reconciler.runtime.dev.premises import Premises

PORT = 7410
CONTROLLER = "controller"
OPERATOR = "dev"
RECONCILE = (str(Path(sys.executable).with_name("reconcile")),)
AGENT = (sys.executable, "-P", "-m", "reconciler.runtime.agent")

PROGRAMS = (Path(sys.prefix), Path(sys.base_prefix), Path(__file__).resolve().parents[3])
"""What a node needs to see of this installation, wherever it lies."""

Tell = Callable[[str], None]
"""Takes one line about what happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the operator asked for."""

    files: Path
    """The cluster's file or folder."""
    intent: Intent
    plain: bool
    accept: str


class Cluster:
    """The machines of one cluster. `boot` and `kill` are what experiments are made of."""

    def __init__(self, order: Order, premises: Premises, tell: Tell) -> None:
        self.plain = order.plain
        self._order = order
        self._premises = premises
        self._tell = tell
        self._names = [node.name for node in order.intent.nodes]
        self._wires = None if order.plain else _wires(order.intent, premises)
        self._switch: network.Switch | None = None
        self._holder: Machine | None = None
        self._machines: dict[str, Machine] = {}
        self._expected: set[str] = set()

    @property
    def address(self) -> str:
        """Where the controller is reached."""
        return self._wires.controller if self._wires else self._loopback(len(self._names) + 1)

    async def start(self) -> None:
        """Make the certificates and give everything its power.

        Errors: `Refused` when the network is in use or the namespaces cannot be made.
        """
        await asyncio.to_thread(self._issue_certificates)
        if self._wires is not None:
            await asyncio.to_thread(network.remove_uplink, self._wires)
            await asyncio.to_thread(network.refuse_if_used, self._wires)
            self._holder = Machine(self._switch_build(), lambda _: None)
            await self._holder.boot("")
            self._note_processes()
            self._switch = await asyncio.to_thread(
                network.Switch, holder=self._holder.init, wires=self._wires
            )
        self._machines = {
            name: Machine(self._build(name), self._listener(name))
            for name in (CONTROLLER, *self._names)
        }
        await asyncio.gather(*(self.boot(name) for name in self._machines))

    async def end(self) -> None:
        """Cut the power of everything; nothing that was started lives on."""
        machines = [*self._machines.values(), *([self._holder] if self._holder else [])]
        await asyncio.gather(*(machine.cut() for machine in machines))
        if self._wires is not None:
            await asyncio.to_thread(network.remove_uplink, self._wires)

    async def boot(self, name: str) -> None:
        """Give a machine its power: another boot id, empty private places."""
        machine = self._machine(name, on=False)
        if self.plain:
            self._prepare_run(name)
        await machine.boot(str(uuid.uuid4()))
        self._note_processes()
        if name in self._names and self._switch is not None:
            await asyncio.to_thread(self._switch.plug, NodeName(name), machine.init)
        machine.say("go")

    async def kill(self, name: str) -> None:
        """Cut a machine's power: every process in it ends at once, and so do its addresses."""
        machine = self._machine(name, on=True)
        await machine.cut()
        if name in self._names and self._switch is not None:
            await asyncio.to_thread(self._switch.unplug, NodeName(name))

    async def obey(self, request: Request) -> str:
        """Do what `reconcile dev --kill NODE` and its like ask for; returns what to print."""
        name = request.target
        match request.do:
            case "kill":
                self._tell(f"{name}: power cut")
                await self.kill(name)
            case "boot":
                await self.boot(name)
                self._tell(f"{name}: power on")
            case "freeze" | "thaw":
                await self._freeze(name, frozen=request.do == "freeze")
            case "kill-agent":
                self._machine(name, on=True).say(request.do)
                self._tell(f"{name}: kill -9 of its agent")
            case "cut" | "heal":
                await self._carry(name, traffic=request.do == "heal")
            case _:
                return self._described()
        return f"{name}: {request.do}: done"

    async def _freeze(self, name: str, *, frozen: bool) -> None:
        """Stop all of a machine, as a hung virtual machine stops, or let it go on.

        Its cable goes with it: our kernel would go on answering for its addresses, a hung one does not.
        """
        machine = self._machine(name, on=True)
        machine.say("freeze" if frozen else "thaw")
        if self._switch is not None and name in self._names:
            await asyncio.to_thread(self._switch.carry, NodeName(name), traffic=not frozen)
        self._tell(f"{name}: {'frozen' if frozen else 'thawed'}")

    async def _carry(self, name: str, *, traffic: bool) -> None:
        self._machine(name, on=True)
        if self._switch is None or name not in self._names:
            raise Refused("only a node with its own network has a cable; run dev as root")
        await asyncio.to_thread(self._switch.carry, NodeName(name), traffic=traffic)
        self._tell(f"{name}: cable {'in' if traffic else 'out'}")

    def _machine(self, name: str, *, on: bool) -> Machine:
        """Find a machine that has power, or has none.

        Errors: `Refused` when there is no such machine, or it is already as asked.
        """
        if name not in self._machines:
            known = ", ".join(self._machines)
            raise Refused(f"no machine is called {name!r}; there are {known}")
        machine = self._machines[name]
        if machine.on is not on:
            raise Refused(f"{name} has {'no power' if on else 'power already'}")
        return machine

    def _described(self) -> str:
        """Facts for scripts and tests, as JSON."""
        machines = {
            name: {"on": machine.on, "pid": machine.init if machine.on else None}
            for name, machine in self._machines.items()
        }
        facts = {
            "plain": self.plain,
            "controller": f"{self.address}:{PORT}",
            "uplink": self._wires.uplink if self._wires else None,
            "addresses": {name: self._own_address(name) for name in self._names},
            "machines": machines,
        }
        return msgspec.json.encode(facts).decode()

    def _listener(self, name: str) -> Callable[[str], None]:
        """What the init of a machine says, told to people only where it is news."""
        what = "the controller" if name == CONTROLLER else f"{name}: the agent"

        def heard(words: str) -> None:
            if words.startswith("ended"):
                status = words.split()[1]
                self._tell(f"{what} ended ({_ending(int(status))}), and is started again")

        return heard

    def _note_processes(self) -> None:
        machines = [*self._machines.values(), *([self._holder] if self._holder else [])]
        self._premises.record([machine.init for machine in machines if machine.on])

    def _issue_certificates(self) -> None:
        directory = self._premises.pki
        shutil.rmtree(directory, ignore_errors=True)
        pki.create_authority(directory, cluster=self._order.intent.cluster)
        pki.issue(directory, pki.Role.CONTROLLER, CONTROLLER)
        pki.issue(directory, pki.Role.OPERATOR, OPERATOR)
        for name in self._names:
            pki.issue(directory, pki.Role.AGENT, name)

    def _switch_build(self) -> Build:
        return Build(
            name="switch",
            isolated=False,
            separate_network=True,
            log=self._premises.root / "switch.log",
            directory=Path("/"),
            environment={},
        )

    def _build(self, name: str) -> Build:
        place = self._premises.controller if name == CONTROLLER else self._premises.node(name)
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        command = self._controller_command() if name == CONTROLLER else self._agent_command(name)
        return Build(
            name=name,
            isolated=not self.plain and name != CONTROLLER,
            log=place / "log",
            directory=self._folder,
            command=command,
            environment={
                "PATH": os.environ.get("PATH", os.defpath),
                "LANG": "C.UTF-8",
                "HOME": "/",
            },
            keep=(self._premises.root, self._folder, *PROGRAMS),
        )

    @property
    def _folder(self) -> Path:
        files = self._order.files.absolute()
        return files if files.is_dir() else files.parent

    def _controller_command(self) -> tuple[str, ...]:
        return (
            *RECONCILE,
            "controller",
            str(self._order.files.absolute()),
            *("--state", str(self._premises.controller)),
            *("--pki", str(self._premises.pki)),
            *("--listen", f"{self.address}:{PORT}"),
            *("--accept", self._order.accept),
        )

    def _agent_command(self, name: str) -> tuple[str, ...]:
        run = self._premises.run(name) if self.plain else Path("/run/reconcile")
        return (
            *AGENT,
            *("--node", name),
            *("--controller", f"{self.address}:{PORT}"),
            *("--pki", str(self._premises.pki)),
            *("--state", str(self._premises.node(name) / "state")),
            *("--run", str(run)),
            *(("--pretend-addresses",) if self.plain else ("--interface", network.INTERFACE)),
        )

    def _prepare_run(self, name: str) -> None:
        if name in self._names:
            run = self._premises.sweep_run(name)
            (run / "address").write_text(self._own_address(NodeName(name)), encoding="ascii")

    def _own_address(self, name: NodeName) -> str:
        if self._wires is not None:
            return str(self._wires.nodes[name][0].ip)
        return self._loopback(self._names.index(name) + 1)

    def _loopback(self, number: int) -> str:
        """An address of this machine's loopback that no other `dev` uses."""
        mark = int(self._premises.mark, 16)
        return f"127.{1 + mark // 250 % 250}.{mark % 250}.{number % 250 + 1}"


def can_isolate() -> bool:
    """Whether this machine lets us make namespaces."""
    if os.geteuid() != 0 or shutil.which(ISOLATED[0]) is None:
        return False
    return subprocess.run([*ISOLATED, "true"], check=False, capture_output=True).returncode == 0


def _wires(intent: Intent, premises: Premises) -> network.Wiring:
    return network.wiring(intent, uplink=f"rc-{premises.mark}")


def _ending(status: int) -> str:
    return f"killed by signal {-status}" if status < 0 else f"status {status}"
