"""One file to one document, keeping what is sound when something in it is not.

A broken entry - one service, one constraint - is reported, taken out and remembered by name, and the
rest is read as if it were not there: so one typing error neither hides the other problems of a file nor
makes false ones ("unknown service") elsewhere.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from reconciler.config.document import TAG_MARK, Document, model_at
from reconciler.config.problems import Problems
from reconciler.config.values import shown
from reconciler.config.yaml_tree import Path, Tree, build, quoted
from reconciler.model.intent import Origin

_SETTING = 2
"""Where in a place (section, name, setting) the setting stands."""
_HARMLESS = frozenset(
    {
        "critical",
        "demand",
        "demote",
        "enabled",
        "failures",
        "interleave",
        "maintenance",
        "managed",
        "migratable",
        "monitor",
        "monitor-promoted",
        "multiple-active",
        "notify",
        "priority",
        "promote",
        "promoted-stickiness",
        "rank",
        "reloadable",
        "requires",
        "standby",
        "start",
        "stickiness",
        "stop",
        "survive",
    }
)
"""Settings without which an entry says less, but nothing false: only they are taken out."""

SECTIONS = ("nodes", "services", "groups", "templates", "constraints")
"""Keys of which a single entry can be taken out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file's name, its contents, and the folder that `./` in it means (None: nothing known)."""

    path: str
    data: bytes
    folder: str | None = None


@dataclass(kw_only=True)
class Part:
    """What one file says. `broken` has the entries that were taken out, as (section, name)."""

    file: File
    document: Document
    tree: Tree
    broken: set[tuple[str, str]] = field(default_factory=set)

    def origin(self, *path: str | int) -> Origin:
        """Where an entry was written: its key, or the item itself in a list."""
        return _origin(self.file, self.tree, path)

    def exact(self, *path: str | int) -> Origin:
        """The same for any depth; reads the file again, so for problems only."""
        return _origin(self.file, self._places, path)

    def value(self, *path: str | int) -> Origin:
        """Where a value stands, not its key; reads the file again, so for problems only."""
        return _origin(self.file, self._places, path, at_value=True)

    @cached_property
    def _places(self) -> Tree:
        return build(self.file.data, everywhere=True)


def read_part(file: File, problems: Problems) -> Part | None:
    """Read one file; None when nothing in it can be used. Every problem is noted."""
    tree = build(file.data)
    for flaw in tree.flaws:
        line, column = flaw.position
        problems.add(flaw.code, flaw.detail, Origin(path=file.path, line=line, column=column))
    if not tree.complete:
        return None
    if not isinstance(tree.data, dict):
        what = "empty" if tree.data is None else f"{shown(tree.data)}"
        problems.add(
            "R012",
            f"A cluster's file is a mapping that begins with `version: 1`; this one is {what}.",
            Origin(path=file.path, line=1),
        )
        return None
    part = Part(file=file, document=Document.model_construct(), tree=tree)
    return part if _validate(part, tree.data, problems) else None


def _validate(part: Part, data: dict[str, Any], problems: Problems) -> bool:
    """Fill in the document, taking out what is broken. False if the file as a whole is unusable."""
    while True:
        try:
            part.document = Document.model_validate(data)
        except ValidationError as trouble:
            errors = trouble.errors(include_url=False, include_context=False)
        else:
            return True
        for error in errors:
            _report(part, error, problems)
        for error in errors:
            _take_out(part, data, error)
        if "version" not in data:
            return False


def _report(part: Part, error: ErrorDetails, problems: Problems) -> None:
    path = tuple(step for step in error["loc"] if not str(step).startswith(TAG_MARK))
    key = str(path[-1]) if path else ""
    if key == "[key]":
        problems.add(error["type"], error["msg"], part.exact(*path[:-1]))
        return
    match error["type"]:
        case "extra_forbidden":
            known = _siblings(error["loc"])
            detail = f"{quoted(key)} is not a key that can stand here.{problems.did_you_mean(key, known)}"
            if known:
                detail += f" Known here: {', '.join(known)}."
            problems.add("R010", detail, part.exact(*path))
        case "missing":
            around = path[-2] if len(path) > 1 else 0
            inside = f" in {quoted(around)}" if isinstance(around, str) else " here"
            detail = f"The key {quoted(key)} is needed{inside}. Add `{key}: ...`."
            problems.add("R011", detail, part.exact(*path[:-1]))
        case code if code.startswith("R"):
            problems.add(code, error["msg"], part.value(*path))
        case _:
            wanted = "a list" if error["type"].startswith("list") else "a mapping"
            detail = f"{wanted.capitalize()} is needed here, not {shown(error['input'])}."
            if error["input"] is None:
                detail += (
                    " Write it, or remove the key. (An empty list is [], an empty mapping {}.)"
                )
            problems.add("R012", detail, part.value(*path))


def _take_out(part: Part, data: dict[str, Any], error: ErrorDetails) -> None:
    """Remove the smallest entry that can be missing without a new, false problem.

    The places of the other constraints must not shift, so a broken one is replaced by one that is
    always sound, and that `broken` says to skip.
    """
    loc = error["loc"]
    if error["type"] == "extra_forbidden":
        _remove(data, loc)
        return
    if len(loc) > _SETTING and loc[_SETTING] in _HARMLESS:
        _remove(data, loc[: _SETTING + 1])
        return
    section = str(loc[0]) if loc else ""
    if section in SECTIONS and len(loc) > 1 and isinstance(data.get(section), (dict, list)):
        name = loc[1]
        part.broken.add((section, str(name)))
        if isinstance(data[section], dict):
            data[section].pop(name, None)
        else:
            data[section][int(name)] = {"location": "_", "nodes": "_"}
        return
    part.broken.add((section, ""))
    data.pop(section, None)


def _remove(data: Any, loc: tuple[int | str, ...]) -> None:  # noqa: ANN401 - plain data
    """Remove one key, wherever it is; what it stood in may be gone already."""
    for step in loc[:-1]:
        if str(step).startswith(TAG_MARK):
            continue
        match data, step:
            case dict(), _ if step in data:
                data = data[step]
            case list(), int():
                data = data[step]
            case _:
                return
    if isinstance(data, dict):
        data.pop(loc[-1], None)


def _siblings(loc: tuple[int | str, ...]) -> tuple[str, ...]:
    """Keys that are known where an unknown one stands."""
    model = model_at(loc[:-1])
    if model is None:
        return ()
    return tuple(sorted(found.alias or name for name, found in model.model_fields.items()))


def _origin(file: File, tree: Tree, path: Path, *, at_value: bool = False) -> Origin:
    first, second = (tree.values, tree.keys) if at_value else (tree.keys, tree.values)
    if (found := first.get(path)) is not None:
        return Origin(path=file.path, line=found[0], column=found[1])
    for length in range(len(path), -1, -1):
        here = path[:length]
        if (found := first.get(here) or second.get(here)) is not None:
            return Origin(path=file.path, line=found[0], column=found[1])
    return Origin(path=file.path, line=1)
