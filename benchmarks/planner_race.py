"""The planner against `crm_simulate`: the whole command on the same cluster, one node lost.

    .venv/bin/python benchmarks/planner_race.py [--capacity FILL] [--runs N] [NODESxSERVICES ...]

`crm_simulate -R -Q -G FILE -x CIB` (Debian: pacemaker-cli-utils) decides and writes its transition; it is
not asked to simulate the transition too (`-S`), which costs it more. `reconcile plan CLUSTER --observed FILE
--format json` reads what the import made of the same CIB. The two run in turns, and a bare Python beside
them, so that whatever else the machine does meets all alike. Times are CPU seconds, the median and the
least; the wall clock's median follows. Compile the bytecode first, as an installed program has it.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import generate

SIZES = ("16x100", "32x500", "64x1000", "100x2000", "200x5000")
WANTED = {"16x100": 1 / 3, "100x2000": 8.0, "200x5000": 30.0}
"""How many times faster than `crm_simulate`."""
DECIDED = {0, 3, 4}


@dataclass(slots=True, kw_only=True)
class Times:
    """What the runs of one command cost."""

    cpu_s: list[float] = field(default_factory=list)
    wall_s: list[float] = field(default_factory=list)
    peak_mib: float = 0

    def run(self, words: list[str], *, statuses: set[int], out: Path) -> None:
        """Run it once more, its output in a file."""
        with out.open("wb") as file:
            began = time.perf_counter()
            child = subprocess.Popen(words, stdout=file, stderr=subprocess.DEVNULL)
            _, status, used = os.wait4(child.pid, 0)
            self.wall_s.append(time.perf_counter() - began)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode not in statuses:
            raise SystemExit(f"{' '.join(words)}: exit status {child.returncode}")
        self.cpu_s.append(used.ru_utime + used.ru_stime)
        self.peak_mib = max(self.peak_mib, used.ru_maxrss / 1024)

    @property
    def median_s(self) -> float:
        return statistics.median(self.cpu_s)

    def __str__(self) -> str:
        wall_s = statistics.median(self.wall_s)
        return f"{self.median_s:7.3f} {min(self.cpu_s):7.3f} {wall_s:7.3f} {self.peak_mib:5.0f}"


def main() -> None:
    reader = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    reader.add_argument("sizes", nargs="*", default=SIZES, metavar="NODESxSERVICES")
    reader.add_argument("--capacity", type=float, help="share of the room in use after the loss")
    reader.add_argument("--runs", type=int, default=5)
    given = reader.parse_args()
    print(
        f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} cores, "
        f"load {os.getloadavg()[0]:.2f}; runs in turns: {given.runs}; CPU seconds unless said otherwise"
    )
    print(f"{'':10}{'crm_simulate -R':^30}{'reconcile plan':^30}{'python -c pass':>16}")
    columns = f"{'median':>7} {'least':>7} {'wall':>7} {'MiB':>5}"
    print(f"{'':10}{columns}  {columns}  {'median':>13}  times faster (least)  wanted  actions")
    for size in given.sizes:
        race(size, fill=given.capacity, runs=given.runs)
    print(f"load {os.getloadavg()[0]:.2f}")


def race(size: str, *, fill: float | None, runs: int) -> None:
    """One line of the table."""
    nodes, services = map(int, size.split("x"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generate.write(folder, generate.cib(nodes, services, fill=fill))
        theirs, ours, bare = Times(), Times(), Times()
        plan = folder / "plan.json"
        for _ in range(runs):
            ours.run(our_words(folder), statuses=DECIDED, out=plan)
            bare.run([sys.executable, "-c", "pass"], statuses={0}, out=folder / "nothing")
            theirs.run(their_words(folder), statuses={0}, out=folder / "theirs.txt")
        actions = len(json.loads(plan.read_bytes())["actions"])
    faster, least = theirs.median_s / ours.median_s, min(theirs.cpu_s) / min(ours.cpu_s)
    wanted = f"{WANTED[size]:6.2f}" if size in WANTED else "     -"
    ratios = f"{faster:12.2f} ({least:.2f})  {wanted}  {actions:7}"
    print(f"{size:10}{theirs}  {ours}  {bare.median_s:13.3f}  {ratios}", flush=True)


def our_words(folder: Path) -> list[str]:
    command = Path(sys.executable).with_name("reconcile")
    facts = ["--observed", str(folder / "observed.json"), "--format", "json"]
    return [str(command), "plan", str(folder / "cluster.yaml"), *facts]


def their_words(folder: Path) -> list[str]:
    graph = str(folder / "graph.xml")
    return ["crm_simulate", "-R", "-Q", "-G", graph, "-x", str(folder / "cib.xml")]


if __name__ == "__main__":
    main()
