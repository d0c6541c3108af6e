"""A draft to an `Intent`: names resolved, defaults and templates merged, everything sorted.

What is wrong is reported and left out; the intent that results is sound but perhaps not whole, and is
handed on only to find more problems in it. `load` gives it to nobody if there was any error.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

from reconciler.config import document
from reconciler.config.draft import AnyConstraint, Draft, Entry
from reconciler.config.problems import Problems, listed
from reconciler.config.references import References, subject
from reconciler.config.safety import Bonds, settle
from reconciler.config.services import Services, split_parameters
from reconciler.config.values import ActionWord
from reconciler.config.yaml_tree import quoted
from reconciler.model.ids import GroupName, Millis, NodeName, ServiceName
from reconciler.model.intent import (
    Colocation,
    FenceDevice,
    Fencing,
    Group,
    Heartbeat,
    Intent,
    Location,
    Mandate,
    Node,
    Ordering,
    Origin,
    Role,
    WhenEqual,
)

_EVERY = Millis(500)
_EVERY_LEAST_MS = 20
_LOST = Millis(3_500)
_FAST_MS = 250


def assemble(draft: Draft, problems: Problems) -> Intent:
    """Resolve a draft into an intent, reporting what cannot be."""
    references = References(draft, problems)
    groups = tuple(_groups(draft, references, problems))
    colocations, orderings, locations = _constraints(draft, references, problems)
    services = Services(draft, groups, problems)
    bonds = Bonds(groups=groups, colocations=colocations, orderings=orderings)
    safety = settle(services.said(), bonds, problems)
    return Intent(
        cluster=draft.cluster,
        nodes=tuple(_node(draft.nodes[name]) for name in sorted(draft.nodes)),
        services=tuple(services.build(safety)),
        groups=groups,
        colocations=colocations,
        orderings=orderings,
        locations=locations,
        when_equal=draft.defaults.when_equal or WhenEqual.STAY,
        fencing=_fencing(draft, references, problems),
        heartbeat=_heartbeat(draft, problems),
        witnesses=tuple(sorted({entry.body for entry in draft.witnesses})),
    )


def _node(entry: Entry[document.Node]) -> Node:
    body = entry.body
    return Node(
        name=NodeName(entry.name),
        addresses=body.address,
        labels=tuple(sorted(body.labels.items())),
        capacity=tuple(sorted(body.capacity.items())),
        standby=body.standby,
        maintenance=body.maintenance,
        origin=entry.origin,
    )


# Groups and constraints ----------------------------------------------------------------------------


def _groups(draft: Draft, references: References, problems: Problems) -> Iterator[Group]:
    owner: dict[str, str] = {}
    for name in sorted(draft.groups):
        entry = draft.groups[name]
        members = []
        for number, member in enumerate(entry.body.members):
            at = _member_place(entry, number)
            if not references.usable_member(member, entry, at):
                continue
            if member in owner:
                problems.add(
                    "R025",
                    f"Service {quoted(member)} is in group {quoted(owner[member])} already. It can start "
                    "after the members of one group only; join the groups, or use an ordering and a "
                    "colocation.",
                    at(),
                )
                continue
            owner[member] = name
            members.append(ServiceName(member))
        if members:
            yield Group(name=GroupName(name), members=tuple(members), origin=entry.origin)


def _member_place(entry: Entry[document.Group], number: int) -> Callable[[], Origin]:
    """A group is a list, or a mapping with the list in it: the member stands in one of two places."""

    def at() -> Origin:
        inside = entry.at("members", number)
        return entry.at(number) if inside == entry.at() else inside

    return at


Constraints = tuple[tuple[Colocation, ...], tuple[Ordering, ...], tuple[Location, ...]]


def _constraints(draft: Draft, references: References, problems: Problems) -> Constraints:
    colocations: list[Colocation] = []
    orderings: list[Ordering] = []
    locations: list[Location] = []
    for entry in draft.constraints:
        match entry.body:
            case document.Colocation() as body:
                colocations += _colocation(entry, body, draft, references, problems)
            case document.Ordering() as body:
                orderings += _ordering(entry, body, draft, references, problems)
            case document.Location() as body:
                locations += _location(entry, body, references)
    return tuple(colocations), tuple(orderings), tuple(locations)


def _colocation(
    entry: Entry[AnyConstraint],
    body: document.Colocation,
    draft: Draft,
    references: References,
    problems: Problems,
) -> Iterator[Colocation]:
    dependent, primary = body.colocation
    if not _all_usable(entry, "colocation", body.colocation, references):
        return
    if _overlap(entry, body.colocation, draft, problems):
        return
    references.role(body.role, dependent, lambda: entry.at("role"))
    references.role(body.with_role, primary, lambda: entry.at("with-role"))
    yield Colocation(
        dependent=dependent,
        primary=primary,
        strength=Mandate.REQUIRED if body.score is None else body.score,
        dependent_role=body.role,
        primary_role=body.with_role,
        origin=entry.origin,
    )


def _ordering(
    entry: Entry[AnyConstraint],
    body: document.Ordering,
    draft: Draft,
    references: References,
    problems: Problems,
) -> Iterator[Ordering]:
    if not _all_usable(entry, "ordering", body.ordering, references):
        return
    if _overlap(entry, body.ordering, draft, problems):
        return
    actions = (body.first_action, body.then_action)
    if len(body.ordering) > 2 and any(actions):  # noqa: PLR2004 - first and then
        problems.add(
            "R013",
            "first-action and then-action speak of two services, and this ordering lists "
            f"{len(body.ordering)}. Write an ordering for each pair.",
            entry.at(),
        )
        return
    for action, name, key in zip(
        actions, body.ordering, ("first-action", "then-action"), strict=False
    ):
        if action in {ActionWord.PROMOTE, ActionWord.DEMOTE}:
            references.role(Role.PROMOTED, name, lambda key=key: entry.at(key))  # type: ignore[misc]
    for first, then in pairwise(body.ordering):
        yield Ordering(
            first=first,
            then=then,
            kind=body.kind,
            first_action=(body.first_action or ActionWord.START).value,
            then_action=(body.then_action or ActionWord.START).value,
            origin=entry.origin,
        )


def _location(
    entry: Entry[AnyConstraint], body: document.Location, references: References
) -> Iterator[Location]:
    used_by = f"The location of {quoted(body.location)}"
    usable = references.usable(body.location, subject(entry), lambda: entry.at("location"))
    if isinstance(body.nodes, dict):
        nodes = references.labelled(body.nodes, used_by, lambda: entry.at("nodes"))
    else:
        nodes = references.nodes(body.nodes, used_by, _node_place(entry))
    if not usable or not nodes:
        return
    references.role(body.role, body.location, lambda: entry.at("role"))
    yield Location(
        service=body.location,
        nodes=nodes,
        strength=Mandate.REQUIRED if body.score is None else body.score,
        role=body.role,
        origin=entry.origin,
    )


def _all_usable(
    entry: Entry[AnyConstraint], key: str, names: tuple[str, ...], references: References
) -> bool:
    used_by = subject(entry)
    usable = [  # every one is asked, so that every unknown name is reported
        references.usable(name, used_by, lambda number=number: entry.at(key, number))  # type: ignore[misc]
        for number, name in enumerate(names)
    ]
    return all(usable)


def _overlap(
    entry: Entry[AnyConstraint], names: tuple[str, ...], draft: Draft, problems: Problems
) -> bool:
    """Report a constraint between a group and its own member."""
    groups = [name for name in names if name in draft.groups]
    for group in groups:
        inside = [name for name in names if name in draft.groups[group].body.members]
        if inside:
            problems.add(
                "R027",
                f"{subject(entry)} names {quoted(group)} and {listed(inside)}, a member of it. A group "
                "already keeps its members together and in order.",
                entry.at(),
            )
            return True
    return False


# Fencing and heartbeat -----------------------------------------------------------------------------


def _node_place(entry: Entry[Any]) -> Callable[[int], Origin]:
    return lambda number: entry.at("nodes", number)


def _fencing(draft: Draft, references: References, problems: Problems) -> Fencing:
    accept = draft.accept_split_brain
    none = draft.fencing is not None and draft.fencing.body is None
    if accept is not None and accept.body and not none:
        problems.add(
            "R041",
            "accept-split-brain has a meaning only together with `fencing: none`; it is ignored. Remove it, "
            "or write `fencing: none`.",
            accept.origin,
        )
    devices = []
    for name in sorted(draft.devices):
        entry = draft.devices[name]
        used_by = f"Fence device {quoted(name)}"
        nodes = references.nodes(entry.body.nodes, used_by, _node_place(entry))
        if len(nodes) < len(entry.body.nodes):
            draft.broken.add(("fencing", name))
        parameters, secrets = split_parameters(entry.body.parameters)
        devices.append(
            FenceDevice(
                name=name,
                agent=entry.body.agent,
                nodes=nodes,
                parameters=parameters,
                secrets=secrets,
                origin=entry.origin,
            )
        )
    accepted = none and accept is not None and accept.body
    return Fencing(devices=tuple(devices), accept_split_brain=accepted)


def _heartbeat(draft: Draft, problems: Problems) -> Heartbeat:
    body = draft.heartbeat.body if draft.heartbeat else document.Heartbeat()
    every = body.every or _EVERY
    usual = 4 * every if every < _FAST_MS else max(_LOST, 4 * every)
    lost = body.lost_after or Millis(usual)
    suspect = body.suspect_after or Millis(3 * every if 3 * every < lost else (every + lost) // 2)
    if draft.heartbeat and not _EVERY_LEAST_MS <= every < suspect < lost:
        problems.add(
            "R043",
            f"Heartbeats come every {every}ms, a node is suspect after {suspect}ms and lost after {lost}ms. "
            f"They must grow in this order, from {_EVERY_LEAST_MS}ms on.",
            draft.heartbeat.origin,
        )
        return Heartbeat()
    return Heartbeat(every_ms=every, suspect_ms=suspect, lost_ms=lost)
