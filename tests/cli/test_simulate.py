"""`reconcile simulate`: what it prints, the status it ends with, and how it bears mistakes and Ctrl-C."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from reconciler.cli.schema import schemas
from tests.cli.conftest import RECONCILE, on_terminal

ROOT = Path(__file__).parents[2]
SAFE = """\
version: 1
cluster: safe
nodes:
  alpha: {address: 10.0.0.1, labels: {rack: a}}
  bravo: {address: 10.0.0.2, labels: {rack: a}}
  carol: {address: 10.0.0.3, labels: {rack: b}}
defaults: {survive: 1, safety: best-effort}
services:
  db:  {systemd: db, survive: 0}
  web: {systemd: nginx, replicas: 2}
fencing: none
accept-split-brain: true
"""


@pytest.fixture(autouse=True)
def safe(place):
    (place / "safe.yaml").write_text(SAFE, encoding="utf-8")
    (place / "broken.yaml").write_text(
        SAFE + "constraints: [{location: web, nodes: [alpha]}]\n", encoding="utf-8"
    )


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ("safe.yaml --sweep single", 0),
        ("safe.yaml --sweep double --domain rack", 0),
        ("safe.yaml --fail node:alpha", 0),
        ("shop.yaml --sweep single", 0),  # much is lost, and nothing was promised
        ("broken.yaml --sweep single", 4),
        ("broken.yaml --fail node:alpha", 4),
        ("broken.yaml --fail node:bravo", 0),
        ("broken.yaml --fail node:alpha --fail node:bravo", 0),  # more than was promised
        ("safe.yaml", 2),
        ("safe.yaml --fail node:alpha --sweep single", 2),
        ("safe.yaml --fail alpha", 2),
        ("safe.yaml --fail node:alpha --domain rack", 2),
        ("safe.yaml --sweep triple", 2),
        ("safe.yaml --sweep single --cold --observed x.json", 2),
        ("safe.yaml --fail node:alhpa", 1),
        ("safe.yaml --sweep single --domain rakc", 1),
        ("missing.yaml --sweep single", 1),
    ],
)
def test_exit_status(reconcile, words, status):
    done = reconcile("simulate", *words.split())
    assert done.status == status, done.err
    assert bool(done.out) == (status in {0, 4})
    assert "bug" not in done.err


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("node:alhpa", 'no node "alhpa" in this cluster\n  Did you mean "alpha"?'),
        ("service:wbe", 'no service "wbe" in this cluster\n  Did you mean "web"?'),
        ("service:web@alhpa", 'no node "alhpa" in this cluster'),
        ("domain:rakc=a", 'no label "rakc" in this cluster\n  Did you mean "rack"?'),
        ("domain:rack=c", 'no value of label rack "c" in this cluster'),
        ("domain:rack", 'cannot tell what "domain:rack" means'),
        ("rack:a", 'cannot tell what "rack:a" means'),
    ],
)
def test_mistakes_are_told_with_what_was_meant(reconcile, word, said):
    assert said in reconcile("simulate", "safe.yaml", "--fail", word).err


def test_a_service_without_a_node_fails_wherever_it_runs(reconcile):
    words = ("safe.yaml", "--fail", "service:web", "--format", "json")
    (outcome,) = json.loads(reconcile("simulate", *words).out)["outcomes"]
    assert outcome["faults"] == ["service:web@bravo", "service:web@carol"]
    stopped = SAFE.replace("systemd: db", "systemd: db, enabled: false")
    Path("stopped.yaml").write_text(stopped, encoding="utf-8")
    done = reconcile("simulate", "stopped.yaml", "--fail", "service:db")
    assert (done.status, '"db" runs nowhere' in done.err) == (1, True)


def test_json_has_the_promised_shape(reconcile):
    schema = json.loads((ROOT / "schemas" / "simulate.schema.json").read_text())
    for words in ("--sweep double --domain rack", "--fail node:alpha", "--fail domain:rack=a"):
        done = reconcile("simulate", "safe.yaml", *words.split(), "--format", "json")
        document = json.loads(done.out)
        Draft202012Validator(schema).validate(document)
        assert document["version"] == 1
        assert (document["plan"] is None) == ("--sweep" in words)


def test_the_schema_is_fresh():
    name = "simulate.schema.json"
    assert (ROOT / "schemas" / name).read_bytes() == schemas()[name], "run `reconcile schema`"


def test_a_sweep_contains_what_a_simulation_alone_says(reconcile):
    words = ("simulate", "broken.yaml", "--format", "json", "--domain", "rack")
    swept = json.loads(reconcile(*words, "--sweep", "double").out)["outcomes"]
    for found in swept[::3]:
        fails = [word for fault in found["faults"] for word in ("--fail", fault)]
        alone = json.loads(reconcile("simulate", "broken.yaml", "--format", "json", *fails).out)
        assert alone["outcomes"] == [found]


def test_begins_with_the_facts_that_are_named(reconcile, place):
    facts = json.loads(Path(ROOT / "tests/whatif/facts.json").read_text())
    (place / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
    words = ("simulate", "safe.yaml", "--observed", "facts.json", "--fail", "node:carol")
    document = json.loads(reconcile(*words, "--format", "json").out)
    assert (document["facts"], document["pending"]) == ("file", 2)
    (outcome,) = document["outcomes"]
    assert [(m["service"], m["source"]) for m in outcome["moves"]] == [("db", "carol")]


def test_workers_and_verify_change_nothing_but_the_time(reconcile, place):
    many = "".join(f"  s{n}: {{systemd: s{n}}}\n" for n in range(8))
    (place / "many.yaml").write_text(SAFE.replace("services:\n", f"services:\n{many}"))
    words = ("simulate", "many.yaml", "--sweep", "double", "--format", "json")
    alone = reconcile(*words, "--workers", "1")
    assert json.loads(alone.out)["counts"]["scenarios"] > 60
    assert reconcile(*words, "--workers", "2").out == alone.out
    assert reconcile(*words, "--workers", "2", "--verify").out == alone.out


def large(place) -> Path:
    """A cluster whose double failures take long."""
    services = "".join(f"  s{n}: {{systemd: s{n}}}\n" for n in range(300))
    path = place / "large.yaml"
    path.write_text(SAFE.replace("services:\n", f"services:\n{services}"), encoding="utf-8")
    return path


@pytest.mark.slow
def test_ctrl_c_ends_it_at_once_and_leaves_nobody_behind(place):
    sweep = subprocess.Popen(
        [RECONCILE, "simulate", str(large(place)), "--sweep", "double", "--workers", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    children = Path(f"/proc/{sweep.pid}/task/{sweep.pid}/children")
    deadline_s = time.monotonic() + 30
    while len(children.read_text().split()) < 2:
        assert time.monotonic() < deadline_s, "the workers never came"
        time.sleep(0.02)
    workers = [int(pid) for pid in children.read_text().split()]
    os.killpg(sweep.pid, signal.SIGINT)  # as a terminal does: to all of them
    out, err = sweep.communicate(timeout=15)
    assert (sweep.returncode, out) == (1, "")
    assert "interrupted after" in err
    assert "Traceback" not in err
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)


def test_a_terminal_shows_how_far_it_is(place):
    services = "".join(f"  s{n}: {{systemd: s{n}}}\n" for n in range(11))
    path = place / "some.yaml"
    path.write_text(SAFE.replace("services:\n", f"services:\n{services}"), encoding="utf-8")
    status, seen = on_terminal("simulate", str(path), "--sweep", "double", columns=100)
    assert status == 0
    assert "scenarios, 0 lose a service, about" in seen


def test_the_page_shows_what_is_printed(reconcile, place):
    page = (ROOT / "docs" / "what-if.md").read_text(encoding="utf-8")
    cluster, printed = (
        page.partition(f"```{kind}\n")[2].partition("```")[0] for kind in ("yaml", "text")
    )
    (place / "shop.yaml").write_text(cluster, encoding="utf-8")
    words = ("simulate", "shop.yaml", "--sweep", "single", "--domain", "rack")
    done = reconcile(*words)
    assert done.status == 4
    assert done.out.splitlines()[2:] == printed.splitlines()[2:]
    (place / "shop.yaml").write_text(cluster.replace("8GiB", "16GiB", 1), encoding="utf-8")
    assert reconcile(*words).status == 0
