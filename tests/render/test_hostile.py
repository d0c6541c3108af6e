"""What a script printed, or a name in a file, draws nothing on a screen and breaks no format."""

import json
import re
import xml.etree.ElementTree as ET

import pytest

from reconciler.model.ids import Millis
from reconciler.model.observed import Observed
from reconciler.model.placement import Placement, Unplaced, Why
from reconciler.model.plan import Decision, Plan, SavedPlan
from reconciler.render import dot, plan_json, plan_markdown, plan_svg, plan_text, progress
from reconciler.render.ink import paint, plain
from tests.render import worlds

EVIL = "\x1b]0;owned\x07\x1b[2J<script>alert('1')</script> | `x` @all\n\r\u202egnp.exe \x00\x9b31m"


def evil() -> SavedPlan:
    reason = worlds.because(Why.FAILED, EVIL)
    plan = Plan(actions=(worlds.action("start:web@alpha", reasons=(reason,)),))
    stuck = Unplaced(
        service=worlds.ServiceName("web"), wanted=1, placed=0, blocked=True, reasons=(reason,)
    )
    observed = Observed(taken_at_ms=Millis(1), nodes=worlds.nodes())
    return worlds.bound(
        observed, Decision(placement=Placement(seats=(), unplaced=(stuck,)), plan=plan)
    )


def controls(text: str) -> str:
    return "".join(re.findall(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text))


def test_text_has_no_control_character():
    for explain in (False, True):
        assert controls(plain(plan_text.render(evil(), explain=explain))) == ""


def test_colours_are_the_only_escapes():
    text = paint(plan_text.render(evil()), colour=True, width=60)
    assert controls(re.sub(r"\x1b\[[0-9;]*m", "", text)) == ""


def test_svg_is_well_formed_and_runs_nothing():
    text = plan_svg.render(evil())
    root = ET.fromstring(text)
    assert {element.tag.rpartition("}")[2] for element in root.iter()} <= {
        "svg", "defs", "marker", "path", "rect", "title", "text", "circle", "g", "line",
    }  # fmt: skip


def test_markdown_neither_mentions_nor_embeds():
    text = plan_markdown.render(evil())
    assert "<script" not in text
    assert not re.search(r"(?<!\\)@all", text)
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) == 1
    assert len(re.findall(r"(?<!\\)\|", rows[0])) == 7


def test_json_and_dot_stay_whole():
    assert json.loads(plan_json.render(evil()))["actions"][0]["reason"] == EVIL
    assert controls(dot.plan(evil())) == ""


@pytest.mark.parametrize(
    "event",
    [{}, {"event": "failed", "reason": EVIL}, {"event": "finished", "action": EVIL, "took_ms": "x"},
     {"event": "blocked", "unplaced": [{}]}, {"event": "planned", "actions": None}],
)  # fmt: skip
def test_progress_takes_any_event(event):
    state = progress.heard(progress.begin(evil().decision.plan), event)
    assert controls(plain(progress.table(state))) == ""
    assert isinstance(progress.sentence(event), str)
    assert controls(plain(progress.left_over(event))) == ""
