"""Mistakes of operators: one clear message on standard error, the right status, never a traceback."""

import json
import os

import pytest

from reconciler.cli.exit_codes import ExitCode
from reconciler.cli.terminal import told
from reconciler.codec import observed_file
from reconciler.model.errors import BrokenLaw, Corrupt, Refused, Stale, Unreachable

GOOD_FACTS = {"version": 1, "taken_at_ms": 1, "nodes": []}


def refused(done, status, *words):
    assert done.status == status, done
    assert done.out == ""
    assert "Traceback" not in done.err
    assert "bug" not in done.err
    for word in words:
        assert word in done.err


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ("plan shop.yaml", 1, "--cold"),
        ("plan", 1, "which cluster?"),
        ("plan nowhere.yaml --cold", 1, "nowhere.yaml"),
        ("plan shop.yaml --cold --observed x.json", 2, "exclude"),
        ("plan shop.yaml --cold --out x.plan", 2, "cold plan"),
        ("plan shop.yaml --observed nowhere.json", 1, "nowhere.json: No such file"),
        ("plan shop.yaml --observed .", 1, "a folder"),
        ("plan shop.yaml --format yaml", 2, "yaml"),
        ("plan nowhere.plan --controller x", 1, "no certificates"),
        ("plan shop.yaml --cold --nonsense", 2, "--nonsense"),
        ("graph nowhere.yaml", 1, "nowhere.yaml"),
        ("explain wbe --cluster shop.yaml --cold", 1, 'Did you mean "web"?'),
        ("explain web --node alhpa --cluster shop.yaml --cold", 1, 'Did you mean "alpha"?'),
        ("explain web --cluster shop.yaml", 1, "which controller?"),
        ("status", 1, "which controller?"),
        ("clear", 1, "which controller?"),
        ("history", 1, "which controller?"),
        ("history --last 0", 2, "--last"),
        ("apply shop.yaml --yes", 1, "which controller?"),
        ("apply shop.yaml", 2, "--yes"),
        ("status --controller : --pki .", 1, "not an address"),
        ("status --controller a:99999 --pki .", 1, "not an address"),
        ("status --controller a:1 --pki nowhere", 1, "no such folder"),
        ("nonsense", 2, "nonsense"),
    ],
)
def test_mistakes(reconcile, words, status, said):
    refused(reconcile(*words.split()), status, said)


@pytest.mark.parametrize(
    "contents",
    [
        b"",
        b"{}",
        b"null",
        b"[]",
        b"version: 1\n",
        b"\x00\x01\xff",
        b"[" * 100_000,
        b'{"version": 2, "taken_at_ms": 1, "nodes": []}',
        b'{"taken_at_ms": "now", "nodes": []}',
        json.dumps({**GOOD_FACTS, "copys": []}).encode(),
        json.dumps({**GOOD_FACTS, "copies": [{"service": "../x", "node": "a"}]}).encode(),
        json.dumps({**GOOD_FACTS, "copies": [{"service": "a", "node": "b"}] * 2}).encode(),
        json.dumps({**GOOD_FACTS, "nodes": [{"name": "a", "liveness": "well"}]}).encode(),
        json.dumps({**GOOD_FACTS, "nodes": [{"name": "a", "liveness": "lost"}] * 2}).encode(),
        json.dumps({**GOOD_FACTS, "taken_at_ms": 10**30}).encode(),
    ],
)
def test_facts_that_are_none(reconcile, place, contents):
    (place / "x.json").write_bytes(contents)
    refused(reconcile("plan", "shop.yaml", "--observed", "x.json"), 1, "x.json")


@pytest.mark.parametrize("contents", [b"", b"{}", b'{"id": "x"}', b"\xff\xfe", b"[" * 100_000])
@pytest.mark.parametrize("command", ["plan", "apply"])
def test_plans_that_are_none(reconcile, place, contents, command, controller_settings):
    (place / "x.plan").write_bytes(contents)
    more = [*controller_settings, "--yes"] if command == "apply" else []
    refused(reconcile(command, "x.plan", *more), 1, "x.plan")


def test_a_plan_that_was_changed(reconcile, place):
    (place / "o.json").write_text(json.dumps(GOOD_FACTS))
    reconcile("plan", "shop.yaml", "--observed", "o.json", "--out", "x.plan")
    plan = (place / "x.plan").read_bytes()
    (place / "x.plan").write_bytes(plan.replace(b'"replicas":2', b'"replicas":3'))
    refused(reconcile("plan", "x.plan"), 1, "changed after it was written")


def test_huge_files_are_refused_unread(reconcile, place):
    for name in ("x.json", "x.plan"):
        with (place / name).open("wb") as file:
            file.truncate(4 << 30)  # holes only
    refused(reconcile("plan", "shop.yaml", "--observed", "x.json"), 1, "too large")
    refused(reconcile("plan", "x.plan"), 1, "too large")


def test_an_endless_device_is_refused(reconcile):
    refused(reconcile("plan", "shop.yaml", "--observed", "/dev/zero"), 1, "too large")


def test_a_plan_cannot_be_saved_where_nothing_can(reconcile, place):
    (place / "o.json").write_text(json.dumps(GOOD_FACTS))
    words = ("plan", "shop.yaml", "--observed", "o.json", "--out")
    refused(reconcile(*words, "nowhere/x.plan"), 1, "nowhere/x.plan")
    (place / "folder").mkdir()
    refused(reconcile(*words, "folder"), 1, "folder")
    assert not [path for path in place.iterdir() if path.name.startswith(".folder")]


@pytest.mark.parametrize(
    "contents", [b"", b"{", b"[]", b'{"controler": "x"}', b'{"controller": 1}', b"\xff"]
)
def test_a_context_file_that_is_none(reconcile, place, contents):
    (place / ".reconcile").mkdir()
    (place / ".reconcile" / "context.json").write_bytes(contents)
    refused(reconcile("status"), 1, ".reconcile/context.json")


def test_the_context_file_names_the_cluster(reconcile, place):
    (place / ".reconcile").mkdir()
    (place / ".reconcile" / "context.json").write_text('{"cluster": "shop.yaml"}')
    assert reconcile("plan", "--cold").status == 3
    assert reconcile("graph").status == 0


def test_errors_in_the_files_go_to_standard_error_all_at_once(reconcile, place):
    text = (place / "shop.yaml").read_text()
    (place / "shop.yaml").write_text(text.replace("[data, db]", "[daat, bd]"))
    done = reconcile("plan", "shop.yaml", "--cold")
    refused(done, 1, "daat", "bd", "shop.yaml:12")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file(reconcile, place):
    (place / "x.json").touch(mode=0)
    refused(reconcile("plan", "shop.yaml", "--observed", "x.json"), 1, "Permission denied")


@pytest.mark.parametrize(
    ("trouble", "status", "said"),
    [
        (Unreachable("alpha does not answer"), ExitCode.ERROR, "alpha does not answer"),
        (Refused("no"), ExitCode.ERROR, "no"),
        (Corrupt("not a message"), ExitCode.ERROR, "not a message"),
        (Stale(("node alpha: was alive, now lost",)), ExitCode.STALE, "now lost"),
        (BrokenLaw("one holder", "two"), ExitCode.ERROR, "This is a bug in reconciler"),
        (OSError(13, "Permission denied", "x"), ExitCode.ERROR, "x: Permission denied"),
        (ZeroDivisionError("oops"), ExitCode.ERROR, "This is a bug in reconciler"),
    ],
)
def test_every_trouble_has_one_message_and_one_status(capsys, trouble, status, said):
    assert told(trouble) == status
    err = capsys.readouterr().err
    assert said in err
    assert "Traceback" not in err


def test_every_observation_that_is_written_is_read():
    read = observed_file.read(json.dumps(GOOD_FACTS).encode())
    assert observed_file.read(observed_file.write(read)) == read
