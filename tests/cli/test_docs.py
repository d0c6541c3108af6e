"""What is written about the command line is what it does."""

import json
import re
from pathlib import Path

import pytest
import typer

from reconciler.cli.app import app
from reconciler.cli.exit_codes import ExitCode
from reconciler.cli.schema import schemas
from reconciler.model.placement import Why

ROOT = Path(__file__).parents[2]


def test_every_reason_is_explained():
    text = (ROOT / "docs" / "reasons.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `([a-z-]+)` \|", text, re.MULTILINE))
    assert told == {why.value for why in Why}


def test_every_command_is_explained():
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    rows = "".join(line.split("|")[1] for line in text.splitlines() if line.startswith("| `"))
    for name in typer.main.get_command(app).commands:
        assert f"`{name}" in rows, name


def test_every_exit_status_is_explained():
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| (\d) \|", text, re.MULTILINE) == [str(code.value) for code in ExitCode]


@pytest.mark.parametrize("name", ["plan.schema.json", "observed.schema.json"])
def test_schemas_are_fresh(name):
    assert (ROOT / "schemas" / name).read_bytes() == schemas()[name], "run `reconcile schema`"
    assert json.loads(schemas()[name])["$schema"].startswith("https://json-schema.org/")
