"""An explanation as text: node by node, the filters first, then the scores; last, what could change it."""

from collections.abc import Iterator

from reconciler.core.explain import Explanation, NodeExplanation, Points
from reconciler.model.intent import Origin
from reconciler.model.placement import Why
from reconciler.render.ink import BLANK, Line, Span, Tone, line
from reconciler.render.plan_json import indented
from reconciler.render.plan_text import because


def render(explanation: Explanation) -> list[Line]:
    """Why a service is where it is, and nowhere else."""
    width = max((len(each.node) for each in explanation.nodes), default=0)
    lines = [*_title(explanation), BLANK]
    best = [each for each in explanation.nodes if each.chosen]
    rest = [each for each in explanation.nodes if not each.chosen]
    for each in (*best, *rest):
        lines += _node(each, width)
    if explanation.changes:
        lines += [BLANK, line("  ", Span("What would change it", Tone.STRONG))]
        lines += [line("    ", body=text) for text in explanation.changes]
    return lines


def render_json(explanation: Explanation) -> str:
    """The same for programs."""
    return indented({"version": 1, "explanation": explanation})


def _title(explanation: Explanation) -> Iterator[Line]:
    name = Span(explanation.service, Tone.STRONG)
    chosen = ", ".join(each.node for each in explanation.nodes if each.chosen)
    unplaced = explanation.unplaced
    if unplaced is None:
        yield line(name, f" belongs on {chosen}" if chosen else " belongs nowhere")
        return
    word = Span("  blocked" if unplaced.blocked else "  unplaced", Tone.BAD)
    where = f" (on {chosen})" if chosen else ""
    yield line(name, word, f"  {unplaced.placed} of {unplaced.wanted} run{where}")
    for reason in unplaced.reasons:
        yield line("    ", Span(f"{reason.why:<17}", Tone.FAINT), body=because(reason))


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
        yield line("      ", Span(f"{reason.why:<17}", Tone.FAINT), body=because(reason))
    for points in each.points:
        yield _points(points)


def _verdict(each: NodeExplanation) -> tuple[str, Tone, str]:
    if each.chosen:
        return "●", Tone.LOUD_GOOD, "chosen; runs here now" if each.running else "chosen"
    if each.against:
        return "✗", Tone.BAD, "not here"
    return "○", Tone.PLAIN, "possible"


def _points(points: Points) -> Line:
    origin = _at(points.origin)
    return line("      ", Span(f"{points.score:+17d}  ", Tone.FAINT), body=points.text + origin)


def _at(origin: Origin | None) -> str:
    return f" ({origin})" if origin else ""
