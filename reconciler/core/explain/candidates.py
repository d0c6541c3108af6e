"""Candidates: every cause that may bear on a question, the likeliest first, in growing rungs.

The first rung holds what strikes the service itself on the node asked about; each further one adds what is
less direct: constraints and room, neighbours, scores, the whole cluster. It may well name causes that
turn out not to matter; the counterfactual decides that. It reads the facts that the bans are made of, not
the bans: what is no ban now may become one as soon as another is gone.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from reconciler.core.conditions import attributes_of, narrowed
from reconciler.core.explain import described
from reconciler.core.explain.cause import Cause
from reconciler.core.explain.neighbourhood import Neighbourhood, read_neighbourhood
from reconciler.core.explain.question import Ask, Question
from reconciler.core.problem import Problem
from reconciler.core.scores import HEALTH
from reconciler.core.world import bits
from reconciler.model.ids import Millis, NodeName, ServiceName
from reconciler.model.intent import (
    HealthStrategy,
    Intent,
    Location,
    Mandate,
    MultipleActive,
    NegativeScores,
    OnFail,
    Role,
    Safety,
    Service,
)
from reconciler.model.observed import Certainty, Copy, Failure, Liveness

_SPOTS_MAX = 2
"""Nodes that are tried alone, for services that run nowhere: those with the fewest obstacles."""


Rungs = Iterator[tuple[Cause, ...]]


def rungs(
    intent: Intent, problem: Problem, chosen: Sequence[int], now_ms: Millis, question: Question
) -> tuple[Rungs, Rungs]:
    """Growing sets of causes, each the one before and more; and, still growing, the last resorts.

    `intent` is as it was written: what counts of it now stands in the problem.
    """
    gather = _Gatherer(intent, problem, chosen, now_ms, question)
    seen: dict[Cause, None] = {}

    def growing(added: Iterable[Iterable[Cause]]) -> Rungs:
        for rung in added:
            fresh = [cause for cause in rung if cause not in seen]
            if fresh:
                seen.update(dict.fromkeys(fresh))
                yield tuple(seen)

    return growing(gather.rungs()), growing(gather.last_resorts())


class _Gatherer:
    """Gathers causes for one question."""

    def __init__(
        self,
        intent: Intent,
        problem: Problem,
        chosen: Sequence[int],
        now_ms: Millis,
        question: Question,
    ) -> None:
        self._problem, self._world, self._question = problem, problem.world, question
        self._intent, self._observed = intent, problem.world.observed
        self._chosen = chosen
        attributes = attributes_of(intent, self._observed)
        self._counted = tuple(narrowed(rule, attributes, now_ms) for rule in intent.locations)
        self._near: Neighbourhood = read_neighbourhood(self._intent)
        self._index = self._world.service_index
        self._failures: dict[ServiceName, list[Failure]] = defaultdict(list)
        self._copies: dict[ServiceName, list[Copy]] = defaultdict(list)
        for failure in self._observed.failures:
            self._failures[failure.service].append(failure)
        self._broken: dict[NodeName, list[Copy]] = defaultdict(list)
        for copy in self._observed.copies:
            self._copies[copy.service].append(copy)
            if copy.failed:
                self._broken[copy.node].append(copy)

    # Rungs ----------------------------------------------------------------------------------------

    def rungs(self) -> Iterator[Iterator[Cause]]:
        """What to add at each rung."""
        name, everywhere = self._question.service, self._world.node_names
        here = self._asked()
        one, two = self._near.around(name, 1)[1:], self._near.around(name, 2)[1:]
        yield self._strikes(name, here)
        if self._question.ask is Ask.THERE:
            yield self._likings((name,), everywhere)
        yield self._strikes_together((name,), here)
        yield self._strikes_together((name, *one), here)
        if self._question.ask is Ask.NOT_THERE:
            yield self._likings((name,), (*here, *self._seats(name)))
        yield self._strikes_together((name, *one), everywhere)
        yield self._likings((name, *one), everywhere)
        yield self._strikes_together(two, everywhere)
        yield self._likings(two, everywhere)
        whole = self._near.around(name, None)
        yield self._strikes_together(whole, everywhere)
        yield self._likings(whole, everywhere)

    def last_resorts(self) -> Iterator[Iterator[Cause]]:
        """What bears on every question, and so says little: how much is wanted, and all there is."""
        name = self._question.service
        if self._question.ask is Ask.THERE:
            yield iter((described.wanted(self._world.services[self._index[name]]),))
            return
        yield self._limits(self._near.around(name, None))
        yield self._everything()

    def _asked(self) -> tuple[NodeName, ...]:
        """The nodes where a copy should be for the answer to be another."""
        question, everywhere = self._question, self._world.node_names
        match question.ask:
            case Ask.NOT_THERE:
                return (question.node,) if question.node is not None else ()
            case Ask.THERE:
                return tuple(node for node in everywhere if node != question.node)
            case Ask.TOO_FEW:
                taken = set(self._seats(question.service))
                left = [node for node in everywhere if node not in taken]
                left.sort(key=lambda node: len(tuple(self._strikes(question.service, (node,)))))
                return tuple(left[:_SPOTS_MAX])

    def _seats(self, name: ServiceName) -> tuple[NodeName, ...]:
        part = self._part(name)
        return self._world.names(self._chosen[part] | self._problem.variables[part].pinned)

    def _part(self, name: ServiceName) -> int:
        base = self._index[name]
        return self._world.promotion.get(base, base) if self._question.promoted else base

    # What strikes -----------------------------------------------------------------------------------

    def _strikes(self, name: ServiceName, nodes: Iterable[NodeName]) -> Iterator[Cause]:
        """What bans a service from these nodes, of itself or of the node."""
        service = self._world.services[self._index[name]]
        if not service.enabled:
            yield described.not_enabled(service)
        if service.maintenance or not service.managed:
            yield described.unmanaged(service)
        for node in nodes:
            yield from self._locations(name, node)
            yield from self._of_node(node)
        for place in self._near.tickets.get(name, ()):
            yield described.ticket(self._intent, place)
        yield from self._quorum()
        yield from self._mishaps(name, nodes)
        yield from self._held(name)
        if service.promotable:
            yield from self._unfit(name, nodes)

    def _locations(self, name: ServiceName, node: NodeName) -> Iterator[Cause]:
        forbids = self._intent.negative_scores is NegativeScores.FORBID
        for place in self._near.locations.get(name, ()):
            if any(_strikes(rule, node, forbids=forbids) for rule in self._counted[place]):
                yield described.location(self._intent, place)

    def _of_node(self, name: NodeName) -> Iterator[Cause]:
        """Modes and troubles of one node that keep everything from it."""
        at = self._world.node_index[name]
        node, state = self._intent.nodes[at], self._world.states[at]
        if node.standby:
            yield described.node_standby(node)
        if node.maintenance:
            yield described.node_maintenance(node)
        if state.standby:
            yield described.standby_order(name)
        if state.leaving:
            yield described.leaving(name)
        if state.liveness is not Liveness.ALIVE or state.condemned:
            yield described.absent(state)
        yield from self._condemned(name)
        if self._intent.health.strategy is not HealthStrategy.NONE:
            if any(attribute.startswith(HEALTH) for attribute, _ in state.attributes):
                yield described.health(state)
            yield described.health_rule(self._intent)

    def _condemned(self, name: NodeName) -> Iterator[Cause]:
        """Failures and tickets that empty a node, or fence it."""
        for copy in self._broken.get(name, ()):
            if self._world.mishaps.policies.get(copy) in {OnFail.STANDBY, OnFail.FENCE}:
                yield described.failed(copy.service, name, copy, None)
        if name in self._world.mishaps.fenced:
            for place in range(len(self._intent.tickets)):
                yield described.ticket(self._intent, place)

    def _quorum(self) -> Iterator[Cause]:
        if not self._observed.quorate:
            yield described.no_quorum()

    def _mishaps(self, name: ServiceName, nodes: Iterable[NodeName]) -> Iterator[Cause]:
        """Failures of the service: those on these nodes, and those that stop it everywhere."""
        here = set(nodes)
        policies = self._world.mishaps.policies
        broken = {copy.node: copy for copy in self._copies[name] if copy.failed}
        told = {failure.node: failure for failure in self._failures[name]}
        for node in sorted({*broken, *told}):
            copy, failure = broken.get(node), told.get(node)
            everywhere = failure is not None and failure.fatal
            if copy is not None:
                everywhere |= policies.get(copy) in (OnFail.STOP, OnFail.BLOCK, OnFail.FENCE)
            if node in here or everywhere:
                yield described.failed(name, node, copy, failure)

    def _held(self, name: ServiceName) -> Iterator[Cause]:
        """Copies that nobody may touch: they count, and stand in the way of others."""
        service = self._world.services[self._index[name]]
        twice = service.multiple_active in (MultipleActive.STOP_ONLY, MultipleActive.BLOCK)
        for copy in self._copies[name]:
            if copy.node not in self._world.node_index:
                continue
            at = self._world.node_index[copy.node]
            state = self._world.states[at]
            if copy.blocked or copy.certainty is Certainty.UNKNOWN:
                yield described.stuck(copy)
            if state.liveness is not Liveness.ALIVE:
                yield described.no_fence_device(copy.node)
                if self._question.ask is Ask.TOO_FEW or name != self._question.service:
                    yield described.absent(state)  # back, it would run there and not here
            if copy in self._world.mishaps.blocked:
                yield described.no_fence_device(copy.node)
            if self._intent.nodes[at].maintenance:
                yield described.node_maintenance(self._intent.nodes[at])
        if twice and len(self._copies[name]) > 1:
            yield from map(described.runs, self._copies[name])
        yield from self._unheard(service)

    def _unheard(self, service: Service) -> Iterator[Cause]:
        """Nodes where something exclusive may run already, for all that anybody knows."""
        if service.safety is Safety.EXCLUSIVE:
            for at in bits(self._world.unheard):
                yield described.absent(self._world.states[at])

    def _unfit(self, name: ServiceName, nodes: Iterable[NodeName]) -> Iterator[Cause]:
        told = self._told(name)
        for node in nodes:
            if told.get(node, -1) < 0:
                yield described.unfit(name, node, told.get(node))

    def _told(self, name: ServiceName) -> Mapping[NodeName, int]:
        scores = self._observed.promotion_scores
        return {score.node: score.score for score in scores if score.service == name}

    # What is needed ---------------------------------------------------------------------------------

    def _strikes_together(
        self, names: Iterable[ServiceName], nodes: Sequence[NodeName]
    ) -> Iterator[Cause]:
        """What strikes some services, the constraints between them and others, and room for them."""
        for name in names:
            yield from self._strikes(name, nodes)
            yield from self._constraints(name)
            yield from self._room(name, nodes)

    def _constraints(self, name: ServiceName) -> Iterator[Cause]:
        for place in self._near.colocations.get(name, ()):
            strength = self._intent.colocations[place].strength
            forbids = self._intent.negative_scores is NegativeScores.FORBID
            if isinstance(strength, Mandate) or (forbids and strength < 0):
                yield described.colocation(self._intent, place)
        for place in self._near.orderings.get(name, ()):
            yield described.ordering(self._intent, place)
        for group in self._near.groups.get(name, ()):
            yield described.member(group, name)

    def _room(self, name: ServiceName, nodes: Iterable[NodeName]) -> Iterator[Cause]:
        """Limits of nodes without room for a service and what is near it, and what takes that room."""
        service = self._world.services[self._index[name]]
        if not service.demand:
            return
        needed = Counter[str]()
        for near in self._near.around(name, 1):
            needed.update(dict(self._world.services[self._index[near]].demand))
        tight = [node for node in nodes if self._is_tight(self._world.node_index[node], needed)]
        for node in tight:
            at = self._world.node_index[node]
            yield described.capacity(self._intent.nodes[at])
            for other in self._takers[at]:
                yield described.demand(other)
        if tight:
            yield described.demand(service)

    def _is_tight(self, at: int, needed: Mapping[str, int]) -> bool:
        limits, taken = dict(self._intent.nodes[at].capacity), Counter[str]()
        for other in self._takers[at]:
            taken.update(dict(other.demand))
        return any(
            amount and key in limits and limits[key] - taken[key] < amount
            for key, amount in needed.items()
        )

    @cached_property
    def _takers(self) -> Mapping[int, Sequence[Service]]:
        """Per node what has a copy there and takes of its room."""
        found: dict[int, list[Service]] = defaultdict(list)
        for v in range(self._world.count):
            if self._world.services[v].demand:
                for at in bits(self._chosen[v] | self._problem.variables[v].pinned):
                    found[at].append(self._world.services[v])
        return found

    # What is liked ----------------------------------------------------------------------------------

    def _likings(self, names: Iterable[ServiceName], nodes: Sequence[NodeName]) -> Iterator[Cause]:
        """Scores, stickiness and the order among equals."""
        here = set(nodes)
        if self._asked():
            yield described.even(self._question, self._asked())
        for name in names:
            service = self._world.services[self._index[name]]
            for place in self._near.locations.get(name, ()):
                if any(here & set(rule.nodes) for rule in self._counted[place]):
                    yield described.location(self._intent, place)
            for place in self._near.colocations.get(name, ()):
                yield described.colocation(self._intent, place)
            if service.promotable:
                for node, score in self._told(name).items():
                    if score > 0 and node in here and node not in self._asked():
                        yield described.fitter(name, node, score)
            if service.stickiness or service.promoted_stickiness:
                yield described.stickiness(service)
            yield from self._strikes(name, nodes)

    def _limits(self, names: Iterable[ServiceName]) -> Iterator[Cause]:
        """How many copies are wanted, and that some run already."""
        for name in names:
            service = self._world.services[self._index[name]]
            # That it wants no more than so many is no reason why it has fewer.
            lacking = self._question.ask is Ask.TOO_FEW and name == self._question.service
            if service.replicas is not None and (not lacking or self._question.promoted):
                yield described.replicas(service)
            if service.promotable and not (lacking and self._question.promoted):
                yield described.promoted(service)
            if (service.replicas or 0) > 1:
                yield described.per_node(service)
            for copy in self._copies[name]:
                yield described.runs(copy)

    def _everything(self) -> Iterator[Cause]:
        """The last resort: whatever can be taken away at all."""
        everywhere = self._world.node_names
        names = tuple(service.name for service in self._intent.services)
        yield from self._strikes_together(names, everywhere)
        for node in self._intent.nodes:
            if node.capacity:
                yield described.capacity(node)
        yield from self._likings(names, everywhere)
        yield from self._limits(names)


def _strikes(rule: Location, node: NodeName, *, forbids: bool) -> bool:
    """Whether a rule keeps copies, or promoted copies, from a node."""
    match rule.strength:
        case Mandate.REQUIRED:
            return node not in rule.nodes
        case Mandate.FORBIDDEN:
            return node in rule.nodes
        case int(points):
            of_role = rule.role is Role.PROMOTED
            return points < 0 and node in rule.nodes and (forbids or of_role)
