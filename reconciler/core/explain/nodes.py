"""Node by node: what keeps a copy away, and what speaks for it, each with its line or its fact.

Filters come first, in the order in which the planner applies them; points last, one entry for each source.
Promoted copies have filters and points of their own.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from reconciler.core.promotion import promotion_totals
from reconciler.core.reasons import Because
from reconciler.core.relations import Tie
from reconciler.core.rules import Rules
from reconciler.core.scores import HEALTH
from reconciler.model.ids import NodeName
from reconciler.model.intent import Mandate, Origin, Role
from reconciler.model.placement import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """A score that a copy would have on a node, and where it comes from."""

    score: int
    text: str
    origin: Origin | None = None
    promoted: bool = False
    """It counts for a promoted copy only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeExplanation:
    """One node, as this service sees it."""

    node: NodeName
    chosen: bool
    running: bool
    assumed: bool
    """It may still run here, and nobody can tell."""
    against: tuple[Reason, ...]
    """Why no copy is here; the first is the filter that struck. Empty where one could be."""
    points: tuple[Points, ...]
    promoted: bool = False
    """A copy here is to be promoted."""
    against_promoted: tuple[Reason, ...] = ()
    """Why none is; empty where one could be, and for services without roles."""

    @property
    def score(self) -> int:
        """What a copy here would be worth, filters and roles aside."""
        return sum(point.score for point in self.points if not point.promoted)


def node_explanation(because: Because, rules: Rules, v: int, at: int) -> NodeExplanation:
    """One node and the first part of one service, both by number."""
    world, bit = because.problem.world, 1 << at
    copies = world.copies[v]
    chosen = bool((because.chosen[v] | copies.reliable) & bit)
    role = world.promotion.get(v)
    promoted = role is not None and bool((because.chosen[role] | world.copies[role].reliable) & bit)
    asked = role is not None and world.services[v].promoted > 0 and not promoted
    return NodeExplanation(
        node=world.node_names[at],
        chosen=chosen,
        running=bool((copies.running | copies.reliable) & bit),
        assumed=bool(copies.silent & bit),
        against=() if chosen else tuple(_against(because, v, at)),
        points=tuple(_points(because, rules, v, at)),
        promoted=promoted,
        against_promoted=tuple(_against(because, role, at)) if asked and role is not None else (),
    )


def _against(because: Because, v: int, at: int) -> Iterator[Reason]:
    """Every filter that strikes this node, the one that decides first."""
    problem = because.problem
    for ban in problem.bans[v]:
        if ban.mask >> at & 1:
            yield ban.reason(problem.world, at)
    for link in problem.links[v]:
        reason = because.link_reason(link, v, at)
        if reason is not None:
            yield reason
    reason = because.room_reason(v, at)
    if reason is not None:
        yield reason


def _points(because: Because, rules: Rules, v: int, at: int) -> Iterator[Points]:
    problem, bit = because.problem, 1 << at
    world, service = problem.world, problem.world.services[v]
    yield from _of_locations(because, rules, v, at)
    yield from _of_wishes(because, v, at, promoted=False)
    for score, mask in rules.health:
        if mask & bit:
            told = " ".join(
                f"{n}={x}" for n, x in world.states[at].attributes if n.startswith(HEALTH)
            )
            yield Points(score=score, text=f"health of the node: {told or 'base'}")
    if problem.variables[v].cherished & bit:
        yield Points(score=service.stickiness, text="stickiness: it runs here and is healthy")
    role = world.promotion.get(v)
    if role is None:
        return
    asked = rules.promotion.get(service.name, {}).get(world.node_names[at])
    if asked is not None:
        yield Points(score=asked, text="promotion score, from its agent", promoted=True)
    elif any(mask & bit and score < 0 for score, mask in promotion_totals(world, rules, role)):
        yield Points(score=-1, text="no promotion score from its agent", promoted=True)
    yield from _of_wishes(because, role, at, promoted=True)
    if problem.variables[role].cherished & bit:
        points = service.promoted_stickiness
        points = service.stickiness if points is None else points
        yield Points(score=points, text="stickiness: it is promoted here", promoted=True)


def _of_locations(because: Because, rules: Rules, v: int, at: int) -> Iterator[Points]:
    world = because.problem.world
    node, service = world.node_names[at], world.services[v]
    for rule in rules.locations.get(service.name, ()):
        if isinstance(rule.strength, Mandate) or node not in rule.nodes:
            continue
        of_role = rule.role is Role.PROMOTED
        of_group = f' of "{rule.service}"' if rule.service != service.name else ""
        yield Points(
            score=rule.strength,
            text=f"location{of_group}{', to be promoted' if of_role else ''}",
            origin=rule.origin,
            promoted=of_role,
        )


def _of_wishes(because: Because, v: int, at: int, *, promoted: bool) -> Iterator[Points]:
    world = because.problem.world
    for link in because.problem.links[v]:
        if link.tie is not Tie.WISH:
            continue
        other = link.other if link.service == v else link.service
        if link.place(because.seats(other)) >> at & 1:
            part = world.parts[other]
            name = f'promoted "{part.service.name}"' if part.promoted else f'"{part.service.name}"'
            text = f"colocation with {name}"
            yield Points(score=link.score, text=text, origin=link.origin, promoted=promoted)
