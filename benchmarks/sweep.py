"""How long sweeps take: all double failures of 8 nodes x 100 services, all single ones of 64 x 1,000.

    .venv/bin/python benchmarks/sweep.py [pairs|large]

Each is the whole command with two workers, reading files and writing JSON included. The first cluster is made
here: groups, replicas, capacity, colocations, locations, priorities, everything fenceable. At most 60 s each.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIMIT_S = 60
NODES, SERVICES = 8, 100


def main() -> None:
    wanted = sys.argv[1:] or ["pairs", "large"]
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "small.yaml"
        small.write_text(cluster(), encoding="utf-8")
        if "pairs" in wanted:
            sweep(f"{NODES} nodes x {SERVICES} services, double", small, "double")
        if "large" in wanted:
            sweep("64 nodes x 1,000 services, single", ROOT / "examples/clusters/large", "single")


def sweep(title: str, path: Path, kind: str) -> None:
    words = ["simulate", str(path), "--cold", "--sweep", kind, "--workers", "2", "--format", "json"]
    began = time.monotonic()
    done = subprocess.run(
        [Path(sys.executable).with_name("reconcile"), *words], capture_output=True, check=False
    )
    took_s = time.monotonic() - began
    assert done.returncode in {0, 4}, done.stderr.decode()
    counts = json.loads(done.stdout)["counts"]
    print(
        f"{title:<36} {counts['scenarios']:>6} scenarios in {took_s:5.1f} s "
        f"({'within' if took_s <= LIMIT_S else 'OVER'} {LIMIT_S} s), "
        f"{counts['lose']} lose a service, {counts['deadlock']} deadlock, {counts['flap']} flap"
    )


def cluster() -> str:
    """A cluster of this size in YAML: 20 groups of three, 10 in two copies, 30 singles."""
    lines = ["version: 1", "cluster: bench", "nodes:"]
    for n in range(NODES):
        room = "capacity: {cpu: 64, memory: 256GiB}"
        lines.append(f"  n{n}: {{address: 10.0.0.{n + 1}, labels: {{rack: r{n // 2}}}, {room}}}")
    lines += ["defaults: {survive: 1}", "services:"]
    groups = []
    for g in range(20):
        names = [f"g{g}-{part}" for part in ("disk", "data", "app")]
        groups.append(f"  g{g}: [{', '.join(names)}]")
        lines += [
            f"  {name}: {{systemd: {name}, priority: {g % 3}, demand: {{cpu: 1, memory: 2GiB}}}}"
            for name in names
        ]
    lines += [f"  pair{n}: {{systemd: pair{n}, replicas: 2}}" for n in range(10)]
    lines += [f"  one{n}: {{systemd: one{n}, demand: {{cpu: 1}}}}" for n in range(30)]
    lines += ["groups:", *groups, "constraints:"]
    for n in range(0, 30, 3):
        lines.append(f"  - {{colocation: [one{n}, one{n + 1}], score: -50}}")
        lines.append(f"  - {{ordering: [g{n % 20}, one{n + 2}], kind: optional}}")
        lines.append(f"  - {{location: one{n}, nodes: [n{n % NODES}], score: 20}}")
    lines += ["fencing:", "  devices:"]
    for n in range(NODES):
        where = f"agent: fence_ipmilan, nodes: [n{n}], parameters: {{ip: 10.1.0.{n + 1}}}"
        lines.append(f"    f{n}: {{{where}}}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
