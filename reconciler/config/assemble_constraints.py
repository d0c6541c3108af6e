"""Constraints of a draft, each name resolved, `spread` and `needs` written out in full.

Each constraint that cannot be meant is reported and left out. What a required constraint demands of the
whole cluster is checked later, in `contradictions`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from typing import Final

from reconciler.config import document
from reconciler.config.assemble_conditions import read_during
from reconciler.config.draft import AnyConstraint, Draft, Entry
from reconciler.config.problems import Problems, listed
from reconciler.config.references import References, subject
from reconciler.config.words import ActionWord
from reconciler.config.yaml_tree import quoted
from reconciler.model.ids import NodeName
from reconciler.model.intent import (
    Colocation,
    Location,
    Mandate,
    OnLoss,
    Ordering,
    OrderingKind,
    Origin,
    Role,
    Strength,
    TicketRule,
)

PAIRS_MAX: Final = 100_000
"""Most pairs that all spreads of a cluster may stand for."""

AnyEntry = Entry[AnyConstraint]


@dataclass(slots=True)
class Constraints:
    """What the constraints of a cluster say, in their order."""

    colocations: list[Colocation] = field(default_factory=list)
    orderings: list[Ordering] = field(default_factory=list)
    locations: list[Location] = field(default_factory=list)
    tickets: list[TicketRule] = field(default_factory=list)


def read_constraints(draft: Draft, references: References, problems: Problems) -> Constraints:
    """Resolve every constraint of a draft."""
    reader = _Reader(draft, references, problems)
    found = Constraints()
    for entry in draft.constraints:
        match entry.body:
            case document.Colocation() as body:
                found.colocations += reader.colocation(entry, body)
            case document.Ordering() as body:
                found.orderings += reader.ordering(entry, body)
            case document.Location() as body:
                found.locations += reader.location(entry, body)
            case document.Ticket() as body:
                found.tickets += reader.ticket(entry, body)
            case document.Spread() as body:
                found.colocations += reader.spread(entry, body)
            case document.Needs() as body:
                if reader.may_relate(entry, "needs", body.needs):
                    follower, leader = body.needs
                    found.colocations.append(
                        Colocation(dependent=follower, primary=leader, origin=entry.origin)
                    )
                    found.orderings.append(
                        Ordering(first=leader, then=follower, origin=entry.origin)
                    )
    return found


class _Reader:
    """Reads one constraint after another, reporting what is wrong in each."""

    def __init__(self, draft: Draft, references: References, problems: Problems) -> None:
        self._draft = draft
        self._references = references
        self._problems = problems
        self._groups_of: dict[str, list[str]] = {}
        for name, group in draft.groups.items():
            for member in group.body.members:
                self._groups_of.setdefault(member, []).append(name)
        self._pairs = 0
        self._tickets: dict[tuple[str, str, Role | None], Origin] = {}

    def colocation(self, entry: AnyEntry, body: document.Colocation) -> Iterator[Colocation]:
        dependent, primary = body.colocation
        if not self.may_relate(entry, "colocation", body.colocation):
            return
        self._references.role(body.role, dependent, lambda: entry.at("role"))
        self._references.role(body.with_role, primary, lambda: entry.at("with-role"))
        yield Colocation(
            dependent=dependent,
            primary=primary,
            strength=Mandate.REQUIRED if body.score is None else body.score,
            dependent_role=body.role,
            primary_role=body.with_role,
            influence=body.influence,
            attribute=self._attribute(entry, body.attribute),
            origin=entry.origin,
        )

    def spread(self, entry: AnyEntry, body: document.Spread) -> Iterator[Colocation]:
        if not self.may_relate(entry, "spread", body.spread):
            return
        self._pairs += len(body.spread) * (len(body.spread) - 1) // 2
        if self._pairs > PAIRS_MAX:
            self._problems.add(
                "R002",
                f"The spreads up to this one stand for {self._pairs} pairs, and {PAIRS_MAX} is the most. "
                "Spread fewer services, or make several clusters of it.",
                entry.origin,
            )
            return
        attribute = self._attribute(entry, body.attribute)
        for primary, dependent in combinations(body.spread, 2):
            yield Colocation(
                dependent=dependent,
                primary=primary,
                strength=Mandate.FORBIDDEN if body.score is None else body.score,
                attribute=attribute,
                origin=entry.origin,
            )

    def _attribute(self, entry: AnyEntry, label: str | None) -> str:
        return self._references.attribute(label, subject(entry), lambda: entry.at("attribute"))

    def ordering(self, entry: AnyEntry, body: document.Ordering) -> Iterator[Ordering]:
        if not self.may_relate(entry, "ordering", body.ordering):
            return
        if not self._fits_length(entry, body) or not self._sound_any_of(entry, body):
            return
        self._check_actions(entry, body)
        serialize = body.kind is OrderingKind.SERIALIZE
        if serialize and body.symmetrical:
            self._problems.add(
                "R052",
                "`symmetrical: true` says that stops come in the reverse order, and what is serialized has "
                "no order. Remove it.",
                entry.at("symmetrical"),
            )
        for first, then in pairwise(body.ordering):
            yield Ordering(
                first=first,
                then=then,
                kind=body.kind,
                first_action=(body.first_action or ActionWord.START).value,
                then_action=(body.then_action or ActionWord.START).value,
                symmetrical=not serialize and body.symmetrical is not False,
                minimum=body.minimum,
                any_of=body.any_of,
                origin=entry.origin,
            )

    def _fits_length(self, entry: AnyEntry, body: document.Ordering) -> bool:
        """Whether what speaks of two services stands in an ordering of two."""
        said = [
            key.replace("_", "-")
            for key in ("first_action", "then_action", "minimum", "any_of")
            if key in body.model_fields_set
        ]
        if len(body.ordering) == 2 or not said:  # noqa: PLR2004 - first and then
            return True
        self._problems.add(
            "R013",
            f"{' and '.join(said)} {'speaks' if len(said) == 1 else 'speak'} of two services, and this "
            f"ordering lists {len(body.ordering)}. Write an ordering for each pair.",
            entry.at(),
        )
        return False

    def _sound_any_of(self, entry: AnyEntry, body: document.Ordering) -> bool:
        if not self._all_usable(entry, "any-of", body.any_of):
            return False
        twice = [name for name in body.any_of if name in body.ordering]
        if twice:
            self._problems.add(
                "R027",
                f"{listed(twice)} stands in `ordering` and in `any-of`. Name there only what could stand in "
                "for the first.",
                entry.at("any-of"),
            )
        return not twice

    def _check_actions(self, entry: AnyEntry, body: document.Ordering) -> None:
        first, then = body.ordering[0], body.ordering[-1]
        asked = [(body.first_action, name, "first-action") for name in (first, *body.any_of)]
        for action, name, key in (*asked, (body.then_action, then, "then-action")):
            if action in {ActionWord.PROMOTE, ActionWord.DEMOTE}:
                self._references.role(Role.PROMOTED, name, lambda key=key: entry.at(key))  # type: ignore[misc]

    def location(self, entry: AnyEntry, body: document.Location) -> Iterator[Location]:
        usable = self._references.usable(
            body.location, subject(entry), lambda: entry.at("location")
        )
        nodes = self._located(entry, body)
        if not usable or not nodes:
            return
        self._references.role(body.role, body.location, lambda: entry.at("role"))
        yield Location(
            service=body.location,
            nodes=nodes,
            strength=_strength(body.score),
            role=body.role,
            where=body.where or (),
            during=read_during(entry, body.during, self._problems),
            score_attribute=_attribute(body.score),
            origin=entry.origin,
        )

    def _located(self, entry: AnyEntry, body: document.Location) -> tuple[NodeName, ...]:
        """The nodes that a location chooses from; all, where it says only what is asked of them."""
        used_by = f"The location of {quoted(body.location)}"
        match body.nodes:
            case dict():
                return self._references.labelled(body.nodes, used_by, lambda: entry.at("nodes"))
            case tuple():
                return self._references.nodes(body.nodes, used_by, _node_place(entry))
        if not body.where and body.during is None and not isinstance(body.score, document.ScoreOf):
            self._problems.add(
                "R011",
                'The key "nodes" is needed here. Add `nodes: ...`, or `where: ...` for the nodes whose '
                "attributes pass.",
                entry.origin,
            )
            return ()
        return tuple(sorted(NodeName(name) for name in self._draft.nodes))

    def ticket(self, entry: AnyEntry, body: document.Ticket) -> Iterator[TicketRule]:
        usable = self._references.usable(body.service, subject(entry), lambda: entry.at("service"))
        if not usable:
            return
        self._references.role(body.role, body.service, lambda: entry.at("role"))
        if body.on_loss is OnLoss.DEMOTE:
            self._references.role(Role.PROMOTED, body.service, lambda: entry.at("on-loss"))
        key = (body.ticket, body.service, body.role)
        if key in self._tickets:
            first = self._tickets[key]
            self._problems.add(
                "R027",
                f"{quoted(body.service)} needs the ticket {quoted(body.ticket)} already, since "
                f"{first}:{first.column}. Keep one of the two.",
                entry.origin,
            )
            return
        self._tickets[key] = entry.origin
        yield TicketRule(
            ticket=body.ticket,
            service=body.service,
            role=body.role,
            on_loss=body.on_loss or OnLoss.STOP,
            origin=entry.origin,
        )

    def may_relate(self, entry: AnyEntry, key: str, names: tuple[str, ...]) -> bool:
        """Whether these names exist, and none is inside another."""
        return self._all_usable(entry, key, names) and not self._overlap(entry, names)

    def _all_usable(self, entry: AnyEntry, key: str, names: tuple[str, ...]) -> bool:
        used_by = subject(entry)
        usable = [  # every one is asked, so that every unknown name is reported
            self._references.usable(name, used_by, lambda number=number: entry.at(key, number))  # type: ignore[misc]
            for number, name in enumerate(names)
        ]
        return all(usable)

    def _overlap(self, entry: AnyEntry, names: tuple[str, ...]) -> bool:
        """Report a constraint between a group and its own member."""
        inside: dict[str, list[str]] = {}
        for name in names:
            for group in self._groups_of.get(name, ()):
                inside.setdefault(group, []).append(name)
        for group in [name for name in names if name in inside]:
            self._problems.add(
                "R027",
                f"{subject(entry)} names {quoted(group)} and {listed(inside[group])}, a member of it. A "
                "group already keeps its members together and in order.",
                entry.at(),
            )
            return True
        return False


def _node_place(entry: AnyEntry) -> Callable[[int], Origin]:
    return lambda number: entry.at("nodes", number)


def _strength(score: int | Mandate | document.ScoreOf | None) -> Strength:
    match score:
        case None:
            return Mandate.REQUIRED
        case document.ScoreOf():
            return 0
        case _:
            return score


def _attribute(score: int | Mandate | document.ScoreOf | None) -> str:
    return score.attribute if isinstance(score, document.ScoreOf) else ""
