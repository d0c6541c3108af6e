"""An independent judge of plans: nothing missing, nothing needless, safe in every order the graph allows.

It shares no code with the planner. It reads the intent and the facts in their own words, works out from
them what may be touched and what must hold, and holds the plan and its placement against that. Every
plan passes here before it is shown or carried out; a violation is a bug of the planner.

"Safe in every order" is decided by ancestors: what must be over before an action is what the graph puts
before it, and nothing else may be assumed.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import combinations

from reconciler.core.case import Case, Spot
from reconciler.core.definition import definition_digest
from reconciler.core.verify import lenient
from reconciler.model.ids import Millis
from reconciler.model.intent import Intent, Mandate, Role, Safety, Service
from reconciler.model.observed import Liveness, Observed
from reconciler.model.placement import Placement
from reconciler.model.plan import Action, ActionKind, Plan

_SUBSETS_OF_MAX = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A law that a plan breaks."""

    law: str
    detail: str


def verify(
    plan: Plan,
    intent: Intent,
    observed: Observed,
    placement: Placement,
    now_ms: Millis | None = None,
) -> tuple[Violation, ...]:
    """Every law that the plan breaks; empty for a plan that may be used.

    `now_ms` is when it was planned; when the facts were taken, if not given.
    """
    graph = list(_graph_laws(plan))
    if graph:
        return tuple(graph)
    case = Case(plan, intent, observed, placement)
    case.now_ms = observed.taken_at_ms if now_ms is None else now_ms
    if lenient.uses_roles_or_fences(case):
        return tuple(Violation(law=b.law, detail=b.detail) for b in lenient.laws(case))
    checks = (
        _actions_are_allowed,
        _placement_is_allowed,
        _ends_at_the_placement,
        _nothing_is_needless,
        _one_holder,
        _ordered,
        _apart,
        _capacity_holds,
        _probed_first,
    )
    return tuple(violation for check in checks for violation in check(case))


def _graph_laws(plan: Plan) -> Iterator[Violation]:
    names = Counter(action.id for action in plan.actions)
    for name, count in names.items():
        if count > 1:
            yield Violation(law="ids are unique", detail=name)
    for action in plan.actions:
        for earlier in action.after:
            if earlier not in names:
                yield Violation(law="edges lead to actions", detail=f"{action.id} after {earlier}")
    try:
        TopologicalSorter(
            {a.id: [e for e in a.after if e in names] for a in plan.actions}
        ).prepare()
    except CycleError as cycle:
        yield Violation(law="a plan has no cycle", detail=" -> ".join(map(str, cycle.args[1])))


def _actions_are_allowed(case: Case) -> Iterator[Violation]:
    known = (ActionKind.START, ActionKind.STOP, ActionKind.PROBE)
    for action in case.plan.actions:
        if action.kind not in known or action.service is None:
            yield Violation(law="only what is understood is planned", detail=action.id)
        elif not action.reasons:
            yield Violation(law="every action says why", detail=action.id)
    for spot, action in case.stops.items():
        if spot not in case.free:
            yield Violation(law="only a free running copy is stopped", detail=action.id)
    for spot, action in case.starts.items():
        law = _start_law(case, spot, action) or _ban(case, *spot)
        if law:
            yield Violation(law=law, detail=action.id)


def _start_law(case: Case, spot: Spot, action: Action) -> str | None:
    if case.liveness.get(action.node) is not Liveness.ALIVE:
        return "nothing starts on a node that is not alive"
    if spot in case.fixed:
        return "nothing starts where a copy may be"
    if spot in case.free and spot not in case.stops:
        return "what runs is not started"
    if not case.observed.quorate and spot not in case.free:
        return "nothing starts without quorum"
    return None


def _ban(case: Case, name: str, node: str) -> str | None:
    service = case.services.get(name)
    place = case.nodes_by_name.get(node)
    if service is None or place is None:
        return "only what the intent names is started"
    if not service.enabled or service.maintenance:
        return "what is not enabled or is in maintenance is not started"
    if place.standby or place.maintenance:
        return "nothing starts on a node in standby or maintenance"
    return _rule_ban(case, name, node) or _failure_ban(case, service, node)


def _rule_ban(case: Case, name: str, node: str) -> str | None:
    for rule in case.rules_of.get(name, ()):
        if rule.role is not Role.PROMOTED:
            if rule.strength is Mandate.REQUIRED and node not in rule.nodes:
                return "required locations hold"
            if rule.strength is Mandate.FORBIDDEN and node in rule.nodes:
                return "forbidden locations hold"
    return None


def _failure_ban(case: Case, service: Service, node: str) -> str | None:
    for failure in case.failures_of.get(service.name, ()):
        if (
            failure.node == node
            and service.failures_max is not None
            and failure.count >= service.failures_max
            and (
                service.failures_forget_ms is None
                or case.now_ms < failure.last_ms + service.failures_forget_ms
            )
        ):
            return "nothing starts where it failed too often"
    return None


def _placement_is_allowed(case: Case) -> Iterator[Violation]:
    at = defaultdict(set)
    for name, node in case.seats:
        at[name].add(node)
    for one, other in case.together():
        beside = at[other] | set(case.fixed_of.get(other, ()))
        for node in at[one] - beside:
            if (one, node) not in case.fixed:
                yield Violation(law="required colocation holds", detail=f"{one} on {node}")
    for one, other in case.apart():
        for node in at[one] & at[other]:
            if not ((one, node) in case.fixed and (other, node) in case.fixed):
                yield Violation(
                    law="forbidden colocation holds", detail=f"{one}, {other} on {node}"
                )
    yield from _seats_are_allowed(case, at)


def _seats_are_allowed(case: Case, at: Mapping[str, set[str]]) -> Iterator[Violation]:
    for name, service in case.services.items():
        fixed = set(case.fixed_of.get(name, ()))
        most = None if service.replicas is None else max(service.replicas, len(fixed))
        if most is not None and len(at.get(name, set()) | fixed) > most:
            yield Violation(law="no more copies than wanted", detail=name)
        for node in at.get(name, set()) - fixed:
            if law := _ban(case, name, node):
                yield Violation(law=law, detail=f"{name} on {node}")


def _ends_at_the_placement(case: Case) -> Iterator[Violation]:
    end = {spot for spot in case.free if spot not in case.stops} | set(case.starts)
    end |= {spot for spot in case.fixed if case.reliable(spot)}
    for spot in sorted(end ^ case.seats):
        word = "is left running" if spot in end else "is not running"
        yield Violation(law="a plan ends at its placement", detail=f"{spot[0]} {word} on {spot[1]}")


def _nothing_is_needless(case: Case) -> Iterator[Violation]:
    """A copy that may stay as it is, is left alone; nothing is probed for no start."""
    restarting = {spot for spot in case.stops if spot in case.starts}
    for name, node in sorted(restarting):
        copy, service = case.free.get((name, node)), case.services.get(name)
        if copy is None or service is None:
            continue
        changed = copy.digest not in (None, definition_digest(service))
        if not (copy.failed or changed or _supplier_falls(case, name, node)):
            yield Violation(law="no healthy copy restarts without need", detail=f"{name} on {node}")
    for name, node in case.seats:
        copy, service = case.free.get((name, node)), case.services.get(name)
        if copy is None or service is None or (name, node) in case.stops:
            continue
        changed = copy.digest not in (None, definition_digest(service))
        if copy.failed or changed or _supplier_falls(case, name, node):
            yield Violation(law="what needs a restart is restarted", detail=f"{name} on {node}")
    for (name, node), action in case.probes.items():
        if name not in case.starts_of:
            yield Violation(law="no probe without a start", detail=action.id)
        if case.services[name].name in case.probed.get(action.node, ()):
            yield Violation(law="what is known is not probed", detail=f"{name} on {node}")


def _supplier_falls(case: Case, name: str, node: str) -> bool:
    for first in case.needs_of.get(name, ()):
        here = (first, node)
        if here in case.seats or here in case.fixed:
            if here in case.stops or (here not in case.free and here not in case.fixed):
                return True
        elif first not in case.fixed_of and not case.runs_on(first):
            return True
    return False


def _one_holder(case: Case) -> Iterator[Violation]:
    """At every step of every order there are no more copies than wanted, counting the unknown ones."""
    for (name, node), start in case.starts.items():
        service = case.services.get(name)
        if service is None:
            continue
        if (name, node) in case.stops and not case.comes_before(case.stops[name, node], start):
            yield Violation(law="a restart stops first", detail=start.id)
        if service.replicas is not None and _holders(case, name, node, start) > service.replicas:
            yield Violation(law="never more copies than wanted", detail=start.id)
        if service.safety is Safety.EXCLUSIVE and (name, node) not in case.free:
            unheard = (
                other.name
                for other in case.intent.nodes
                if case.liveness.get(other.name, Liveness.UNKNOWN) is not Liveness.ALIVE
                and other.name not in case.heard
                and not _rule_ban(case, name, other.name)
            )
            for other in unheard:
                law = "nothing starts while a holder is unknown"
                yield Violation(law=law, detail=f"{start.id}, {other}")


def _holders(case: Case, name: str, node: str, start: Action) -> int:
    """How many copies there may be at once right after this start."""
    running = {
        other
        for other in case.free_of.get(name, ())
        if (name, other) not in case.stops
        or (name, other) in case.starts
        or not case.comes_before(case.stops[name, other], start)
    }
    arriving = {
        other
        for other in case.starts_of[name]
        if not case.comes_before(start, case.starts[name, other])
    }
    return len(case.fixed_of.get(name, ())) + len(running | arriving | {node})


def _ordered(case: Case) -> Iterator[Violation]:
    for first, then in case.required_orderings():
        for node in case.starts_of.get(then, ()):
            start = case.starts[then, node]
            if not _supplied(case, first, node, start):
                law = "nothing starts before what it needs"
                yield Violation(law=law, detail=f"{start.id}, {first}")
        for node in case.stops_of.get(first, ()):
            stop = case.stops[first, node]
            for other in case.free_of.get(then, ()):
                dependent = case.stops.get((then, other))
                gone = dependent is not None and case.comes_before(dependent, stop)
                if not gone and _relies(case, first, node, other):
                    law = "nothing stops before what needs it"
                    yield Violation(law=law, detail=f"{stop.id}, {then}")


def _relies(case: Case, first: str, node: str, other: str) -> bool:
    """Whether a dependent on `other` counts on the copy of `first` that stops on `node`."""
    # A copy that may still run somewhere is reason enough not to stop what runs well.
    last = first not in case.fixed_of and not case.runs_on(first)
    if (first, other) in case.free:
        return other == node and (last or (first, node) in case.seats)
    return last


def _supplied(case: Case, first: str, node: str, start: Action) -> bool:
    here = case.starts.get((first, node))
    if here is not None:
        return case.comes_before(here, start)
    if case.runs_on(first):
        return True
    supply = [case.starts[first, other] for other in case.starts_of.get(first, ())]
    if not supply:
        # What ran already may start again beside a supplier that nobody can tell of.
        return (str(start.service), str(start.node)) in case.free and first in case.fixed_of
    return all(case.comes_before(one, start) for one in supply)


def _apart(case: Case) -> Iterator[Violation]:
    for pair in case.apart():
        for one, other in (pair, pair[::-1]):
            for node in case.starts_of.get(one, ()):
                start, stop = case.starts[one, node], case.stops.get((other, node))
                if (other, node) not in case.free:
                    continue
                if stop is None or not case.comes_before(stop, start):
                    law = "forbidden colocation holds at every step"
                    yield Violation(law=law, detail=f"{start.id}, {other}")


def _capacity_holds(case: Case) -> Iterator[Violation]:
    """No order fills a node beyond what it holds.

    What stays or restarts is there throughout. Of what leaves, any part may still be there when all
    that need not wait for that part has arrived.
    """
    for node in case.intent.nodes:
        for resource, limit in node.capacity:
            need = {
                name: dict(service.demand).get(resource, 0)
                for name, service in case.services.items()
            }
            fixed = sum(need.get(one, 0) for one, at in case.fixed if at == node.name)
            here = {one for one, at in case.free if at == node.name and need.get(one)}
            leaving = {one for one in here if (one, node.name) in case.stops} - {
                one for one, at in case.starts if at == node.name
            }
            staying = fixed + sum(need[one] for one in here - leaving)
            for part in _parts(leaving):
                gates = {case.stops[one, str(node.name)].id for one in part}
                come = {
                    one
                    for (one, at), start in case.starts.items()
                    if at == node.name
                    and one not in here
                    and need.get(one)
                    and not gates & case.ancestors[start.id]
                }
                load = staying + sum(need[one] for one in come | set(part))
                if come and load > limit:
                    yield Violation(
                        law="capacity holds at every step",
                        detail=f"{load} {resource} of {limit} on {node.name}",
                    )


def _parts(leaving: set[str]) -> Iterator[tuple[str, ...]]:
    """Every subset while they are few; else none of them, each alone, and all."""
    names = sorted(leaving)
    if len(names) <= _SUBSETS_OF_MAX:
        for size in range(len(names) + 1):
            yield from combinations(names, size)
        return
    yield ()
    yield from ((name,) for name in names)
    yield tuple(names)


def _probed_first(case: Case) -> Iterator[Violation]:
    for (name, node), start in case.starts.items():
        service = case.services.get(name)
        if service is None:
            continue
        exclusive = service.safety is Safety.EXCLUSIVE
        for other in case.intent.nodes:
            if other.name != node and not exclusive:
                continue
            if case.liveness.get(other.name) is not Liveness.ALIVE or other.maintenance:
                continue
            spot = (name, str(other.name))
            if spot in case.free or spot in case.fixed or name in case.probed.get(other.name, ()):
                continue
            probe = case.probes.get(spot)
            if probe is None or not case.comes_before(probe, start):
                yield Violation(
                    law="a node is probed before a start", detail=f"{start.id}, {other.name}"
                )
