"""An explanation as text: node by node, the filters first, then the scores; last, what would change it."""

from collections.abc import Iterator

from reconciler.core.explain import (
    Answer,
    Ask,
    Cause,
    Explanation,
    NodeExplanation,
    Points,
    Question,
)
from reconciler.model.intent import Origin
from reconciler.model.placement import Reason, Why
from reconciler.render.ink import BLANK, Line, Span, Tone, line
from reconciler.render.plan_json import indented
from reconciler.render.plan_text import because
from reconciler.render.words import amount


def render(explanation: Explanation) -> list[Line]:
    """Why a service is where it is, and nowhere else."""
    width = max((len(each.node) for each in explanation.nodes), default=0)
    lines = [*_title(explanation), BLANK]
    best = [each for each in explanation.nodes if each.chosen]
    rest = [each for each in explanation.nodes if not each.chosen]
    for each in (*best, *rest):
        lines += _node(each, width)
    for answer in explanation.answers:
        lines += [BLANK, *_answer(answer)]
    return lines


def render_json(explanation: Explanation) -> str:
    """The same for programs."""
    return indented({"version": 1, "explanation": explanation})


def _title(explanation: Explanation) -> Iterator[Line]:
    name = Span(explanation.service, Tone.STRONG)
    chosen = ", ".join(_named(each) for each in explanation.nodes if each.chosen)
    unplaced = explanation.unplaced
    if unplaced is None:
        yield line(name, f" belongs on {chosen}" if chosen else " belongs nowhere")
        return
    word = Span("  blocked" if unplaced.blocked else "  unplaced", Tone.BAD)
    where = f" (on {chosen})" if chosen else ""
    yield line(name, word, f"  {unplaced.placed} of {unplaced.wanted} run{where}")
    for reason in unplaced.reasons:
        yield line("    ", Span(f"{reason.why:<17}", Tone.FAINT), body=because(reason))


def _named(each: NodeExplanation) -> str:
    return f"{each.node} (promoted)" if each.promoted else each.node


# Nodes ----------------------------------------------------------------------------------------------


def _node(each: NodeExplanation, width: int) -> Iterator[Line]:
    mark, tone, word = _verdict(each)
    silent = any(reason.why in {Why.NODE_LOST, Why.NODE_UNKNOWN} for reason in each.against)
    now = ", may still run here" if silent else ", runs here now"
    running = now if each.running and not each.chosen else ""
    yield line(
        "  ",
        Span(f"{mark} {each.node:<{width}}", tone),
        Span(f"  score {each.score:>6}", Tone.FAINT),
        f"  {word}{running}",
    )
    for reason in each.against:
        yield _reason(reason)
    if each.chosen and each.against_promoted:
        yield line("      ", "not promoted")
        for reason in each.against_promoted:
            yield _reason(reason)
    for points in each.points:
        yield _points(points)


def _reason(reason: Reason) -> Line:
    return line("      ", Span(f"{reason.why:<17}", Tone.FAINT), body=because(reason))


def _verdict(each: NodeExplanation) -> tuple[str, Tone, str]:
    if each.chosen:
        chosen = "chosen to be promoted" if each.promoted else "chosen"
        return "●", Tone.LOUD_GOOD, f"{chosen}; runs here now" if each.running else chosen
    if each.against:
        return "✗", Tone.BAD, "not here"
    return "○", Tone.PLAIN, "possible"


def _points(points: Points) -> Line:
    role = ", promoted copies only" if points.promoted else ""
    body = points.text + role + _at(points.origin)
    return line("      ", Span(f"{points.score:+17d}  ", Tone.FAINT), body=body)


def _at(origin: Origin | None) -> str:
    return f" ({origin})" if origin else ""


# Answers --------------------------------------------------------------------------------------------


def _answer(answer: Answer) -> Iterator[Line]:
    yield line("  ", Span(_heading(answer.question), Tone.STRONG))
    tried = amount(answer.tries, "decision")
    if not answer.sets:
        yield line("    ", body=f"No set of causes was found within {tried}.", tone=Tone.FAINT)
        return
    for number, causes in enumerate(answer.sets):
        opening = _opening(answer.question) if number == 0 else "Or, just as well, were it not that"
        yield line("    ", opening)
        for place, cause in enumerate(causes):
            yield line("      ", Span("and " if place else "    ", Tone.FAINT), body=_cause(cause))
    yield line("    ", body=_proof(answer, tried), tone=Tone.FAINT)


def _heading(question: Question) -> str:
    verb = "promoted on" if question.promoted else "on"
    match question.ask:
        case Ask.NOT_THERE:
            return f"Why not {verb} {question.node}?"
        case Ask.THERE:
            return f"Why {verb} {question.node}?"
        case Ask.TOO_FEW:
            return "Why are no more promoted?" if question.promoted else "Why do no more run?"


def _opening(question: Question) -> str:
    what = "promoted there" if question.promoted else "there"
    match question.ask:
        case Ask.NOT_THERE:
            return f"It would be {what}, were it not that"
        case Ask.THERE:
            return f"It would not be {what}, were it not that"
        case Ask.TOO_FEW:
            what = "be promoted" if question.promoted else "run"
            return f"More would {what}, were it not that"


def _cause(cause: Cause) -> str:
    return cause.text + _at(cause.origin)


def _proof(answer: Answer, tried: str) -> str:
    several = any(len(causes) > 1 for causes in answer.sets)
    back = "; with any one of them back, it is not" if several else ""
    return f"Tried out in {tried}: without {'all of these' if several else 'this'} it is so{back}."
