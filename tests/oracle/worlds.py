"""Random small worlds from a seed: tight, contradictory and half broken ones included."""

import random

from reconciler.model.intent import Colocation, Intent, Location, Mandate, Ordering, OrderingKind
from reconciler.model.observed import Observed
from tests.builders import intent, observed


def world(seed: int, *, nodes_max: int = 4, services_max: int = 5) -> tuple[Intent, Observed]:
    draw = random.Random(seed)
    nodes = [f"n{i}" for i in range(1, draw.randint(2, nodes_max) + 1)]
    names = list("abcdefg"[: draw.randint(2, services_max)])
    draw.shuffle(names)
    tight = draw.random() < 0.5
    services = {name: _service(draw, tight, names) for name in names}
    group = draw.sample(names, draw.randint(2, min(3, len(names)))) if draw.random() < 0.4 else []
    wanted = intent(
        " ".join(nodes),
        services,
        groups={"grp": " ".join(group)} if group else None,
        constraints=tuple(_constraints(draw, nodes, names, group)),
        node={
            name: {
                "capacity": (("cpu", draw.randint(2, 5)),) if tight else (),
                "standby": draw.random() < 0.1,
            }
            for name in nodes
        },
    )
    running, failed, changed = [], [], []
    for name in names:
        if draw.random() < 0.7:
            for node in draw.sample(nodes, min(len(nodes), draw.choice([1, 1, 1, 2]))):
                running.append(f"{name}@{node}")
                if draw.random() < 0.1:
                    failed.append(running[-1])
                elif draw.random() < 0.1:
                    changed.append(running[-1])
    lost = draw.choice(nodes) if draw.random() < 0.4 else ""
    return wanted, observed(
        " ".join(nodes),
        " ".join(running),
        services=tuple(names),
        lost=lost,
        failed=" ".join(failed),
        changed=" ".join(changed),
    )


def _service(draw: random.Random, tight: bool, names: list[str]) -> dict:
    body: dict = {
        "priority": draw.choice([0, 0, 0, 1, 5]),
        "stickiness": draw.choice([0, 1, 10, 100]),
        "replicas": draw.choice([1, 1, 1, 1, 2, 2, 3, None] if len(names) < 5 else [1, 1, 1, 2]),
        "enabled": draw.random() > 0.05,
    }
    if tight and draw.random() < 0.8:
        body["demand"] = {"cpu": draw.randint(1, 3)}
    return body


def _constraints(draw: random.Random, nodes: list[str], names: list[str], group: list[str]):
    for _ in range(draw.randint(0, 4)):
        one, other = draw.sample(names, 2)
        strength = draw.choice(
            [Mandate.REQUIRED, Mandate.FORBIDDEN, draw.choice([-100, -20, 5, 20, 150])]
        )
        match draw.choice(["colocation", "ordering", "location", "location"]):
            case "colocation":
                yield Colocation(dependent=one, primary=other, strength=strength)
            case "ordering":
                # Names decide the direction, unless the group already does: no cycles.
                first, then = sorted((one, other))
                if group:
                    if one in group and other in group:
                        continue
                    if one in group or other in group:
                        first, then = (one, other) if one in group else (other, one)
                    else:
                        first, then = sorted((one, other))
                        continue
                yield Ordering(
                    first=first,
                    then=then,
                    kind=draw.choice([OrderingKind.REQUIRED, OrderingKind.OPTIONAL]),
                )
            case _:
                some = tuple(sorted(draw.sample(nodes, draw.randint(1, len(nodes)))))
                yield Location(service=one, nodes=some, strength=strength)
