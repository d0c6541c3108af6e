"""`step`: one event in, the next state and the effects out.

After every event the same questions are asked in the same order: is enough known to act at all; is there
an intent to accept; did the facts move under the transition; what can be asked for next; is there anything
to plan. Nothing depends on which event it was that raised them.
"""

from dataclasses import replace
from types import MappingProxyType
from typing import assert_never

from reconciler.core import transition
from reconciler.core.facts import booted, reported, same_facts
from reconciler.model.ids import Digest, Epoch, Incarnation, Millis, NodeName, ServiceName
from reconciler.model.intent import Kind
from reconciler.model.observed import Liveness, Observed
from reconciler.model.plan import Decision

from . import admission, budget, by_hand, conduct
from .events import (
    AgentConnected,
    AgentDisconnected,
    ApplyRequested,
    ClearRequested,
    ClockMoved,
    ConfirmFence,
    Define,
    Effect,
    Event,
    FenceEnded,
    FenceRequested,
    ForgetFailures,
    IntentFound,
    LivenessChanged,
    Persist,
    ReportArrived,
    StepEnded,
    Tell,
    Tick,
    WakeAt,
    WatcherGone,
)
from .state import (
    Means,
    Planned,
    Restored,
    State,
    changed_records,
    restored_nodes,
    restored_transition,
)
from .turn import Turn, put

SETTLE_MS_MIN = 5_000
"""However fast heartbeats are, agents dial again only every two seconds after a controller has gone."""


def start(
    restored: Restored,
    *,
    incarnation: Incarnation,
    epoch: Epoch,
    now_ms: Millis,
    accept_auto: bool = False,
) -> State:
    """The state of a controller that begins its term where the one before it left off."""
    listed = restored.accepted.intent.services if restored.accepted else ()
    services = (*restored.ledger.retired, *listed)
    return State(
        incarnation=incarnation,
        epoch=epoch,
        accept_auto=accept_auto,
        began_ms=now_ms,
        nodes=MappingProxyType(restored_nodes(restored.nodes, now_ms)),
        accepted=restored.accepted,
        transition=restored_transition(restored, now_ms),
        ledger=replace(restored.ledger, fences=budget.carried_over(restored.ledger.fences, now_ms)),
        catalog=MappingProxyType({service.name: service for service in services}),
    )


def step(
    state: State, event: Event, now_ms: Millis, means: Means
) -> tuple[State, tuple[Effect, ...]]:
    """Take in one event.

    Law: whatever the state has to survive with is the first effect; the same state and event give the
    same result.
    """
    turn = Turn(state=state, now_ms=now_ms, means=means)
    _take(turn, event)
    _advance(turn)
    _define(turn, before=state)
    effects: tuple[Effect, ...] = ()
    if records := changed_records(state, turn.state):
        effects = (Persist(values=records),)
    effects += tuple(sorted(turn.effects, key=lambda effect: not isinstance(effect, Define)))
    return turn.state, (*effects, WakeAt(at_ms=_wake_ms(turn.state)))


# Taking in ---------------------------------------------------------------------------------------


def _take(turn: Turn, event: Event) -> None:  # noqa: C901, PLR0912 - an arm per event
    match event:
        case AgentConnected():
            _connected(turn, event)
        case AgentDisconnected(node=node):
            turn.keep(replace(turn.node(node), connected=False, ready=False))
            defined = {name: told for name, told in turn.state.defined.items() if name != node}
            turn.change(defined=MappingProxyType(defined))
        case ReportArrived():
            _reported(turn, event)
        case LivenessChanged():
            _heard(turn, event)
        case StepEnded():
            conduct.step_ended(turn, event)
        case FenceEnded() if event.key.plan == by_hand.OPERATOR:
            by_hand.ended(turn, event)
        case FenceEnded():
            conduct.fence_ended(turn, event)
        case FenceRequested():
            by_hand.requested(turn, event)
        case ConfirmFence():
            by_hand.confirmed(turn, event)
        case IntentFound():
            admission.found(turn, event)
        case ApplyRequested():
            admission.requested(turn, event)
        case WatcherGone(request=request):
            turn.change(watchers=tuple(w for w in turn.state.watchers if w != request))
        case ClearRequested():
            _clear(turn, event)
        case ClockMoved(ahead_ms=ahead_ms):
            turn.change(clock_ahead_ms=ahead_ms, planned=None)  # other locations may count now
        case Tick():
            pass
        case _:
            assert_never(event)


def _connected(turn: Turn, event: AgentConnected) -> None:
    term = (turn.state.incarnation, turn.state.epoch)
    if (event.incarnation, event.epoch) > term:
        turn.change(
            outranked=f"{event.node} obeys a later term ({event.incarnation}.{event.epoch}) than "
            f"ours ({term[0]}.{term[1]}): another controller decides, or this store is an old copy"
        )
    before = turn.node(event.node)
    facts = booted(before, event.boot)
    if facts is not before:
        conduct.node_gone(turn, event.node, rebooted=True)
    turn.keep(replace(facts, connected=True, ready=False))
    defined = {name: told for name, told in turn.state.defined.items() if name != event.node}
    turn.change(defined=MappingProxyType(defined))


def _reported(turn: Turn, event: ReportArrived) -> None:
    before = turn.node(event.node)
    if before.boot not in (None, event.report.boot):
        conduct.node_gone(turn, event.node, rebooted=True)
    after = reported(before, event.report, turn.now_ms)
    turn.keep(after)
    if after.ready and not before.ready:
        conduct.node_ready(turn, after)


def _heard(turn: Turn, event: LivenessChanged) -> None:
    for name, liveness in event.nodes:
        before = turn.node(name)
        turn.keep(replace(before, liveness=liveness))
        if liveness is Liveness.LOST and before.liveness is not Liveness.LOST:
            conduct.node_gone(turn, name, rebooted=False)
    turn.count_votes()


def _clear(turn: Turn, event: ClearRequested) -> None:
    cleared = 0
    for name, facts in sorted(turn.state.nodes.items()):
        about = [f.service for f in facts.failures]
        about += [copy.service for copy in facts.copies if copy.blocked is not None]
        hits = [s for s in about if event.service in (None, s)]
        if facts.connected:
            cleared += len(hits)
            turn.do(ForgetFailures(node=name, service=event.service))
    turn.change(setback=None, planned=None)
    if event.service is None:
        turn.note(fences=())
    turn.record("cleared", {"service": event.service, "count": cleared})
    turn.do(Tell(request=event.request, body={"cleared": cleared}, last=True))


# Going on ----------------------------------------------------------------------------------------


def _advance(turn: Turn) -> None:
    if not turn.state.settled and not _settle(turn):
        conduct.carry_on(turn)
        return
    if turn.state.transition is None:
        turn.news.clear()
    admission.admit(turn)
    while turn.state.outranked is None:
        if turn.state.transition is None and not _plan(turn):
            break
        if not conduct.carry_on(turn):
            break
        admission.retire(turn, turn.state.ledger.retired)


def _settle(turn: Turn) -> bool:
    """Wait until every node has spoken, or until silence says as much as it ever will."""
    state = turn.state
    listed = state.accepted.intent.nodes if state.accepted else ()
    for waiting in state.waiting:
        listed += waiting.intent.nodes
    if not listed and state.candidate is not None and state.candidate.intent is not None:
        listed = state.candidate.intent.nodes
    everybody = bool(listed) and all(turn.node(node.name).seen is Liveness.ALIVE for node in listed)
    if not everybody and turn.now_ms < _settle_ms(state):
        return False
    for name, facts in state.nodes.items():
        if facts.liveness is Liveness.UNKNOWN and facts.boot is not None:
            conduct.node_gone(turn, name, rebooted=False)
            turn.keep(replace(facts, liveness=Liveness.LOST))
        elif facts.ready:
            turn.news.append(transition.AskAgain(node=name))
    conduct.drop_fences(turn)
    turn.change(settled=True)
    return True


def _settle_ms(state: State) -> Millis:
    return Millis(state.began_ms + max(state.heartbeat.lost_ms, SETTLE_MS_MIN))


def _plan(turn: Turn) -> bool:
    """Plan the accepted intent if anything is new; True when a transition has begun."""
    accepted = turn.state.accepted
    if accepted is None:
        return False
    observed = turn.observed()
    if not _anything_new(turn, accepted.digest, observed):
        return False
    decision, trouble = admission.think(turn, accepted.intent, observed)
    again_ms = decision.wake_at_ms if decision is not None else None
    planned = Planned(digest=accepted.digest, observed=observed, again_ms=again_ms)
    turn.change(planned=planned, decision=decision or turn.state.decision)
    if trouble or decision is None:
        if trouble != turn.state.broken:
            turn.record("broken-law", {"detail": trouble})
        turn.change(broken=trouble)
        turn.tell("failed", {"reason": trouble}, last=True)
        return False
    turn.change(broken=None)
    if not decision.plan.actions:
        _rest(turn, decision)
        return False
    saved = turn.means.bind(decision, accepted.intent, accepted.revision, observed)
    setback = turn.state.setback
    if setback is not None and setback.plan == saved.id and turn.now_ms < setback.until_ms:
        again_ms = min(setback.until_ms, again_ms or setback.until_ms)
        turn.change(planned=replace(planned, again_ms=again_ms))
        turn.tell(
            "failed", {"reason": "the plan changed nothing; it is tried again later"}, last=True
        )
        return False
    conduct.begin(turn, saved)
    return True


def _anything_new(turn: Turn, digest: Digest, observed: Observed) -> bool:
    planned = turn.state.planned
    if planned is None or planned.digest != digest or not same_facts(planned.observed, observed):
        return True
    return planned.again_ms is not None and turn.now_ms >= planned.again_ms


def _rest(turn: Turn, decision: Decision) -> None:
    """Nothing is left to be done: say so to whoever waits for it."""
    unplaced = [
        {
            "service": u.service,
            "wanted": u.wanted,
            "placed": u.placed,
            "blocked": u.blocked,
            "reasons": [reason.text for reason in u.reasons],
        }
        for u in decision.placement.unplaced
    ]
    turn.tell("blocked" if unplaced else "converged", {"unplaced": unplaced}, last=True)


def _define(turn: Turn, before: State) -> None:
    """Tell connected nodes what they have to know, if they were not told so already."""
    state = turn.state
    connected = [name for name in sorted(state.nodes) if state.nodes[name].connected]
    devices = state.accepted.intent.fencing.devices if state.accepted else ()
    same = (state.catalog, state.decision, state.accepted) == (
        before.catalog,
        before.decision,
        before.accepted,
    )
    if same and all(name in state.defined for name in connected):
        return
    services = tuple(state.catalog.values())
    listed = state.accepted.intent.nodes if state.accepted else ()
    watched = {service.agent for service in services if service.kind is Kind.FENCE_DEVICE}
    maintained = {node.name for node in listed if node.maintenance}
    seats: dict[NodeName, set[ServiceName]] = {}
    for seat in state.decision.placement.seats if state.decision else ():
        seats.setdefault(seat.node, set()).add(seat.service)
    for name in connected:
        copies = {copy.service for copy in state.nodes[name].copies}
        told = Define(
            node=name,
            services=services,
            assigned=tuple(sorted(seats.get(name, ()) if state.decision else copies)),
            maintenance=tuple(s.name for s in services if s.maintenance or name in maintained),
            devices=tuple(device for device in devices if device.name in watched),
        )
        if state.defined.get(name) != told:
            turn.do(told)
            turn.change(defined=put(turn.state.defined, name, told))


def _wake_ms(state: State) -> Millis | None:
    times = [conduct.next_look_ms(state)]
    if not state.settled:
        times.append(_settle_ms(state))
    elif state.transition is None and state.planned is not None:
        times.append(state.planned.again_ms)
    return min((at for at in times if at is not None), default=None)
