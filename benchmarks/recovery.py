#!/usr/bin/env python3
"""How fast a cluster heals: a killed service, a lost node, at the default heartbeat and at 100 ms.

    .venv/bin/python benchmarks/recovery.py [--times 10]

Needs root: each node is a network of its own, and the client stands outside of all of them.
"""

import argparse
import asyncio
import os
import signal
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "e2e"))

from typing import Self

from driver import NODES, Dev, until, visit

from reconciler.runtime.client import Client

HEARTBEATS = {"500 ms": "", "100 ms": "heartbeat: {every: 100ms}\n"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=10)
    times = parser.parse_args().times
    print(f"{'milliseconds':56} {'n':>3} {'min':>7} {'median':>7} {'max':>7}")
    for words, line in HEARTBEATS.items():
        with tempfile.TemporaryDirectory(prefix="reconcile-benchmark-") as folder:
            dev = Dev(Path(folder), network=f"10.253.{os.getpid() % 250}")
            dev.prepare()
            dev.edit("\nfencing:", f"\n{line}fencing:")
            try:
                dev.start()
                dev.apply()
                measure(dev, words, times)
            finally:
                dev.abandon()


def measure(dev: Dev, heartbeat: str, times: int) -> None:
    with Watcher(dev) as watcher:
        row(
            f"kill -9 to the next process (heartbeat {heartbeat})",
            [restart(dev) for _ in range(times)],
        )
        losses = [lose(dev, watcher) for _ in range(times)]
    row(f"power cut to `lost` (heartbeat {heartbeat})", [lost for lost, _ in losses])
    row(f"power cut to the next answer (heartbeat {heartbeat})", [gap for _, gap in losses])


def row(what: str, took_s: list[float]) -> None:
    took = sorted(1000 * value for value in took_s)
    middle = statistics.median(took)
    print(f"{what:56} {len(took):3} {took[0]:7.0f} {middle:7.0f} {took[-1]:7.0f}", flush=True)


def restart(dev: Dev) -> float:
    """From the signal to the pid file of the next process, looked at every millisecond."""
    until("the website answers", dev.site)
    settle(dev)
    node = dev.where("site")
    process = dev.service_pid(node, "site")
    file = dev.run_directory(node) / "site.pid"
    before = file.read_text()
    began_s = time.monotonic()
    os.kill(process, signal.SIGKILL)
    while contents(file) in {"", before}:
        time.sleep(0.001)
    took_s = time.monotonic() - began_s
    settle(dev)
    dev.reconcile("clear", "site")
    return took_s


def lose(dev: Dev, watcher: "Watcher") -> tuple[float, float]:
    """Cut the power of the website's node: when it was called lost, when another node answered."""
    until("the website answers", dev.site)
    node = dev.where("site")
    process = dev.pid(node)
    ask = dev.spawn("dev", "--kill", node)
    while Path(f"/proc/{process}").exists():
        time.sleep(0.001)
    began_s = time.monotonic()
    until("another node answers", lambda: visit(dev.vip) not in {None, node})
    gap_s = time.monotonic() - began_s
    ask.communicate()
    lost_s = until("it is called lost", lambda: watcher.lost(node, began_s)) - began_s
    dev.experiment("boot", node)
    settle(dev)
    return lost_s, gap_s


def settle(dev: Dev) -> None:
    until("every node is ready", lambda: all(dev.ready(name) for name in NODES))
    until("nothing is left to do", lambda: dev.run("plan").returncode == 0)


def contents(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""


class Watcher:
    """Asks the controller every 5 ms whom it calls lost, and remembers since when."""

    def __init__(self, dev: Dev) -> None:
        self._dev = dev
        self._since: dict[str, float] = {}
        self._enough = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._watch()))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self._thread.join()

    def lost(self, node: str, after_s: float) -> float | None:
        """When it was first seen lost, if that was after some time."""
        since_s = self._since.get(node, 0.0)
        return since_s if since_s > after_s else None

    async def _watch(self) -> None:
        host, _, port = self._dev.facts["controller"].rpartition(":")
        pki = self._dev.place / ".reconcile" / "dev" / "pki"
        client = await Client.connect(host, int(port), pki)
        while not self._enough.is_set():
            for node in (await client.ask("status", {}))["nodes"]:
                if node["liveness"] == "lost":
                    self._since.setdefault(node["name"], time.monotonic())
                else:
                    self._since.pop(node["name"], None)
            await asyncio.sleep(0.005)
        await client.close()


if __name__ == "__main__":
    main()
