"""Explain: why a service is where it is, or why not on that node.

First the filters, node by node, with the line or the fact that bans each; then the scores by source;
then what would have to change. It is worked out from the same inputs as the decision, on demand: a
decision over thousands of services does not carry it along.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from reconciler.core.drift import find_drift
from reconciler.core.placement import assign
from reconciler.core.pose import pose
from reconciler.core.reasons import Because
from reconciler.core.relations import Tie
from reconciler.core.rules import read_rules
from reconciler.core.world import read_world
from reconciler.model.ids import Millis, NodeName, ServiceName
from reconciler.model.intent import Intent, Mandate, Origin, Role
from reconciler.model.observed import Observed
from reconciler.model.placement import Reason, Unplaced


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """A score that a copy would have on a node, and where it comes from."""

    score: int
    text: str
    origin: Origin | None = None


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

    @property
    def score(self) -> int:
        """What a copy here would be worth, filters aside."""
        return sum(point.score for point in self.points)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Everything that decided where one service runs."""

    service: ServiceName
    nodes: tuple[NodeExplanation, ...]
    unplaced: Unplaced | None
    changes: tuple[str, ...]
    """What would have to change for the service to run, or to run on the node asked about."""


def explain(
    intent: Intent,
    observed: Observed,
    now_ms: Millis,
    service: ServiceName,
    node: NodeName | None = None,
) -> Explanation:
    """Explain one service, on every node or on one.

    Errors: KeyError when the intent names no such service.
    """
    world = read_world(intent, observed)
    problem = pose(world, read_rules(world, now_ms))
    chosen = assign(problem).chosen
    because = Because(problem=problem, chosen=chosen, drift=find_drift(problem, chosen))
    v = world.service_index[service]
    unplaced = because.unplaced(v)
    nodes = tuple(
        _node(because, v, at)
        for at, name in enumerate(world.node_names)
        if node is None or name == node
    )
    return Explanation(
        service=service,
        nodes=nodes,
        unplaced=unplaced,
        changes=tuple(dict.fromkeys(_changes(nodes, unplaced, asked=node is not None))),
    )


def _node(because: Because, v: int, at: int) -> NodeExplanation:
    problem, bit = because.problem, 1 << at
    copies = problem.world.copies[v]
    chosen = bool(because.chosen[v] & bit)
    return NodeExplanation(
        node=problem.world.node_names[at],
        chosen=chosen or bool(copies.reliable & bit),
        running=bool((copies.running | copies.reliable) & bit),
        assumed=bool(copies.silent & bit),
        against=() if chosen else tuple(_against(because, v, at)),
        points=tuple(_points(because, v, at)),
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


def _points(because: Because, v: int, at: int) -> Iterator[Points]:
    problem, bit = because.problem, 1 << at
    world, service = problem.world, problem.world.services[v]
    names = {service.name} | {g.name for g in world.intent.groups if g.members[0] == service.name}
    for rule in world.intent.locations:
        if isinstance(rule.strength, Mandate) or rule.role is Role.PROMOTED:
            continue
        if rule.service in names and world.node_names[at] in rule.nodes:
            yield Points(score=rule.strength, text="location", origin=rule.origin)
    for link in problem.links[v]:
        if link.tie is not Tie.WISH:
            continue
        other = link.other if link.service == v else link.service
        if because.seats(other) & bit:
            text = f'colocation with "{world.services[other].name}"'
            yield Points(score=link.score, text=text, origin=link.origin)
    if problem.variables[v].cherished & bit:
        yield Points(score=service.stickiness, text="stickiness: it runs here and is healthy")


def _changes(
    nodes: tuple[NodeExplanation, ...], unplaced: Unplaced | None, *, asked: bool
) -> Iterator[str]:
    if asked and not nodes[0].chosen:
        if nodes[0].against:
            for reason in nodes[0].against:
                yield f"{_place(reason)}this would have to go: {reason.text}"
        else:
            yield "a higher score here than where it is, by more than its stickiness"
    elif unplaced is not None:
        for reason in unplaced.reasons:
            yield f"{_place(reason)}one of these would have to go: {reason.text}"


def _place(reason: Reason) -> str:
    return f"{reason.origin}: " if reason.origin else ""
