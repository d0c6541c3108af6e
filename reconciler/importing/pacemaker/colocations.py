"""Colocations: pairs, and sets expanded into pairs as Pacemaker expands them.

In a set that stays together each member runs with the one before it; in one that keeps apart, with none of
those before it. Between two sets, the first one's depend on the second one's.
"""

from collections.abc import Iterator
from itertools import pairwise, product

from reconciler.importing.pacemaker.document import Cib, Element
from reconciler.importing.pacemaker.notes import Notes
from reconciler.importing.pacemaker.targets import Owner, ResourceSet, Target, Targets, is_within
from reconciler.importing.pacemaker.words import INFINITY, role, score, truth
from reconciler.importing.pacemaker.yaml_text import Value

_NODE_ITSELF = ("", "#uname", "#id")
_ROLES = ("promoted", "unpromoted")


def read_colocations(cib: Cib, targets: Targets, notes: Notes) -> Iterator[dict[str, Value]]:
    """Every colocation of a CIB, as it stands in the file."""
    for element in cib.section("constraints").all("rsc_colocation"):
        reader = _Reader(element, cib, targets, notes)
        yield from reader.read()


class _Reader:
    """Reads one colocation."""

    def __init__(self, element: Element, cib: Cib, targets: Targets, notes: Notes) -> None:
        self._element = element
        self._cib = cib
        self._targets = targets
        self._notes = notes
        self._points = score(element.get("score"))

    def read(self) -> Iterator[dict[str, Value]]:
        sets = self._targets.sets(self._element)
        if sets:
            yield from self._of_sets(sets)
            return
        one, other = self._element.get("rsc"), self._element.get("with-rsc")
        if self._targets.is_tag(one) and self._targets.is_tag(other):
            self._ignored("between two tags or templates")
        elif not self._points:
            self._ignored("with a score of 0")
        else:
            roles = self._element.get("rsc-role"), self._element.get("with-rsc-role")
            dependents = self._targets.named(one, self._element)
            primaries = self._targets.named(other, self._element)
            for dependent, primary in product(dependents, primaries):
                yield from self._pair(dependent, primary, role(roles[0]), role(roles[1]))

    def _of_sets(self, sets: list[ResourceSet]) -> Iterator[dict[str, Value]]:
        for each in sets:
            yield from self._within(each)
        for one, other in pairwise(sets):
            if self._points:
                ends = product(one.ends(last=False), other.ends(last=True))
                for dependent, primary in ends:
                    yield from self._pair(dependent, primary, one.role, other.role)

    def _within(self, found: ResourceSet) -> Iterator[dict[str, Value]]:
        own = found.element.attributes.get("score")
        points = self._points if own is None else score(own)
        if not found.sequential or not points:
            return
        if points > 0:
            listed = found.element.get("ordering").lower() == "listed"
            for before, after in pairwise(found.members):
                pair = (before, after) if listed else (after, before)
                yield from self._pair(*pair, found.role, found.role, points)
            return
        for number, member in enumerate(found.members):
            for before in found.members[:number]:
                yield from self._pair(member, before, found.role, found.role, points)

    def _pair(
        self,
        dependent: Target,
        primary: Target,
        dependent_role: str,
        primary_role: str,
        points: int | None = None,
    ) -> Iterator[dict[str, Value]]:
        if dependent.name == primary.name or is_within(dependent, primary):
            self._ignored("of a resource with itself, or with a part of it")
            return
        for end, end_role in ((dependent, dependent_role), (primary, primary_role)):
            if end_role in _ROLES and not end.promotable:
                self._ignored(f'about {end_role} copies, which "{end.name}" never has')
                return
        points = self._points if points is None else points
        entry: dict[str, Value] = {"colocation": [dependent.name, primary.name]}
        if abs(points) >= INFINITY:
            if points < 0:
                entry["score"] = "forbidden"
        else:
            entry["score"] = points
        entry |= _roles(dependent_role, primary_role)
        attribute = self._element.get("node-attribute")
        if attribute not in _NODE_ITSELF:
            entry["attribute"] = attribute
        if not self._influences(dependent.owner):
            entry["influence"] = False
        yield entry

    def _influences(self, dependent: Owner) -> bool:
        critical = truth(dependent.meta.get("critical", ""), default=True)
        return truth(self._element.get("influence"), default=critical)

    def _ignored(self, what: str) -> None:
        self._notes.ignored(
            f'The colocation "{self._element.id}" is one {what}.', self._cib.origin(self._element)
        )


def _roles(dependent: str, primary: str) -> dict[str, Value]:
    """Roles that narrow a colocation; `started` is any copy that runs."""
    said: dict[str, Value] = {}
    if dependent in _ROLES:
        said["role"] = dependent
    if primary in _ROLES:
        said["with-role"] = primary
    return said
