"""The XML of a CIB as a tree of frozen elements that know their lines, or one clear refusal.

A CIB has no use for document types or entities, so both are refused before anything is expanded; size,
depth and number of elements are limited. Nothing here knows what an element means.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from reconciler.importing.pacemaker.notes import diagnostic
from reconciler.model.diagnostic import Diagnostic
from reconciler.model.ids import Millis
from reconciler.model.intent import Origin

BYTES_MAX: Final = 64 * 1024 * 1024
_ELEMENTS_MAX: Final = 2_000_000
_DEPTH_MAX: Final = 100


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Element:
    """One XML element: its tag, its attributes, its children and the line that it begins in."""

    tag: str
    attributes: Mapping[str, str]
    line: int
    children: list["Element"] = field(default_factory=list)

    @property
    def id(self) -> str:
        """Its `id`, or nothing."""
        return self.attributes.get("id", "")

    def get(self, *names: str, default: str = "") -> str:
        """The attribute of the first of these names that is there."""
        return next((self.attributes[name] for name in names if name in self.attributes), default)

    def all(self, *tags: str) -> Iterator["Element"]:
        """Children with one of these tags, in the order of the file."""
        return (child for child in self.children if child.tag in tags)

    def first(self, *tags: str) -> "Element | None":
        """The first child with one of these tags."""
        return next(self.all(*tags), None)

    def walk(self, *tags: str) -> Iterator["Element"]:
        """Every element below this one with one of these tags, in the order of the file."""
        for child in self.children:
            if child.tag in tags:
                yield child
            yield from child.walk(*tags)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Cib:
    """A cluster information base: what was configured, what was recorded, and when.

    Units: `now_ms` is the moment that rules and expiries are judged at, since the epoch: the CIB's own
    `execution-date`, and for want of one the moment of the import.
    """

    path: str
    root: Element
    configuration: Element
    status: Element
    now_ms: Millis
    by_id: Mapping[str, Element]
    """Elements of the configuration by their `id`, for `id-ref`."""

    def section(self, tag: str) -> Element:
        """A part of the configuration (`resources`, `constraints`, ...); an empty one if missing."""
        found = self.configuration.first(tag)
        return found or Element(tag=tag, attributes={}, line=self.configuration.line)

    def origin(self, element: Element) -> Origin:
        """Where an element is written."""
        return Origin(path=self.path, line=element.line)

    def resolved(self, element: Element) -> Element:
        """What an element with `id-ref` refers to; any other element is itself."""
        reference = element.get("id-ref")
        found = self.by_id.get(reference) if reference else None
        return found if found is not None and found.tag == element.tag else element


def read_cib(data: bytes, path: str, now_ms: Millis) -> Cib | Diagnostic:
    """Read a CIB, whole or not at all.

    Errors: a diagnostic that says why these bytes are not one.
    """
    if len(data) > BYTES_MAX:
        detail = f"A CIB has at most {BYTES_MAX >> 20} MiB; this file has more."
        return diagnostic("R070", detail, Origin(path=path, line=1))
    builder = _Builder()
    try:
        root = builder.read(data)
    except _Refusal as refusal:
        return diagnostic("R070", str(refusal), Origin(path=path, line=refusal.line))
    except expat.ExpatError as trouble:
        said = expat.errors.messages[trouble.code]
        origin = Origin(path=path, line=trouble.lineno, column=trouble.offset + 1)
        return diagnostic("R070", f"The XML ends or breaks here: {said}.", origin)
    return _cib(root, path, now_ms)


def _cib(root: Element, path: str, now_ms: Millis) -> Cib | Diagnostic:
    configuration = root.first("configuration") if root.tag == "cib" else None
    if configuration is None:
        detail = (
            f"A CIB is an element <cib> with a <configuration> in it; this file begins with <{root.tag}>."
            " `cibadmin --query` prints one."
        )
        return diagnostic("R070", detail, Origin(path=path, line=root.line))
    status = root.first("status") or Element(tag="status", attributes={}, line=root.line)
    by_id: dict[str, Element] = {}
    for element in _every(configuration):
        if element.id:
            by_id.setdefault(element.id, element)
    return Cib(
        path=path,
        root=root,
        configuration=configuration,
        status=status,
        now_ms=_execution_ms(root) or now_ms,
        by_id=by_id,
    )


def _every(element: Element) -> Iterator[Element]:
    yield element
    for child in element.children:
        yield from _every(child)


def _execution_ms(root: Element) -> Millis | None:
    text = root.get("execution-date").strip()
    return Millis(int(text) * 1000) if re.fullmatch(r"[0-9]{1,12}", text) else None


class _Refusal(Exception):  # noqa: N818 - it ends the reading
    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


class _Builder:
    """Turns expat's events into elements."""

    def __init__(self) -> None:
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._parser.buffer_text = True
        self._open: list[Element] = []
        self._root: Element | None = None
        self._count = 0

    def read(self, data: bytes) -> Element:
        try:
            self._parser.Parse(data, True)  # noqa: FBT003 - expat's own signature
        except (ValueError, LookupError) as trouble:  # an encoding that Python has not
            raise _Refusal(f"The file cannot be read as text: {trouble}.", 1) from None
        assert self._root is not None  # noqa: S101 - expat refuses a document without a root
        return self._root

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._count += 1
        line = self._parser.CurrentLineNumber
        if self._count > _ELEMENTS_MAX:
            raise _Refusal(f"There are more than {_ELEMENTS_MAX} elements.", line)
        if len(self._open) >= _DEPTH_MAX:
            raise _Refusal(f"Elements are nested more than {_DEPTH_MAX} deep.", line)
        element = Element(tag=tag, attributes=attributes, line=line)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self._root = element
        self._open.append(element)

    def _end(self, _tag: str) -> None:
        self._open.pop()

    def _doctype(self, *_: object) -> None:
        line = self._parser.CurrentLineNumber
        raise _Refusal("A CIB has no document type and no entities; this file declares some.", line)
