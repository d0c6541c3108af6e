"""Commands that talk to a controller: what they send, what they make of its answers, their status."""

import json
import os
import re
import signal
import subprocess
from dataclasses import replace

import msgspec
import pytest

from reconciler.codec import canonical, observed_file
from reconciler.config.load import load_path
from reconciler.core.cold import cold
from reconciler.model.ids import Millis, NodeName, ServiceName
from reconciler.model.intent import Intent
from reconciler.model.observed import Copy
from tests.cli import scripted
from tests.cli.conftest import RECONCILE, on_terminal, spawn

CONVERGED = {"event": "converged", "unplaced": []}
STATUS = {
    "version": 1,
    "cluster": "shop",
    "controller": {"name": "main", "term": {"incarnation": 7, "epoch": 2}, "since": None},
    "intent": {"accepted": {"revision": "worktree:1", "digest": "d1"}, "candidate": None},
    "quorum": {"held": True, "votes": 4, "needed": 3},
    "nodes": [{"name": "alpha", "liveness": "alive", "heard_ago_ms": 120}],
    "services": [{"name": "web", "state": "running", "wanted": 1, "copies": [{"node": "alpha"}]}],
    "transition": None,
    "blocked": [],
}


@pytest.fixture(scope="module")
def shared():
    with scripted.running() as controller:
        yield controller


@pytest.fixture
def controller(shared, place):
    """A controller of an empty cluster."""
    intent = load_path(place / "shop.yaml").intent
    observed = replace(cold(intent), taken_at_ms=Millis(60_000))
    shared.heard.clear()
    shared.answers = {
        "observe": lambda _: [seen(observed)],
        "status": lambda _: [STATUS],
        "apply": lambda _: [CONVERGED],
        "clear": lambda _: [{"cleared": 2}],
        "history": lambda _: [{"records": [{"number": 1, "at": "12:00", "kind": "accepted"}]}],
    }  # fmt: skip
    shared.observed = observed
    shared.intent = intent
    return shared


def seen(observed, intent=None):
    accepted = intent and {
        "intent": intent,
        "revision": "r",
        "digest": canonical.intent_digest(intent),
    }
    body = {
        "observed": observed,
        "accepted": accepted,
        "candidate": None,
        "now_ms": observed.taken_at_ms,
    }
    return msgspec.to_builtins(body, order="deterministic")


def settled(observed):
    """Everything runs where it belongs."""
    seats = (("data", "alpha"), ("db", "alpha"), ("web", "bravo"), ("web", "carol"))
    copies = tuple(Copy(service=ServiceName(s), node=NodeName(n)) for s, n in seats)
    return replace(observed, copies=copies)


# plan --------------------------------------------------------------------------------------------


def test_plan_asks_the_controller(reconcile, controller):
    done = reconcile("plan", "shop.yaml", *controller.options)
    assert (done.status, done.err) == (3, "")
    assert "4 to start" in done.out
    assert "`reconcile apply shop.yaml`" in done.out


def test_plan_knows_whether_the_intent_is_in_force(reconcile, controller):
    calm = settled(controller.observed)
    controller.answers["observe"] = lambda _: [seen(calm, controller.intent)]
    assert reconcile("plan", "shop.yaml", *controller.options).status == 0
    controller.answers["observe"] = lambda _: [seen(calm)]
    done = reconcile("plan", "shop.yaml", *controller.options)
    assert done.status == 3
    assert "has yet to accept this intent" in done.out


def test_the_environment_and_the_context_name_a_controller_too(
    reconcile, controller, place, monkeypatch
):
    _, address, _, pki = controller.options
    (place / ".reconcile").mkdir()
    context = place / ".reconcile" / "context.json"
    context.write_text(json.dumps({"controller": address, "pki": pki, "cluster": "shop.yaml"}))
    assert reconcile("plan").status == 3
    context.write_text(json.dumps({"controller": "127.0.0.1:1", "pki": pki}))
    monkeypatch.setenv("RECONCILE_CONTROLLER", address)
    assert reconcile("plan", "shop.yaml").status == 3


def test_observed_round_trip(reconcile, controller, place):
    done = reconcile("status", "--format", "observed", *controller.options)
    assert done.status == 0
    (place / "o.json").write_text(done.out)
    assert observed_file.read(done.out.encode()) == controller.observed
    asked = reconcile("plan", "shop.yaml", "--format", "json", *controller.options)
    read = reconcile("plan", "shop.yaml", "--format", "json", "--observed", "o.json")
    assert asked.out == read.out


# apply -------------------------------------------------------------------------------------------


def test_apply_in_a_pipe_tells_one_event_a_line(reconcile, controller):
    controller.answers["apply"] = lambda _: [
        {"event": "accepted", "revision": "worktree:0123456789abcdef"},
        {"event": "planned", "actions": 4},
        {"event": "started", "action": "start:data@alpha", "kind": "start"},
        {"event": "failed", "action": "start:data@alpha", "reason": "exit status 1"},
        {"event": "replanned", "reason": "start:data@alpha failed"},
        {"event": "finished", "action": "start:data@bravo", "took_ms": 1500},
        CONVERGED,
    ]
    done = reconcile("apply", "shop.yaml", "--yes", *controller.options)
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines()[-7:] == [
        "accepted worktree:0123456789",
        "planned 4 actions",
        "started start:data@alpha",
        "failed start:data@alpha: exit status 1",
        "planned anew: start:data@alpha failed",
        "finished start:data@bravo in 1.5s",
        "converged: everything is where it should be",
    ]
    (order,) = controller.asked("apply")
    assert msgspec.convert(order["intent"], Intent) == controller.intent
    assert order["saved_plan"] is None
    assert order["expect"] is None
    assert order["confirm_shrink"] is False


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        ([{"event": "blocked", "unplaced": [{"service": "db", "wanted": 1, "placed": 0, "blocked": True,
                                             "reasons": ["no proof"]}]}], 4, "db blocked: 0 of 1 run"),
        ([{"event": "superseded", "revision": "abc"}], 1, "superseded by abc"),
        ([{"event": "failed", "reason": "the plan changed nothing"}], 1, "the plan changed nothing"),
        ("it would end 3 of 4 running services", 1, "it would end 3 of 4"),
        (("node alpha: was alive, now lost",), 5, "node alpha: was alive, now lost"),
        ([], 1, "reconcile: "),
        ([{"event": "accepted", "more": True}, {"event": "odd"}], 1, "stopped telling"),
    ],
)  # fmt: skip
def test_how_an_apply_ends(reconcile, controller, answer, status, said):
    controller.answers["apply"] = lambda _: answer
    done = reconcile("apply", "shop.yaml", "--yes", *controller.options)
    assert done.status == status
    assert said in done.out + done.err
    assert "bug" not in done.err


def test_nothing_is_sent_when_there_is_nothing_to_do(reconcile, controller):
    calm = settled(controller.observed)
    controller.answers["observe"] = lambda _: [seen(calm, controller.intent)]
    assert reconcile("apply", "shop.yaml", "--yes", *controller.options).status == 0
    assert controller.asked("apply") == []


def test_an_intent_that_moves_nothing_still_has_to_be_accepted(reconcile, controller):
    calm = settled(controller.observed)
    controller.answers["observe"] = lambda _: [seen(calm)]
    assert reconcile("apply", "shop.yaml", "--yes", *controller.options).status == 0
    assert len(controller.asked("apply")) == 1


def test_a_saved_plan_is_sent_whole(reconcile, controller, place):
    assert reconcile("plan", "shop.yaml", "--out", "x.plan", *controller.options).status == 3
    done = reconcile("apply", "x.plan", "--yes", "--confirm-shrink", *controller.options)
    assert done.status == 0
    (order,) = controller.asked("apply")
    assert order["saved_plan"] == json.loads((place / "x.plan").read_bytes())
    assert order["confirm_shrink"] is True


def test_a_stale_plan_is_status_5_with_what_changed(reconcile, controller):
    reconcile("plan", "shop.yaml", "--out", "x.plan", *controller.options)
    controller.answers["apply"] = lambda _: ("node alpha: was alive, now lost",)
    done = reconcile("apply", "x.plan", "--yes", *controller.options)
    assert done.status == 5
    assert "stale" in done.err
    assert "node alpha: was alive, now lost" in done.err


@pytest.mark.slow
def test_a_person_is_asked(controller):
    status, seen_there = on_terminal("apply", "shop.yaml", *controller.options, typed=b"n\n")
    assert status == 3
    assert "Go ahead? [y/N]" in seen_there
    assert "Nothing was changed." in seen_there
    assert controller.asked("apply") == []


@pytest.mark.slow
def test_what_was_shown_is_what_is_asked_for(controller):
    """The first yes comes too late for the facts; the plan is shown and asked for again."""
    answers = [("node alpha: was alive, now lost",), [CONVERGED]]
    controller.answers["apply"] = lambda _: answers.pop(0)
    status, seen_there = on_terminal("apply", "shop.yaml", *controller.options, typed=b"y\ny\n")
    assert status == 0
    assert seen_there.count("Go ahead?") == 2
    assert "node alpha: was alive, now lost" in seen_there
    expected = [order["expect"] for order in controller.asked("apply")]
    assert expected == [canonical.fingerprint(controller.observed)] * 2


@pytest.mark.slow
def test_leaving_an_apply_leaves_it_going_on(controller):
    controller.answers["apply"] = lambda _: [{"event": "accepted", "revision": "r", "more": True}]
    process = subprocess.Popen(
        [RECONCILE, "apply", "shop.yaml", "--yes", *controller.options],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1,
    )  # fmt: skip
    for line in process.stdout:
        if line.startswith("accepted"):
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 3
    assert "The controller goes on with it" in err
    assert "Traceback" not in err


# status ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({}, 0, "quorum held (4 votes, 3 needed)"),
        ({"quorum": {"held": False, "votes": 1, "needed": 3}}, 0, "no quorum"),
        ({"intent": {"candidate": {"revision": "new", "digest": "d2"}}}, 3, "new is not in force"),
        ({"transition": {"number": 3, "actions": [{"id": "start:a@b", "state": "asked"}]}}, 3,
         "Transition 3: 0 of 1 action done; now start:a@b"),
        ({"services": [{"name": "db", "state": "blocked", "reasons": ["no proof"]}]}, 4, "no proof"),
        ({"services": [{"name": "db", "state": "degraded", "reasons": ["no room"]}],
          "transition": {"number": 3}}, 4, "no room"),
        ({"intent": {"trouble": "the repository is gone"}}, 0, "the repository is gone"),
        ({"controller": {"name": "main", "trouble": "a law is broken"}}, 0, "a law is broken"),
    ],
)  # fmt: skip
def test_status(reconcile, controller, changes, status, said):
    controller.answers["status"] = lambda _: [{**STATUS, **changes}]
    done = reconcile("status", *controller.options)
    assert (done.status, done.err) == (status, "")
    assert said in done.out
    as_json = reconcile("status", "--format", "json", *controller.options)
    assert as_json.status == status
    assert json.loads(as_json.out) == {**STATUS, **changes}


@pytest.mark.parametrize("nonsense", [{}, {"version": "x"}, {**STATUS, "nodes": 3}])
def test_an_answer_that_is_none(reconcile, controller, nonsense):
    controller.answers["status"] = lambda _: [nonsense]
    done = reconcile("status", *controller.options)
    assert done.status == 1
    assert "not understood" in done.err


@pytest.mark.slow
def test_watching_in_a_terminal_until_q(controller):
    status, seen_there = on_terminal("status", "--watch", *controller.options, typed=b"q")
    assert status == 0
    assert "quorum held" in seen_there
    assert seen_there.rstrip().endswith("\x1b[?1049l\x1b[?25h") or "\x1b[?1049l" in seen_there


@pytest.mark.slow
def test_watching_in_a_pipe_tells_changes_only(controller):
    counter = iter(range(1_000))
    controller.answers["status"] = lambda _: [
        {**STATUS, "nodes": [{"name": "alpha", "liveness": "alive", "heard_ago_ms": next(counter)}]}
    ]
    process = subprocess.Popen(
        [RECONCILE, "status", "--watch", *controller.options],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    first = process.stdout.readline()
    while len(controller.asked("status")) < 3:
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    rest, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert err == ""
    assert (first + rest).count("quorum held") == 1


# the rest ----------------------------------------------------------------------------------------


def test_explain_speaks_of_the_intent_in_force(reconcile, controller):
    controller.answers["observe"] = lambda _: [
        seen(settled(controller.observed), controller.intent)
    ]
    done = reconcile("explain", "db", *controller.options)
    assert done.status == 0
    assert "runs here now" in done.out
    controller.answers["observe"] = lambda _: [seen(controller.observed)]
    assert "no intent has been accepted yet" in reconcile("explain", "db", *controller.options).err


def test_clear(reconcile, controller):
    controller.answers["observe"] = lambda _: [seen(controller.observed, controller.intent)]
    assert reconcile("clear", *controller.options).out == "forgot 2 failures\n"
    assert reconcile("clear", "web", *controller.options).out == "forgot 2 failures of web\n"
    mistyped = reconcile("clear", "wbe", *controller.options)
    assert mistyped.status == 1
    assert 'Did you mean "web"?' in mistyped.err
    assert [body["service"] for body in controller.asked("clear")] == [None, "web"]


def test_history(reconcile, controller):
    done = reconcile("history", *controller.options)
    assert re.fullmatch(r"1  12:00  accepted\s*\n", done.out)
    as_json = json.loads(reconcile("history", "--format", "json", *controller.options).out)
    assert as_json["records"][0]["kind"] == "accepted"
    assert [body["last"] for body in controller.asked("history")] == [20, 20]


def test_nobody_answers(reconcile, controller):
    _, _, *pki = controller.options
    for words in ("status", "plan shop.yaml", "clear", "history", "apply shop.yaml --yes"):
        done = reconcile(*words.split(), "--controller", "127.0.0.1:1", *pki)
        assert done.status == 1
        assert "127.0.0.1" in done.err
        assert "bug" not in done.err


def test_certificates_that_are_none(place, controller):
    (place / "empty").mkdir()
    done = spawn("status", "--controller", controller.options[1], "--pki", "empty")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "bug" not in done.stderr
