"""A CIB as a cluster's file and an observation: both halves of the import, or the reason for neither.

What is written is read back by the same code that reads every cluster's file, so that an import never
leaves a file behind that cannot be used.
"""

from dataclasses import dataclass

from reconciler.codec import observed_file
from reconciler.config.load import load_files
from reconciler.importing.pacemaker.configuration import read_configuration
from reconciler.importing.pacemaker.document import read_cib
from reconciler.importing.pacemaker.notes import Notes, diagnostic
from reconciler.importing.pacemaker.resources import read_resources
from reconciler.importing.pacemaker.settings import read_options
from reconciler.importing.pacemaker.status import read_status
from reconciler.model.diagnostic import Diagnostic, Severity
from reconciler.model.ids import Millis

CLUSTER = "cluster.yaml"
OBSERVED = "observed.json"
UNUSABLE = "What would be written cannot be used"
"""Begins what is said where the rules of both sides do not go together in a way that nobody foresaw."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What an import gave: files by name, none of them if something stood in the way."""

    files: tuple[tuple[str, bytes], ...]
    diagnostics: tuple[Diagnostic, ...]


def import_pacemaker(data: bytes, path: str, now_ms: Millis, *, partial: bool) -> Imported:
    """Turn a CIB into the files of a cluster.

    `partial` writes the rest where something cannot be carried over. `now_ms` counts where the CIB does not
    say when it was looked at.
    """
    cib = read_cib(data, path, now_ms)
    if isinstance(cib, Diagnostic):
        return Imported(files=(), diagnostics=(cib,))
    notes = Notes()
    resources, options = read_resources(cib), read_options(cib)
    text = read_configuration(cib, resources, options, notes).encode()
    if _errors(notes.sorted()) and not partial:
        return Imported(files=(), diagnostics=notes.sorted())
    loaded = load_files(((CLUSTER, text),))
    if loaded.intent is None:
        return Imported(
            files=(), diagnostics=(*notes.sorted(), *map(_unusable, loaded.diagnostics))
        )
    observed, of_status = read_status(cib, resources, options, loaded.intent)
    said = tuple(sorted({*notes.sorted(), *of_status}, key=_place))
    if _errors(of_status) and not partial:
        return Imported(files=(), diagnostics=said)
    return Imported(
        files=((CLUSTER, text), (OBSERVED, observed_file.write(observed))),
        diagnostics=(*said, *loaded.diagnostics),
    )


def _unusable(found: Diagnostic) -> Diagnostic:
    """A mistake that the written file would have, so that it is not written."""
    if found.severity is not Severity.ERROR:
        return found
    line = found.origin.line if found.origin else 0
    detail = f"{UNUSABLE}: {found.summary}, in its line {line}. {found.detail}"
    return diagnostic("R071", detail)


def _errors(diagnostics: tuple[Diagnostic, ...]) -> bool:
    return any(found.severity is Severity.ERROR for found in diagnostics)


def _place(found: Diagnostic) -> tuple[int, str, str]:
    return found.origin.line if found.origin else 0, found.code, found.detail
