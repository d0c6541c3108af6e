"""Every renderer on the same few worlds, compared with files that people have read and liked."""

import json
import xml.etree.ElementTree as ET

import pytest

from reconciler.core.cold import cold
from reconciler.core.explain import explain
from reconciler.model.ids import Millis, ServiceName
from reconciler.render import (
    dot,
    explain_text,
    graph,
    graph_svg,
    graph_text,
    plan_json,
    plan_markdown,
    plan_svg,
    plan_text,
)
from reconciler.render.ink import paint, plain
from tests.render import worlds
from tests.render.golden import check

HINTS = ("`reconcile apply shop.yaml` carries this out",)


@pytest.mark.parametrize("name", ["failover", "calm", "many"])
def test_plan_for_a_pipe(name, update):
    saved = getattr(worlds, name)()
    check(f"{name}.txt", plain(plan_text.render(saved, hints=HINTS)), update=update)


def test_plan_for_a_narrow_terminal_in_colour(update):
    lines = plan_text.render(worlds.failover(), hints=HINTS)
    text = paint(lines, colour=True, width=72)
    check("failover.ansi", text.replace("\x1b", "\\e"), update=update)


def test_plan_explained(update):
    lines = plan_text.render(worlds.failover(), explain=True)
    check("failover-explained.txt", paint(lines, colour=False, width=100), update=update)


@pytest.mark.parametrize("name", ["failover", "calm", "many"])
def test_plan_as_markdown(name, update):
    check(f"{name}.md", plan_markdown.render(getattr(worlds, name)()), update=update)


def test_plan_as_json(update):
    text = plan_json.render(worlds.failover())
    assert json.loads(text)["version"] == 1
    check("failover.json", text, update=update)


def test_plan_as_dot(update):
    check("failover.dot", dot.plan(worlds.failover()), update=update)


@pytest.mark.parametrize("name", ["failover", "calm", "many"])
def test_plan_as_svg(name, update):
    text = plan_svg.render(getattr(worlds, name)())
    ET.fromstring(text)
    check(f"{name}.svg", text, update=update)


def test_graph(update):
    drawn = graph.build(worlds.shop())
    picture = graph_svg.render(drawn)
    ET.fromstring(picture)
    check("graph.txt", plain(graph_text.render(drawn)), update=update)
    check("graph.json", graph_text.render_json(drawn), update=update)
    check("graph.dot", dot.graph(drawn), update=update)
    check("graph.svg", picture, update=update)


def test_explanation(update):
    intent = worlds.shop()
    explanation = explain(intent, cold(intent), Millis(0), ServiceName("web"))
    check("explain.txt", plain(explain_text.render(explanation)), update=update)
    assert json.loads(explain_text.render_json(explanation))["explanation"]["service"] == "web"
