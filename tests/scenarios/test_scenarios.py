"""Scenario files: an intent, what is observed, and the decision that the planner must take.

A file has three parts after its first lines, which say why it exists: `--- intent` is YAML as operators
write it, `--- observed` is words for `tests.builders.observed`, `--- decision` is what came out.
`pytest tests/scenarios --update` writes the last part anew; the diff is reviewed like code.
"""

from pathlib import Path

import pytest

from reconciler.config.load import load_files
from reconciler.core.reconcile import reconcile
from reconciler.core.verify import verify
from reconciler.model.ids import Millis
from reconciler.model.intent import Intent
from reconciler.model.observed import Observed
from reconciler.model.plan import Decision
from tests.builders import observed

FILES = sorted(Path(__file__).parent.glob("*.txt"))


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_scenario(path: Path, update: bool):
    text = path.read_text()
    why, _, rest = text.partition("--- intent\n")
    yaml, _, rest = rest.partition("--- observed\n")
    facts, _, expected = rest.partition("--- decision\n")
    assert why.startswith("# "), "a scenario begins with why it exists"
    intent = read_intent(yaml)
    seen = read_facts(facts, intent)
    decision = reconcile(intent, seen, Millis(0))
    assert verify(decision.plan, intent, seen, decision.placement) == ()
    got = tell(decision)
    if update:
        path.write_text(f"{why}--- intent\n{yaml}--- observed\n{facts}--- decision\n{got}")
        return
    assert got == expected


def read_intent(yaml: str) -> Intent:
    loaded = load_files((("cluster.yaml", yaml.encode()),))
    assert loaded.intent is not None, "\n".join(map(str, loaded.diagnostics))
    return loaded.intent


def read_facts(text: str, intent: Intent) -> Observed:
    words = {}
    for line in text.splitlines():
        key, _, value = line.partition(":")
        words[key.strip()] = value.strip()
    failures = {
        spot: int(count)
        for spot, _, count in (w.partition("=") for w in words.pop("failures", "").split())
    }
    return observed(
        words.pop("nodes", " ".join(node.name for node in intent.nodes)),
        words.pop("running", ""),
        services=tuple(service.name for service in intent.services),
        failures=failures,
        quorate=words.pop("quorate", "yes") == "yes",
        **words,
    )


def tell(decision: Decision) -> str:
    lines = []
    for action in decision.plan.actions:
        after = f"  after {' '.join(action.after)}" if action.after else ""
        lines.append(f"{action.id}{after}")
        lines += [f"    {reason.text} [{reason.why}]" for reason in action.reasons[:1]]
    for one in decision.placement.unplaced:
        state = "blocked" if one.blocked else "unplaced"
        lines.append(f"{state}: {one.service} {one.placed} of {one.wanted}")
        lines += [f"    {reason.text} [{reason.why}]" for reason in one.reasons]
    seats = " ".join(f"{s.service}@{s.node}" for s in decision.placement.seats)
    lines.append(f"placement: {seats}".rstrip())
    if not decision.placement.optimal:
        lines.append("not proven optimal")
    if decision.wake_at_ms is not None:
        lines.append(f"look again at {decision.wake_at_ms} ms")
    return "\n".join(lines) + "\n"
