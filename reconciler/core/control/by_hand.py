"""What an operator does about a node by hand: fence it, or confirm that it is off.

Both are proofs, if they succeed. Nothing is confirmed of a node that is still heard: whoever says so has
looked at another one.
"""

from dataclasses import replace

from reconciler.core import transition
from reconciler.core.facts import fenced
from reconciler.model.ids import ActionId, NodeName, PlanId
from reconciler.model.observed import Liveness
from reconciler.model.operation import StepKey, Verdict
from reconciler.model.plan import ActionKind

from . import budget
from .events import ConfirmFence, Fence, FenceEnded, FenceRequested, Refuse, Tell
from .turn import Turn, put

OPERATOR = PlanId("operator")
"""Stands for the plan in the keys of fences by hand; no digest is this word."""
_HEARD = (Liveness.ALIVE, Liveness.SUSPECT)


def requested(turn: Turn, event: FenceRequested) -> None:
    """Fence a node because an operator says so; neither the majority nor the budget is asked."""
    if reason := _unknown(turn, event.node) or _unfenceable(turn, event.node):
        turn.do(Refuse(request=event.request, reason=reason))
        return
    accepted = turn.state.accepted
    if accepted is None:
        return
    turn.note(fences=budget.noted(turn.state.ledger.fences, event.node, turn.now_ms))
    boot = turn.node(event.node).boot
    turn.change(by_hand=put(turn.state.by_hand, event.request, boot))
    turn.record("fence-asked", {"node": event.node})
    key = StepKey(plan=OPERATOR, action=ActionId(f"fence@{event.node}"), attempt=event.request)
    turn.do(Fence(node=event.node, key=key, fencing=accepted.intent.fencing))


def ended(turn: Turn, event: FenceEnded) -> None:
    """Say what came of it; confirmed, it is a proof of the boot that it was asked for."""
    request = event.key.attempt
    if request not in turn.state.by_hand:
        return
    boot = turn.state.by_hand[request]
    turn.change(by_hand={r: b for r, b in turn.state.by_hand.items() if r != request})
    confirmed = event.outcome.verdict is Verdict.STOPPED
    about = {"node": event.node, "reason": event.outcome.reason}
    turn.record("fenced" if confirmed else "fence-failed", about)
    if not confirmed:
        turn.do(Refuse(request=request, reason=event.outcome.reason or "it was not confirmed"))
        return
    turn.note(fences=budget.confirmed(turn.state.ledger.fences, event.node))
    if turn.node(event.node).boot in (boot, None):
        prove(turn, event.node)
    turn.do(Tell(request=request, body=about, last=True))


def confirmed(turn: Turn, event: ConfirmFence) -> None:
    """Take an operator's word that a node is off."""
    facts = turn.node(event.node)
    reason = _unknown(turn, event.node)
    if not reason and facts.liveness in _HEARD:
        reason = (
            f"{event.node} is heard, so it is not off; switch it off, and confirm once it is lost"
        )
    if reason:
        turn.do(Refuse(request=event.request, reason=reason))
        return
    turn.record("fence-confirmed", {"node": event.node})
    prove(turn, event.node)
    turn.do(Tell(request=event.request, body={"node": event.node}, last=True))


def prove(turn: Turn, node: NodeName) -> None:
    """Nothing of what ran on this node runs any more; whatever waited for that goes on."""
    turn.keep(replace(fenced(turn.node(node)), liveness=turn.node(node).liveness))
    turn.note(doubts=tuple(d for d in turn.state.ledger.doubts if d.node != node))
    troubles = {n: words for n, words in turn.state.fence_troubles.items() if n != node}
    turn.change(fence_troubles=troubles)
    held = turn.state.transition
    for action in held.plan.actions if held is not None else ():
        if action.kind is ActionKind.FENCE and action.node == node:
            turn.news.append(transition.Ended(action=action.id, succeeded=True))


def _unknown(turn: Turn, node: NodeName) -> str:
    accepted = turn.state.accepted
    listed = {one.name for one in accepted.intent.nodes} if accepted is not None else set()
    known = node in listed or node in turn.state.nodes
    return "" if known else f"there is no node {node!r}"


def _unfenceable(turn: Turn, node: NodeName) -> str:
    accepted = turn.state.accepted
    devices = accepted.intent.fencing.devices if accepted is not None else ()
    if any(node in device.nodes for device in devices):
        return ""
    return f"no fence device is named for {node}; once you have seen that it is off, confirm that"
