"""Explanations as people and programs read them, compared with files that people have read and liked."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.config.load import load_files
from reconciler.core.explain import CauseKind, Explanation, explain
from reconciler.model.ids import Millis
from reconciler.model.intent import Intent
from reconciler.model.observed import Observed, PromotionScore
from reconciler.render import explain_text
from reconciler.render.ink import plain
from tests.builders import observed

EXPECTED = Path(__file__).parent / "expected"
SHOP = """\
version: 1
cluster: shop
nodes:
  alpha: {address: 10.0.0.1, capacity: {cpu: 4}}
  bravo: {address: 10.0.0.2, capacity: {cpu: 4}}
  carol: {address: 10.0.0.3, capacity: {cpu: 4}, standby: true}
  delta: {address: 10.0.0.4, capacity: {cpu: 4}}
services:
  drbd: {ocf: "linbit:drbd", parameters: {drbd_resource: r0}, replicas: 2, promoted: 1}
  db: {script: {start: [/bin/up], stop: [/bin/down], status: [/bin/look]}, demand: {cpu: 3}, priority: 10}
  web: {script: {start: [/bin/up], stop: [/bin/down], status: [/bin/look]}, replicas: 2}
  report: {script: {start: [/bin/up], stop: [/bin/down], status: [/bin/look]}, demand: {cpu: 3}, priority: -1}
constraints:
  - {location: drbd, nodes: [alpha, bravo]}
  - {colocation: [db, drbd], with-role: promoted}
  - {ordering: [drbd, db], first-action: promote}
  - {colocation: [web, db], score: forbidden}
  - {location: report, nodes: [alpha]}
  - {location: web, nodes: [carol], score: 50}
fencing: none
accept-split-brain: true
"""
NAMES = "drbd db web report"


def shop() -> Intent:
    loaded = load_files((("shop.yaml", SHOP.encode()),))
    assert loaded.intent is not None, [str(found) for found in loaded.diagnostics]
    return loaded.intent


def facts(running: str, **more: str) -> Observed:
    scores = (
        PromotionScore(service="drbd", node="alpha", score=10),
        PromotionScore(service="drbd", node="bravo", score=5),
    )
    seen = observed("alpha bravo carol delta", running, services=NAMES, **more)
    return replace(seen, promotion_scores=scores)


ASKED = {
    "unplaced": ("report", None, facts("", lost="alpha")),
    "settled": ("web", None, facts("web@bravo web@delta")),
    "not-there": ("web", "carol", facts("web@bravo web@delta")),
    "role": ("drbd", "alpha", facts("")),
    "failed": ("db", None, facts("", failures={"db@alpha": 3})),
    "lost": ("web", "alpha", facts("web@bravo web@delta", lost="delta")),
}


def told(name: str) -> Explanation:
    service, node, seen = ASKED[name]
    return explain(shop(), seen, Millis(0), service, node)


def check(name: str, text: str, *, update: bool) -> None:
    path = EXPECTED / name
    if update:
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text, f"{name}: --update shows the difference"


@pytest.mark.parametrize("name", ASKED)
def test_text(name, update):
    check(f"{name}.txt", plain(explain_text.render(told(name))), update=update)


def test_json(update):
    text = explain_text.render_json(told("role"))
    check("role.json", text, update=update)
    (answer,) = json.loads(text)["explanation"]["answers"]
    assert answer["question"] == {
        "ask": "not-there", "service": "drbd", "node": "alpha", "promoted": True
    }  # fmt: skip


def test_every_cause_is_in_the_docs():
    text = (Path(__file__).parents[2] / "docs" / "explain.md").read_text(encoding="utf-8")
    assert [kind for kind in CauseKind if f"`{kind}`" not in text] == []
