"""What is answered without the command line's library says what the library would say."""

import os
import subprocess
import sys

from reconciler.cli import start
from tests.cli.conftest import spawn

NARROW = {**os.environ, "COLUMNS": "80"}


def through_the_library(*words: str, cwd=None) -> subprocess.CompletedProcess[str]:
    code = "import sys; sys.argv[0] = 'reconcile'; from reconciler.cli.app import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True,
        text=True,
        env=NARROW,
        check=False,
        cwd=cwd,
    )


def test_the_kept_help_is_what_the_commands_say(update):
    said = through_the_library("--help").stdout
    if update:
        start._HELP.write_text(said, encoding="utf-8")
    assert start._HELP.read_text(encoding="utf-8") == said
    assert spawn("--help", env=NARROW).stdout == said
    assert spawn("-h", env=NARROW).stdout == said


def test_a_narrow_terminal_has_help_that_fits():
    done = spawn("--help", env={**os.environ, "COLUMNS": "60"})
    assert max(map(len, done.stdout.splitlines())) <= 60


def test_validate_says_the_same_either_way(place):
    (place / "bad.yaml").write_text("version: 1\nservices: {a: 3}\n")
    for name in ("shop.yaml", "bad.yaml"):
        short = spawn("validate", name, cwd=place, env=NARROW)
        long = through_the_library("validate", name, cwd=place)
        assert (short.returncode, short.stdout, short.stderr) == (
            long.returncode,
            long.stdout,
            long.stderr,
        )


def test_plan_says_the_same_either_way(place):
    (place / "facts.json").write_text('{"version": 1, "taken_at_ms": 0, "nodes": []}')
    (place / "bad.json").write_text("{")
    for words in (
        ("shop.yaml", "--observed", "facts.json"),
        ("shop.yaml", "--observed", "facts.json", "--format", "text"),
        ("shop.yaml", "--observed", "facts.json", "--format", "json"),
        ("shop.yaml", "--observed", "facts.json", "--format", "yaml"),
        ("shop.yaml", "--observed", "facts.json", "--format"),
        ("shop.yaml", "--observed", "bad.json"),
        ("shop.yaml", "--observed", "--format"),
        ("none.yaml", "--observed", "facts.json"),
        ("--cold", "--observed", "facts.json"),
    ):
        short = spawn("plan", *words, cwd=place, env=NARROW)
        long = through_the_library("plan", *words, cwd=place)
        assert (short.returncode, short.stdout, short.stderr) == (
            long.returncode,
            long.stdout,
            long.stderr,
        )


def test_the_plainest_commands_start_without_the_library(place):
    (place / "facts.json").write_text('{"version": 1, "taken_at_ms": 0, "nodes": []}')
    code = (
        "import sys; from reconciler.cli.start import main\n"
        "plan = ['plan', 'shop.yaml', '--observed', 'facts.json']\n"
        "for words in (['--help'], ['validate', 'shop.yaml'], plan, [*plan, '--format', 'json']):\n"
        "    sys.argv = ['reconcile', *words]\n"
        "    try: main()\n"
        "    except SystemExit as ending: print(ending.code, 'typer' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=place,
        env=NARROW,
    )
    assert done.stdout.count("0 False") == 2
    assert done.stdout.count("4 False") == 2
