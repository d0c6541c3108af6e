"""Meta-data of an OCF agent: its parameters and the time limits that it advises.

The XML comes from a program, so it is read with care: a size limit, no entities, nothing fetched. What the
API does not define is passed over; agents of twenty years disagree on the rest.
Source: OCF resource agent API 1.1, ra-api-1.dtd.
"""

import re
from dataclasses import dataclass, field
from typing import Never
from xml.parsers import expat

from reconciler.model.errors import Corrupt
from reconciler.model.ids import Millis

METADATA_BYTES_MAX = 1024 * 1024

_DURATION = re.compile(r"\s*(\d{1,9})(?:\.\d+)?\s*(ms|msec|s|sec|m|min|h|hr)?\s*", re.ASCII)
_UNIT_MS = {"ms": 1, "msec": 1, "s": 1000, "sec": 1000, "m": 60_000, "min": 60_000}
_UNIT_MS |= {"h": 3_600_000, "hr": 3_600_000}
_TRUE = frozenset({"1", "true", "yes", "on"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A setting that an agent takes."""

    name: str
    required: bool = False
    unique: bool = False
    """No two services on one node may share its value."""
    reloadable: bool = False
    """The agent can take a new value without a restart."""
    type: str = "string"
    default: str | None = None
    summary: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentAction:
    """Something an agent can do, with the limits that it advises."""

    name: str
    timeout_ms: Millis | None = None
    every_ms: Millis | None = None
    depth: int = 0
    role: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What an OCF agent says of itself."""

    name: str
    version: str = ""
    summary: str = ""
    parameters: tuple[Parameter, ...] = ()
    actions: tuple[AgentAction, ...] = ()

    def parameter(self, name: str) -> Parameter | None:
        """The parameter of that name."""
        return next((found for found in self.parameters if found.name == name), None)


def parse(text: bytes) -> Metadata:
    """Read meta-data.

    Errors: `Corrupt` for anything that is not well-formed XML with a `resource-agent` at its root, is too
    large, or declares an entity (those could grow without limit).
    """
    if len(text) > METADATA_BYTES_MAX:
        raise Corrupt(f"meta-data of more than {METADATA_BYTES_MAX} bytes")
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.EntityDeclHandler = _refuse_entity
    try:
        parser.Parse(text.strip(), True)  # noqa: FBT003 - expat knows no keywords
    except expat.ExpatError as trouble:
        raise Corrupt(f"meta-data is no XML: {trouble}") from trouble
    if reader.name is None:
        raise Corrupt("meta-data without a resource-agent element")
    return Metadata(
        name=reader.name,
        version=reader.version,
        summary=reader.summary,
        parameters=tuple(reader.parameters),
        actions=tuple(reader.actions),
    )


def duration_ms(text: str | None) -> Millis | None:
    """A duration as agents write it (`20`, `20s`, `5min`); seconds without a unit, None if it is none."""
    found = _DURATION.fullmatch(text or "")
    if not found:
        return None
    return Millis(int(found[1]) * _UNIT_MS[found[2] or "s"])


def _refuse_entity(*_: object) -> Never:
    raise Corrupt("meta-data declares an entity")


@dataclass(slots=True)
class _Reader:
    """Gathers elements as expat meets them; only the path of element names is kept, never a tree."""

    name: str | None = None
    version: str = ""
    summary: str = ""
    parameters: list[Parameter] = field(default_factory=list)
    actions: list[AgentAction] = field(default_factory=list)
    _path: list[str] = field(default_factory=list)
    _attributes: dict[str, str] = field(default_factory=dict)
    _content: dict[str, str] = field(default_factory=dict)
    _short: str = ""

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._path.append(tag)
        match self._path:
            case ["resource-agent"]:
                self.name = attributes.get("name", "")
                self.version = attributes.get("version", "")
            case ["resource-agent", "parameters", "parameter"]:
                self._attributes, self._content, self._short = attributes, {}, ""
            case ["resource-agent", "parameters", "parameter", "content"]:
                self._content = attributes
            case ["resource-agent", "actions", "action"]:
                self.actions.append(_action(attributes))

    def text(self, data: str) -> None:
        match self._path:
            case ["resource-agent", "shortdesc"]:
                self.summary += data.strip()
            case ["resource-agent", "parameters", "parameter", "shortdesc"]:
                self._short += data.strip()

    def end(self, _tag: str) -> None:
        if self._path == ["resource-agent", "parameters", "parameter"]:
            self.parameters.append(
                Parameter(
                    name=self._attributes.get("name", ""),
                    required=_true(self._attributes.get("required")),
                    unique=_true(self._attributes.get("unique"))
                    or "unique-group" in self._attributes,
                    reloadable=_true(self._attributes.get("reloadable")),
                    type=self._content.get("type", "string"),
                    default=self._content.get("default"),
                    summary=self._short,
                )
            )
        self._path.pop()


def _action(attributes: dict[str, str]) -> AgentAction:
    depth = attributes.get("depth", "0").strip()
    return AgentAction(
        name=attributes.get("name", ""),
        timeout_ms=duration_ms(attributes.get("timeout")),
        every_ms=duration_ms(attributes.get("interval")),
        depth=int(depth) if depth.isdecimal() else 0,
        role=attributes.get("role"),
    )


def _true(text: str | None) -> bool:
    return text is not None and text.strip().lower() in _TRUE
