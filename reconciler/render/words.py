"""Small words that several renderers share: glyphs, amounts, durations, lists, and advice."""

import difflib
from collections.abc import Iterable

from reconciler.model.placement import Reason, Why
from reconciler.model.plan import ActionKind
from reconciler.render.ink import Tone

_SECOND_MS = 1_000
_MINUTE_MS = 60_000

GLYPHS = {
    ActionKind.PROBE: "?",
    ActionKind.START: "+",
    ActionKind.STOP: "-",
    ActionKind.PROMOTE: "↑",
    ActionKind.DEMOTE: "↓",
    ActionKind.RELOAD: "~",
    ActionKind.MIGRATE: "→",
    ActionKind.FENCE: "!",
}
"""One for each kind, and none of them means two things."""

TONES = {
    ActionKind.PROBE: Tone.FAINT,
    ActionKind.START: Tone.GOOD,
    ActionKind.STOP: Tone.BAD,
    ActionKind.PROMOTE: Tone.GOOD,
    ActionKind.DEMOTE: Tone.CHANGE,
    ActionKind.RELOAD: Tone.CHANGE,
    ActionKind.MIGRATE: Tone.MOVE,
    ActionKind.FENCE: Tone.LOUD_BAD,
}


def advice(reasons: Iterable[Reason], service: str) -> tuple[str, ...]:
    """What an operator can do about a service that does not run, most useful first."""
    said: list[str] = []
    for reason in reasons:
        text = _advice(reason, service)
        if text and text not in said:
            said.append(text)
    return tuple(said)


_BRING_BACK = "bring {node} back, so that it can say what runs there"
_LOOK = "look at {service} on {node}, put it right, then `reconcile clear {service}`"
_REPAIR = "repair the cause, then `reconcile clear {service}` (or wait until it is forgotten)"
_ADVICE = {
    Why.NO_PROOF: _BRING_BACK,
    Why.NODE_LOST: _BRING_BACK,
    Why.NODE_UNKNOWN: _BRING_BACK,
    Why.NO_QUORUM: "bring back enough members for a majority; nothing is started without one",
    Why.BLOCKED: _LOOK,
    Why.UNKNOWN_STATE: _LOOK,
    Why.FAILED: _REPAIR,
    Why.FAILED_TOO_OFTEN: _REPAIR,
    Why.CAPACITY: "add capacity, or lower what {service} or its neighbours demand",
    Why.STANDBY: "take {node} out of standby in the intent",
    Why.MAINTENANCE: "end the maintenance of {node} in the intent",
}


def _advice(reason: Reason, service: str) -> str | None:
    text = _ADVICE.get(reason.why)
    return text and text.format(service=service, node=reason.node or "the node")


def amount(count: int, noun: str) -> str:
    """`1 service`, `3 services`, `2 copies`."""
    if count == 1:
        return f"1 {noun}"
    return f"{count} {noun[:-1]}ies" if noun.endswith("y") else f"{count} {noun}s"


def listing(names: Iterable[str], *, most: int = 6) -> str:
    """`a, b, c`, and how many more there are when there are too many to read."""
    items = list(names)
    if len(items) <= most:
        return ", ".join(items)
    return ", ".join(items[: most - 1]) + f" and {len(items) - most + 1} more"


def duration(milliseconds: int) -> str:
    """A length of time in the largest units that matter: `350ms`, `4.5s`, `3min 20s`, `2d 4h`."""
    if milliseconds < _SECOND_MS:
        return f"{milliseconds}ms"
    if milliseconds < _MINUTE_MS:
        return f"{milliseconds / _SECOND_MS:.1f}".removesuffix(".0") + "s"
    seconds = milliseconds // _SECOND_MS
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    parts: list[str] = []
    for name, size in units:
        count, seconds = divmod(seconds, size)
        if count or parts:
            parts.append(f"{count}{name}" if count else "")
    return " ".join(part for part in parts[:2] if part)


def size(number: int) -> str:
    """A number of bytes, or of anything, with a binary unit where one fits exactly enough."""
    for unit, factor in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20)):
        if number >= factor:
            return f"{number / factor:.1f}".removesuffix(".0") + unit
    return str(number)


def close(name: str, known: Iterable[str]) -> str:
    """`Did you mean "web"?` when a known name is spelled much like this one, else nothing."""
    found = difflib.get_close_matches(name, sorted(known), n=1)
    return f'Did you mean "{found[0]}"?' if found else ""


def short(digest: str) -> str:
    """A digest or revision as people quote it."""
    kind, colon, rest = digest.rpartition(":")
    return f"{kind}{colon}{rest[:10]}"
