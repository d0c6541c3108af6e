"""How an apply goes, as a value: events of the controller in, lines out.

`heard` folds one event into the progress; `table` draws all of it for a terminal that is redrawn, and
`sentence` says one event for a pipe. The controller goes on with or without anyone following it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from reconciler.model.ids import ActionId
from reconciler.model.plan import Plan
from reconciler.render.ink import Line, Span, Tone, line
from reconciler.render.words import GLYPHS, amount, duration, short

Event = Mapping[str, Any]

_ROWS_MOST = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What has become of each action so far."""

    states: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Action to `waits`, `runs`, `done` or `failed`, in the order of the plan."""
    details: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    note: str = ""
    """The last thing said about the whole."""

    def count(self, state: str) -> int:
        """How many actions are in this state."""
        return sum(each == state for each in self.states.values())


def begin(plan: Plan) -> Progress:
    """Nothing has happened yet."""
    return Progress(states=MappingProxyType({action.id: "waits" for action in plan.actions}))


def heard(progress: Progress, event: Event) -> Progress:
    """Take in one event."""
    action = event.get("action")
    match event.get("event"):
        case "started":
            return _put(progress, str(action), "runs", "")
        case "finished":
            return _put(progress, str(action), "done", _took(event))
        case "failed" if action:
            return _put(progress, str(action), "failed", str(event.get("reason") or ""))
        case "replanned":
            kept = {name: state for name, state in progress.states.items() if state != "waits"}
            return replace(
                progress, states=MappingProxyType(kept), note=f"planned anew: {event.get('reason')}"
            )
        case "converged" | "blocked" | "superseded":
            return replace(progress, note="")
        case _:
            return replace(progress, note=sentence(event))


def table(progress: Progress) -> list[Line]:
    """The progress for a screen, never too long: of many actions, what failed and what runs first."""
    rows = list(progress.states.items())
    if len(rows) > _ROWS_MOST:
        interest = {"failed": 0, "runs": 1, "done": 2, "waits": 3}
        rows.sort(key=lambda item: interest[item[1]])
    lines = [_row(name, state, progress.details.get(name, "")) for name, state in rows[:_ROWS_MOST]]
    if len(rows) > _ROWS_MOST:
        lines.append(line("    ", Span(f"… {len(rows) - _ROWS_MOST} more", Tone.FAINT)))
    done, total = progress.count("done"), len(progress.states)
    lines.append(
        line("  ", Span(f"{done} of {amount(total, 'action')} done", Tone.STRONG), body="")
    )
    if progress.note:
        lines.append(line("  ", body=progress.note, tone=Tone.FAINT))
    return lines


def sentence(event: Event) -> str:
    """One event in words."""
    kind = str(event.get("event", "?"))
    words = _SENTENCES.get(kind, "{kind} {action}").format(
        kind=kind,
        action=event.get("action") or "",
        revision=short(str(event.get("revision") or "")),
        actions=amount(int(event.get("actions") or 0), "action"),
    )
    took, reason = _took(event), event.get("reason")
    words = words.strip() + (f" in {took}" if took and kind == "finished" else "")
    return words + (f": {reason}" if reason and kind != "finished" else "")


_SENTENCES = {
    "accepted": "accepted {revision}",
    "planned": "planned {actions}",
    "replanned": "planned anew",
    "converged": "converged: everything is where it should be",
    "blocked": "ended, with something blocked or unplaced",
    "superseded": "superseded by {revision}",
}


def left_over(event: Event) -> list[Line]:
    """What a last event says does not run, and why."""
    lines = []
    for item in event.get("unplaced") or ():
        word = "blocked" if item.get("blocked") else "unplaced"
        name = f"{item.get('service')} {word}: "
        number = f"{item.get('placed')} of {item.get('wanted')} run"
        lines.append(line("  ", Span(name, Tone.BAD), body=number))
        lines += [line("      ", body=str(reason)) for reason in (item.get("reasons") or ())[:6]]
    return lines


_MARKS = {
    "waits": (" ", Tone.FAINT),
    "runs": ("◐", Tone.CHANGE),
    "done": ("✓", Tone.GOOD),
    "failed": ("✗", Tone.LOUD_BAD),
}


def _row(name: str, state: str, detail: str) -> Line:
    mark, tone = _MARKS[state]
    kind, _, rest = name.partition(":")
    glyph = next((letter for each, letter in GLYPHS.items() if each == kind), " ")
    return line(
        "  ", Span(f"{mark} {glyph} {kind:<8} {rest:<28} ", tone), body=detail, tone=Tone.FAINT
    )


def _put(progress: Progress, action: str, state: str, detail: str) -> Progress:
    return replace(
        progress,
        states=MappingProxyType({**progress.states, ActionId(action): state}),
        details=MappingProxyType({**progress.details, action: detail}),
    )


def _took(event: Event) -> str:
    took = event.get("took_ms")
    return duration(took) if isinstance(took, int) else ""
