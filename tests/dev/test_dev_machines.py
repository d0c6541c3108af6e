"""Machines and their switch, for real: power, cables, private places. Needs root."""

import asyncio
import os
import socket
import subprocess
import time
from pathlib import Path

import pytest

from reconciler.model.errors import Refused
from reconciler.model.ids import NodeName
from reconciler.model.intent import Intent, Node
from reconciler.runtime.dev.machine import INIT, Build, Machine
from reconciler.runtime.dev.network import Switch, refuse_if_used, wiring

AGENT = """
import os, pathlib, socket, subprocess, sys
pathlib.Path("/run/private" if {isolated} else sys.argv[1] + "/private").write_text("x")
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
server = socket.create_server(("", {port}))
print("serving", socket.gethostname(), open("/proc/sys/kernel/random/boot_id").read(), flush=True)
while True:
    peer, _ = server.accept()
    peer.sendall(socket.gethostname().encode())
    peer.close()
"""


def build(tmp_path: Path, name: str, *, isolated: bool, port: int = 7000) -> Build:
    script = tmp_path / f"{name}.py"
    script.write_text(AGENT.format(isolated=isolated, port=port))
    return Build(
        name=name,
        isolated=isolated,
        log=tmp_path / f"{name}.log",
        directory=tmp_path,
        command=("/usr/bin/env", "python3", str(script), str(tmp_path)),
        environment={"PATH": os.environ["PATH"]},
        keep=(tmp_path,),
    )


async def until(condition, timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.01)


def answer(address: str, port: int = 7000) -> str | None:
    try:
        with socket.create_connection((address, port), timeout=0.2) as peer:
            return peer.recv(100).decode()
    except OSError:
        return None


def sleepers(tmp_path: Path) -> list[str]:
    """Processes that a machine's agent left behind, by the file they have as their directory."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if Path(entry / "cwd").readlink() == tmp_path:
                    found.append(entry.name)
            except OSError:
                continue
    return found


@pytest.mark.real
def test_a_node_answers_on_its_wire_until_its_power_or_its_cable_is_cut(tmp_path: Path) -> None:
    intent = Intent(
        cluster="c",
        nodes=(
            Node(name=NodeName("n0"), addresses=("10.111.7.1",)),
            Node(name=NodeName("n1"), addresses=("10.111.8.1",)),
        ),
    )
    wires = wiring(intent, uplink="rctest0")

    async def story() -> None:
        said: list[str] = []
        holder = Machine(
            Build(
                name="switch",
                isolated=False,
                separate_network=True,
                log=tmp_path / "switch.log",
                directory=tmp_path,
                environment={},
            ),
            said.append,
        )
        nodes = [
            Machine(build(tmp_path, name, isolated=True), said.append) for name in ("n0", "n1")
        ]
        await asyncio.to_thread(refuse_if_used, wires)
        try:
            await holder.boot("")
            switch = await asyncio.to_thread(Switch, holder=holder.init, wires=wires)
            with pytest.raises(Refused, match="already a network"):
                await asyncio.to_thread(refuse_if_used, wires)
            for number, node in enumerate(nodes):
                await node.boot(f"boot-{number}")
                await asyncio.to_thread(switch.plug, NodeName(node.build.name), node.init)
                node.say("go")
            await until(lambda: answer("10.111.7.1") == "n0" and answer("10.111.8.1") == "n1")
            assert "boot-0" in nodes[0].build.log.read_text()
            assert not Path("/run/private").exists()  # noqa: ASYNC240

            await asyncio.to_thread(switch.carry, NodeName("n1"), traffic=False)
            assert answer("10.111.8.1") is None
            await asyncio.to_thread(switch.carry, NodeName("n1"), traffic=True)
            await until(lambda: answer("10.111.8.1") == "n1")

            nodes[1].say("kill-agent")
            await until(lambda: "ended -9" in said)
            await until(lambda: answer("10.111.8.1") == "n1")

            nodes[0].say("freeze")
            await until(lambda: answer("10.111.7.1") is None)
            nodes[0].say("thaw")
            await until(lambda: answer("10.111.7.1") == "n0")

            await nodes[0].cut()
            assert answer("10.111.7.1") is None
            await asyncio.to_thread(switch.unplug, NodeName("n0"))
            await nodes[0].boot("boot-2")
            await asyncio.to_thread(switch.plug, NodeName("n0"), nodes[0].init)
            nodes[0].say("go")
            await until(lambda: answer("10.111.7.1") == "n0")
            assert "boot-2" in nodes[0].build.log.read_text()
        finally:
            for node in nodes:
                await node.cut()
            await holder.cut()
        await until(lambda: not Path("/sys/class/net/rctest0").exists())
        assert sleepers(tmp_path) == []

    asyncio.run(story())


def test_a_plain_node_takes_every_descendant_with_it(tmp_path: Path) -> None:
    async def story() -> None:
        node = Machine(build(tmp_path, "p", isolated=False, port=7011), lambda _: None)
        await node.boot("")
        node.say("go")
        await until(lambda: answer("127.0.0.1", 7011) is not None)
        node.say("kill-agent")
        await until(lambda: answer("127.0.0.1", 7011) is None)
        await until(lambda: answer("127.0.0.1", 7011) is not None)
        # An init, an agent, and what two agents left behind.
        await until(lambda: len(sleepers(tmp_path)) == 4)
        await node.cut()
        assert sleepers(tmp_path) == []

    asyncio.run(story())


def test_an_init_ends_when_whoever_holds_its_pipe_is_killed(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    words = ("--name", "p", "--log", str(tmp_path / "log"), "--directory", str(tmp_path))
    init = subprocess.Popen(
        [*INIT, *words, "--", "/bin/sleep", "600"],
        stdin=reader,
        stdout=subprocess.PIPE,
    )
    os.close(reader)
    assert init.stdout is not None
    assert init.stdout.readline() == b"ready\n"
    os.write(writer, b"go\n")
    assert init.stdout.readline().startswith(b"started")
    os.close(writer)
    assert init.wait(timeout=10) == 0
    init.stdout.close()
    assert sleepers(tmp_path) == []
