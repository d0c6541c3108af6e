"""Every example is a cluster that loads without a word, fits the schema, and has a sound plan."""

import json
import runpy
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from reconciler.config.load import load_path
from reconciler.config.yaml_tree import build
from reconciler.core.cold import cold
from reconciler.core.reconcile import reconcile
from reconciler.core.verify import verify
from reconciler.model.ids import Millis
from reconciler.model.intent import Intent

ROOT = Path(__file__).parents[2]
CLUSTERS = ROOT / "examples" / "clusters"
NAMES = sorted(path.name for path in CLUSTERS.iterdir() if path.is_dir())
FILES = sorted([*CLUSTERS.rglob("*.yaml"), *CLUSTERS.rglob("*.yml")])

UNPLACED = {
    "batch": {"training"},  # a machine is being repaired, and what can wait waits
}


def intent(name: str) -> Intent:
    loaded = load_path(CLUSTERS / name)
    assert loaded.diagnostics == ()
    assert loaded.intent is not None
    return loaded.intent


def test_there_are_seven() -> None:
    assert set(NAMES) >= {
        "batch",
        "large",
        "nfs-drbd",
        "postgresql",
        "quickstart",
        "two-nodes",
        "web-farm",
    }


@pytest.mark.parametrize("name", NAMES)
def test_planned_from_nothing(name: str) -> None:
    wanted = intent(name)
    observed = cold(wanted)
    decision = reconcile(wanted, observed, Millis(0))
    assert verify(decision.plan, wanted, observed, decision.placement) == ()
    assert {one.service for one in decision.placement.unplaced} == UNPLACED.get(name, set())
    assert len(decision.plan.actions) >= len(decision.placement.seats)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CLUSTERS)))
def test_fits_the_schema_that_it_names(path: Path) -> None:
    first = path.read_text().splitlines()[0]
    assert first.startswith("# yaml-language-server: $schema=")
    schema = (path.parent / first.partition("=")[2]).resolve()
    assert schema == ROOT / "schemas" / "cluster.schema.json"
    validator = Draft7Validator(json.loads(schema.read_bytes()))
    errors = [error.message for error in validator.iter_errors(build(path.read_bytes()).data)]
    assert errors == []


def test_large_is_what_its_generator_writes(tmp_path: Path) -> None:
    generator = tmp_path / "generate.py"
    generator.write_text((CLUSTERS / "large" / "generate.py").read_text())
    runpy.run_path(str(generator), run_name="__main__")
    written = {path.name: path.read_text() for path in tmp_path.glob("*.yaml")}
    committed = {path.name: path.read_text() for path in (CLUSTERS / "large").glob("*.yaml")}
    assert written == committed


def test_large_is_large() -> None:
    wanted = intent("large")
    assert len(wanted.nodes) == 64
    assert len(wanted.services) == 1000
