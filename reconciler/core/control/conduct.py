"""Carry out the transition: orders, results, and what is done when the facts move under it.

When they do, nothing more is asked for; what is under way ends first, and then the accepted intent is
planned again. An order whose result will not come leaves a doubt if it may have started something.

Law: an order goes out only for a plan that was verified and for facts that still hold; it is repeated
only under the same key.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import assert_never

from reconciler.core import transition
from reconciler.core.definition import definition_digest
from reconciler.core.facts import Doubt, NodeFacts, fenced
from reconciler.core.transition import Ask, Fate, Limits, Over
from reconciler.model.ids import ActionId, Digest, Millis, NodeName, PlanId, ServiceName
from reconciler.model.intent import Fencing, Role
from reconciler.model.operation import Outcome, Step, StepKey, StepResult, Verdict
from reconciler.model.plan import Action, ActionKind, SavedPlan

from . import budget
from .events import AcknowledgeStep, Fence, FenceEnded, Order, Record, StepEnded
from .movement import moved
from .state import Setback, State, Transition
from .turn import Turn, put

ANSWER_GRACE_MS = 10_000
"""An agent ends an operation by its deadline; after this much more it is asked again."""
VALID_MS_MIN = 1_500
"""Orders are valid this long at least: an agent that has not heard of new limits yet pings slowly."""
SETTLE = "settle:"
SETBACK_MS_FIRST = 1_000
SETBACK_MS_MAX = 60_000
_STARTING = (ActionKind.START, ActionKind.PROMOTE, ActionKind.MIGRATE)
_NOTHING = Limits(node=0, cluster=0)
_WANTED: dict[ActionKind, tuple[Verdict, ...]] = {
    ActionKind.PROBE: (Verdict.STOPPED,),
    ActionKind.START: (Verdict.RUNNING, Verdict.PROMOTED),
    ActionKind.STOP: (Verdict.STOPPED,),
    ActionKind.PROMOTE: (Verdict.PROMOTED,),
    ActionKind.DEMOTE: (Verdict.RUNNING,),
    ActionKind.RELOAD: (Verdict.RUNNING, Verdict.PROMOTED),
    ActionKind.MIGRATE: (Verdict.RUNNING, Verdict.PROMOTED),
    ActionKind.FENCE: (Verdict.STOPPED,),
}
"""What each action has to leave behind, or find, for the plan to go on."""
_PARTS = ("", "/arrive", "/clear")
"""How the orders of one action are told apart: a slash is in no name."""


def begin(turn: Turn, saved: SavedPlan) -> None:
    """Begin to carry out a plan that was verified."""
    number = max(turn.state.ledger.number + 1, turn.state.incarnation)
    turn.note(number=number)
    turn.change(
        transition=Transition(number=number, saved=saved, base=dict(turn.state.nodes)),
        broken=None,
    )
    actions = len(saved.decision.plan.actions)
    turn.do(Record(kind="planned", fields={"number": number, "actions": actions}, saved=saved))
    turn.tell("planned", {"plan": saved.id, "actions": actions})


def carry_on(turn: Turn) -> bool:
    """Let the transition hear the news and ask for what is next; True when it is over."""
    held = turn.state.transition
    if held is None:
        turn.news.clear()
        return False
    news, turn.news = turn.news, []
    abandoned = held.progress.abandoned is not None
    if turn.state.settled and not abandoned and (reason := moved(held, turn.state)):
        turn.record("moved", {"number": held.number, "reason": reason})
        turn.tell("replanned", {"reason": reason})
        news.insert(0, transition.Abandon(reason=reason))
    over = None
    for event in (*news, *_overdue(turn), transition.Proceed()):
        over = _hear(turn, event)
    while turn.news:
        over = _hear(turn, turn.news.pop(0))
    if over is None:
        return False
    _close(turn, complete=over.complete)
    return True


def step_ended(turn: Turn, event: StepEnded) -> None:
    """Take in a result. It is acknowledged in any case: whatever it changes is durable by then."""
    key, outcome = event.result.key, event.result.outcome
    turn.do(AcknowledgeStep(node=event.node, key=key))
    _settle_doubts(turn, event.node, key, outcome)
    held = turn.state.transition
    if held is None or (key.plan, key.attempt) != (held.saved.id, held.number):
        return
    name, slash, rest = key.action.partition("/")
    action = held.action(ActionId(name))
    if action is None or held.progress.fates.get(action.id) is not Fate.ASKED:
        return
    part = held.progress.part(action.id)
    if held.progress.place(action) != event.node or slash + rest != _PARTS[part]:
        return
    wanted = _WANTED[_kind(action, part)]
    succeeded = event.result.refused is None and outcome.verdict in wanted
    turn.news.append(transition.Ended(action=action.id, succeeded=succeeded, part=part))
    if not succeeded or part + 1 == transition.parts_of(action):
        _announce(turn, action, event.result, succeeded=succeeded)


def fence_ended(turn: Turn, event: FenceEnded) -> None:
    """Take in what came of a fence: a confirmed one is a proof, anything else is nothing.

    A node that has begun a new boot meanwhile is let be: its old one is over in any case.
    """
    held = turn.state.transition
    if held is None or (event.key.plan, event.key.attempt) != (held.saved.id, held.number):
        return
    action = held.action(event.key.action)
    if action is None or held.progress.fates.get(action.id) is not Fate.ASKED:
        return
    succeeded = event.outcome.verdict in _WANTED[ActionKind.FENCE]
    facts, base = turn.node(event.node), held.base.get(event.node)
    again = facts.boot is not None and base is not None and facts.boot != base.boot
    if succeeded and not again:
        turn.keep(fenced(facts))
        turn.note(doubts=tuple(d for d in turn.state.ledger.doubts if d.node != event.node))
    troubles = {n: words for n, words in turn.state.fence_troubles.items() if n != event.node}
    if succeeded:
        turn.note(fences=budget.confirmed(turn.state.ledger.fences, event.node))
    else:
        troubles[event.node] = f"{event.node} could not be fenced: {event.outcome.reason}"
    turn.change(fence_troubles=troubles)
    turn.news.append(transition.Ended(action=action.id, succeeded=succeeded))
    result = StepResult(key=event.key, outcome=event.outcome)
    _announce(turn, action, result, succeeded=succeeded)


def drop_fences(turn: Turn) -> None:
    """Nobody will tell what came of fences that an earlier controller began: the facts decide anew."""
    held = turn.state.transition
    for action in held.plan.actions if held is not None else ():
        if held is not None and action.kind is ActionKind.FENCE:
            turn.news.append(transition.Ended(action=action.id, succeeded=False))


def node_gone(turn: Turn, node: NodeName, *, rebooted: bool) -> None:
    """Give up waiting for a node; what it may have begun is a doubt, unless that boot is over."""
    held = turn.state.transition
    if rebooted:
        turn.note(doubts=tuple(d for d in turn.state.ledger.doubts if d.node != node))
    elif held is not None:
        asked = held.progress.of(Fate.ASKED)
        ours = (a for a in held.plan.actions if a.id in asked and node in (a.node, a.target))
        _doubt(turn, tuple(ours))
    turn.news.append(transition.NodeGone(node=node))


def node_ready(turn: Turn, facts: NodeFacts) -> None:
    """A node has reported in full on its connection: ask again, and settle what was in doubt there.

    A doubted copy that it reports is a fact. One that it does not report may still be on its way, so
    it is ordered to stop, which the agent does after whatever it has begun.
    """
    turn.news.append(transition.AskAgain(node=facts.name))
    for doubt in turn.state.ledger.doubts:
        if doubt.node != facts.name:
            continue
        if _is_settled(doubt, facts):
            turn.note(doubts=tuple(d for d in turn.state.ledger.doubts if d != doubt))
            continue
        key = replace(doubt.key, action=ActionId(SETTLE + doubt.key.action))
        undo = ActionKind.DEMOTE if doubt.role is Role.PROMOTED else ActionKind.STOP
        _order(turn, doubt.node, _step(turn, key, undo, doubt.service))


def _is_settled(doubt: Doubt, facts: NodeFacts) -> bool:
    """A report says what the doubt was about; a copy that is gone cannot be promoted any more."""
    found = [c for c in facts.copies if (c.service, c.instance) == (doubt.service, doubt.instance)]
    if doubt.role is Role.PROMOTED:
        return not found or found[0].role is Role.PROMOTED
    return bool(found)


def next_look_ms(state: State) -> Millis | None:
    """When the next answer is overdue."""
    held = state.transition
    if held is None:
        return None
    return min((_due_ms(state, held, action) for action in _awaited(held)), default=None)


# Hearing and ordering -----------------------------------------------------------------------------


def _hear(turn: Turn, event: transition.Event) -> Over | None:
    held = turn.state.transition
    if held is None:
        return None
    acting = turn.state.settled and turn.state.outranked is None
    limits = turn.state.limits if acting else _NOTHING
    progress, effects = transition.step(held.plan, held.progress, event, limits)
    turn.change(transition=replace(held, progress=progress))
    over = None
    for effect in effects:
        match effect:
            case Ask(action=action, part=part) if acting:
                _ask(turn, action, part)
            case Ask():
                pass
            case Over():
                over = effect
            case _:
                assert_never(effect)
    # Before the start has settled nothing is asked for, so an empty hand does not mean the end.
    return over if acting or (over and over.complete) else None


def _ask(turn: Turn, action: Action, part: int) -> None:
    held = turn.state.transition
    if held is None:
        return
    asked = put(held.asked_ms, action.id, turn.now_ms)
    turn.change(transition=replace(held, asked_ms=asked))
    key = StepKey(
        plan=held.saved.id, action=ActionId(action.id + _PARTS[part]), attempt=held.number
    )
    if action.kind is ActionKind.FENCE:
        _fence(turn, action, key)
    elif action.service is not None:
        step = _step(turn, key, _kind(action, part), action.service)
        if step.kind is ActionKind.MIGRATE:
            step = replace(step, source=action.node, target=action.target)
        _order(turn, held.progress.place(action), step)
    if part > 0:
        return
    turn.tell(
        "started",
        {
            "action": action.id,
            "kind": action.kind.value,
            "service": action.service,
            "node": action.node,
        },
    )


def _fence(turn: Turn, action: Action, key: StepKey) -> None:
    """Begin a fence, unless too many were begun lately: then it has failed before it began."""
    accepted = turn.state.accepted
    fencing = accepted.intent.fencing if accepted is not None else Fencing()
    members = len(accepted.intent.nodes) if accepted is not None else 0
    fences = turn.state.ledger.fences
    if reason := budget.refusal(fences, action.node, members, turn.now_ms):
        turn.change(fence_troubles=put(turn.state.fence_troubles, action.node, reason))
        turn.news.append(transition.Ended(action=action.id, succeeded=False))
        outcome = Outcome(verdict=Verdict.FAILED, reason=reason)
        _announce(turn, action, StepResult(key=key, outcome=outcome), succeeded=False)
        return
    turn.note(fences=budget.noted(fences, action.node, turn.now_ms))
    turn.do(Fence(node=action.node, key=key, fencing=fencing))


def _kind(action: Action, part: int) -> ActionKind:
    """What one order of an action is: a migration ends with a stop."""
    last = part + 1 == transition.MIGRATION_PARTS
    return ActionKind.STOP if action.kind is ActionKind.MIGRATE and last else action.kind


def _order(turn: Turn, node: NodeName, step: Step) -> None:
    """Send an order if the node can be reached; otherwise it is sent when it is back."""
    if turn.node(node).connected:
        turn.do(Order(node=node, step=step))


def _step(turn: Turn, key: StepKey, kind: ActionKind, service: ServiceName) -> Step:
    definition = turn.state.catalog.get(service)
    return Step(
        key=key,
        kind=kind,
        service=service,
        definition=definition_digest(definition) if definition else Digest(""),
        epoch=turn.state.epoch,
        incarnation=turn.state.incarnation,
        valid_ms=Millis(max(turn.state.heartbeat.lost_ms, VALID_MS_MIN)),
    )


def _awaited(held: Transition) -> list[Action]:
    """Actions that an agent has to answer for. Fences are answered for here, whatever happens."""
    asked = held.progress.of(Fate.ASKED)
    fence = ActionKind.FENCE
    return [a for a in held.plan.actions if a.id in asked and a.kind is not fence]


def _overdue(turn: Turn) -> Iterator[transition.Event]:
    """Ask again for what should have ended long ago; the second time, give up on its node."""
    held = turn.state.transition
    if held is None or not turn.state.settled:
        return
    place = held.progress.place
    late = [a for a in _awaited(held) if turn.now_ms >= _due_ms(turn.state, held, a)]
    for node in sorted({place(action) for action in late}):
        again = {
            ActionId(action.id + _PARTS[held.progress.part(action.id)])
            for action in late
            if place(action) == node
        }
        if turn.node(node).connected and not again & held.repeated:
            turn.change(transition=replace(held, repeated=held.repeated | again))
            yield transition.AskAgain(node=node)
        else:
            _doubt(turn, tuple(a for a in _awaited(held) if node in (a.node, a.target)))
            yield transition.NodeGone(node=node)


def _due_ms(state: State, held: Transition, action: Action) -> Millis:
    service = state.catalog.get(action.service) if action.service else None
    timeout_ms = 0
    if service is not None:
        match action.kind:
            case ActionKind.STOP:
                timeout_ms = service.stop.timeout_ms
            case ActionKind.PROBE:
                timeout_ms = service.monitor.timeout_ms
            case ActionKind.PROMOTE:
                timeout_ms = service.promote.timeout_ms
            case ActionKind.DEMOTE:
                timeout_ms = service.demote.timeout_ms
            case ActionKind.MIGRATE:
                timeout_ms = max(service.start.timeout_ms, service.stop.timeout_ms)
            case _:
                timeout_ms = service.start.timeout_ms
    return Millis(held.asked_ms.get(action.id, Millis(0)) + timeout_ms + ANSWER_GRACE_MS)


def _doubt(turn: Turn, actions: tuple[Action, ...]) -> None:
    held = turn.state.transition
    if held is None:
        return
    doubts = list(turn.state.ledger.doubts)
    for action in actions:
        if action.service is None or action.kind not in _STARTING:
            continue
        key = StepKey(plan=held.saved.id, action=action.id, attempt=held.number)
        doubt = Doubt(
            key=key,
            node=action.target or action.node,
            service=action.service,
            instance=action.instance,
            role=Role.PROMOTED if action.kind is ActionKind.PROMOTE else Role.STARTED,
        )
        if doubt not in doubts:
            doubts.append(doubt)
    turn.note(doubts=tuple(doubts))


def _settle_doubts(turn: Turn, node: NodeName, key: StepKey, outcome: Outcome) -> None:
    """The doubted order has a result after all, or the stop that settles it has succeeded."""
    doubted = replace(key, action=ActionId(key.action.removeprefix(SETTLE)))
    about = [d for d in turn.state.ledger.doubts if (d.node, d.key) == (node, doubted)]
    if key.action.startswith(SETTLE):
        undone = {d: Verdict.RUNNING if d.role is Role.PROMOTED else Verdict.STOPPED for d in about}
        about = [d for d in about if outcome.verdict is undone[d]]
    left = tuple(d for d in turn.state.ledger.doubts if d not in about)
    if left != turn.state.ledger.doubts:
        turn.note(doubts=left)


def _announce(turn: Turn, action: Action, result: StepResult, *, succeeded: bool) -> None:
    outcome = result.outcome
    about: dict[str, object] = {
        "action": action.id,
        "kind": action.kind.value,
        "service": action.service,
        "node": action.node,
        "verdict": outcome.verdict.value,
        "reason": result.refused or outcome.reason,
        "took_ms": outcome.took_ms,
    }
    # A probe that finds something did its work; only what was to come after it has to be thought over.
    looked = action.kind is ActionKind.PROBE and result.refused is None
    event = "finished" if succeeded or looked else "failed"
    turn.tell(event, about)
    turn.record(event, about)


def _close(turn: Turn, *, complete: bool) -> None:
    """End the transition; whatever is left to do is planned anew."""
    held = turn.state.transition
    if held is None:
        return
    turn.record(
        "ended",
        {
            "number": held.number,
            "plan": held.saved.id,
            "complete": complete,
            "abandoned": held.progress.abandoned,
        },
    )
    turn.change(transition=None, planned=None, setback=_setback(turn, held.saved.id))


def _setback(turn: Turn, plan: PlanId) -> Setback:
    """A plan that comes out again unchanged did nothing: it waits, twice as long each time."""
    before = turn.state.setback
    again = (
        before is not None
        and before.plan == plan
        and turn.now_ms <= before.until_ms + SETBACK_MS_MAX
    )
    count = before.count + 1 if before is not None and again else 1
    wait_ms = min(SETBACK_MS_MAX, SETBACK_MS_FIRST * 2 ** min(count - 1, 10))
    return Setback(plan=plan, count=count, until_ms=Millis(turn.now_ms + wait_ms))
