"""An explanation as text: node by node, the filters first, then the scores; last, what would change it."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

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
from reconciler.render.words import amount, listing


def render(explanation: Explanation) -> list[Line]:
    """Why a service is where it is, and nowhere else."""
    alike = _alike(explanation.nodes)
    width = max((len(_spot(nodes)) for nodes in alike), default=0)
    lines = [*_title(explanation), BLANK]
    for nodes in alike:
        lines += _node(nodes, width)
    for answer in explanation.answers:
        lines += [BLANK, *_answer(answer, some=bool(explanation.placed))]
    return lines


def render_json(explanation: Explanation) -> str:
    """The same for programs."""
    return indented({"version": 1, "explanation": explanation})


def _title(explanation: Explanation) -> Iterator[Line]:
    name = Span(explanation.service, Tone.STRONG)
    promoted = {each.node for each in explanation.nodes if each.promoted}
    chosen = ", ".join(
        f"{node} (promoted)" if node in promoted else node for node in explanation.placed
    )
    unplaced = explanation.unplaced
    if unplaced is None:
        yield line(name, f" belongs on {chosen}" if chosen else " belongs nowhere")
        return
    word = Span("  blocked" if unplaced.blocked else "  unplaced", Tone.BAD)
    where = f" (on {chosen})" if chosen else ""
    yield line(name, word, f"  {unplaced.placed} of {unplaced.wanted} run{where}")
    for reason in unplaced.reasons:
        yield line("    ", Span(f"{reason.why:<17}", Tone.FAINT), body=because(reason))


# Nodes ----------------------------------------------------------------------------------------------


_Nodes = tuple[NodeExplanation, ...]
_SHOWN_MAX = 4
"""Of nodes that are told in one."""


def _alike(nodes: Sequence[NodeExplanation]) -> list[_Nodes]:
    """The chosen nodes, and then the others, all those together that have the same to say."""
    found: dict[object, list[NodeExplanation]] = {}
    for each in sorted(nodes, key=lambda each: not each.chosen):
        key = each.node if each.chosen or each.running else (_said(each), each.points, each.assumed)
        found.setdefault(key, []).append(each)
    return [tuple(group) for group in found.values()]


def _said(each: NodeExplanation) -> tuple[Reason, ...]:
    return tuple(
        replace(reason, text=_there(reason, each.node), node=None) for reason in each.against
    )


def _there(reason: Reason, node: str) -> str:
    """The reason of one node, said of several."""
    text = re.sub(rf"(?<!\S)on {re.escape(node)}(?!\S)(?=$|[ ,:;])", "there", reason.text)
    return re.sub(rf"(?<!\S){re.escape(node)}(?=$|[ ,:;])", "it", text)


def _spot(nodes: _Nodes) -> str:
    return listing((each.node for each in nodes), most=_SHOWN_MAX)


def _node(nodes: _Nodes, width: int) -> Iterator[Line]:
    each = nodes[0]
    mark, tone, word = _verdict(each)
    silent = any(reason.why in {Why.NODE_LOST, Why.NODE_UNKNOWN} for reason in each.against)
    now = ", may still run here" if silent else ", runs here now"
    running = now if each.running and not each.chosen else ""
    yield line(
        "  ",
        Span(f"{mark} {_spot(nodes):<{width}}", tone),
        Span(f"  score {each.score:>6}", Tone.FAINT),
        f"  {word}{running}",
    )
    for reason in each.against if len(nodes) == 1 else _said(each):
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


def _answer(answer: Answer, *, some: bool) -> Iterator[Line]:
    yield line("  ", Span(_heading(answer.question, some=some), Tone.STRONG))
    tried = amount(answer.tries, "decision")
    if not answer.sets:
        yield line("    ", body=f"No set of causes was found within {tried}.", tone=Tone.FAINT)
        return
    for number, causes in enumerate(answer.sets):
        opening = (
            _opening(answer.question, some=some)
            if number == 0
            else "Or, just as well, were it not that"
        )
        yield line("    ", opening)
        for place, cause in enumerate(causes):
            yield line("      ", Span("and " if place else "    ", Tone.FAINT), body=_cause(cause))
    yield line("    ", body=_proof(answer, tried), tone=Tone.FAINT)


def _heading(question: Question, *, some: bool) -> str:
    verb = "promoted on" if question.promoted else "on"
    match question.ask:
        case Ask.NOT_THERE:
            return f"Why not {verb} {question.node}?"
        case Ask.THERE:
            return f"Why {verb} {question.node}?"
        case Ask.TOO_FEW if question.promoted:
            return "Why are no more promoted?"
        case Ask.TOO_FEW:
            return "Why do no more run?" if some else "Why does it not run?"


def _opening(question: Question, *, some: bool) -> str:
    what = "promoted there" if question.promoted else "there"
    match question.ask:
        case Ask.NOT_THERE:
            return f"It would be {what}, were it not that"
        case Ask.THERE:
            return f"It would not be {what}, were it not that"
        case Ask.TOO_FEW if question.promoted:
            return "More would be promoted, were it not that"
        case Ask.TOO_FEW:
            return f"{'More' if some else 'It'} would run, were it not that"


def _cause(cause: Cause) -> str:
    return cause.text + _at(cause.origin)


def _proof(answer: Answer, tried: str) -> str:
    several = any(len(causes) > 1 for causes in answer.sets)
    back = "; with any one of them back, it is not" if several else ""
    return f"Tried out in {tried}: without {'all of these' if several else 'this'} it is so{back}."
