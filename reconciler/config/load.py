"""Load a cluster: from files to one `Intent`, or to every reason why not.

Law: never raises for anything that operators or commits can put into files, and never returns an intent
when there is an error: half of an intent would stop the other half. Same files, same intent, same
diagnostics. Knows nothing of what currently runs.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from posixpath import dirname

from reconciler.config.assemble import assemble
from reconciler.config.contradictions import (
    Eligibility,
    Together,
    check_eligible,
    check_room,
    check_together,
)
from reconciler.config.cycles import check_cycles
from reconciler.config.draft import Draft, join
from reconciler.config.effects import check_fences, check_minimums
from reconciler.config.files import check_limits, read_files
from reconciler.config.parts import File, read_part
from reconciler.config.problems import Problems
from reconciler.config.references import check_addresses, check_names
from reconciler.config.safety import check_fencing
from reconciler.model.diagnostic import Diagnostic
from reconciler.model.intent import Intent, Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What loading gave: an intent unless there was an error, and every diagnostic, sorted by place."""

    intent: Intent | None
    diagnostics: tuple[Diagnostic, ...] = ()


def load_path(path: Path) -> Loaded:
    """Load one file, or the *.yaml and *.yml files of a folder.

    Relative paths of commands (`./...`) are taken from the folder of the file that says them.
    """
    problems = Problems()
    files = read_files(path, problems)
    return _load(files, Path.cwd(), problems)


def read_path(path: Path) -> tuple[tuple[str, bytes], ...]:
    """The files that `load_path` would load, with their contents; those that cannot be read are left out."""
    return read_files(path, Problems())


def load_files(files: tuple[tuple[str, bytes], ...], *, base: Path | None = None) -> Loaded:
    """Load files that are already in memory, as (path, contents).

    `base` is the folder that relative file names are taken from; without it nobody knows where `./` of
    a command is on the nodes, and using it is an error.
    """
    return _load(tuple(sorted(files)), base, Problems())


def _load(files: tuple[tuple[str, bytes], ...], base: Path | None, problems: Problems) -> Loaded:
    if not files and not problems.errors:
        problems.add("R001", "There is no file to read, so there is no cluster.")
    if not files or not check_limits(files, problems):
        return Loaded(intent=None, diagnostics=problems.sorted())
    with _collector_paused():
        parts = [read_part(_file(name, data, base), problems) for name, data in files]
        sound = [part for part in parts if part is not None]
        intent = None
        if len(sound) == len(parts):  # names of a file that cannot be read at all are nowhere else
            draft = join(sound, problems)
            _check_whole(draft, files[0][0], problems)
            intent = assemble(draft, problems)
            _check(draft, intent, problems)
    return Loaded(intent=None if problems.errors else intent, diagnostics=problems.sorted())


def _file(name: str, data: bytes, base: Path | None) -> File:
    folder = str(base / dirname(name)) if base is not None else dirname(name)
    return File(path=name, data=data, folder=folder if folder.startswith("/") else None)


def _check_whole(draft: Draft, first_file: str, problems: Problems) -> None:
    at = Origin(path=first_file, line=1)
    if not draft.cluster and not draft.is_broken("cluster"):
        problems.add("R011", "The cluster has no name. Add `cluster: NAME`.", at)
    if not draft.nodes and not draft.is_broken("nodes"):
        problems.add("R011", "The cluster has no nodes. Add them under `nodes`.", at)


def _check(draft: Draft, intent: Intent, problems: Problems) -> None:
    """Everything that a whole intent can have wrong.

    What is missing because it was broken proves nothing: without all nodes, nobody can say that none is
    eligible.
    """
    check_names(draft, problems)
    check_addresses(draft, problems)
    check_cycles(intent, problems)
    check_fences(draft, problems)
    together = Together(intent)
    check_together(intent, together, problems)
    eligibility = Eligibility(intent, together)
    if draft.is_broken("nodes") or not intent.nodes:
        return
    check_eligible(intent, eligibility, problems)
    check_room(intent, eligibility, problems)
    check_minimums(intent, problems)
    if not draft.is_broken("services") and not draft.is_broken("templates"):
        eligible = {service.name: eligibility.nodes(service.name) for service in intent.services}
        check_fencing(draft, intent, eligible, problems)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Keep the garbage collector from walking a growing tree again and again: it doubles the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
