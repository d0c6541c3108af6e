"""What an idle agent costs: memory and processor time, with services that run and are monitored.

    .venv/bin/python benchmarks/agent_footprint.py [--services 20] [--seconds 60] [--monitor-ms 10000]

Real processes: a controller that only listens, one agent with its heartbeat process, and as many sleeping
services as asked for, each with a pid file and a monitor. Bars: 60 MiB resident, 1 % of one core.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from reconciler.model.ids import Millis
from reconciler.model.intent import Operation
from reconciler.model.plan import ActionKind
from tests.runtime.agent_peer import cluster_of_one, sleeper

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
SETTLE_S = 3


def children(pid: int) -> list[int]:
    return [
        int(child)
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    ]


def memory_kib(pid: int) -> dict[str, int]:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    values = dict(line.split(":", 1) for line in lines if ":" in line and "kB" in line)
    return {name: int(values[name].split()[0]) for name in ("Rss", "Pss")}


def processor_s(pid: int) -> tuple[float, float]:
    """Time of a process, and of the programs that it ran and waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    own, programs = fields[11:13], fields[13:15]
    return sum(map(int, own)) / TICKS_PER_S, sum(map(int, programs)) / TICKS_PER_S


async def measure(directory: Path, services: int, seconds: float, monitor_ms: int) -> None:
    async with cluster_of_one(directory, verbose=False) as (controller, agent):
        every = Operation(timeout_ms=Millis(5_000), every_ms=Millis(monitor_ms))
        many = [sleeper(f"s{number:03}", agent.run, monitor=every) for number in range(services)]
        controller.define(*many)
        await controller.report(lambda r: len(r.probed) == services, "everything is probed")
        for one in many:
            await controller.do(ActionKind.START, one)
        await asyncio.sleep(SETTLE_S)
        own = [agent.process.pid, *children(agent.process.pid)]
        before = {pid: processor_s(pid) for pid in own}
        began_s = time.monotonic()
        await asyncio.sleep(seconds)
        took_s = time.monotonic() - began_s
        for pid, name in zip(own, ("agent", "heartbeat process"), strict=False):
            shares = zip(processor_s(pid), before[pid], strict=True)
            share, programs = ((after - earlier) / took_s for after, earlier in shares)
            memory = memory_kib(pid)
            print(
                f"{name:18} rss {memory['Rss'] / 1024:5.1f} MiB  pss {memory['Pss'] / 1024:5.1f} MiB"
                f"  cpu {share:7.3%} of a core, its programs {programs:7.3%}"
            )
        print(
            f"{services} services, a monitor every {monitor_ms} ms, {took_s:.0f} s, default heartbeat"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--services", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--monitor-ms", type=int, default=10_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(measure(Path(directory), given.services, given.seconds, given.monitor_ms))


if __name__ == "__main__":
    main()
