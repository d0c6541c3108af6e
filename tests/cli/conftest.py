"""Run the command line: in this process where its output is all that matters, else as a real one."""

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer

from reconciler.cli.app import app
from reconciler.cli.ending import ended

RECONCILE = str(Path(sys.executable).with_name("reconcile"))

SHOP = """\
version: 1
cluster: shop
nodes:
  alpha: {address: 10.0.0.1, labels: {rack: a}, capacity: {memory: 32GiB}}
  bravo: {address: 10.0.0.2, labels: {rack: b}, capacity: {memory: 32GiB}}
  carol: {address: 10.0.0.3, labels: {rack: c}, capacity: {memory: 32GiB}}
services:
  data:  {systemd: data, demand: {memory: 8GiB}}
  db:    {systemd: "postgresql@15-main", priority: 10}
  web:   {systemd: nginx, replicas: 2, safety: best-effort}
groups:
  database: [data, db]
constraints:
  - {colocation: [web, db], score: -50}
fencing: none
accept-split-brain: true
"""


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    status: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch) -> Path:
    """A directory of one's own, with a cluster in it, and no controller anywhere near."""
    monkeypatch.chdir(tmp_path)
    for name in ("RECONCILE_CONTROLLER", "RECONCILE_PKI", "RECONCILE_DEBUG", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("reconciler.cli.context._FILES", (Path(".reconcile/context.json"),))
    (tmp_path / "shop.yaml").write_text(SHOP, encoding="utf-8")
    return tmp_path


@pytest.fixture
def reconcile(capsys) -> Callable[..., Done]:
    """Type a command; it runs here, as in a pipe."""
    command = typer.main.get_command(app)

    def run(*words: str) -> Done:
        capsys.readouterr()
        status = ended(lambda: command(list(words), prog_name="reconcile"))
        out, err = capsys.readouterr()
        return Done(status=status, out=out, err=err)

    return run


def spawn(*words: str, **more) -> "subprocess.CompletedProcess[str]":
    """Type a command in a pipe, as a process."""
    return subprocess.run(
        [RECONCILE, *words], capture_output=True, text=True, timeout=60, check=False, **more
    )


def on_terminal(
    *words: str, typed: bytes = b"", columns: int = 80, **variables: str
) -> tuple[int, str]:
    """Type a command on a terminal of its own; its status, and all that appeared there."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ |= {
            "TERM": "xterm-256color",
            "COLUMNS": str(columns),
            "LINES": "24",
            **variables,
        }
        os.execv(RECONCILE, [RECONCILE, *words])
    seen = b""
    if typed:
        os.write(terminal, typed)
    deadline_s = time.monotonic() + 30
    while True:
        if not select.select([terminal], [], [], max(deadline_s - time.monotonic(), 0))[0]:
            os.kill(pid, signal.SIGKILL)
        try:
            part = os.read(terminal, 65_536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        seen += part
    os.close(terminal)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), seen.decode().replace("\r\n", "\n")


@pytest.fixture
def git(place):
    """Type a git command in that directory."""

    def run(*words: str) -> str:
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_CONFIG_GLOBAL": os.devnull,
            "HOME": str(place),
        }
        done = subprocess.run(
            ["git", *identity, *words],
            cwd=place, env=environment, check=True, capture_output=True, text=True,
        )  # fmt: skip
        return done.stdout.strip()

    return run


@pytest.fixture
def controller_settings(place) -> tuple[str, ...]:
    """Options that name a controller where none is."""
    (place / "pki").mkdir()
    return ("--controller", "127.0.0.1:1", "--pki", "pki")
