"""A draft to an `Intent`: names resolved, defaults and templates merged, everything sorted.

What is wrong is reported and left out; the intent that results is sound but perhaps not whole, and is
handed on only to find more problems in it. `load` gives it to nobody if there was any error.
"""

from collections.abc import Callable, Iterator

from reconciler.config import document
from reconciler.config.assemble_cluster import (
    on_quorum_loss,
    read_fencing,
    read_health,
    read_heartbeat,
)
from reconciler.config.assemble_constraints import read_constraints
from reconciler.config.draft import Draft, Entry
from reconciler.config.problems import Problems
from reconciler.config.references import References
from reconciler.config.safety import Bonds, settle
from reconciler.config.services import Services
from reconciler.config.yaml_tree import quoted
from reconciler.model.ids import GroupName, NodeName, ServiceName
from reconciler.model.intent import (
    Group,
    Intent,
    NegativeScores,
    Node,
    Origin,
    Orphans,
    Packing,
    WhenEqual,
)


def assemble(draft: Draft, problems: Problems) -> Intent:
    """Resolve a draft into an intent, reporting what cannot be."""
    references = References(draft, problems)
    groups = tuple(_groups(draft, references, problems))
    constraints = read_constraints(draft, references, problems)
    colocations, orderings = tuple(constraints.colocations), tuple(constraints.orderings)
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
        locations=tuple(constraints.locations),
        tickets=tuple(constraints.tickets),
        when_equal=draft.defaults.when_equal or WhenEqual.STAY,
        packing=draft.defaults.packing or Packing.COUNT,
        negative_scores=draft.defaults.negative_scores or NegativeScores.AVOID,
        orphans=draft.defaults.orphans or Orphans.STOP,
        on_quorum_loss=on_quorum_loss(draft),
        health=read_health(draft, problems),
        fencing=read_fencing(draft, references, problems),
        heartbeat=read_heartbeat(draft, problems),
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


# Groups ---------------------------------------------------------------------------------------


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
            yield Group(
                name=GroupName(name),
                members=tuple(members),
                ordered=entry.body.ordered,
                colocated=entry.body.colocated,
                origin=entry.origin,
            )


def _member_place(entry: Entry[document.Group], number: int) -> Callable[[], Origin]:
    """A group is a list, or a mapping with the list in it: the member stands in one of two places."""

    def at() -> Origin:
        inside = entry.at("members", number)
        return entry.at(number) if inside == entry.at() else inside

    return at
