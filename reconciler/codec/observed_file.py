"""Observations as files: the canonical JSON of `Observed` with a version before it.

A bug report is a file: whoever has the intent and this can plan exactly what the cluster would. A key
that nobody knows is refused rather than ignored, since a mistyped `copies` would say that nothing runs.
"""

import dataclasses
import re
from collections.abc import Hashable, Iterable
from types import GenericAlias
from typing import Any, Final, get_args, get_type_hints

import msgspec

from reconciler.codec import canonical
from reconciler.model.errors import Corrupt
from reconciler.model.observed import Observed

VERSION = 1

_TIME_MAX_MS = 2**53
"""What every reader of JSON can hold exactly."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


def write(observed: Observed) -> bytes:
    """Encode an observation, ready to be read by `read` and by people."""
    plain = msgspec.to_builtins(observed, order="deterministic")
    return msgspec.json.format(msgspec.json.encode({"version": VERSION, **plain}), indent=1) + b"\n"


def read(data: bytes) -> Observed:
    """Read an observation; the bare canonical form of `Observed` is read too.

    Errors: `Corrupt`, saying what is wrong in words for an operator.
    """
    observed = canonical.load(data, Observed)
    _check_keys(data, observed)
    _check_names(observed)
    _check_times(observed)
    _once((state.name for state in observed.nodes), "node")
    _once(((copy.service, copy.node, copy.instance) for copy in observed.copies), "copy")
    _once(((failure.service, failure.node) for failure in observed.failures), "failure of")
    return observed


def schema() -> dict[str, Any]:
    """The JSON Schema of the file."""
    generated = msgspec.json.schema(Observed)
    body = generated["$defs"]["Observed"]
    body["properties"] = {"version": {"enum": [VERSION]}, **body["properties"]}
    body["required"] = ["version", *body["required"]]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What is known of a cluster at one moment (`reconcile plan --observed FILE`)",
        **generated,
    }


def _check_keys(data: bytes, observed: Observed) -> None:
    """Refuse keys that nobody knows: quickly, since there are none, or slowly to say which."""
    try:
        found: Any = msgspec.json.decode(data, type=_KEYS)
        if found.version == VERSION:
            return
    except msgspec.ValidationError:
        pass
    raw = msgspec.json.decode(data)
    version = raw.pop("version", VERSION)
    if version != VERSION:
        raise Corrupt(f"version {version!r} of this format is not known here; {VERSION} is")
    unknown = _unknown(raw, msgspec.to_builtins(observed), "")
    if unknown:
        raise Corrupt(f"unknown key {unknown}")


def _keys_of(kind: type, **more: object) -> type[msgspec.Struct]:
    """A type with the keys of a dataclass, and of those within, that refuses others and any value goes."""
    hints = get_type_hints(kind)
    fields: list[tuple[str, Any, Any]] = [
        (each.name, _inner_keys(hints[each.name]), None) for each in dataclasses.fields(kind)
    ]
    fields += [(name, Any, usual) for name, usual in more.items()]
    return msgspec.defstruct(f"{kind.__name__}Keys", fields, forbid_unknown_fields=True)


def _inner_keys(hint: Any) -> Any:  # noqa: ANN401 - any annotation
    match get_args(hint):
        case (inner, *_) if dataclasses.is_dataclass(inner) and isinstance(inner, type):
            return GenericAlias(list, (_keys_of(inner),))
        case _:
            return msgspec.Raw


_KEYS: Final = _keys_of(Observed, version=VERSION)


def _unknown(given: object, known: object, path: str) -> str | None:
    match given, known:
        case dict(), dict():
            for key, value in given.items():
                if key not in known:
                    return f"{path}.{key}".lstrip(".")
                if found := _unknown(value, known[key], f"{path}.{key}"):
                    return found
        case list(), list() | tuple():
            for index, (part, other) in enumerate(zip(given, known, strict=False)):
                if found := _unknown(part, other, f"{path}[{index}]"):
                    return found
    return None


def _check_names(observed: Observed) -> None:
    names: set[str] = {state.name for state in observed.nodes}
    names.update(*(state.probed for state in observed.nodes))
    names.update(copy.service for copy in observed.copies)
    names.update(copy.node for copy in observed.copies)
    names.update(name for each in observed.failures for name in (each.service, each.node))
    for name in sorted(names):
        if not _NAME.fullmatch(name):
            raise Corrupt(f"{name[:80]!r} is not a name (letters, digits, `_`, `.`, `-`)")


def _check_times(observed: Observed) -> None:
    times = [observed.taken_at_ms]
    times += [state.heard_ms for state in observed.nodes if state.heard_ms is not None]
    times += [failure.last_ms for failure in observed.failures]
    for time_ms in times:
        if not -_TIME_MAX_MS <= time_ms <= _TIME_MAX_MS:
            raise Corrupt(f"{time_ms} is no time in milliseconds")


def _once(keys: Iterable[Hashable], what: str) -> None:
    seen = set()
    for key in keys:
        if key in seen:
            words = key if isinstance(key, str) else " ".join(str(part) for part in key)  # type: ignore[attr-defined]
            raise Corrupt(f"{what} {words} is there twice")
        seen.add(key)
