"""Which services are exclusive, and whether their nodes can be fenced.

An exclusive service may be started elsewhere only with a proof that its old node is harmless. So
whatever must run with one is exclusive too, and without a way to get that proof the operators have to
say in writing that they accept a split brain.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from reconciler.config.document import Service
from reconciler.config.draft import Draft, Entry
from reconciler.config.problems import Problems, listed
from reconciler.config.yaml_tree import quoted
from reconciler.model.ids import NodeName, ServiceName
from reconciler.model.intent import (
    Colocation,
    Group,
    Intent,
    Mandate,
    Ordering,
    OrderingKind,
    Origin,
    Safety,
)


class Said(NamedTuple):
    """What a service says of its safety, itself or by its template, and what the defaults say."""

    name: ServiceName
    is_vip: bool
    word: Safety | None
    usual: Safety | None
    entry: Entry[Service]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bonds:
    """What ties services together."""

    groups: tuple[Group, ...]
    colocations: tuple[Colocation, ...]
    orderings: tuple[Ordering, ...]

    def members(self) -> dict[str, tuple[ServiceName, ...]]:
        """Each group's services, by its name."""
        return {group.name: group.members for group in self.groups}

    def tied(self) -> set[str]:
        """Services that do not stand on their own: in a group, or in a required constraint."""
        members = self.members()
        found: set[str] = {
            member
            for group in self.groups
            if group.ordered or group.colocated
            for member in group.members
        }
        for colocation in self.colocations:
            if colocation.strength is Mandate.REQUIRED:
                found |= {colocation.dependent, colocation.primary}
        for ordering in self.orderings:
            if ordering.kind is OrderingKind.REQUIRED:
                found |= {ordering.first, ordering.then}
        return found.union(*(members[name] for name in found & members.keys()))

    def followers(self) -> dict[ServiceName, list[tuple[ServiceName, Origin | None]]]:
        """For each service, those that are required to run with it, and the line that says so."""
        members = self.members()
        found: dict[ServiceName, list[tuple[ServiceName, Origin | None]]] = {}
        for group in self.groups:
            if not group.colocated:
                continue
            for first, then in pairwise(group.members):
                found.setdefault(first, []).append((then, group.origin))
        for colocation in self.colocations:
            if colocation.strength is Mandate.REQUIRED:
                alone = (ServiceName(colocation.dependent),)
                first = members.get(colocation.dependent, alone)[0]
                primaries = members.get(colocation.primary, (ServiceName(colocation.primary),))
                for primary in primaries:
                    found.setdefault(primary, []).append((first, colocation.origin))
        return found


def settle(services: Iterable[Said], bonds: Bonds, problems: Problems) -> dict[ServiceName, Safety]:
    """Decide for each service, inheriting exclusiveness along required colocation.

    Errors: a service that calls itself best-effort and must run with an exclusive one.
    """
    tied = bonds.tied()
    settled: dict[ServiceName, Safety] = {}
    every: dict[ServiceName, Said] = {}
    for said in services:
        alone = said.is_vip and said.name not in tied
        built_in = Safety.BEST_EFFORT if alone else Safety.EXCLUSIVE
        settled[said.name] = said.word or said.usual or built_in
        every[said.name] = said
    followers = bonds.followers()
    queue = [name for name, safety in settled.items() if safety is Safety.EXCLUSIVE]
    while queue:
        leader = queue.pop()
        for follower, line in followers.get(leader, ()):
            if settled.get(follower) is not Safety.BEST_EFFORT:
                continue
            settled[follower] = Safety.EXCLUSIVE
            queue.append(follower)
            if every[follower].word is Safety.BEST_EFFORT:
                problems.add(
                    "R042",
                    f"Service {quoted(follower)} says best-effort, and must run with the exclusive "
                    f"{quoted(leader)} ({line}), so it cannot be taken over on suspicion either. Remove its "
                    "`safety`, or make the colocation a score.",
                    every[follower].entry.at("safety"),
                )
    return settled


def check_fencing(
    draft: Draft,
    intent: Intent,
    eligible: dict[ServiceName, frozenset[NodeName]],
    problems: Problems,
) -> None:
    """Every node that may run something exclusive can be fenced, or a split brain is accepted."""
    if intent.fencing.accept_split_brain or draft.is_broken("fencing"):
        return
    fenced = {node for device in intent.fencing.devices for node in device.nodes}
    exposed: dict[NodeName, list[str]] = {}
    unreached = {nodes: nodes - fenced for nodes in set(eligible.values())}
    for service in intent.services:
        if service.safety is Safety.EXCLUSIVE:
            for name in unreached[eligible[service.name]]:
                exposed.setdefault(name, []).append(service.name)
    if not exposed:
        return
    if not intent.fencing.devices:
        _report_none(draft, intent, problems)
        return
    for node in intent.nodes:
        if node.name in exposed:
            problems.add(
                "R040",
                f"No fence device reaches node {quoted(node.name)}, where {listed(exposed[node.name])} may "
                "run. If the node falls silent, nothing proves that they stopped, and they can never be "
                "started elsewhere. Add the node to a device under `fencing`, or keep exclusive services "
                "away from it.",
                node.origin,
            )


def _report_none(draft: Draft, intent: Intent, problems: Problems) -> None:
    exclusive = [service for service in intent.services if service.safety is Safety.EXCLUSIVE]
    none_said = draft.fencing is not None and draft.fencing.body is None
    problems.add(
        "R040",
        f"{listed(service.name for service in exclusive)} must never run twice, and no fence device can "
        "prove that a silent node stopped them. "
        + ("`fencing: none` alone is not enough. " if none_said else "")
        + "Add devices under `fencing`; or give services that may run twice `safety: best-effort`; or write "
        "`fencing: none` and `accept-split-brain: true` to accept two copies after a network split.",
        draft.fencing.origin if draft.fencing else exclusive[0].origin,
        harmless=draft.fencing is not None and draft.fencing.body is not None,
    )
