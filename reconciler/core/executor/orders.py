"""Orders of the controller: which are obeyed, and how they begin and end.

Every objection is checked twice, when the order arrives and when its turn comes, since it may have waited
behind a slow monitor. What begins is durable first; what ended stays known, so that the same key is
answered again and never done again.
"""

from collections.abc import Iterator
from dataclasses import replace

from reconciler.core.executor.events import Unwatch, Verb
from reconciler.core.executor.memory import (
    CopyKept,
    OwnCopy,
    Phase,
    StepBegun,
    StepEnded,
    TermRaised,
)
from reconciler.core.executor.state import Held, Lane, UnderWay
from reconciler.core.executor.turn import Turn
from reconciler.model.errors import BrokenLaw
from reconciler.model.ids import Epoch, Incarnation, NodeName, ServiceName
from reconciler.model.intent import Operation, Service
from reconciler.model.operation import Outcome, Step, StepResult, Verdict
from reconciler.model.plan import ActionKind

_VERBS = {
    ActionKind.PROBE: Verb.PROBE,
    ActionKind.START: Verb.START,
    ActionKind.STOP: Verb.STOP,
    ActionKind.PROMOTE: Verb.PROMOTE,
    ActionKind.DEMOTE: Verb.DEMOTE,
    ActionKind.RELOAD: Verb.RELOAD,
}
_STARTS = (Verb.START, Verb.MIGRATE_FROM)
_NEEDS_A_COPY = (Verb.PROMOTE, Verb.DEMOTE, Verb.RELOAD, Verb.MIGRATE_TO)
_NEEDS_HEALTH = (Verb.PROMOTE, Verb.RELOAD, Verb.MIGRATE_TO)


def arrived(turn: Turn, step: Step) -> None:
    """Take an order, or refuse it, or say again what came of it."""
    entry = turn.memory.steps.get(step.key)
    if entry is not None and entry.result is not None:
        turn.send(entry.result)
        return
    if entry is not None or _is_waiting(turn, step):
        return
    if (step.incarnation, step.epoch) < turn.memory.term:
        turn.send(_refusal(step, f"a controller of a newer term than {_term(step)} decides"))
        return
    raise_term(turn, step.incarnation, step.epoch)
    held = turn.services.get(step.service)
    objection = next(_objections(turn, step, held), None)
    if held is None or objection is not None:
        refuse(turn, step, objection or "the service is not known here")
    elif held.step is not None:
        refuse(turn, step, "another order for this service waits already")
    else:
        turn.put(step.service, replace(held, step=step))


def raise_term(turn: Turn, incarnation: Incarnation, epoch: Epoch) -> None:
    """Obey nothing below this term from now on, durably."""
    if (incarnation, epoch) > turn.memory.term:
        turn.record(TermRaised(incarnation=incarnation, epoch=epoch), durable=True)


def refuse(turn: Turn, step: Step, reason: str) -> None:
    """End an order that never began; the refusal is its result and stays so."""
    result = _refusal(step, reason)
    turn.record(StepEnded(step=step, result=result))
    turn.send(result)


def begin(turn: Turn, name: ServiceName, step: Step) -> None:
    """Carry out an order whose turn has come."""
    held = replace(turn.services[name], step=None)
    turn.put(name, held)
    objection = next(_objections(turn, step, held), None)
    if objection is None and turn.trouble is not None and step.kind is not ActionKind.PROBE:
        objection = f"the journal cannot be written: {turn.trouble}"
    if objection is not None:
        refuse(turn, step, objection)
        return
    verb = verb_of(step, turn.state.node)
    if verb is None:
        raise BrokenLaw("an agent refuses what it does not know", str(step.key.action))
    if verb is not Verb.PROBE:
        turn.record(StepBegun(step=step), durable=True)
        _prepare(turn, name, held, step, verb)
    _run(turn, held, step, verb)


def _prepare(turn: Turn, name: ServiceName, held: Held, step: Step, verb: Verb) -> None:
    """Remember, before it can be true, what will be true if nobody learns how this ends."""
    own = turn.own(name)
    copy: OwnCopy | None = None
    match verb:
        case Verb.START | Verb.MIGRATE_FROM if not _runs(turn, name):
            copy = OwnCopy(
                definition=held.definition,
                digest=held.digest,
                phase=Phase.STARTING,
                migrating_from=step.source,
            )
        case Verb.PROMOTE if own is not None:
            copy = replace(own, promoted=True)
        case Verb.MIGRATE_TO if own is not None:
            copy = replace(own, phase=Phase.LEAVING)
        case _:
            pass
    if copy is not None:
        turn.record(CopyKept(service=name, copy=copy), durable=True)
    if verb in (Verb.STOP, Verb.MIGRATE_TO):
        turn.do(Unwatch(service=name))


def verb_of(step: Step, node: NodeName) -> Verb | None:
    """What an order means on this node; None for an order that no agent can be given."""
    if step.kind is not ActionKind.MIGRATE:
        return _VERBS.get(step.kind)
    if node == step.source:
        return Verb.MIGRATE_TO
    return Verb.MIGRATE_FROM if node == step.target else None


def operation_of(service: Service, verb: Verb) -> Operation:
    """The limits of an operation; those that an intent does not name may take as long as a start."""
    match verb:
        case Verb.STOP:
            return service.stop
        case Verb.PROMOTE:
            return service.promote
        case Verb.DEMOTE:
            return service.demote
        case Verb.PROBE:
            return service.monitor
        case _:
            return service.start


def end(turn: Turn, step: Step, outcome: Outcome) -> None:
    """Keep what came of an order, durably, and tell the controller."""
    result = StepResult(key=step.key, outcome=outcome)
    turn.record(StepEnded(step=step, result=result), durable=True)
    turn.send(turn.memory.steps[step.key].result or result)


def _objections(turn: Turn, step: Step, held: Held | None) -> Iterator[str]:
    """Why an order must not be carried out now."""
    heard_ms = turn.state.heard_ms
    if (step.incarnation, step.epoch) < turn.memory.term:
        yield f"a controller of a newer term than {_term(step)} decides"
    if heard_ms is None or turn.now_ms - heard_ms > step.valid_ms:
        yield "expired: the controller has not been heard for too long"
    verb = verb_of(step, turn.state.node)
    if verb is None:
        yield f"this agent does not know how to {step.kind}"
    if held is None:
        yield "the service is not known here"
        return
    if not _holds(turn, step, held):
        yield "the definition is not known here, or a copy runs by another one"
    if step.kind is not ActionKind.PROBE and held.paused:
        yield "the service is in maintenance"
    blocked = turn.memory.blocks.get(step.service)
    if verb not in (Verb.STOP, Verb.PROBE, Verb.DEMOTE) and blocked is not None:
        yield f"blocked: {blocked}"
    if verb in _NEEDS_A_COPY and turn.own(step.service) is None:
        yield "nothing of it runs here"
    elif verb in _NEEDS_HEALTH and not _runs(turn, step.service):
        yield "its copy here is not well"


def _holds(turn: Turn, step: Step, held: Held) -> bool:
    """Say whether this agent can do what is meant: by that definition, on nothing else.

    A stop always uses what the copy was started with, so the newest definition is as good a name for it.
    """
    own = turn.own(step.service)
    by_copy = own.digest if own is not None else None
    verb = verb_of(step, turn.state.node)
    if verb is Verb.RELOAD:
        return held.wanted and step.definition == held.digest
    if verb not in _STARTS:
        return step.definition in (held.digest, by_copy)
    runs_by_another = _runs(turn, step.service) and by_copy not in (None, step.definition)
    return held.wanted and step.definition == held.digest and not runs_by_another


def _runs(turn: Turn, name: ServiceName) -> bool:
    own = turn.own(name)
    return own is not None and own.phase is Phase.RUNNING


def _run(turn: Turn, held: Held, step: Step, verb: Verb) -> None:
    own = turn.own(step.service)
    newest = own is None or verb in (*_STARTS, Verb.RELOAD)
    definition = held.definition if own is None or newest else own.definition
    under_way = UnderWay(verb=verb, lane=Lane.URGENT, step=step)
    turn.run(step.service, definition, under_way, operation_of(held.definition, verb).timeout_ms)


def _is_waiting(turn: Turn, step: Step) -> bool:
    held = turn.services.get(step.service)
    if held is None:
        return False
    under_way = held.under_way.step if held.under_way is not None else None
    return any(other is not None and other.key == step.key for other in (held.step, under_way))


def _refusal(step: Step, reason: str) -> StepResult:
    outcome = Outcome(verdict=Verdict.UNKNOWN, reason=reason)
    return StepResult(key=step.key, outcome=outcome, refused=reason)


def _term(step: Step) -> str:
    return f"{step.incarnation}.{step.epoch}"
