"""`reconcile validate`: is this cluster well written, and could it ever run? Touches nothing."""

import json
import sys
from pathlib import Path

from reconciler.cli.exit_codes import ExitCode
from reconciler.cli.terminal import drawn, is_terminal, say_text
from reconciler.config.load import Loaded, load_path, read_path
from reconciler.render.diagnostics import as_json, diagnostic_lines, summary
from reconciler.render.ink import Span, Tone, line


def run_validate(path: Path, output_format: str) -> int:
    """Check a file or a folder, print every problem, and return the exit status: 1 for any error."""
    loaded = load_path(path)
    if output_format == "json":
        say_text(json.dumps(_document(loaded), indent=2, ensure_ascii=False) + "\n")
    else:
        _say(path, loaded)
    return int(ExitCode.DONE if loaded.intent else ExitCode.ERROR)


def _say(path: Path, loaded: Loaded) -> None:
    """Problems and verdict to where their reader looks: errors to standard error, success to output."""
    stream = sys.stdout if loaded.intent else sys.stderr
    shows_excerpts = loaded.diagnostics and is_terminal(stream)
    sources = dict(read_path(path)) if shows_excerpts else {}
    lines = [*diagnostic_lines(loaded.diagnostics, sources)]
    counts = summary(loaded.diagnostics)
    if loaded.intent is None:
        lines.append(line(Span("not valid", Tone.LOUD_BAD), f": {counts}"))
    else:
        intent = loaded.intent
        sizes = f"{_count(len(intent.nodes), 'node')}, {_count(len(intent.services), 'service')}"
        lines.append(
            line(
                Span("valid", Tone.LOUD_GOOD),
                f": cluster {intent.cluster}, {sizes}" + (f" ({counts})" if counts else ""),
            )
        )
    stream.write(drawn(lines, stream))


def _document(loaded: Loaded) -> dict[str, object]:
    intent = loaded.intent
    return {
        "version": 1,
        "valid": intent is not None,
        "cluster": intent.cluster if intent else None,
        "nodes": len(intent.nodes) if intent else None,
        "services": len(intent.services) if intent else None,
        "diagnostics": [as_json(found) for found in loaded.diagnostics],
    }


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
