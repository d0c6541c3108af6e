"""What becomes the accepted intent, and what does not.

A commit is only a candidate. An operator's `apply` accepts an intent; a controller told to accept by
itself does so for valid commits. Both pass the same gates: the intent can be planned, the plan is lawful,
it is not for facts that are gone, and it does not stop a good part of what runs unless that was confirmed.

Two applies: the same intent twice is one apply with two followers; a different intent takes the place of the
earlier one, whose followers are told so. An apply belongs to the cluster, not to who asked: it goes on when
they leave. A saved plan is carried out once, and only while nothing else is under way.

Law: an intent that does not pass changes nothing.
"""

from dataclasses import replace
from types import MappingProxyType

from reconciler.core import transition
from reconciler.core.conditions import turned
from reconciler.core.transition import Fate
from reconciler.model.diagnostic import Severity
from reconciler.model.intent import Intent, Service
from reconciler.model.observed import Observed
from reconciler.model.plan import ActionKind, Decision

from . import conduct
from .events import ApplyRequested, IntentFound, Refuse, Tell
from .state import USED_MAX, Accepted, Candidate, Ledger
from .turn import Turn

WAITING_MAX = 16
SHRINK_COUNT_MIN = 2
SHRINK_PERCENT = 20
NAMES_MAX = 10
"""Names in one sentence."""


def found(turn: Turn, event: IntentFound) -> None:
    """Note a commit. One that is in force already is only known by its newer name from now on."""
    errors = [d for d in event.diagnostics if d.severity is Severity.ERROR]
    usable = event.intent is not None and event.digest is not None and not errors
    candidate = Candidate(
        revision=event.revision,
        intent=event.intent if usable else None,
        digest=event.digest if usable else None,
        diagnostics=event.diagnostics,
        held=event.held if usable else "it has errors",
        subject=event.subject,
        judged=not usable or bool(event.held),
    )
    turn.change(candidate=candidate)
    turn.record(
        "found",
        {
            "revision": event.revision,
            "subject": event.subject,
            "usable": usable,
            "held": candidate.held,
        },
    )
    accepted = turn.state.accepted
    if usable and accepted is not None and accepted.digest == event.digest:
        turn.change(
            accepted=replace(accepted, revision=event.revision),
            candidate=replace(candidate, judged=True, held=""),
        )


def requested(turn: Turn, event: ApplyRequested) -> None:
    """Let an apply wait for its turn, which is at once unless the controller has only just begun."""
    if len(turn.state.waiting) >= WAITING_MAX:
        turn.do(Refuse(request=event.request, reason="too many applies are waiting"))
        return
    turn.change(waiting=(*turn.state.waiting, event))


def admit(turn: Turn) -> None:
    """Decide on everything that waits to be accepted."""
    waiting = turn.state.waiting
    turn.change(waiting=())
    for request in waiting:
        _judge(turn, request)
    candidate = turn.state.candidate
    if candidate is None or candidate.judged or not turn.state.accept_auto:
        return
    if candidate.intent is None or candidate.digest is None:
        return
    decision, trouble = think(turn, candidate.intent, turn.observed())
    if decision is not None and not trouble:
        trouble = _shrinks(turn, decision)
    turn.change(candidate=replace(candidate, judged=True, held=trouble))
    if trouble:
        turn.record("held", {"revision": candidate.revision, "reason": trouble})
        return
    accepted = Accepted(
        intent=candidate.intent, digest=candidate.digest, revision=candidate.revision
    )
    _accept(turn, accepted)


def think(turn: Turn, intent: Intent, observed: Observed) -> tuple[Decision | None, str]:
    """Plan and check the plan; the words say which law does not hold, if one does not.

    Law: a mistake of ours in planning stops nothing and starts nothing; it is a sentence in `status`.
    """
    try:
        decision = turn.means.plan(intent, observed, turn.now_ms)
        violations = turn.means.verify(
            decision.plan, intent, observed, decision.placement, turn.now_ms
        )
    except Exception as bug:  # noqa: BLE001 - a bug in planning must not end what keeps order
        return None, f"planning failed ({type(bug).__name__}: {bug}). This is a bug in reconciler."
    if violations:
        words = "; ".join(str(violation) for violation in violations[:5])
        return decision, f"the plan breaks a law ({words}). This is a bug in reconciler."
    return decision, ""


def still_retired(
    ledger: Ledger, candidates: tuple[Service, ...], intent: Intent, turn: Turn
) -> tuple[Service, ...]:
    """Services that no intent names and that still have, or may have, a copy somewhere."""
    named = {service.name for service in intent.services}
    present = {copy.service for facts in turn.state.nodes.values() for copy in facts.copies}
    present |= {doubt.service for doubt in ledger.doubts}
    held = turn.state.transition
    if held is not None:
        asked = held.progress.of(Fate.ASKED)
        present |= {a.service for a in held.plan.actions if a.id in asked and a.service}
    kept = {s.name: s for s in candidates if s.name not in named and s.name in present}
    return tuple(kept[name] for name in sorted(kept))


def retire(turn: Turn, candidates: tuple[Service, ...]) -> None:
    """Keep the definitions that are still needed to stop what no intent names; drop the others."""
    accepted = turn.state.accepted
    if accepted is None:
        return
    ledger = turn.state.ledger
    retired = still_retired(ledger, candidates, accepted.intent, turn)
    catalog = {service.name: service for service in (*retired, *accepted.intent.services)}
    if retired != ledger.retired:
        turn.note(retired=retired)
    if catalog != dict(turn.state.catalog):
        turn.change(catalog=MappingProxyType(catalog))


def _judge(turn: Turn, request: ApplyRequested) -> None:
    if turn.state.outranked is not None:
        turn.do(Refuse(request=request.request, reason=turn.state.outranked))
        return
    observed = turn.observed()
    if changes := _stale(turn, request, observed):
        turn.do(Refuse(request=request.request, reason="stale", changes=changes))
        return
    reason = _forged(turn, request)
    if not reason:
        decision, reason = think(turn, request.intent, observed)
        if request.saved is not None:
            decision = request.saved.decision
        if decision is not None and not reason and not request.confirm_shrink:
            reason = _shrinks(turn, decision)
    if reason:
        turn.do(Refuse(request=request.request, reason=reason))
        return
    accepted = Accepted(intent=request.intent, digest=request.digest, revision=request.revision)
    _accept(turn, accepted, request)


def _stale(turn: Turn, request: ApplyRequested, observed: Observed) -> tuple[str, ...]:
    """What differs between the facts that the operator saw and those of now."""
    held = turn.state.transition
    exact = request.saved is not None or request.expect is not None
    if exact and held is not None:
        return (f"transition {held.number} is under way",)
    if request.saved is not None:
        seen = request.saved.observed
        turns = turned(request.intent, seen, observed)
        return (*turn.means.changes(seen, observed), *turns)
    if request.expect is not None and request.expect != turn.means.fingerprint(observed):
        return ("the facts are not those that the plan was made from",)
    return ()


def _forged(turn: Turn, request: ApplyRequested) -> str:
    """A saved plan comes from outside: it is believed only as far as it can be checked."""
    saved = request.saved
    if saved is None:
        return ""
    if saved.id in turn.state.ledger.used:
        return "this plan was applied before; a plan is applied once"
    if saved.intent_digest != request.digest:
        return "the plan was made for another intent"
    made_ms = saved.observed.taken_at_ms
    try:
        broken = turn.means.verify(
            saved.decision.plan, request.intent, saved.observed, saved.decision.placement, made_ms
        )
    except Exception as trouble:  # noqa: BLE001 - nothing that comes from outside may end us
        return f"the plan makes no sense ({type(trouble).__name__}: {trouble})"
    return f"the plan breaks a law ({broken[0]})" if broken else ""


def _shrinks(turn: Turn, decision: Decision) -> str:
    """Say what would end, when it is so much of what runs that it may be a mistake."""
    running = {copy.service for copy in turn.observed().copies}
    seated = {seat.service for seat in decision.placement.seats}
    stops = {a.service for a in decision.plan.actions if a.kind is ActionKind.STOP and a.service}
    ended = sorted(stops - seated)
    if len(ended) < SHRINK_COUNT_MIN or len(ended) * 100 <= len(running) * SHRINK_PERCENT:
        return ""
    names = ", ".join(ended[:NAMES_MAX]) + (", ..." if len(ended) > NAMES_MAX else "")
    return (
        f"it would end {len(ended)} of {len(running)} running services ({names}); "
        "confirm with --confirm-shrink if that is meant"
    )


def _accept(turn: Turn, accepted: Accepted, request: ApplyRequested | None = None) -> None:
    before = turn.state.accepted
    watchers = (request.request,) if request is not None else ()
    if before is not None and before.digest == accepted.digest:
        turn.change(watchers=(*turn.state.watchers, *watchers))
    else:
        turn.tell("superseded", {"revision": accepted.revision}, last=True)
        turn.change(watchers=watchers, setback=None)
        if turn.state.transition is not None:
            reason = f"{accepted.revision} was accepted"
            turn.news.append(transition.Abandon(reason=reason))
    turn.change(accepted=accepted, planned=None)
    turn.count_votes()
    turn.record("accepted", {"revision": accepted.revision, "digest": accepted.digest})
    for watcher in watchers:
        body = {"event": "accepted", "revision": accepted.revision, "digest": accepted.digest}
        turn.do(Tell(request=watcher, body=body))
    old = before.intent.services if before is not None else ()
    retire(turn, (*old, *turn.state.ledger.retired))
    if request is not None and request.saved is not None:
        turn.note(used=(*turn.state.ledger.used, request.saved.id)[-USED_MAX:])
        turn.change(decision=request.saved.decision)
        if request.saved.decision.plan.actions:
            conduct.begin(turn, request.saved)
