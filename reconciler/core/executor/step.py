"""One event in, a new state and effects out.

Each event has one short function here; what orders and outcomes mean stands in `orders` and `looks`.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import assert_never

from reconciler.core.definition import definition_digest
from reconciler.core.executor import attributes, looks, orders, timing
from reconciler.core.executor.events import (
    Acknowledged,
    AttributesSeen,
    Backed,
    Booted,
    Connected,
    DefinitionsArrived,
    Disconnected,
    Due,
    Effect,
    Event,
    ForgetAsked,
    HangUp,
    Happening,
    Heard,
    NotDurable,
    OperationFinished,
    ServiceDied,
    StepArrived,
    Unwatch,
    Verb,
)
from reconciler.core.executor.memory import (
    BlockKept,
    CopyKept,
    DefinitionsKept,
    FailureKept,
    Phase,
    StepAcknowledged,
)
from reconciler.core.executor.state import Held, Lane, Look, State, UnderWay
from reconciler.core.executor.turn import Turn, is_stopping, look_for
from reconciler.model.ids import Millis, ServiceName
from reconciler.model.intent import Service
from reconciler.model.operation import Verdict


def step(state: State, event: Event, now_ms: Millis) -> tuple[State, tuple[Effect, ...]]:
    """Take in one event.

    Law: `Persist` comes first, and no start or stop for an order comes without one.
    """
    if isinstance(event, NotDurable):
        turn = Turn(state, now_ms, trouble=event.reason)
        _take(turn, event.event)
    else:
        turn = Turn(state, now_ms)
        _take(turn, event)
    return turn.close(_begin)


def _take(turn: Turn, event: Happening) -> None:  # noqa: C901, PLR0912 - an arm per event
    match event:
        case Booted():
            _booted(turn, event)
        case Connected():
            _connected(turn, event)
        case Disconnected():
            _disconnected(turn)
        case Heard(sent_ms=sent_ms):
            turn.state = replace(turn.state, heard_ms=max(turn.state.heard_ms or sent_ms, sent_ms))
        case Backed(at_ms=at_ms):
            backed_ms = max(turn.state.backed_ms or at_ms, at_ms)
            turn.state = replace(turn.state, backed_ms=backed_ms)
        case DefinitionsArrived():
            _defined(turn, event)
        case StepArrived(step=order):
            orders.arrived(turn, order)
        case Acknowledged(key=key):
            if key in turn.memory.steps:
                turn.record(StepAcknowledged(key=key))
        case ForgetAsked(service=name):
            _forget(turn, name)
        case OperationFinished(service=name, outcome=outcome):
            looks.finished(turn, name, outcome)
        case ServiceDied(service=name):
            _died(turn, name)
        case AttributesSeen():
            attributes.seen(turn, event)
        case Due(service=name):
            attributes.due(turn) if name is None else _due(turn, name)
        case _:
            assert_never(event)


def _booted(turn: Turn, event: Booted) -> None:
    """Begin with what the journal holds, and look at all of it."""
    memory = turn.memory = event.memory
    definitions = {own.definition.name: own.definition for own in memory.copies.values()}
    known = {service.name for service in memory.services}
    definitions |= {service.name: service for service in memory.services}
    for name, service in definitions.items():
        turn.put(name, _new(service, wanted=name in known, paused=_paused(turn, service)))
    unsettled = tuple(
        entry.step for entry in memory.steps.values() if entry.begun and entry.result is None
    )
    alone_ms = Millis(turn.now_ms + turn.state.grace_ms)
    turn.state = replace(turn.state, unsettled=unsettled, alone_ms=alone_ms)
    for order in unsettled:
        if order.service not in definitions:
            looks.settle(turn, order, Verdict.UNKNOWN)


def _connected(turn: Turn, event: Connected) -> None:
    """A controller is there: it decides from now on, and hears what it missed."""
    if (event.incarnation, event.epoch) < turn.memory.term:
        turn.do(HangUp(reason="this controller's term is over"))
        return
    orders.raise_term(turn, event.incarnation, event.epoch)
    turn.state = replace(
        turn.state,
        connected=True,
        heard_ms=event.sent_ms,
        grace_ms=event.grace_ms,
        alone_ms=None,
    )
    _again(turn, turn.memory.copies)
    turn.report()
    for entry in turn.memory.steps.values():
        if entry.result is not None and not entry.acknowledged:
            turn.send(entry.result)


def _disconnected(turn: Turn) -> None:
    """Keep everything; after the grace, repair in place what breaks."""
    if turn.state.connected:
        alone_ms = Millis(turn.now_ms + turn.state.grace_ms)
        turn.state = replace(turn.state, connected=False, alone_ms=alone_ms)
        _again(turn, turn.memory.copies)


def _again(turn: Turn, names: Iterable[ServiceName]) -> None:
    """Drop repairs that have not begun, and let the timers follow who decides."""
    for name in names:
        held = turn.services.get(name)
        if held is not None:
            under_way = held.under_way is not None and held.under_way.step is None
            turn.put(name, held if under_way else replace(held, repair=None))


def _defined(turn: Turn, event: DefinitionsArrived) -> None:
    """Replace the definitions; what is new or changed is looked at before it counts as probed."""
    if (event.incarnation, event.epoch) < turn.memory.term:
        return
    orders.raise_term(turn, event.incarnation, event.epoch)
    kept = DefinitionsKept(
        services=event.services,
        assigned=event.assigned,
        maintenance=event.maintenance,
        devices=event.devices,
    )
    if kept == _kept(turn):
        return
    turn.record(kept, durable=True)
    names = set()
    for service in event.services:
        names.add(service.name)
        _define(turn, service)
    for name in tuple(turn.services):
        if name not in names:
            turn.put(name, replace(turn.services[name], wanted=False))


def _kept(turn: Turn) -> DefinitionsKept:
    memory = turn.memory
    return DefinitionsKept(
        services=memory.services,
        assigned=memory.assigned,
        maintenance=memory.maintenance,
        devices=memory.devices,
    )


def _define(turn: Turn, service: Service) -> None:
    name, held = service.name, turn.services.get(service.name)
    paused = _paused(turn, service)
    if held is None:
        turn.put(name, _new(service, wanted=True, paused=paused))
        return
    fresh = replace(
        held,
        definition=service,
        digest=definition_digest(service),
        wanted=True,
        paused=paused,
        monitor_at_ms=None if service.monitor != held.definition.monitor else held.monitor_at_ms,
    )
    if fresh.digest != held.digest:
        if name in turn.memory.failures:  # they were failures of the earlier definition
            turn.record(FailureKept(service=name, failure=None))
        if turn.own(name) is None:
            fresh = look_for(replace(fresh, seen=None), Look.FIRST)
    if paused and not held.paused:
        turn.do(Unwatch(service=name))
        waiting = fresh.look if fresh.look is Look.FIRST else None
        fresh = replace(fresh, look=waiting, repair=None)
    if held.paused and not paused:
        fresh = look_for(fresh, Look.AGAIN)
    turn.put(name, fresh)


def _new(service: Service, *, wanted: bool, paused: bool) -> Held:
    return Held(
        definition=service,
        digest=definition_digest(service),
        wanted=wanted,
        paused=paused,
        look=Look.FIRST,
    )


def _paused(turn: Turn, service: Service) -> bool:
    return service.maintenance or service.name in turn.memory.maintenance


def _forget(turn: Turn, name: ServiceName | None) -> None:
    """Forget failures and blocks, and look at what was blocked."""
    memory = turn.memory
    for failed in tuple(memory.failures) if name is None else (name,):
        if failed in memory.failures:
            turn.record(FailureKept(service=failed, failure=None))
    for blocked in tuple(memory.blocks) if name is None else (name,):
        if blocked in memory.blocks:
            turn.record(BlockKept(service=blocked, reason=None), durable=True)
            if blocked in turn.services:
                turn.put(blocked, look_for(turn.services[blocked], Look.AGAIN))


def _died(turn: Turn, name: ServiceName) -> None:
    held = turn.services.get(name)
    if held is not None and not held.paused and not is_stopping(held):
        turn.put(name, look_for(held, Look.DEATH))


def _due(turn: Turn, name: ServiceName) -> None:
    held = turn.services.get(name)
    if held is None:
        return
    held = replace(held, timer_ms=None)
    turn.put(name, held)
    here = turn.here(name)
    forget_at_ms, repair_at_ms = timing.forget_at(here), timing.repair_at(here)
    release_at_ms = timing.release_at(here)
    if forget_at_ms is not None and forget_at_ms <= turn.now_ms:
        turn.record(FailureKept(service=name, failure=None))
    if held.monitor_at_ms is not None and held.monitor_at_ms <= turn.now_ms:
        held = look_for(held, Look.MONITOR)
    if release_at_ms is not None and release_at_ms <= turn.now_ms:
        held = replace(held, release=True)
    elif repair_at_ms is not None and repair_at_ms <= turn.now_ms:
        own = turn.own(name)
        promoted = own is not None and own.promoted
        held = replace(held, repair=Verb.DEMOTE if promoted else Verb.STOP, repromote=promoted)
    turn.put(name, held)


def _begin(turn: Turn, name: ServiceName) -> None:
    """Begin what matters most of what a service waits for."""
    held = turn.services[name]
    if held.look is not None and (held.seen is None or held.look is Look.DEATH):
        _look(turn, name, held, held.look)
    elif held.release:
        _release(turn, name, held)
    elif held.step is not None:
        orders.begin(turn, name, held.step)
    elif held.repair is not None:
        _repair(turn, name, held, held.repair)
    elif held.look is not None:
        _look(turn, name, held, held.look)


def _look(turn: Turn, name: ServiceName, held: Held, look: Look) -> None:
    own = turn.own(name)
    turn.put(name, replace(held, look=None))
    routine = look in (Look.FIRST, Look.MONITOR) and held.step is None
    lane = Lane.ROUTINE if routine else Lane.URGENT
    definition = own.definition if own is not None else held.definition
    under_way = UnderWay(verb=Verb.PROBE, lane=lane, look=look)
    turn.run(name, definition, under_way, timing.monitor_of(held, own).timeout_ms)


def _repair(turn: Turn, name: ServiceName, held: Held, verb: Verb) -> None:
    """Stop, start and so on a broken copy by its own definition; being written down is not a condition here.

    A crash in the middle leaves a copy that is known to be broken or running, and a look tells which. So a
    full disk does not keep a node without a controller from repairing what it runs.
    """
    own = turn.own(name)
    phase = Phase.RUNNING if verb is Verb.PROMOTE else Phase.BROKEN
    if own is None or own.phase is not phase or turn.state.alone_ms is None:
        turn.put(name, replace(held, repair=None))
        return
    own = replace(own, promoted=own.promoted or verb is Verb.PROMOTE)
    turn.record(CopyKept(service=name, copy=own), durable=True)
    if verb is Verb.STOP:
        turn.do(Unwatch(service=name))
    operation = orders.operation_of(held.definition, verb)
    under_way = UnderWay(verb=verb, lane=Lane.URGENT)
    turn.run(name, own.definition, under_way, operation.timeout_ms)


def _release(turn: Turn, name: ServiceName, held: Held) -> None:
    """Give up what another node may have been given, unless somebody was heard meanwhile."""
    own = turn.own(name)
    held = replace(held, release=False, repair=None)
    turn.put(name, held)
    at_ms = timing.release_at(turn.here(name))
    if own is None or at_ms is None or at_ms > turn.now_ms:
        return
    turn.do(Unwatch(service=name))
    under_way = UnderWay(verb=Verb.STOP, lane=Lane.URGENT, release=True)
    turn.run(name, own.definition, under_way, own.definition.stop.timeout_ms)
