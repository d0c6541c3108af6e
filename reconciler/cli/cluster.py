"""A cluster's files as the commands need them: read, judged, and named by revision."""

import os.path
import sys
from pathlib import Path

from reconciler.cli.terminal import AlreadySaid, drawn
from reconciler.codec import canonical
from reconciler.config.load import load_path
from reconciler.model.diagnostic import Diagnostic
from reconciler.model.intent import Intent
from reconciler.render.diagnostics import diagnostic_lines

_GIT_TIMEOUT_S = 5.0


def load(path: Path) -> Intent:
    """Load a cluster's files; warnings are told, errors end the command.

    Errors: `AlreadySaid`.
    """
    loaded = load_path(path)
    tell(loaded.diagnostics)
    if loaded.intent is None:
        raise AlreadySaid
    return loaded.intent


def tell(diagnostics: tuple[Diagnostic, ...]) -> None:
    """Print what is wrong with an operator's files to standard error."""
    sys.stderr.write(drawn(diagnostic_lines(diagnostics), sys.stderr))


def revision(path: Path, intent: Intent) -> str:
    """Name what was loaded: its commit if it is exactly what was committed, else by its contents."""
    return _commit(path) or f"worktree:{canonical.intent_digest(intent)[:12]}"


def _commit(path: Path) -> str | None:
    folder = path if path.is_dir() else path.parent
    if not _may_be_committed(folder):
        return None
    head = _git(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    if not head:
        return None
    scope = ("--untracked-files=all", "--ignored", "--porcelain", "--", str(path.resolve()))
    changed = _git(folder, "status", *scope)
    return head if changed == "" else None


def _may_be_committed(folder: Path) -> bool:
    """Whether git would find a working tree here; asking it costs more than looking where it looks."""
    here = Path(os.path.realpath(folder))
    return any(os.path.lexists(above / ".git") for above in (here, *here.parents))


def _git(folder: Path, *arguments: str) -> str | None:
    """Output of a git command that changes and runs nothing else; None if it cannot say."""
    import subprocess  # what is in no working tree needs none

    quiet = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "HOME": str(Path.home())}
    try:
        done = subprocess.run(
            ("git", "-C", str(folder), "--no-optional-locks", *quiet, *arguments),
            capture_output=True,
            check=False,
            env=environment,
            stdin=subprocess.DEVNULL,
            timeout=_GIT_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired, RuntimeError):
        return None
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else None
