"""Every form of a simulation, compared with files that people have read and liked."""

import dataclasses
import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from reconciler.codec import saved_plan
from reconciler.core.whatif import Promise, attempt, gather, list_faults, list_scenarios
from reconciler.model.intent import Location, Safety
from reconciler.render import whatif_json, whatif_markdown, whatif_text
from reconciler.render.ink import paint, plain
from reconciler.render.whatif import Simulation, headline
from tests.builders import intent
from tests.whatif import given

EXPECTED = Path(__file__).parent / "expected"
DIGEST = "0123456789abcdef" * 4
EXCLUSIVE = {"safety": Safety.EXCLUSIVE}


def cluster():
    return given.baseline(
        intent(
            "alpha bravo carol",
            {
                "data": EXCLUSIVE | {"survive": 1},
                "db": EXCLUSIVE | {"survive": 1, "priority": 5},
                "log": {"replicas": None},
                "report": {"survive": 2},
                "web": {"replicas": 2, "survive": 1},
            },
            groups={"database": "data db"},
            constraints=(Location(service="report", nodes=("carol",)),),
            fencing=given.fenced("alpha", "bravo"),
            node={name: {"labels": (("rack", rack),)} for name, rack in
                  (("alpha", "a"), ("bravo", "a"), ("carol", "b"))},
        )
    )  # fmt: skip


def simulated(base, sweep, plan=None) -> Simulation:
    return Simulation(
        baseline=base,
        sweep=sweep,
        facts="cold",
        revision="r1",
        intent_digest=DIGEST,
        observed_digest=DIGEST,
        plan=plan,
    )


def swept(depth: int) -> Simulation:
    base, domains = cluster(), ("rack",)
    faults = list_faults(base, domains)
    outcomes = [attempt(base, each).outcome for each in list_scenarios(faults, depth)]
    return simulated(base, gather(base, outcomes, depth=depth, domains=domains, faults=faults))


def one(words: str) -> Simulation:
    base = cluster()
    trial = attempt(base, given.scenario(words, base))
    plan = saved_plan.bind(
        trial.decision, intent=base.intent, revision="r1", observed=trial.observed
    )
    steady = dataclasses.replace(
        plan, id=DIGEST, intent_digest=DIGEST, observed_digest=DIGEST
    )  # the files should not change with every field of the model
    return simulated(base, gather(base, (trial.outcome,), depth=0), steady)


SIMULATIONS = {
    "single": lambda: swept(1),
    "double": lambda: swept(2),
    "one": lambda: one("node:carol service:db@alpha"),
    "calm": lambda: one("service:log@alpha"),
}


def check(name: str, text: str, *, update: bool) -> None:
    path = EXPECTED / name
    if update:
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text, f"{path.name}: --update shows the difference"


@pytest.mark.parametrize("name", SIMULATIONS)
def test_text(name, update):
    check(f"{name}.txt", plain(whatif_text.render(SIMULATIONS[name]())), update=update)


@pytest.mark.parametrize("name", SIMULATIONS)
def test_markdown(name, update):
    check(f"{name}.md", whatif_markdown.render(SIMULATIONS[name]()), update=update)


@pytest.mark.parametrize("name", ["single", "one"])
def test_json(name, update):
    check(f"{name}.json", whatif_json.render(SIMULATIONS[name]()), update=update)


@pytest.mark.parametrize("name", SIMULATIONS)
def test_json_fits_its_schema(name):
    schema = whatif_json.schema()
    Draft202012Validator.check_schema(schema)
    document = json.loads(whatif_json.render(SIMULATIONS[name]()))
    assert [error.message for error in Draft202012Validator(schema).iter_errors(document)] == []
    assert document["summary"] == headline(SIMULATIONS[name]().sweep)


def test_a_narrow_terminal_gets_every_word():
    lines = whatif_text.render(swept(2))
    narrow = paint(lines, colour=False, width=60)
    assert narrow.split() == plain(lines).split()


def test_long_tables_are_cut_and_say_so():
    simulation = swept(2)
    sweep = simulation.sweep
    many = dataclasses.replace(
        simulation,
        sweep=dataclasses.replace(
            sweep,
            outcomes=sweep.outcomes[:1] * 300,
            promises=tuple(Promise(service=f"s{n}", survive=1, tried=1) for n in range(300)),
        ),
    )
    text, markdown = plain(whatif_text.render(many)), whatif_markdown.render(many)
    assert "… 240 more; --format json lists them all" in text
    assert "s0, s1, s2, s3, s4 and 295 more" in text
    assert "… and 200 more rows." in markdown
    assert "… and 200 more promises." in markdown


def test_names_cannot_break_out_of_a_table():
    base = given.baseline(intent("n1", {"a|b": {}}))
    sweep = gather(base, (given.outcome(base, "node:n1"),), depth=0)
    text = whatif_markdown.render(simulated(base, sweep))
    assert "a|b" not in text
