"""What the names in a constraint mean here: services and groups, through clones, tags and templates.

A clone is known by the name of what it copies; a member of a cloned group stands for the whole group. Sets
of resources keep their order, which colocations and orderings read in different ways.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from reconciler.importing.pacemaker.document import Cib, Element
from reconciler.importing.pacemaker.notes import Notes
from reconciler.importing.pacemaker.resources import (
    Clone,
    Group,
    Primitive,
    Resources,
    without_instance,
)
from reconciler.importing.pacemaker.words import role, truth

Owner = Primitive | Group | Clone

_WORDS: Final = {
    "rsc_location": "location",
    "rsc_colocation": "colocation",
    "rsc_order": "order",
    "rsc_ticket": "ticket",
}


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Target:
    """A resource that a constraint names, and the service or group that it is here."""

    name: str
    owner: Owner

    @property
    def promotable(self) -> bool:
        """Whether its copies have roles."""
        clone = clone_of(self.owner)
        return clone is not None and clone.promotable


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ResourceSet:
    """A `resource_set`, or what a tag stands for."""

    element: Element
    members: tuple[Target, ...]
    sequential: bool
    role: str

    def ends(self, *, last: bool) -> tuple[Target, ...]:
        """The member that stands for a sequence towards its neighbour; every member of a heap."""
        if not self.sequential or not self.members:
            return self.members
        return (self.members[-1 if last else 0],)


class Targets:
    """Finds what constraints name, and says what it could not find."""

    def __init__(
        self, cib: Cib, resources: Resources, carried: frozenset[str], notes: Notes
    ) -> None:
        self._cib = cib
        self._resources = resources
        self._carried = carried
        """Services and groups that the import writes."""
        self._notes = notes
        self._tags = _tags(cib, resources)
        self._recorded = {each.id for each in cib.status.walk("lrm_resource")}

    def is_tag(self, name: str) -> bool:
        """Whether a name stands for several resources."""
        return name in self._tags and name not in self._resources.by_id

    def named(self, name: str, constraint: Element) -> tuple[Target, ...]:
        """What one name stands for: one thing, or everything with a tag; nothing if it is unknown."""
        names = self._tags[name] if self.is_tag(name) else (name,)
        return tuple(
            target for each in names if (target := self._one(each, constraint)) is not None
        )

    def sets(self, constraint: Element) -> list[ResourceSet]:
        """The sets of a constraint, in order."""
        return [
            self._set(self._cib.resolved(each), constraint)
            for each in constraint.all("resource_set")
        ]

    def heap(self, name: str, role_text: str, constraint: Element) -> ResourceSet:
        """A name as a set: a tag's resources are in no order."""
        return ResourceSet(
            element=constraint,
            members=self.named(name, constraint),
            sequential=not self.is_tag(name),
            role=role(role_text),
        )

    def _set(self, element: Element, constraint: Element) -> ResourceSet:
        members = [
            target
            for reference in element.all("resource_ref")
            for target in self.named(reference.id, constraint)
        ]
        return ResourceSet(
            element=element,
            members=tuple(members),
            sequential=truth(element.get("sequential"), default=True),
            role=role(element.get("role")),
        )

    def _one(self, name: str, constraint: Element) -> Target | None:
        owner = self._owner(name, constraint)
        if owner is None:
            return None
        found = name_of(owner, self._resources)
        if found not in self._carried:
            return None
        return Target(name=found, owner=owner)

    def _owner(self, name: str, constraint: Element) -> Owner | None:
        """The resource of this name. What is inside a clone stands for the clone once it was recorded."""
        origin = self._cib.origin(constraint)
        owner = self._resources.by_id.get(name)
        if owner is None and self._resources.by_id.get(without_instance(name)) is not None:
            self._notes.left_out(
                f'{_said(constraint)} names "{name}", one instance of a clone. Constraints are about all '
                "copies here.",
                origin,
            )
            return None
        if owner is None:
            if all(name != each.id for each in self._resources.bundles):
                self._notes.ignored(
                    f'{_said(constraint)} names "{name}", which is no resource.', origin
                )
            return None
        if isinstance(owner, Clone) or owner.clone is None:
            return owner
        if name in self._recorded:
            return owner.clone
        self._notes.ignored(
            f'{_said(constraint)} names "{name}", which is inside the clone "{owner.clone.id}", instead of '
            "the clone.",
            origin,
        )
        return None


def _said(constraint: Element) -> str:
    return f'The {_WORDS.get(constraint.tag, constraint.tag)} "{constraint.id}"'


def name_of(owner: Owner, resources: Resources) -> str:
    """The name of the service or group that a resource is here."""
    match owner:
        case Clone():
            inner = [p for p in resources.primitives if p.clone is owner]
            group = inner[0].group if inner else None
            return group.id if group else inner[0].id if inner else owner.id
        case Primitive(clone=clone, group=Group() as group) if clone is not None:
            return group.id
        case _:
            return owner.id


def is_within(one: Target, other: Target) -> bool:
    """Whether one of two is a part of the other."""
    groups = [each.owner.group for each in (one, other) if isinstance(each.owner, Primitive)]
    return any(group is not None and group.id in {one.name, other.name} for group in groups)


def clone_of(owner: Owner) -> Clone | None:
    """The clone that a resource is or is in."""
    return owner if isinstance(owner, Clone) else owner.clone


def _tags(cib: Cib, resources: Resources) -> dict[str, tuple[str, ...]]:
    """What each tag and each template stands for."""
    found: dict[str, list[str]] = {}
    for tag in cib.section("tags").all("tag"):
        found.setdefault(tag.id, []).extend(each.id for each in tag.all("obj_ref"))
    for primitive in resources.primitives:
        template = primitive.element.get("template")
        if template:
            found.setdefault(template, []).append(primitive.id)
    return {tag: tuple(_flat(names, found, {tag})) for tag, names in found.items()}


def _flat(names: list[str], tags: dict[str, list[str]], seen: set[str]) -> Iterator[str]:
    """A tag may hold templates, which stand for primitives."""
    for name in names:
        if name in tags and name not in seen:
            yield from _flat(tags[name], tags, seen | {name})
        else:
            yield name
