"""The intent and the facts in the words of the judge of plans: what may be touched, and what must hold.

None of this comes from the planner. It is read from the model anew, by service and node name.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cached_property
from graphlib import TopologicalSorter

from reconciler.model.ids import ActionId
from reconciler.model.intent import Intent, Location, Mandate, OrderingKind, Role, Safety, Service
from reconciler.model.observed import Certainty, Copy, Failure, Liveness, Observed
from reconciler.model.placement import Placement
from reconciler.model.plan import Action, ActionKind, Plan

Spot = tuple[str, str]
"""A service and a node."""


class Case:
    """The intent and the facts in the judge's own words."""

    def __init__(
        self, plan: Plan, intent: Intent, observed: Observed, placement: Placement
    ) -> None:
        self.plan, self.intent, self.observed, self.placement = plan, intent, observed, placement
        self.now_ms = observed.taken_at_ms
        self.services: dict[str, Service] = {s.name: s for s in intent.services}
        self.nodes = {node.name: node for node in intent.nodes}
        self.nodes_by_name = {str(node.name): node for node in intent.nodes}
        self.liveness = {state.name: state.liveness for state in observed.nodes}
        self.heard = {state.name for state in observed.nodes if state.boot is not None}
        self.probed = {state.name: state.probed for state in observed.nodes}
        self.actions: dict[ActionId, Action] = {a.id: a for a in plan.actions}
        self.starts = self._of(ActionKind.START)
        self.stops = self._of(ActionKind.STOP)
        self.probes = self._of(ActionKind.PROBE)
        self.seats = {(str(seat.service), str(seat.node)) for seat in placement.seats}
        self.starts_of = _by_service(self.starts)
        self.stops_of = _by_service(self.stops)
        self.free: dict[Spot, Copy] = {}
        self.fixed: dict[Spot, Copy] = {}
        for copy in observed.copies:
            self._sort(copy)
        self.free_of = _by_service(self.free)
        self.fixed_of = _by_service(self.fixed)
        self.group_of = {str(g.name): tuple(map(str, g.members)) for g in intent.groups}
        self.rules_of: dict[str, list[Location]] = defaultdict(list)
        for rule in intent.locations:
            for name in self.members(rule.service):
                self.rules_of[name].append(rule)
        self.failures_of: dict[str, list[Failure]] = defaultdict(list)
        for failure in observed.failures:
            self.failures_of[failure.service].append(failure)

    def _of(self, kind: ActionKind) -> dict[Spot, Action]:
        return {(str(a.service), str(a.node)): a for a in self.plan.actions if a.kind is kind}

    def _sort(self, copy: Copy) -> None:
        node, service = self.nodes.get(copy.node), self.services.get(copy.service)
        if node is None:
            return
        spot = (str(copy.service), str(copy.node))
        alive = self.liveness.get(copy.node) is Liveness.ALIVE
        lost = self.liveness.get(copy.node) is Liveness.LOST
        if lost and service is not None and service.safety is Safety.BEST_EFFORT:
            return
        held = service is not None and service.maintenance
        if (
            alive
            and (copy.certainty is Certainty.OBSERVED or self.tried(copy))
            and not copy.blocked
            and not node.maintenance
            and not held
        ):
            self.free[spot] = copy
        else:
            self.fixed[spot] = copy

    @staticmethod
    def tried(copy: Copy) -> bool:
        """Its monitor could not tell, twice: it may be stopped, and counts as running until then."""
        return copy.certainty is Certainty.UNKNOWN and copy.failed

    def reliable(self, spot: Spot) -> bool:
        """A copy that nobody may touch, and that runs well."""
        copy = self.fixed.get(spot)
        return (
            copy is not None
            and copy.certainty is Certainty.OBSERVED
            and not copy.failed
            and not copy.blocked
            and self.liveness.get(copy.node) is Liveness.ALIVE
        )

    def stays(self, spot: Spot) -> bool:
        """A copy runs there now and the plan does not stop it."""
        return (spot in self.free and spot not in self.stops) or self.reliable(spot)

    @cached_property
    def ancestors(self) -> Mapping[ActionId, frozenset[ActionId]]:
        """What is surely over when an action begins."""
        found: dict[ActionId, frozenset[ActionId]] = {}
        order = TopologicalSorter({a.id: a.after for a in self.plan.actions}).static_order()
        for action in order:
            reached: set[ActionId] = set()
            for earlier in self.actions[action].after:
                reached |= found[earlier] | {earlier}
            found[action] = frozenset(reached)
        return found

    def comes_before(self, earlier: Action, later: Action) -> bool:
        """Whether every order the graph allows has the one over before the other begins."""
        return earlier.id in self.ancestors[later.id]

    def members(self, name: str) -> tuple[str, ...]:
        """The services that a name in a constraint stands for."""
        return self.group_of.get(name, (name,))

    def required_orderings(self) -> Iterator[Spot]:
        """Pairs of services: the second runs only while the first does."""
        for group in self.intent.groups:
            yield from zip(map(str, group.members), map(str, group.members[1:]), strict=False)
        for rule in self.intent.orderings:
            if rule.kind is OrderingKind.REQUIRED and "promote" not in (
                rule.first_action,
                rule.then_action,
            ):
                yield self.members(rule.first)[-1], self.members(rule.then)[0]

    def together(self) -> Iterator[Spot]:
        """Pairs of services: every copy of the first is beside one of the second."""
        for group in self.intent.groups:
            yield from zip(map(str, group.members[1:]), map(str, group.members), strict=False)
        for rule in self.intent.colocations:
            if rule.strength is Mandate.REQUIRED and rule.primary_role is not Role.PROMOTED:
                yield self.members(rule.dependent)[0], self.members(rule.primary)[-1]

    @cached_property
    def needs_of(self) -> Mapping[str, list[str]]:
        """What each service runs only while it does."""
        found: dict[str, list[str]] = defaultdict(list)
        for first, then in self.required_orderings():
            found[then].append(first)
        return found

    def apart(self) -> Iterator[Spot]:
        """Pairs of services that may never share a node."""
        for rule in self.intent.colocations:
            if rule.strength is Mandate.FORBIDDEN:
                for one in self.members(rule.dependent):
                    for other in self.members(rule.primary):
                        yield one, other

    def runs_on(self, service: str) -> bool:
        """Some copy of it runs throughout."""
        return any(
            self.stays((service, node))
            for node in (*self.free_of.get(service, ()), *self.fixed_of.get(service, ()))
        )


def _by_service(spots: Mapping[Spot, object]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for name, node in spots:
        found[name].append(node)
    return found
