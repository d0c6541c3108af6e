"""The planner against every placement there is; a false claim of proof is a failure of its own."""

import pytest

from tests.oracle.brute_force import Oracle, every_placement
from tests.oracle.judge import Verdict, judge
from tests.oracle.mixed_worlds import mixed_world
from tests.oracle.shrink import shrink
from tests.oracle.tell import tell
from tests.oracle.worlds import world


def assert_best(drawn):
    found = judge(*drawn)
    if found.verdict is Verdict.BEST:
        return
    small = shrink(drawn, lambda smaller: judge(*smaller).verdict is found.verdict)
    raise AssertionError(tell(*small, judge(*small)))


@pytest.mark.parametrize("seed", range(300))
def test_no_placement_is_better(seed):
    assert_best(world(seed))


@pytest.mark.parametrize("seed", range(200))
def test_no_placement_is_better_with_every_semantic(seed):
    assert_best(mixed_world(seed, nodes_max=4, services_max=5))


def test_the_oracle_leaves_out_nothing_that_matters():
    placements = 0
    for seed in range(80):
        oracle = Oracle(*mixed_world(seed, nodes_max=3, services_max=3))
        values = [oracle.value(chosen) for chosen in every_placement(oracle)]
        assert oracle.best()[0] == oracle.best(cut=False)[0] == max(values)
        placements += len(values)
    assert placements > 1_000


def test_a_planted_miss_is_found():
    """A worse placement than the best one is told from it, whatever the level."""
    told = set()
    for seed in range(60):
        oracle = Oracle(*mixed_world(seed, nodes_max=3, services_max=3))
        best, seats = oracle.best()
        for name, choice in seats.items():
            for other in oracle.facts.choices(oracle.facts.services[name]):
                worse = {**seats, name: other}
                if other == choice or oracle.broken(worse):
                    continue
                value = oracle.value(worse)
                assert value <= best
                assert oracle.best(worse)[0] == best
                got, wanted = oracle.tell(value.worth), oracle.tell(best.worth)
                told |= {level.split(" at ")[0] for level in wanted if wanted[level] != got[level]}
    assert told == {
        "still running", "services", "copies", "promoted", "preference", "disturbed", "home",
    }  # fmt: skip
