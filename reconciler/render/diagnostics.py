"""Diagnostics for people: where, what, the line itself, and how to put it right.

    clusters/web.yaml:14:12: error[R020]: Unknown node
       14 |   - {location: db, nodes: [alhpa]}
          |                            ^
      The location of "db" names node "alhpa", which this cluster does not list. Did you mean "alpha"?

The first line is the same for every tool that reads it; the excerpt is for terminals. Knows nothing of
how problems are found.
"""

from collections.abc import Iterable, Iterator, Mapping

from reconciler.model.diagnostic import Diagnostic, Severity
from reconciler.model.intent import Origin
from reconciler.render.ink import Line, Span, Tone, line

SHOWN_MAX = 100
_EXCERPT_MAX = 160
_TONES = {Severity.ERROR: Tone.LOUD_BAD, Severity.WARNING: Tone.CHANGE}


def diagnostic_lines(
    diagnostics: Iterable[Diagnostic], sources: Mapping[str, bytes] | None = None
) -> Iterator[Line]:
    """Lines for all of them, the first hundred in full.

    `sources` has the contents of files by path; where it has one, the line in question is shown.
    """
    every = list(diagnostics)
    for found in every[:SHOWN_MAX]:
        yield from _one(found, sources or {})
    if len(every) > SHOWN_MAX:
        left = len(every) - SHOWN_MAX
        yield line(body=f"... and {left} more; --format json lists them all.", tone=Tone.FAINT)


def summary(diagnostics: Iterable[Diagnostic]) -> str:
    """`2 errors, 1 warning`; empty when there is none."""
    every = list(diagnostics)
    counts = ((s, sum(found.severity is s for found in every)) for s in Severity)
    return ", ".join(f"{count} {s.value}{'s' if count > 1 else ''}" for s, count in counts if count)


def as_json(found: Diagnostic) -> dict[str, str | int | None]:
    """One diagnostic as plain JSON."""
    origin = found.origin
    return {
        "code": found.code,
        "severity": found.severity.value,
        "summary": found.summary,
        "detail": found.detail,
        "path": origin.path if origin else None,
        "line": origin.line if origin else None,
        "column": origin.column if origin else None,
    }


def _one(found: Diagnostic, sources: Mapping[str, bytes]) -> Iterator[Line]:
    origin = found.origin
    place = f"{origin.path}:{origin.line}:{origin.column}: " if origin else ""
    tone = _TONES[found.severity]
    yield line(
        Span(place, Tone.NAME),
        Span(f"{found.severity}[{found.code}]: ", tone),
        Span(found.summary, Tone.STRONG),
    )
    if origin and origin.path in sources:
        yield from _excerpt(sources[origin.path], origin, tone)
    yield line("  ", body=found.detail)


def _excerpt(source: bytes, origin: Origin, tone: Tone) -> Iterator[Line]:
    """The line in question with a mark below the column; nothing where the file has no such line."""
    lines = source.removeprefix(b"\xef\xbb\xbf").splitlines()
    if not 0 < origin.line <= len(lines):
        return
    text = lines[origin.line - 1].decode("utf-8", "replace").expandtabs(1)
    start = max(0, origin.column - _EXCERPT_MAX // 2)
    shown = text[start : start + _EXCERPT_MAX]
    gutter = f"{origin.line:>6} | "
    yield line(Span(gutter, Tone.FAINT), Span(shown))
    mark = " " * (origin.column - 1 - start) + "^"
    yield line(Span(" " * 6 + " | ", Tone.FAINT), Span(mark, tone))
