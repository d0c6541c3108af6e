"""How hard packing and adversarial constraints end: left out, moves, proven or gap, time.

    .venv/bin/python benchmarks/packing.py

Random packings, full to a share of what is left after the first node is lost. Each is planned twice, and must
come out the same.
"""

import random
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from reconciler.core.placement import assign  # noqa: E402
from reconciler.core.pose import pose  # noqa: E402
from reconciler.core.rules import read_rules  # noqa: E402
from reconciler.core.world import read_world  # noqa: E402
from reconciler.model.intent import Colocation, Intent, Mandate  # noqa: E402
from reconciler.model.observed import Observed  # noqa: E402
from tests.builders import intent, observed  # noqa: E402

World = tuple[Intent, Observed]
RESOURCES = ("cpu", "memory")


def main() -> None:
    for nodes, services, fill in (
        (5, 40, 98), (20, 200, 92), (20, 200, 96), (64, 1000, 92), (64, 1000, 96),
        (100, 2000, 85), (100, 2000, 92),
    ):  # fmt: skip
        tell(f"{nodes} x {services}, {fill} % full", packing(nodes, services, fill / 100))
    tell("50 apart on 49", apart(50, 49))
    tell("200 apart on 100", apart(200, 100))
    tell("2,000 wishes in a row", chain(2000, 100))


def tell(name: str, drawn: World) -> None:
    read = read_world(*drawn)
    problem = pose(read, read_rules(read, 0))
    began = time.perf_counter()
    got = assign(problem)
    took_s = time.perf_counter() - began
    assert assign(problem) == got, "not repeatable"
    out = sum(not (got.chosen[v.index] or v.pinned) for v in problem.variables)
    moved = sum((v.running & ~got.chosen[v.index]).bit_count() for v in problem.variables)
    gap = problem.scale.levels(got.bound - got.worth)
    claim = "proven" if got.proven else f"gap {' '.join(map(str, gap))}"
    print(f"{name:<24} out {out:3} moved {moved:3} {took_s:6.2f} s  {claim}", flush=True)


def names(count: int, letter: str) -> list[str]:
    return [f"{letter}{at:04}" for at in range(count)]


def packing(nodes: int, services: int, fill: float, seed: int = 1) -> World:
    draw = random.Random(seed)
    hosts, what = names(nodes, "n"), names(services, "s")
    while True:
        demand = {name: {r: draw.randint(2, 30) for r in RESOURCES} for name in what}
        room = {
            r: int(sum(one[r] for one in demand.values()) / (nodes - 1) / fill) + 1
            for r in RESOURCES
        }
        running = spread(hosts, demand, room)
        if running is not None:
            break
    wanted = intent(
        " ".join(hosts),
        {name: {"demand": demand[name]} for name in what},
        node={host: {"capacity": tuple(sorted(room.items()))} for host in hosts},
    )
    return wanted, observed(" ".join(hosts), running, services=tuple(what), lost=hosts[0])


def spread(hosts: list[str], demand: dict[str, dict[str, int]], room: dict[str, int]) -> str | None:
    left = {host: dict(room) for host in hosts}
    seats = []
    for name in sorted(demand, key=lambda name: -sum(demand[name].values())):
        at = max(hosts, key=lambda host: min(left[host][r] - demand[name][r] for r in RESOURCES))
        for r in RESOURCES:
            left[at][r] -= demand[name][r]
        if min(left[at].values()) < 0:
            return None
        seats.append(f"{name}@{at}")
    return " ".join(seats)


def apart(services: int, nodes: int) -> World:
    what = names(services, "s")
    return cold(nodes, what, [
        Colocation(dependent=one, primary=other, strength=Mandate.FORBIDDEN)
        for at, one in enumerate(what) for other in what[at + 1 :]
    ])  # fmt: skip


def chain(services: int, nodes: int) -> World:
    draw, what = random.Random(1), names(services, "s")
    return cold(nodes, what, [
        Colocation(dependent=one, primary=other, strength=draw.choice([-20, -10, 30, 50]))
        for one, other in zip(what[1:], what, strict=False)
    ])  # fmt: skip


def cold(nodes: int, what: list[str], constraints: list[Colocation]) -> World:
    hosts = " ".join(names(nodes, "n"))
    wanted = intent(hosts, {name: {} for name in what}, constraints=tuple(constraints))
    return wanted, observed(hosts, services=tuple(what))


if __name__ == "__main__":
    main()
