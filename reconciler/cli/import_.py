"""`reconcile import`: another program's cluster as files for this one. Writes both files, or neither."""

import sys
from pathlib import Path

from reconciler.cli import inputs
from reconciler.cli.exit_codes import ExitCode
from reconciler.cli.terminal import Trouble, drawn, is_terminal, note
from reconciler.importing.pacemaker.document import BYTES_MAX
from reconciler.importing.pacemaker.importing import CLUSTER, Imported, import_pacemaker
from reconciler.importing.pacemaker.notes import HEADLINE
from reconciler.model.diagnostic import Severity
from reconciler.model.ids import Millis
from reconciler.render.diagnostics import diagnostic_lines, summary
from reconciler.runtime import clock


def run_import_pacemaker(cib: Path, into: Path, *, partial: bool) -> int:
    """Import a CIB into a folder, say what is different, and return the exit status.

    Errors: `Trouble`, before anything is written.
    """
    data = inputs.read(cib, what="a CIB", bytes_max=BYTES_MAX)
    now_ms = Millis(int(clock.utc().timestamp()) * 1000)
    imported = import_pacemaker(data, str(cib), now_ms, partial=partial)
    _say(imported, {str(cib): data, **dict(imported.files)})
    if not imported.files:
        hint = _hint(imported, partial=partial)
        raise Trouble(f"nothing was written to {into}", detail=hint)
    _write(imported, into)
    return int(ExitCode.DONE)


def _say(imported: Imported, sources: dict[str, bytes]) -> None:
    shown = sources if is_terminal(sys.stderr) else {}
    sys.stderr.write(drawn(diagnostic_lines(imported.diagnostics, shown), sys.stderr))


def _hint(imported: Imported, *, partial: bool) -> str:
    unsupported = [found for found in imported.diagnostics if found.code == "R071"]
    if partial or not unsupported:
        return ""
    return f"--partial leaves out what is unsupported ({len(unsupported)}) and writes the rest."


def _write(imported: Imported, into: Path) -> None:
    try:
        into.mkdir(parents=True, exist_ok=True)
    except OSError as trouble:
        raise Trouble(f"{into}: {trouble.strerror}") from None
    cluster = into / CLUSTER
    if cluster.exists() and not _is_import(cluster):
        raise Trouble(
            f"{cluster} is there already, and no import wrote it",
            detail="Choose another folder, or move it away.",
        )
    for name, contents in imported.files:
        inputs.write(into / name, contents)
    errors = [found for found in imported.diagnostics if found.severity is Severity.ERROR]
    counts = summary(imported.diagnostics)
    note(
        f"{into}: {', '.join(name for name, _ in imported.files)}"
        + (f" ({counts})" if counts else "")
    )
    if errors:
        note("Something was left out; the lines above say what.")


def _is_import(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(HEADLINE) + 2) == f"# {HEADLINE}".encode()
    except OSError as trouble:
        raise Trouble(f"{path}: {trouble.strerror}") from None
