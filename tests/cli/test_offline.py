"""Commands that need no controller: what they print, where, and the status they end with."""

import json
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from reconciler.codec import canonical, observed_file, saved_plan
from reconciler.config.load import load_path
from reconciler.core.cold import cold
from reconciler.model.ids import BootId, Millis, NodeName, ServiceName
from reconciler.model.observed import Copy, Liveness

STATUSES = {"plan shop.yaml --cold": 3, "graph shop.yaml": 0, "explain web --cluster shop.yaml --cold": 0,
            "validate shop.yaml": 0, "--version": 0}  # fmt: skip


@pytest.fixture
def facts(place):
    """Facts of a cluster in which everything runs where it belongs."""
    intent = load_path(place / "shop.yaml").intent
    seats = (("data", "alpha"), ("db", "alpha"), ("web", "bravo"), ("web", "carol"))
    empty = cold(intent)
    return replace(
        empty,
        taken_at_ms=Millis(60_000),
        nodes=tuple(replace(node, boot=BootId(f"boot-{node.name}")) for node in empty.nodes),
        copies=tuple(
            Copy(service=ServiceName(service), node=NodeName(node)) for service, node in seats
        ),
    )


@pytest.fixture
def saved(facts, place):
    """Save facts into a file, some of them changed."""

    def save(**changes):
        path = place / "observed.json"
        path.write_bytes(observed_file.write(replace(facts, **changes)))
        return str(path)

    return save


@pytest.mark.parametrize("words", STATUSES)
def test_what_goes_well_says_nothing_on_standard_error(reconcile, words):
    done = reconcile(*words.split())
    assert (done.status, done.err) == (STATUSES[words], "")
    assert done.out


def test_nothing_to_do_is_status_0(reconcile, saved):
    done = reconcile("plan", "shop.yaml", "--observed", saved())
    assert done.status == 0
    assert "Nothing to do" in done.out


def test_plan_json_has_the_promised_shape(reconcile, saved, facts):
    lost = tuple(
        replace(node, liveness=Liveness.LOST) if node.name == "carol" else node
        for node in facts.nodes
    )
    done = reconcile("plan", "shop.yaml", "--observed", saved(nodes=lost), "--format", "json")
    plan = json.loads(done.out)
    assert plan["version"] == 1
    assert plan["intent"].keys() == {"digest", "revision"}
    assert plan["observed"]["taken_at"] == 60_000
    for action in plan["actions"]:
        assert action.keys() >= {
            "id",
            "kind",
            "service",
            "instance",
            "node",
            "target",
            "after",
            "reason",
        }
        assert action["kind"] in [
            "probe",
            "start",
            "stop",
            "promote",
            "demote",
            "reload",
            "migrate",
            "fence",
        ]
    for seat in plan["placement"]:
        assert seat.keys() == {"service", "instance", "node", "role"}
        assert seat["role"] in {"started", "promoted", "unpromoted"}
    assert all(item.keys() >= {"service", "reason"} for item in plan["unplaced"])
    assert plan["optimal"] is True
    assert done.status == (4 if plan["unplaced"] else 3 if plan["actions"] else 0)


def test_blocked_is_status_4_with_the_reason(reconcile, saved, facts):
    lost = tuple(
        replace(node, liveness=Liveness.LOST) if node.name == "alpha" else node
        for node in facts.nodes
    )
    done = reconcile("plan", "shop.yaml", "--observed", saved(nodes=lost))
    assert done.status == 4
    assert "Blocked" in done.out
    assert "bring alpha back" in done.out


@pytest.mark.parametrize("form", ["text", "json", "markdown", "dot", "svg"])
def test_every_form_of_a_plan(reconcile, form):
    done = reconcile("plan", "shop.yaml", "--cold", "--format", form)
    assert (done.status, done.err) == (3, "")
    assert "\x1b" not in done.out
    if form == "json":
        json.loads(done.out)
    if form == "svg":
        ET.fromstring(done.out)


@pytest.mark.parametrize("form", ["text", "json", "dot", "svg"])
def test_every_form_of_a_graph(reconcile, form):
    done = reconcile("graph", "shop.yaml", "--format", form)
    assert (done.status, done.err) == (0, "")
    assert "postgresql@15-main" in done.out


def test_a_saved_plan_is_shown_as_it_was_made(reconcile, saved, place):
    facts_file = saved(copies=())
    made = reconcile(
        "plan", "shop.yaml", "--observed", facts_file, "--out", "shop.plan", "--format", "json"
    )
    assert made.status == 3
    (place / "shop.yaml").unlink()
    shown = reconcile("plan", "shop.plan", "--format", "json")
    assert shown == made
    assert saved_plan.read((place / "shop.plan").read_bytes()).id == json.loads(made.out)["id"]
    assert not [path for path in place.iterdir() if path.name.startswith(".shop.plan")]


def test_the_same_input_gives_the_same_bytes(reconcile, saved):
    words = ("plan", "shop.yaml", "--observed", saved(copies=()), "--format", "json")
    assert reconcile(*words).out == reconcile(*words).out


def test_observed_may_be_the_bare_canonical_form(reconcile, facts, place):
    (place / "bare.json").write_bytes(canonical.dump(facts))
    assert reconcile("plan", "shop.yaml", "--observed", "bare.json").status == 0


def test_facts_of_another_cluster_are_remarked_on(reconcile, place):
    (place / "other.json").write_text(
        json.dumps(
            {"version": 1, "taken_at_ms": 1, "nodes": [{"name": "zeta", "liveness": "alive"}]}
        )
    )
    assert "another cluster" in reconcile("plan", "shop.yaml", "--observed", "other.json").err


def test_explain_speaks_of_every_node(reconcile):
    done = reconcile("explain", "db", "--cluster", "shop.yaml", "--cold")
    assert all(name in done.out for name in ("alpha", "bravo", "carol", "chosen"))
    one = reconcile("explain", "db", "--node", "carol", "--cluster", "shop.yaml", "--cold")
    assert "bravo" not in one.out


def test_a_git_commit_is_the_revision_only_while_it_is_what_was_committed(reconcile, place, git):
    def revision():
        done = reconcile("plan", "shop.yaml", "--cold", "--format", "json")
        return json.loads(done.out)["intent"]["revision"]

    assert revision().startswith("worktree:")
    git("init", "--quiet")
    assert revision().startswith("worktree:")
    git("add", "shop.yaml")
    git("commit", "--quiet", "--message", "one")
    assert revision() == git("rev-parse", "HEAD")
    text = (place / "shop.yaml").read_text()
    (place / "shop.yaml").write_text(text.replace("replicas: 2", "replicas: 3"))
    assert revision().startswith("worktree:")
