"""`reconcile fence`, against a controller that answers as a test says."""

import pytest

from tests.cli.scripted import Controller
from tests.cli.test_online import controller, seen, shared

__all__ = ["Controller", "controller", "shared"]


@pytest.fixture
def fenced(controller):
    controller.answers["observe"] = lambda _: [seen(controller.observed, controller.intent)]
    controller.answers["fence"] = lambda body: [{"node": body["node"], "reason": "toy rebooted it"}]
    return controller


def test_a_node_is_fenced_or_confirmed_to_be_off(reconcile, fenced):
    node = str(fenced.observed.nodes[0].name)
    assert reconcile("fence", node, "--yes", *fenced.options).out == f"{node}: toy rebooted it\n"
    done = reconcile("fence", "--confirm", node, "-y", *fenced.options)
    assert done.out == f"{node}: confirmed to be off\n"
    assert fenced.asked("fence") == [
        {"node": node, "confirm": False},
        {"node": node, "confirm": True},
    ]


def test_without_a_terminal_nobody_is_asked_and_nothing_is_done(reconcile, fenced):
    done = reconcile("fence", str(fenced.observed.nodes[0].name), *fenced.options)
    assert done.status == 2
    assert "--yes" in done.err
    assert fenced.asked("fence") == []


def test_a_mistyped_name_is_found_before_anything_is_asked(reconcile, fenced):
    done = reconcile("fence", "nobody", "--yes", *fenced.options)
    assert done.status == 1
    assert 'no node "nobody"' in done.err
    assert fenced.asked("fence") == []
