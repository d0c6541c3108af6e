"""Which scenarios a sweep has, what it makes of their outcomes, and that it is nothing but simulations."""

import pytest
from hypothesis import given as drawn
from hypothesis import settings
from hypothesis import strategies as st

from reconciler.cli import sweeping
from reconciler.core import whatif
from reconciler.core.whatif import Scenario, attempt, gather, list_faults, list_scenarios, news
from reconciler.model.intent import Location
from tests.builders import intent, observed
from tests.oracle.worlds import world
from tests.whatif import given

RACKS = {"n1": "a", "n2": "a", "n3": "b"}


def racks(**services):
    return intent(
        "n1 n2 n3",
        services or {"db": {}},
        node={name: {"labels": (("rack", rack),)} for name, rack in RACKS.items()},
    )


def sweep(base, depth, domains=()):
    faults = list_faults(base, domains)
    outcomes = [attempt(base, each, judged=True).outcome for each in list_scenarios(faults, depth)]
    return gather(base, outcomes, depth=depth, domains=domains, faults=faults)


def test_faults_are_nodes_then_link_groups_then_services_where_they_run():
    base = given.baseline(racks(db={}, web={"replicas": 2}))
    words = [str(fault) for fault in list_faults(base, ("rack",))]
    assert words == [
        "node:n1", "node:n2", "node:n3", "domain:rack=a",
        "service:db@n1", "service:web@n2", "service:web@n3",
    ]  # fmt: skip


def test_what_is_down_already_cannot_fail():
    facts = observed("n1 n2 n3", "db@n3", services="db", lost="n3")
    base = given.baseline(racks(), facts)
    words = [str(fault) for fault in list_faults(base, ("rack",))]
    assert words == ["node:n1", "node:n2", "domain:rack=a", "service:db@n1"]


def test_pairs_that_are_one_of_their_halves_are_left_out():
    base = given.baseline(racks(db={}))
    scenarios = list_scenarios(list_faults(base, ("rack",)), 2)
    words = [str(each) for each in scenarios]
    assert words == [
        "node:n1", "node:n2", "node:n3", "domain:rack=a", "service:db@n1",
        "node:n1 + node:n2", "node:n1 + node:n3", "node:n2 + node:n3",
        "node:n2 + service:db@n1", "node:n3 + domain:rack=a", "node:n3 + service:db@n1",
    ]  # fmt: skip


@pytest.mark.parametrize(("services", "scenarios"), [(2, 8 + 2 + 45 - 2), (100, 108 + 5778 - 100)])
def test_how_many_there_are(services, scenarios):
    names = " ".join(f"s{n}" for n in range(services))
    base = given.baseline(intent(" ".join(f"n{n}" for n in range(8)), names))
    assert len(list_scenarios(list_faults(base), 2)) == scenarios


def test_only_news_are_news():
    base = given.baseline(
        intent(
            "n1 n2 n3 n4 n5",
            "db web",
            constraints=(
                Location(service="db", nodes=("n1",)),
                Location(service="web", nodes=("n2", "n3")),
            ),
        )
    )
    told = {str(outcome.scenario): losses for outcome, losses in news(sweep(base, 2))}
    assert {words: " ".join(loss.service for loss in losses) for words, losses in told.items()} == {
        "node:n1": "db",
        "service:db@n1": "db",
        "node:n2 + node:n3": "web",
        "node:n3 + service:web@n2": "web",
    }


def test_promises_name_the_smallest_scenario_that_breaks_them():
    base = given.baseline(
        intent(
            "n1 n2 n3 n4 n5",
            {"db": {"survive": 1}, "web": {"survive": 2}, "log": {"survive": 3}, "ip": {}},
            constraints=(
                Location(service="db", nodes=("n1",)),
                Location(service="web", nodes=("n2", "n3")),
            ),
        )
    )
    single, double = sweep(base, 1), sweep(base, 2)
    said = {p.service: [str(s) for s in p.broken_by] for p in double.promises}
    assert said == {"db": ["node:n1"], "log": [], "web": ["node:n2 + node:n3"]}
    assert {p.service: p.tried for p in double.promises} == {"db": 1, "web": 2, "log": 2}
    assert [p.service for p in single.broken] == ["db"]
    assert {p.service: p.tried for p in single.promises} == {"db": 1, "web": 1, "log": 1}


@settings(deadline=None, max_examples=20)
@drawn(st.integers(min_value=0, max_value=10**9))
def test_every_outcome_is_that_of_a_simulation_alone(seed):
    wanted, facts = world(seed)
    base = given.baseline(wanted, facts)
    scenarios = list_scenarios(list_faults(base), 2)[seed % 9 :: 9]
    swept = sweeping.outcomes(base, scenarios, workers=1, judged=False)
    for found in swept:
        words = " ".join(map(str, found.scenario.faults))
        alone = given.baseline(wanted, facts)
        assert given.outcome(alone, words) == found
        assert not found.flaps


def test_workers_find_what_one_process_does_and_in_the_same_order():
    names = " ".join(f"s{n}" for n in range(9))
    base = given.baseline(intent("n1 n2 n3 n4", names))
    scenarios = list_scenarios(list_faults(base), 2)
    assert len(scenarios) > 60
    alone = sweeping.outcomes(base, scenarios, workers=1, judged=True)
    assert sweeping.outcomes(base, scenarios, workers=2, judged=True) == alone
    assert [outcome.scenario for outcome in alone] == list(scenarios)


def test_a_bug_in_a_worker_is_told_by_the_parent(monkeypatch):
    base = given.baseline(intent("n1 n2 n3 n4", " ".join(f"s{n}" for n in range(9))))
    scenarios = list_scenarios(list_faults(base), 2)
    real = whatif.attempt

    def broken(base, scenario, *, judged=False):
        if scenario == scenarios[50]:
            raise ZeroDivisionError
        return real(base, scenario, judged=judged)

    monkeypatch.setattr(sweeping, "attempt", broken)
    with pytest.raises(ZeroDivisionError):
        sweeping.outcomes(base, scenarios, workers=2, judged=False)


def test_nothing_fails_in_the_empty_scenario():
    assert str(Scenario()) == "nothing"
    assert Scenario().only_nodes
