"""A person at a terminal and a program at a pipe see what each can use."""

import json
import os
import re
import subprocess
import sys

import pytest

from tests.cli.conftest import RECONCILE, on_terminal, spawn


def test_help_fits_a_screen():
    done = spawn("--help", env={**os.environ, "COLUMNS": "80"})
    lines = done.stdout.splitlines()
    assert done.returncode == 0
    assert len(lines) <= 23
    assert max(map(len, lines)) <= 80


def test_every_command_has_help_with_a_first_line_that_is_not_cut():
    listed = spawn("--help").stdout.partition("Commands:")[2]
    assert "..." not in listed
    names = re.findall(r"^  (\w+) ", listed, re.MULTILINE)
    assert {"validate", "plan", "apply", "status", "explain", "clear", "graph"} <= set(names)


def test_the_command_line_starts_without_the_heavy_libraries():
    heavy = [
        "pydantic",
        "networkx",
        "rich",
        "asyncio",
        "msgspec",
        "cryptography",
        "ruamel",
        "watchfiles",
        "pyroute2",
    ]
    code = (
        "import sys; import reconciler.cli.app; "
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_plan_in_a_pipe_needs_nothing_of_the_terminal(place):
    code = (
        "import sys; sys.argv = ['reconcile', 'plan', 'shop.yaml', '--cold']\n"
        "from reconciler.cli.app import main\n"
        "try: main()\n"
        "except SystemExit as ending: status = ending.code\n"
        "print(status, 'rich' in sys.modules, 'asyncio' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=place
    )
    assert done.stdout.splitlines()[-1] == "3 False False"


@pytest.mark.slow
def test_colours_on_a_terminal_only():
    status, seen = on_terminal("plan", "shop.yaml", "--cold", columns=60)
    assert status == 3
    assert "\x1b[32m+ start" in seen
    words = re.sub(r"\x1b\[[0-9;]*m", "", seen)
    assert max(map(len, words.splitlines())) <= 60
    _, plain = on_terminal("plan", "shop.yaml", "--cold", columns=60, NO_COLOR="1")
    assert "\x1b" not in plain
    piped = spawn("plan", "shop.yaml", "--cold")
    assert "\x1b" not in piped.stdout
    assert piped.returncode == 3


@pytest.mark.slow
def test_letters_that_the_encoding_lacks_are_written_otherwise(place):
    (place / "o.json").write_text(json.dumps({"version": 1, "taken_at_ms": 1, "nodes": []}))
    done = spawn("graph", "shop.yaml", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "| data" in done.stdout


@pytest.mark.slow
def test_a_reader_who_has_had_enough(place):
    process = subprocess.Popen(
        [RECONCILE, "plan", "shop.yaml", "--cold", "--format", "svg"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(30) == 1
    assert err == b""


@pytest.mark.slow
def test_completion():
    environment = {
        **os.environ,
        "_RECONCILE_COMPLETE": "complete_bash",
        "COMP_WORDS": "reconcile gr",
        "COMP_CWORD": "1",
    }
    assert spawn(env=environment).stdout.split() == ["graph"]
