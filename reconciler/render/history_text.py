"""The history of decisions as text, one line each, oldest first."""

from typing import Any

from reconciler.render.ink import Line, Span, Tone, line
from reconciler.render.words import amount, duration, short

_TONES = {
    "accepted": Tone.LOUD_GOOD,
    "failed": Tone.BAD,
    "held": Tone.CHANGE,
    "moved": Tone.CHANGE,
    "broken-law": Tone.LOUD_BAD,
}
_KNOWN = frozenset({"number", "at", "kind"})
_QUIET = frozenset({"saved", "plan"})
_NAMES = frozenset({"revision", "digest"})


def render(records: list[dict[str, Any]]) -> list[Line]:
    """Every record on a line: number, time, kind, and what else it holds."""
    if not records:
        return [line(body="nothing has been decided yet", tone=Tone.FAINT)]
    wide = max(len(str(record.get("number", ""))) for record in records)
    return [_record(record, wide) for record in records]


def _record(record: dict[str, Any], wide: int) -> Line:
    kind = str(record.get("kind", "?"))
    rest = {key: value for key, value in record.items() if key not in _KNOWN | _QUIET}
    rest.update(rest.pop("fields", None) or {})
    return line(
        Span(f"{record.get('number', ''):>{wide}}  {_at(record.get('at'))}  ", Tone.FAINT),
        Span(f"{kind:<11}", _TONES.get(kind, Tone.PLAIN)),
        body=_words(kind, rest),
    )


def _at(value: object) -> str:
    """A time to the second."""
    return str(value or "").partition(".")[0].replace("T", " ")


def _words(kind: str, fields: dict[str, Any]) -> str:
    if "action" in fields:
        took, reason = fields.get("took_ms"), fields.get("reason")
        words = str(fields["action"])
        words += f" in {duration(took)}" if isinstance(took, int) and kind != "started" else ""
        return words + (f": {reason}" if reason and kind == "failed" else "")
    match kind:
        case "planned":
            return f"transition {fields.get('number')}, {amount(_number(fields), 'action')}"
        case "ended" if fields.get("complete"):
            return f"transition {fields.get('number')}, complete"
        case "ended":
            why = fields.get("abandoned") or "something failed"
            return f"transition {fields.get('number')}, the rest was dropped: {why}"
        case _:
            return _listed(fields)


def _number(fields: dict[str, Any]) -> int:
    actions = fields.get("actions")
    return actions if isinstance(actions, int) else 0


def _listed(fields: dict[str, Any]) -> str:
    return ", ".join(
        f"{key} {short(str(value)) if key in _NAMES else value}"
        for key, value in fields.items()
        if value not in (None, "", [], {})
    )
