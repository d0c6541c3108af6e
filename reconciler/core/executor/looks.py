"""What came of an operation: how a look, a start or a stop changes what is known.

The table below is the whole life of a copy. Nothing in it turns `unknown` into `stopped`, and only a
verified stop or a look that saw nothing makes a copy disappear.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from reconciler.core.executor import findings, orders, roles, timing
from reconciler.core.executor.events import Verb, Watch
from reconciler.core.executor.memory import BlockKept, CopyKept, OwnCopy, Phase
from reconciler.core.executor.state import Look, UnderWay
from reconciler.core.executor.turn import Turn, look_for
from reconciler.model.ids import Millis, ServiceName
from reconciler.model.operation import Outcome, Step, Verdict
from reconciler.model.plan import ActionKind

_RUNS = (Verdict.RUNNING, Verdict.PROMOTED)
_COUNTS = (Look.MONITOR, Look.DEATH)
_SETTLED: Mapping[Verb, tuple[Verdict, ...]] = MappingProxyType(
    {
        Verb.START: _RUNS,
        Verb.STOP: (Verdict.STOPPED,),
        Verb.PROMOTE: (Verdict.PROMOTED,),
        Verb.DEMOTE: (Verdict.RUNNING,),
        Verb.MIGRATE_FROM: _RUNS,
    }
)
"""What a look has to find after an order, for it to have worked; of the others no look can tell."""

AFTER_LOOK: Mapping[tuple[Phase, Verdict], Phase | None] = MappingProxyType(
    {
        (Phase.STARTING, Verdict.RUNNING): Phase.RUNNING,
        (Phase.STARTING, Verdict.STOPPED): None,  # the start was interrupted and left nothing
        (Phase.STARTING, Verdict.FAILED): Phase.FAILED,
        (Phase.STARTING, Verdict.UNKNOWN): Phase.STARTING,
        (Phase.RUNNING, Verdict.RUNNING): Phase.RUNNING,
        (Phase.RUNNING, Verdict.STOPPED): Phase.BROKEN,  # parts of it may be left: stop, then start
        (Phase.RUNNING, Verdict.FAILED): Phase.BROKEN,
        (Phase.RUNNING, Verdict.UNKNOWN): Phase.RUNNING,  # see `_unseen`
        (Phase.BROKEN, Verdict.RUNNING): Phase.RUNNING,  # it recovered
        (Phase.BROKEN, Verdict.STOPPED): Phase.BROKEN,
        (Phase.BROKEN, Verdict.FAILED): Phase.BROKEN,
        (Phase.BROKEN, Verdict.UNKNOWN): Phase.BROKEN,
        (Phase.FAILED, Verdict.RUNNING): Phase.RUNNING,  # slow, and it did come up
        (Phase.FAILED, Verdict.STOPPED): None,
        (Phase.FAILED, Verdict.FAILED): Phase.FAILED,
        (Phase.FAILED, Verdict.UNKNOWN): Phase.FAILED,
        (Phase.LEAVING, Verdict.RUNNING): Phase.RUNNING,  # it never left
        (Phase.LEAVING, Verdict.STOPPED): Phase.LEAVING,  # only a stop clears up after it
        (Phase.LEAVING, Verdict.FAILED): Phase.LEAVING,
        (Phase.LEAVING, Verdict.UNKNOWN): Phase.LEAVING,
    }
)


def finished(turn: Turn, name: ServiceName, outcome: Outcome) -> None:
    """Take in the outcome of the operation of a service."""
    under_way = turn.finish(name)
    match under_way.verb:
        case Verb.PROBE:
            _looked(turn, name, outcome, under_way.look)
            if under_way.step is not None:
                orders.end(turn, under_way.step, outcome)
        case Verb.START | Verb.MIGRATE_FROM:
            _started(turn, name, outcome, under_way)
        case Verb.STOP:
            _stopped(turn, name, outcome, under_way)
        case Verb.PROMOTE | Verb.DEMOTE | Verb.RELOAD | Verb.MIGRATE_TO:
            roles.changed(turn, name, outcome, under_way)


def _looked(turn: Turn, name: ServiceName, outcome: Outcome, look: Look | None) -> None:
    held, own, verdict = turn.services[name], turn.own(name), outcome.verdict
    if held.look is Look.FIRST:
        return  # the definition changed meanwhile, and this look was by the earlier one
    if _is_doubt(verdict, look, own) and held.doubts == 0:
        # One monitor that could not see is no failure yet: look once more, at once.
        turn.put(name, look_for(replace(held, doubts=1), Look.MONITOR))
        return
    monitor_at_ms = held.monitor_at_ms
    if look is Look.FIRST:
        every_ms = timing.monitor_of(held, own).every_ms
        monitor_at_ms = Millis(turn.now_ms + timing.spread(name, every_ms))
    held = findings.as_seen(replace(held, doubts=0, monitor_at_ms=monitor_at_ms), outcome)
    turn.put(name, held)
    unsettled = [step for step in turn.state.unsettled if step.service == name]
    stopping = any(step.kind is ActionKind.STOP for step in unsettled)
    _change_phase(turn, name, outcome, look, stopping=stopping)
    runs = turn.own(name) if verdict in _RUNS else None
    if runs is not None and look is not Look.DEATH and not held.paused:
        turn.do(Watch(definition=runs.definition))
    for step in unsettled:
        settle(turn, step, outcome.verdict)


def _change_phase(
    turn: Turn, name: ServiceName, outcome: Outcome, look: Look | None, *, stopping: bool
) -> None:
    own, verdict = turn.own(name), outcome.verdict
    if own is None:
        if verdict in _RUNS:
            turn.record(CopyKept(service=name, copy=findings.adopted(turn, name, verdict)))
        return
    phase = AFTER_LOOK[own.phase, Verdict.RUNNING if verdict in _RUNS else verdict]
    if stopping and verdict is Verdict.STOPPED:
        phase = None  # an order to stop it was under way when the last agent ended
    if _is_doubt(verdict, look, own):
        phase = Phase.BROKEN
    fallen = own.promoted and verdict is Verdict.RUNNING
    copy = findings.copy_after(own, phase, outcome)
    if copy == own:
        return
    if own.phase is Phase.RUNNING and look in _COUNTS:
        fallen_words = Outcome(verdict=verdict, reason="it is not promoted any more")
        findings.fail(turn, name, "monitor", fallen_words if fallen else outcome)
    turn.record(CopyKept(service=name, copy=copy), durable=phase is None)


def _started(turn: Turn, name: ServiceName, outcome: Outcome, under_way: UnderWay) -> None:
    held, own = turn.services[name], turn.own(name)
    copy = own or findings.adopted(turn, name, outcome.verdict)
    again = held.repromote and outcome.verdict is Verdict.RUNNING and under_way.step is None
    repair = Verb.PROMOTE if again else None
    turn.put(
        name, findings.as_seen(replace(held, doubts=0, repair=repair, repromote=False), outcome)
    )
    if outcome.verdict in _RUNS:
        runs = findings.copy_after(copy, Phase.RUNNING, outcome)
        turn.record(CopyKept(service=name, copy=runs))
        turn.do(Watch(definition=copy.definition))
    else:
        ran = copy.phase in (Phase.RUNNING, Phase.BROKEN)
        operation = "migrate" if under_way.verb is Verb.MIGRATE_FROM else "start"
        phase = Phase.BROKEN if ran else Phase.FAILED
        failed = replace(copy, phase=phase, failed_operation=operation)
        turn.record(CopyKept(service=name, copy=failed))
        findings.fail(turn, name, operation, outcome)
    if under_way.step is not None:
        orders.end(turn, under_way.step, outcome)


def _stopped(turn: Turn, name: ServiceName, outcome: Outcome, under_way: UnderWay) -> None:
    held, own = turn.services[name], turn.own(name)
    if outcome.verdict is Verdict.STOPPED:
        repair = held.repair and Verb.START
        if held.look is not Look.FIRST:
            held = findings.as_seen(replace(held, look=None), outcome)
        turn.put(name, replace(held, doubts=0, repair=repair))
        if own is not None and (under_way.step is not None or under_way.release):
            turn.record(CopyKept(service=name, copy=None), durable=True)
        elif own is not None and own.promoted:
            turn.record(CopyKept(service=name, copy=replace(own, promoted=False)), durable=True)
        if name in turn.memory.blocks:
            turn.record(BlockKept(service=name, reason=None))
    else:
        again = look_for(replace(held, seen=Verdict.UNKNOWN, repair=None), Look.AGAIN)
        turn.put(name, again)
        if outcome.verdict is Verdict.PROMOTED:
            copy = own or findings.adopted(turn, name, outcome.verdict)
            turn.record(CopyKept(service=name, copy=replace(copy, promoted=True)), durable=True)
        reason = f"its stop did not succeed: {findings.reason_of(outcome)}"
        turn.record(BlockKept(service=name, reason=reason), durable=True)
        findings.fail(turn, name, "stop", outcome)
    if under_way.step is not None:
        orders.end(turn, under_way.step, outcome)


def settle(turn: Turn, step: Step, found: Verdict) -> None:
    """Say what came of an order that an earlier agent began, from what a look found.

    Law: it is never done again.
    """
    wanted = _SETTLED.get(orders.verb_of(step, turn.state.node) or Verb.PROBE, ())
    verdict = found if found in (*wanted, Verdict.UNKNOWN) else Verdict.FAILED
    reason = f"the agent was restarted during this order; a look then found it {found}"
    unsettled = tuple(other for other in turn.state.unsettled if other.key != step.key)
    turn.state = replace(turn.state, unsettled=unsettled)
    orders.end(turn, step, Outcome(verdict=verdict, reason=reason))


def _is_doubt(verdict: Verdict, look: Look | None, own: OwnCopy | None) -> bool:
    running = own is not None and own.phase is Phase.RUNNING
    return verdict is Verdict.UNKNOWN and look in _COUNTS and running
