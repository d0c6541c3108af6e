"""The two pages about intent keep up with the code: every code, every key, every example."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from reconciler.config.json_schema import cluster_schema
from reconciler.config.load import load_files
from reconciler.config.problems import SUMMARIES, WARNINGS
from reconciler.config.yaml_tree import build

DOCS = Path(__file__).parents[2] / "docs"
INTENT = (DOCS / "intent.md").read_text()
DIAGNOSTICS = (DOCS / "diagnostics.md").read_text()
SCHEMA: dict[str, Any] = json.loads(cluster_schema())
EXAMPLES = re.findall(r"```yaml\n(.*?)```", INTENT, re.DOTALL)


def test_every_code_is_explained_under_its_summary() -> None:
    headings = re.findall(r"^### (R\d+) (.*)$", DIAGNOSTICS, re.MULTILINE)
    assert dict(headings) == SUMMARIES
    assert [code for code, _ in headings] == sorted(SUMMARIES)


def test_every_code_says_how_to_put_it_right_and_whether_it_is_a_warning() -> None:
    sections = re.split(r"^### ", DIAGNOSTICS, flags=re.MULTILINE)[1:]
    for section in sections:
        assert section.count("**Fix:**") == 1, section
        assert ("*Warning.*" in section) == (section[:4] in WARNINGS), section


def test_every_key_is_in_the_reference() -> None:
    keys = set(SCHEMA["properties"])
    for definition in SCHEMA["definitions"].values():
        keys |= set(definition["properties"])
    missing = {key for key in keys if not re.search(rf"`{key}`|\b{key}: |\b{key}[,}}]", INTENT)}
    assert not missing


@pytest.mark.parametrize("text", EXAMPLES, ids=lambda text: text.split(":")[0].lstrip("# "))
def test_every_example_fits_the_schema(text: str) -> None:
    tree = build(text.encode())
    assert tree.flaws == []
    data = {"version": 1} | tree.data
    assert [error.message for error in Draft7Validator(SCHEMA).iter_errors(data)] == []


def test_the_whole_example_loads() -> None:
    (whole,) = [text for text in EXAMPLES if "cluster: shop" in text]
    loaded = load_files((("shop.yaml", whole.encode()),))
    assert loaded.diagnostics == ()
    assert loaded.intent is not None
