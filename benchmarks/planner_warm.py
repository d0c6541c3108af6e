"""The planner in the daemon: one node is lost in a world that has been planned before.

    .venv/bin/python benchmarks/planner_warm.py [--losses N] [NODESxSERVICES ...]

One process, the intent loaded once, as a controller has it; every node has been asked about every service,
as agents do. The world is planned as it stands, then with one node lost, for nodes spread over the cluster,
and once more as it stands between them. Prints the CPU time of the second decision in milliseconds,
without capacities and with them, 85 % of what one loss leaves in use.
"""

import argparse
import dataclasses
import gc
import os
import statistics
import tempfile
import time
from pathlib import Path

import generate

from reconciler.codec import observed_file
from reconciler.config.load import load_path
from reconciler.core.reconcile import reconcile
from reconciler.model.intent import Intent
from reconciler.model.observed import Liveness, Observed
from reconciler.model.plan import Decision

SIZES = ("32x500", "64x1000", "100x2000", "200x5000")
WANTED_MS = {"32x500": 5, "200x5000": 25}
FILLS = (None, 0.85)


def decide(intent: Intent, observed: Observed) -> Decision:
    """What is measured: what the daemon does when facts have changed."""
    return reconcile(intent, observed, observed.taken_at_ms)


def main() -> None:
    reader = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    reader.add_argument("sizes", nargs="*", default=SIZES, metavar="NODESxSERVICES")
    reader.add_argument("--losses", type=int, default=10, help="how many nodes are lost in turn")
    given = reader.parse_args()
    print(f"CPU ms of a warm decision, {given.losses} losses, load {os.getloadavg()[0]:.2f}")
    print(f"{'':18}{'median':>8}{'least':>8}{'worst':>8}{'wanted':>8}{'actions':>9}{'proven':>9}")
    for size in given.sizes:
        plain_ms = None
        for fill in FILLS:
            median_ms = warm(size, fill=fill, losses=given.losses)
            if plain_ms is not None:
                print(
                    f"{'':18}{median_ms / plain_ms:7.2f} times that without capacities (wanted: 2)"
                )
            plain_ms = median_ms


def warm(size: str, *, fill: float | None, losses: int) -> float:
    """One line of the table; its median."""
    intent, settled = world(size, fill=fill)
    decide(intent, settled)
    spent_ms, actions, proven = [], [], 0
    gc.collect()
    gc.freeze()
    for turn in range(losses):
        observed = without(settled, turn * len(settled.nodes) // losses)
        began_s = time.process_time()
        decision = decide(intent, observed)
        spent_ms.append((time.process_time() - began_s) * 1000)
        actions.append(len(decision.plan.actions))
        proven += decision.placement.optimal
        assert decide(intent, settled).plan.actions == ()
    wanted = str(WANTED_MS.get(size, "-")) if fill is None else ""
    print(
        f"{size:10}{'' if fill is None else f'{fill:.0%} full':8}"
        f"{statistics.median(spent_ms):8.1f}{min(spent_ms):8.1f}{max(spent_ms):8.1f}{wanted:>8}"
        f"{statistics.median(actions):9.0f}{f'{proven}/{losses}':>9}",
        flush=True,
    )
    return statistics.median(spent_ms)


def world(size: str, *, fill: float | None) -> tuple[Intent, Observed]:
    """The intent, and the facts of a cluster in which everything is where it should be and known."""
    nodes, services = map(int, size.split("x"))
    with tempfile.TemporaryDirectory() as name:
        generate.write(Path(name), generate.cib(nodes, services, fill=fill, lost=0))
        intent = load_path(Path(name) / "cluster.yaml").intent
        observed = observed_file.read((Path(name) / "observed.json").read_bytes())
    assert intent is not None
    everything = frozenset(service.name for service in intent.services)
    asked = tuple(dataclasses.replace(node, probed=everything) for node in observed.nodes)
    return intent, dataclasses.replace(observed, nodes=asked)


def without(observed: Observed, at: int) -> Observed:
    """The same with one node lost: silent, and to be fenced."""
    nodes = list(observed.nodes)
    nodes[at] = dataclasses.replace(nodes[at], liveness=Liveness.LOST)
    return dataclasses.replace(observed, nodes=tuple(nodes))


if __name__ == "__main__":
    main()
