"""The planner against every placement there is; a false claim of proof is a failure of its own."""

import pytest

from reconciler.core.placement import assign
from reconciler.core.pose import pose
from reconciler.core.rules import read_rules
from reconciler.core.world import read_world
from tests.oracle import brute_force
from tests.oracle.worlds import world

SEEDS = range(300)


def judge(seed: int, **size: int) -> str:
    intent, observed = world(seed, **size)
    read = read_world(intent, observed)
    problem = pose(read, read_rules(read, 0))
    answer = assign(problem)
    seats = {
        str(service.name): frozenset(map(str, read.names(mask)))
        for service, mask in zip(read.services, answer.chosen, strict=True)
    }
    assert brute_force.allowed(intent, observed, seats), f"seed {seed}: not allowed"
    levels, squares = brute_force.best(intent, observed)
    got = brute_force.value(intent, observed, seats)
    assert got <= levels, f"seed {seed}: the oracle is wrong"
    if got < levels:
        return "false claim" if answer.proven else "missed"
    if not answer.proven:
        return "unproven"
    return "best" if brute_force.balance(intent, seats) == squares else "unbalanced"


@pytest.mark.parametrize("seed", SEEDS)
def test_no_placement_is_better(seed):
    assert judge(seed) == "best"
