"""The smallest world in which something is still wrong: parts are left out one by one while it stays so."""

import dataclasses
from collections.abc import Callable, Iterator

from reconciler.model.intent import Intent
from reconciler.model.observed import Liveness, Observed

World = tuple[Intent, Observed]
_PLAIN = {
    "priority": 0,
    "promoted_stickiness": None,
    "demand": (),
    "migratable": False,
    "interleave": True,
    "replicas_per_node": 1,
    "stickiness": 0,
    "monitor_promoted": None,
}


def shrink(world: World, wrong: Callable[[World], bool]) -> World:
    """Leave out what can be left out, until nothing can."""
    smaller = next((w for w in _smaller(world) if wrong(w)), None)
    while smaller is not None:
        world = smaller
        smaller = next((w for w in _smaller(world) if wrong(w)), None)
    return world


def _smaller(world: World) -> Iterator[World]:
    intent, observed = world
    for service in intent.services:
        yield _without_service(intent, observed, service.name)
    for node in intent.nodes:
        yield _without_node(intent, observed, node.name)
    for field in ("colocations", "orderings", "locations", "tickets", "groups"):
        for rest in _one_less(getattr(intent, field)):
            yield dataclasses.replace(intent, **{field: rest}), observed
    for field in ("copies", "failures", "promotion_scores", "tickets"):
        for rest in _one_less(getattr(observed, field)):
            yield intent, dataclasses.replace(observed, **{field: rest})
    for i, copy in enumerate(observed.copies):
        for change in ({"failed": False}, {"digest": None}):
            if copy != dataclasses.replace(copy, **change):
                yield intent, _with(observed, "copies", i, **change)
    for i, state in enumerate(observed.nodes):
        if state.liveness is not Liveness.ALIVE:
            yield intent, _with(observed, "nodes", i, liveness=Liveness.ALIVE)
    for i, service in enumerate(intent.services):
        for field, plain in _PLAIN.items():
            if getattr(service, field) != plain:
                yield _with(intent, "services", i, **{field: plain}), observed
        if service.replicas != 1:
            yield _with(intent, "services", i, replicas=1), observed
    for i, node in enumerate(intent.nodes):
        for change in ({"standby": False}, {"labels": ()}, {"capacity": ()}):
            if node != dataclasses.replace(node, **change):
                yield _with(intent, "nodes", i, **change), observed


def _one_less(values: tuple) -> Iterator[tuple]:
    for i in range(len(values)):
        yield values[:i] + values[i + 1 :]


def _with(value, field: str, at: int, **changes):
    values = getattr(value, field)
    changed = dataclasses.replace(values[at], **changes)
    return dataclasses.replace(value, **{field: (*values[:at], changed, *values[at + 1 :])})


def _without_service(intent: Intent, observed: Observed, name: str) -> World:
    names = {s.name for s in intent.services if s.name != name}
    groups = tuple(
        dataclasses.replace(g, members=tuple(m for m in g.members if m != name))
        for g in intent.groups
    )
    groups = tuple(g for g in groups if g.members)
    names |= {g.name for g in groups}
    return (
        dataclasses.replace(
            intent,
            services=tuple(s for s in intent.services if s.name != name),
            groups=groups,
            colocations=tuple(c for c in intent.colocations if {c.dependent, c.primary} <= names),
            orderings=tuple(o for o in intent.orderings if {o.first, o.then, *o.any_of} <= names),
            locations=tuple(rule for rule in intent.locations if rule.service in names),
            tickets=tuple(rule for rule in intent.tickets if rule.service in names),
        ),
        dataclasses.replace(
            observed,
            copies=tuple(c for c in observed.copies if c.service != name),
            failures=tuple(f for f in observed.failures if f.service != name),
            promotion_scores=tuple(p for p in observed.promotion_scores if p.service != name),
        ),
    )


def _without_node(intent: Intent, observed: Observed, name: str) -> World:
    def others(names: tuple) -> tuple:
        return tuple(other for other in names if other != name)

    devices = tuple(dataclasses.replace(d, nodes=others(d.nodes)) for d in intent.fencing.devices)
    return (
        dataclasses.replace(
            intent,
            nodes=tuple(node for node in intent.nodes if node.name != name),
            locations=tuple(
                dataclasses.replace(rule, nodes=others(rule.nodes)) for rule in intent.locations
            ),
            fencing=dataclasses.replace(intent.fencing, devices=devices),
        ),
        dataclasses.replace(
            observed,
            nodes=tuple(state for state in observed.nodes if state.name != name),
            copies=tuple(c for c in observed.copies if c.node != name),
            failures=tuple(f for f in observed.failures if f.node != name),
            promotion_scores=tuple(p for p in observed.promotion_scores if p.node != name),
        ),
    )
