"""YAML bytes to plain data: dicts with text keys, lists, and the scalars of YAML 1.2's core schema.

The C parser gives the events and this module builds from them, ten times faster than a loader does.
It takes a subset on purpose: no tags, anchors, aliases, merge keys, directives or second documents, and
no key twice in one mapping, so that what a reviewer reads is what is meant, and so that a small file
stays small in memory. Limits hold while reading, not afterwards.

A number keeps the text that it was written with, since `1.10` and `0777` may be meant as text.
Knows nothing of clusters.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from _ruamel_yaml import (  # type: ignore[import-not-found] # a C module without stubs
    AliasEvent,
    CParser,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.error import YAMLError

Path = tuple[str | int, ...]
"""Keys and indexes from the root of a document to a value in it."""

Position = tuple[int, int]
"""Line and column, both from 1."""

DEPTH_MAX = 32
NODES_MAX = 2_000_000
ENTRIES_MAX = 50_000
"""Entries of one list or mapping; a wide file is refused long before it is read to its end."""
DIGITS_MAX = 4_000
"""A number of more digits stays text: Python refuses to read it, and nobody could use it."""
FLAWS_MAX = 20
"""After so many flaws of form, the rest of the file is not read."""

_SHALLOW = 2
"""Down to this depth positions are kept on every load: they are where things say they were written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flaw:
    """Something in the form of a file that is refused."""

    code: str
    position: Position
    detail: str


@dataclass(slots=True, kw_only=True)
class Tree:
    """A file's data, and where its keys and values stand.

    With `complete` False the data cannot be trusted to say what the file says: only `flaws` can be used.
    """

    data: Any = None
    keys: dict[Path, Position] = field(default_factory=dict)
    values: dict[Path, Position] = field(default_factory=dict)
    flaws: list[Flaw] = field(default_factory=list)
    complete: bool = False


class TextInt(int):
    """A whole number that was not written the usual way; `text` is how."""

    text: str


class TextFloat(float):
    """A number with a fraction or an exponent; `text` is how it was written."""

    text: str


def build(data: bytes, *, everywhere: bool = False) -> Tree:
    """Read one document.

    `everywhere` keeps the position of every value, not only of those near the top: for errors.
    Errors: every flaw of form that can be told apart, in `flaws`.
    Shape: 320,000 nodes in about a second.
    """
    tree = Tree()
    if (flaw := _unreadable(data)) is not None:
        tree.flaws.append(flaw)
        return tree
    try:
        _Builder(tree, everywhere=everywhere).read(CParser(data))
    except _StopError:
        pass
    except YAMLError as trouble:
        tree.flaws.append(_syntax(trouble))
    return tree


# What cannot even be parsed ------------------------------------------------------------------------

_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def _unreadable(data: bytes) -> Flaw | None:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as trouble:
        detail = (
            f"Byte 0x{data[trouble.start]:02x} is not UTF-8. Files are UTF-8; convert this one, for "
            "example with iconv."
        )
        return Flaw(code="R003", position=_position(data, trouble.start), detail=detail)
    if found := _CONTROL.search(data):
        detail = (
            f"The file holds control character 0x{data[found.start()]:02x}, which YAML does not allow. "
            "Is it text, and whole?"
        )
        return Flaw(code="R003", position=_position(data, found.start()), detail=detail)
    return None


def _position(data: bytes, offset: int) -> Position:
    line_start = data.rfind(b"\n", 0, offset) + 1
    column = len(data[line_start:offset].decode("utf-8", "replace"))
    return data.count(b"\n", 0, offset) + 1, column + 1


def _syntax(trouble: YAMLError) -> Flaw:
    mark = getattr(trouble, "problem_mark", None) or getattr(trouble, "context_mark", None)
    position = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    problem = getattr(trouble, "problem", None) or "it cannot be read"
    context = getattr(trouble, "context", None)
    where = f" ({context})" if context else ""
    hint = (
        'Inside { } and [ ], quote a value that holds a colon: "heartbeat:Filesystem".'
        if "':'" in problem
        else "Look at this line and the one before it: indentation, quotes, brackets and a space after "
        "each colon."
    )
    return Flaw(
        code="R003", position=position, detail=f"The YAML parser says: {problem}{where}. {hint}"
    )


# Scalars -------------------------------------------------------------------------------------------

_MAYBE_SPECIAL = frozenset("-+.0123456789tTfFnN~")
_WORDS = {
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
    "null": None,
    "Null": None,
    "NULL": None,
    "~": None,
    "": None,
}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SPECIAL_FLOAT = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


def resolve(text: str) -> Any:  # noqa: ANN401 - a scalar of any type
    """Read a plain scalar by the core schema of YAML 1.2.

    Source: https://yaml.org/spec/1.2.2/#1032-tag-resolution
    """
    return _resolve_again(text) if len(text) <= _SHORT else _resolve(text)


def _resolve(text: str) -> Any:  # noqa: ANN401
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _MAYBE_SPECIAL:
        return text
    if _INTEGER.fullmatch(text) and len(text) <= DIGITS_MAX:
        return _integer(text)
    if _FLOAT.fullmatch(text):
        return _float(text, text)
    if _SPECIAL_FLOAT.fullmatch(text):
        return _float(text, text.replace(".", ""))
    return text


_SHORT = 32
_resolve_again = lru_cache(maxsize=1024)(_resolve)
"""Large files say the same few short things again and again."""


def _integer(text: str) -> int:
    base = {"0o": 8, "0x": 16}.get(text[:2], 10)
    value = int(text, base)
    if str(value) == text:
        return value
    kept = TextInt(value)
    kept.text = text
    return kept


def _float(text: str, digits: str) -> TextFloat:
    kept = TextFloat(digits)
    kept.text = text
    return kept


# Events --------------------------------------------------------------------------------------------


def _made(  # noqa: PLR0913, PLR0917 - as the parser calls it
    self: Any,  # noqa: ANN401 - ruamel has no types
    anchor: str | None,
    tag: str | None,
    implicit: tuple[bool, bool],
    value: str,
    start_mark: object = None,
    end_mark: object = None,
    style: str | None = None,
    comment: object = None,
) -> None:
    self.anchor = anchor
    self.ctag = tag
    self.implicit = implicit
    self.value = value
    self.start_mark = start_mark
    self.end_mark = end_mark
    self.style = style
    self.comment = comment


def _opened(  # noqa: PLR0913, PLR0917 - as the parser calls it
    self: Any,  # noqa: ANN401 - ruamel has no types
    anchor: str | None,
    tag: str | None,
    implicit: bool,
    start_mark: object = None,
    end_mark: object = None,
    flow_style: bool | None = None,
    comment: object = None,
    nr_items: int | None = None,
) -> None:
    self.anchor = anchor
    self.ctag = tag
    self.implicit = implicit
    self.start_mark = start_mark
    self.end_mark = end_mark
    self.flow_style = flow_style
    self.comment = comment
    self.nr_items = nr_items


# The same that ruamel's own do, in one call instead of three: a fifth of the time that a load takes.
ScalarEvent.__init__ = _made
MappingStartEvent.__init__ = _opened
SequenceStartEvent.__init__ = _opened


# The builder ---------------------------------------------------------------------------------------


class _StopError(Exception):
    """Nothing more of this file is worth reading."""


_REFUSED = "\0refused"
"""Where the value of a refused key goes; no file can hold this key."""


class _Builder:
    """Turns events into data. `read` holds what runs for every event; the rest runs for few."""

    def __init__(self, tree: Tree, *, everywhere: bool) -> None:
        self.tree = tree
        self.everywhere = everywhere

    def read(self, parser: CParser) -> None:  # noqa: C901, PLR0912, PLR0915 - one loop is twice as fast as calls
        """Take every event; `tree` is complete afterwards if no flaw stopped it."""
        top: Any = None
        key: str | None = None
        path: Path = ()
        stack: list[tuple[Any, Path, bool]] = []
        nodes = 0
        placing = True
        for event in iter(parser.get_event, None):
            kind = type(event)
            if kind is ScalarEvent:
                nodes += 1
                if not nodes & 0xFFF:
                    self._measure(nodes, top, event)
                if event.ctag is not None or event.anchor is not None:
                    self._decorated(event)
                value = event.value
                if key is None and type(top) is dict:
                    key = value
                    if placing or key in top or key == "<<" or event.style == '"':
                        key = self._key(event, top, path if placing else None)
                    continue
                if not value or value[0] in _MAYBE_SPECIAL or event.style == '"':
                    value = self._scalar(event)
            elif kind is MappingStartEvent or kind is SequenceStartEvent:
                nodes += 1
                value = self._collection(event, len(stack), top, key)
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                if kind is MappingEndEvent:
                    top.pop(_REFUSED, None)
                top, path, placing = stack.pop()
                continue
            else:
                self._other(event)
                continue

            here = path
            if placing and top is not None:
                here = (*path, len(top) if key is None else key)
            if placing:
                mark = event.start_mark
                self.tree.values[here] = (mark.line + 1, mark.column + 1)
            if key is not None:
                top[key] = value
                key = None
            elif top is not None:
                top.append(value)
            else:
                self.tree.data = value
            if kind is not ScalarEvent:
                stack.append((top, path, placing))
                top, path = value, here
                placing = placing and self._keeps(here)
        self.tree.complete = True

    def _keeps(self, path: Path) -> bool:
        return self.everywhere or len(path) < _SHALLOW or path[0] == "fencing"

    def _key(self, event: ScalarEvent, mapping: dict[str, Any], path: Path | None) -> str:
        key: str = event.value
        if key in mapping:
            first = self.tree.keys.get((*path, key)) if path is not None else None
            before = f", first on line {first[0]}" if first else ""
            self._flaw(
                "R005",
                event,
                f"{quoted(key)} is written twice in this mapping{before}. Only one could count; remove "
                "or rename the other.",
            )
            return _REFUSED
        if key == "<<" and event.style == "":
            self._flaw(
                "R004",
                event,
                "A merge key (`<<`) hides what applies. Use `defaults`, or `templates` and `template`.",
            )
            return _REFUSED
        if "\0" in key:
            self._flaw("R003", event, "A key holds a NUL character.")
            return _REFUSED
        if path is not None:
            mark = event.start_mark
            self.tree.keys[*path, key] = (mark.line + 1, mark.column + 1)
        return key

    def _scalar(self, event: ScalarEvent) -> Any:  # noqa: ANN401 - a scalar of any type
        """A plain scalar by its looks; double quotes alone can say NUL."""
        text: str = event.value
        if event.style == "":
            return resolve(text)
        if "\0" in text:
            self._flaw(
                "R003", event, "A text holds a NUL character, which no program can be given."
            )
        return text

    def _collection(
        self,
        event: MappingStartEvent | SequenceStartEvent,
        depth: int,
        top: Any,  # noqa: ANN401 - the collection around it
        key: str | None,
    ) -> Any:  # noqa: ANN401 - an empty dict or list
        if depth >= DEPTH_MAX:
            self._flaw("R002", event, f"This is nested deeper than {DEPTH_MAX} levels.")
            raise _StopError
        if event.ctag is not None or event.anchor is not None:
            self._decorated(event)
        if type(top) is dict and key is None:
            self._flaw("R004", event, "A key is a list or a mapping. Keys are words.")
            raise _StopError
        return {} if type(event) is MappingStartEvent else []

    def _decorated(self, event: ScalarEvent | MappingStartEvent | SequenceStartEvent) -> None:
        if event.ctag is not None:
            self._flaw(
                "R004",
                event,
                f"The tag {quoted(event.ctag)} asks for a type. Write the value alone; quote it to "
                "make it text.",
            )
        if event.anchor is not None:
            self._flaw(
                "R004",
                event,
                f"The anchor {quoted('&' + event.anchor)} names a part of the file for reuse. Use "
                "`defaults`, or `templates` and `template`.",
            )

    def _other(self, event: Any) -> None:  # noqa: ANN401 - any other event
        if type(event) is AliasEvent:
            self._flaw(
                "R004",
                event,
                f"The alias {quoted('*' + event.anchor)} repeats another part of the file. Use "
                "`defaults`, or `templates` and `template`.",
            )
            raise _StopError
        if type(event) is DocumentStartEvent:
            if event.version or event.tags:
                self._flaw("R004", event, "A directive (%) changes how the file reads. Remove it.")
            if self.tree.values:
                self._flaw("R004", event, "A second document begins here. Use a file for each.")
                raise _StopError

    def _measure(self, nodes: int, top: Any, event: ScalarEvent) -> None:  # noqa: ANN401 - any collection
        if nodes > NODES_MAX:
            self._flaw("R002", event, f"The file has more than {NODES_MAX:,} values.")
            raise _StopError
        if top is not None and len(top) > ENTRIES_MAX:
            self._flaw(
                "R002", event, f"This list or mapping has more than {ENTRIES_MAX:,} entries."
            )
            raise _StopError

    def _flaw(self, code: str, event: Any, detail: str) -> None:  # noqa: ANN401 - any event
        mark = event.start_mark
        position = (mark.line + 1, mark.column + 1)
        self.tree.flaws.append(Flaw(code=code, position=position, detail=detail))
        if len(self.tree.flaws) >= FLAWS_MAX:
            raise _StopError


def quoted(text: str) -> str:
    """A name from a file, made safe and short enough for a terminal."""
    short = text if len(text) <= 80 else text[:77] + "..."  # noqa: PLR2004 - about one line
    return (
        '"'
        + "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in short)
        + '"'
    )
