"""An independent judge of explanations: every set is taken away, whole and all but each cause, and the
whole decision made anew by `reconcile`. It reads seats for itself."""

from reconciler.core.explain import Answer, Ask, Question, explain, remove
from reconciler.core.reconcile import reconcile
from reconciler.model.intent import Intent, Role
from reconciler.model.observed import Observed
from reconciler.model.plan import ActionKind, Decision

LEAVES = (ActionKind.STOP, ActionKind.MIGRATE, ActionKind.DEMOTE)


def seats(decision: Decision, question: Question) -> list[str]:
    return [
        seat.node
        for seat in decision.placement.seats
        if seat.service == question.service
        and (not question.promoted or seat.role is Role.PROMOTED)
    ]


def is_so(question: Question, nodes: list[str], before: list[str]) -> bool:
    """Whether what was asked about is so, with copies on these nodes."""
    match question.ask:
        case Ask.NOT_THERE:
            return question.node not in nodes
        case Ask.THERE:
            return question.node in nodes
        case Ask.TOO_FEW:
            return len(nodes) <= len(before)


def faults(intent: Intent, observed: Observed, now_ms: int, answer: Answer) -> list[str]:
    """What is wrong with an answer; nothing, if every set of it is sufficient and minimal."""
    question = answer.question
    before = seats(reconcile(intent, observed, now_ms), question)

    def so_without(causes) -> bool:
        decision = reconcile(*remove(causes, intent, observed), now_ms)
        return is_so(question, seats(decision, question), before)

    found = [] if is_so(question, before, before) else ["what is asked about is not so"]
    for causes in answer.sets:
        names = [cause.text for cause in causes]
        if so_without(causes):
            found.append(f"not sufficient: {names}")
        found += [
            f"not needed: {cause.text} in {names}"
            for cause in causes
            if not so_without([other for other in causes if other is not cause])
        ]
    return found


def judged(intent: Intent, observed: Observed, now_ms: int) -> tuple[int, list[str]]:
    """Explain every service that lacks something or leaves somewhere: how many questions, what is wrong."""
    decision = reconcile(intent, observed, now_ms)
    known = {service.name for service in intent.services}
    restless = {unplaced.service for unplaced in decision.placement.unplaced}
    restless |= {action.service for action in decision.plan.actions if action.kind in LEAVES}
    count, wrong = 0, []
    for service in sorted(known & restless):
        for answer in explain(intent, observed, now_ms, service).answers:
            count += 1
            about = f"{answer.question.ask} {service} {answer.question.node or ''}"
            if not answer.sets:
                wrong.append(f"{about}: nothing found in {answer.tries} tries")
            wrong += [f"{about}: {fault}" for fault in faults(intent, observed, now_ms, answer)]
    return count, wrong
