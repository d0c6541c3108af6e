"""The files of a cluster joined into one draft, in which every entry still knows where it was written.

Nodes, services, groups and templates are joined name by name; constraints and witnesses one file after
another; every other key stands in one file only. A name in two files is an error that shows both places.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from reconciler.config import document
from reconciler.config.parts import Part
from reconciler.config.problems import Problems
from reconciler.config.yaml_tree import quoted
from reconciler.model.intent import Origin

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """Something that a file says, and where: `section` and `key` find it there."""

    body: T
    part: Part
    section: tuple[str, ...]
    key: str | int

    @property
    def name(self) -> str:
        """Its name, where it has one."""
        return str(self.key)

    @property
    def origin(self) -> Origin:
        """Where it was written."""
        return self.part.origin(*self.section, self.key)

    def at(self, *path: str | int) -> Origin:
        """Where a value inside it stands; for problems only."""
        return self.part.value(*self.section, self.key, *path)


Named = dict[str, Entry[T]]
AnyConstraint = (
    document.Colocation
    | document.Ordering
    | document.Location
    | document.Ticket
    | document.Spread
    | document.Needs
)


@dataclass(slots=True, kw_only=True)
class Draft:
    """A cluster as written, before names and defaults are resolved."""

    cluster: str = ""
    nodes: Named[document.Node] = field(default_factory=dict)
    services: Named[document.Service] = field(default_factory=dict)
    groups: Named[document.Group] = field(default_factory=dict)
    templates: Named[document.Template] = field(default_factory=dict)
    constraints: list[Entry[AnyConstraint]] = field(default_factory=list)
    devices: Named[document.Device] = field(default_factory=dict)
    levels: list[Entry[document.Level]] = field(default_factory=list)
    witnesses: list[Entry[str]] = field(default_factory=list)
    defaults: document.ClusterDefaults = field(
        default_factory=document.ClusterDefaults.model_construct
    )
    """Constructed, not read: that would have pydantic prepare to read them on their own."""
    quorum: Entry[document.Quorum] | None = None
    health: Entry[document.Health] | None = None
    usual: Entry[document.ClusterDefaults] | None = None
    """Where the defaults stand."""
    heartbeat: Entry[document.Heartbeat] | None = None
    fencing: Entry[document.Fencing | None] | None = None
    """None: nothing is said of fencing. A body of None: `fencing: none`."""
    accept_split_brain: Entry[bool] | None = None
    scripts: Entry[str] | None = None
    """The folder that `./` of commands means on the nodes; None: the folder of each file."""
    broken: set[tuple[str, str]] = field(default_factory=set)
    """What was written, and reported, and is left out: (section, name)."""

    def is_broken(self, section: str) -> bool:
        """Whether anything of a section was left out, so that its absence proves nothing."""
        return any(found == section for found, _ in self.broken)

    def names(self, section: str) -> set[str]:
        """Every name written in a section, the broken ones too."""
        return {*getattr(self, section), *(name for found, name in self.broken if found == section)}


_SINGLE = (
    "cluster",
    "defaults",
    "fencing",
    "accept_split_brain",
    "scripts",
    "quorum",
    "health",
    "heartbeat",
)


def join(parts: Iterable[Part], problems: Problems) -> Draft:
    """Join the parts of a cluster, in the order of their files."""
    draft = Draft()
    single: dict[str, Entry[Any]] = {}
    for part in parts:
        draft.broken |= part.broken
        for section in ("nodes", "services", "groups", "templates"):
            _join_named(getattr(draft, section), part, section, problems)
        for number, body in enumerate(part.document.constraints):
            if ("constraints", str(number)) not in part.broken:
                draft.constraints.append(Entry(body, part, ("constraints",), number))
        for number, name in enumerate(part.document.witnesses):
            draft.witnesses.append(Entry(name, part, ("witnesses",), number))
        for key in _SINGLE:
            if key in part.document.model_fields_set:
                entry = Entry(getattr(part.document, key), part, (), key.replace("_", "-"))
                _join_single(single, entry, problems)
    _take_single(draft, single)
    return draft


def _join_named(into: Named[Any], part: Part, section: str, problems: Problems) -> None:
    for name, body in getattr(part.document, section).items():
        entry = Entry(body, part, (section,), name)
        if name in into:
            problems.add("R016", _twice(quoted(name), into[name].origin), entry.origin)
        else:
            into[name] = entry


def _join_single(found: dict[str, Entry[Any]], entry: Entry[Any], problems: Problems) -> None:
    if entry.name in found:
        problems.add("R016", _twice(f"`{entry.name}`", found[entry.name].origin), entry.origin)
    else:
        found[entry.name] = entry


def _twice(what: str, first: Origin) -> str:
    return (
        f"{what} is defined here and at {first}:{first.column}. Files of one folder make one cluster; keep "
        "one of the two."
    )


def _take_single(draft: Draft, single: dict[str, Entry[Any]]) -> None:
    if "cluster" in single:
        draft.cluster = single["cluster"].body
    if "defaults" in single:
        draft.defaults = single["defaults"].body
    draft.usual = single.get("defaults")
    draft.quorum = single.get("quorum")
    draft.health = single.get("health")
    draft.heartbeat = single.get("heartbeat")
    draft.scripts = single.get("scripts")
    draft.accept_split_brain = single.get("accept-split-brain")
    draft.fencing = single.get("fencing")
    if draft.fencing is not None and draft.fencing.body is not None:
        part = draft.fencing.part
        draft.devices = {
            name: Entry(body, part, ("fencing", "devices"), name)
            for name, body in draft.fencing.body.devices.items()
        }
        draft.levels = [
            Entry(body, part, ("fencing", "levels"), number)
            for number, body in enumerate(draft.fencing.body.levels)
        ]
