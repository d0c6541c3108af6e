"""Fail counts, promotion scores and tickets: what a CIB keeps of services beside their histories.

Fail counts and promotion scores are attributes of nodes, named after the resource, an operation and at
times an instance. Instances of a clone are copies of one service, so their failures are added up, unless
they are distinct things: then the one that failed most counts.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from reconciler.importing.pacemaker.document import Cib, Element
from reconciler.importing.pacemaker.history import History
from reconciler.importing.pacemaker.history_policies import failure_timeout_s, never_forgotten
from reconciler.importing.pacemaker.resources import Primitive, Resources, without_instance
from reconciler.importing.pacemaker.rules import Context
from reconciler.importing.pacemaker.settings import pairs
from reconciler.importing.pacemaker.words import INFINITY, integer, score, truth
from reconciler.model.observed import TicketState

_COUNT: Final = re.compile(r"(fail-count|last-failure)-(.+)")
_OF_OPERATION: Final = re.compile(r"(.+)#(.+)_([0-9]+)")
_PER_OPERATION_SINCE: Final = (3, 0, 13)
"""The feature set before which failures were not counted by operation."""
_GRANTED: Final = "granted-ticket-"
_SCORES: Final = ("master-", "promotion-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """Failures of a resource on a node, as counted there."""

    count: int = 0
    last_s: int = 0
    operation: str = ""

    def added(self, other: "Count") -> "Count":
        """Both together; what is said of the last one is said of the later."""
        later = other if other.last_s > self.last_s or not self.operation else self
        return Count(
            count=min(INFINITY, self.count + other.count),
            last_s=max(self.last_s, other.last_s),
            operation=later.operation,
        )


def fail_counts(
    attributes: Mapping[str, str], resources: Resources, cib: Cib
) -> list[tuple[Primitive, Count]]:
    """Failures counted on one node; those of what runs in a container count for the container too."""
    counted = _by_primitive(attributes, resources, cib)
    every = dict(counted)
    for name, count in counted.items():
        primitive = resources.primitive(name)
        around = resources.primitive(primitive.meta.get("container", "")) if primitive else None
        if around is not None:
            every[around.id] = every.get(around.id, Count()).added(count)
    named = ((resources.primitive(name), count) for name, count in every.items())
    return [(primitive, count) for primitive, count in named if primitive is not None]


def unforgotten(
    count: Count, primitive: Primitive, histories: Iterable[History], *, now_s: int
) -> Count | None:
    """The failures that still count; None if they are all forgotten by now.

    Failures that block the resource are never forgotten; their time is given as now, so that nobody who
    reads them forgets them either.
    """
    timeout_s = failure_timeout_s(primitive)
    if not timeout_s or not count.last_s or now_s <= count.last_s + timeout_s:
        return count
    entries = (entry for history in histories for entry in history.entries)
    return replace(count, last_s=now_s) if never_forgotten(primitive, entries) else None


def promotion_score(
    primitive: Primitive, attributes: Mapping[str, str], history: History | None
) -> int | None:
    """How fit the copy on a node is to be promoted; None if its agent has not said."""
    names = [history.resource] if history else []
    unique = primitive.clone is not None and primitive.clone.unique
    names += [] if unique and names else [primitive.id]
    for name in names:
        for prefix in _SCORES:
            if f"{prefix}{name}" in attributes:
                return score(attributes[f"{prefix}{name}"])
    # Whichever number the instance had when its agent spoke, it is the one on this node.
    said = [
        score(value)
        for name, value in attributes.items()
        for prefix in _SCORES
        if name.startswith(prefix) and without_instance(name) == f"{prefix}{primitive.id}"
    ]
    return max(said, default=None)


def tickets(cib: Cib) -> tuple[TicketState, ...]:
    """The tickets that this site has had to do with, by name."""
    section = cib.status.first("tickets")
    if section is None:
        return ()
    found: dict[str, TicketState] = {}
    for name, value in pairs(section, "instance_attributes", Context(), cib).items():
        ticket = name.removeprefix(_GRANTED)
        if name.startswith(_GRANTED) and ticket:
            found[ticket] = TicketState(ticket=ticket, granted=truth(value, default=False))
    found |= {state.id: _ticket(state) for state in section.all("ticket_state") if state.id}
    return tuple(found[name] for name in sorted(found))


def _by_primitive(
    attributes: Mapping[str, str], resources: Resources, cib: Cib
) -> dict[str, Count]:
    found: dict[tuple[str, str], Count] = {}
    by_resource = _version(cib.root.get("crm_feature_set")) < _PER_OPERATION_SINCE
    for name, value in sorted(attributes.items()):
        matched = _COUNT.fullmatch(name)
        if matched is None:
            continue
        of_operation = _OF_OPERATION.fullmatch(matched[2])
        if of_operation is None and not by_resource:
            continue
        instance, operation = (
            (of_operation[1], of_operation[2]) if of_operation else (matched[2], "")
        )
        primitive = resources.primitive(instance)
        if primitive is None:
            continue
        distinct = primitive.clone is not None and primitive.clone.unique
        key = (primitive.id, instance if distinct else primitive.id)
        counts = matched[1] == "fail-count"
        number = max(0, score(value)) if counts else 0
        said = Count(
            count=number,
            last_s=0 if counts else max(0, integer(value)),
            operation=operation if number else "",
        )
        found[key] = found.get(key, Count()).added(said)
    worst: dict[str, Count] = {}
    for (name, _), count in found.items():
        if count.count > worst.get(name, Count()).count:
            worst[name] = count
    return worst


def _ticket(state: Element) -> TicketState:
    return TicketState(
        ticket=state.id,
        granted=truth(state.get("granted"), default=False),
        standby=truth(state.get("standby"), default=False),
    )


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"[0-9]+", text))
