"""What the `reconcile` script calls: prepares the interpreter, then brings in the commands.

Most commands live for a blink and spend it on imports. So the garbage collector looks less often, pydantic
does not search the machine for plugins, of which there are none, and what people, editors and hooks
ask most often - the help, whether a cluster is valid, what a plan from files would be - is answered
without the library that reads command lines, and without looks for garbage, of which loading and
planning make little. What is not written in the plainest way goes through `app`, which says the same.
"""

import gc
import os
import sys
from pathlib import Path

_ALLOCATIONS_BETWEEN_LOOKS = 100_000
_HELP = Path(__file__).with_name("help.txt")
"""What `reconcile --help` prints; `pytest tests/cli/test_start.py --update` writes it anew."""
_HELP_COLUMNS = 80
_FORMS = (["text"], ["json"])


def main() -> None:
    """Run the command line."""
    gc.set_threshold(_ALLOCATIONS_BETWEEN_LOOKS, 20, 20)
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    match sys.argv[1:]:
        case ["--help" | "-h"] if _columns() >= _HELP_COLUMNS:
            from reconciler.cli.ending import ended

            sys.exit(ended(lambda: sys.stdout.write(_HELP.read_text(encoding="utf-8"))))
        case ["validate", cluster] if not cluster.startswith("-"):
            gc.disable()
            from reconciler.cli.ending import ended
            from reconciler.cli.validate import run_validate

            sys.exit(ended(lambda: sys.exit(run_validate(Path(cluster), "text"))))
        case ["plan", cluster, "--observed", facts, *rest] if _is_plain(cluster, facts, rest):
            gc.disable()
            from reconciler.cli.ending import ended

            sys.exit(ended(lambda: _plan(Path(cluster), Path(facts), rest)))
        case _:
            from reconciler.cli.app import main as run

            run()


def _is_plain(cluster: str, facts: str, rest: list[str]) -> bool:
    """Whether a plan's words could mean nothing else, and are right."""
    right = rest == [] or (rest[0] == "--format" and rest[1:] in _FORMS)
    return right and not cluster.startswith("-") and not facts.startswith("-")


def _plan(cluster: Path, facts: Path, rest: list[str]) -> None:
    from reconciler.cli.plan import Form, Source, run_plan

    form: Form = "json" if "json" in rest else "text"
    sys.exit(run_plan(cluster, Source(facts=facts), form=form, out=None, explain=False))


def _columns() -> int:
    """How wide the terminal is, as the libraries would see it."""
    try:
        return int(os.environ.get("COLUMNS") or os.get_terminal_size().columns)
    except (ValueError, OSError):
        return _HELP_COLUMNS
