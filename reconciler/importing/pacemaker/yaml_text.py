"""The text of a cluster's file, written the way people write it: one line for one thing.

Every entry of a section stands on a line of its own, and in a block of its own lines where that line would
be too long. Text that YAML could take for something else is quoted.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

Value = str | int | bool | Sequence["Value"] | Mapping[str, "Value"]

_WIDTH: Final = 110
_ALWAYS_BLOCKS: Final = frozenset({"devices", "levels"})
_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./@+-]*")
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_DURATION = re.compile(r"[0-9]+(?:ms|s|m|h|d)")
_UNSEEN = re.compile(r"[\x7f-\x9f\u2028\u2029\ufeff]")


def document(sections: Mapping[str, Value], comments: tuple[str, ...]) -> str:
    """A whole file; empty sections are left out."""
    lines = [f"# {comment}".rstrip() for comment in comments]
    spaced = False
    for name, body in sections.items():
        if isinstance(body, str | int):
            lines += [*([""] if spaced else []), f"{name}: {flow(body)}"]
            spaced = False
        elif body:
            lines += ["", *_section(name, body)]
            spaced = True
    return "\n".join(lines) + "\n"


def flow(value: Value) -> str:
    """A value on one line."""
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            return _text(value)
        case Mapping():
            return f"{{{', '.join(f'{_text(key)}: {flow(item)}' for key, item in value.items())}}}"
        case _:
            return f"[{', '.join(flow(item) for item in value)}]"


def _section(name: str, body: Sequence[Value] | Mapping[str, Value]) -> Iterator[str]:
    match [*body.values()] if isinstance(body, Mapping) else []:
        case [str() | int()]:
            yield f"{name}: {flow(body)}"
            return
    yield f"{name}:"
    yield from _block(body, 2)


def _block(body: Sequence[Value] | Mapping[str, Value], indent: int) -> Iterator[str]:
    if isinstance(body, Mapping):
        for key, value in body.items():
            yield from _entry(key, value, indent)
    else:
        yield from (f"{' ' * indent}- {flow(item)}" for item in body)


def _entry(key: str, value: Value, indent: int) -> Iterator[str]:
    line = f"{' ' * indent}{_text(key)}: {flow(value)}"
    fits = len(line) <= _WIDTH and key not in _ALWAYS_BLOCKS
    if fits or isinstance(value, str | int) or not _has_parts(value):
        yield line
    else:
        yield f"{' ' * indent}{_text(key)}:"
        yield from _block(value, indent + 2)


def _has_parts(value: Sequence[Value] | Mapping[str, Value]) -> bool:
    """Whether it has parts that may stand on lines of their own."""
    if isinstance(value, Mapping):
        return bool(value)
    return any(isinstance(item, Mapping) for item in value)


def _text(text: str) -> str:
    plain = _PLAIN.fullmatch(text) or _DURATION.fullmatch(text)
    if plain and text.lower() not in _WORDS:
        return text
    return _UNSEEN.sub(
        lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False)
    )
