"""A simulation for people: the promises first, then what is lost and why, then what moves.

One scenario is told in full and followed by its plan; of a sweep, a table of what is worth reading.
"""

from collections.abc import Iterable, Iterator

from reconciler.core.whatif import Loss, LossKind, Move, Outcome, Sweep
from reconciler.render.ink import BLANK, Line, Span, Tone, line
from reconciler.render.plan_text import because
from reconciler.render.plan_text import render as plan_lines
from reconciler.render.whatif import (
    Row,
    Simulation,
    frail,
    headline,
    moved,
    premise,
    remarks,
    rows,
    tried,
    verdict,
)
from reconciler.render.words import amount, listing, short

_ROWS_MOST = 60
_FRAIL_MOST = 20
_NAMES_MOST = 3
_COLUMN_MOST = 44


def render(simulation: Simulation) -> list[Line]:
    """Tell a simulation."""
    lines = [*_title(simulation), BLANK]
    lines += _promises(simulation.sweep)
    if simulation.plan is None:
        lines += _sweep(simulation.sweep)
    else:
        lines += _scenario(simulation.sweep.outcomes[0])
        lines += plan_lines(simulation.plan)
    while lines and lines[-1] == BLANK:
        lines.pop()
    return lines


def _title(simulation: Simulation) -> Iterator[Line]:
    sweep, cluster = simulation.sweep, simulation.baseline.intent.cluster
    what = tried(sweep) if sweep.depth else listing(map(str, sweep.outcomes[0].scenario.faults))
    yield line(Span(f"What if: {cluster}", Tone.STRONG), "  ", body=what)
    made_from = f"intent {short(simulation.revision)}, {premise(simulation)}"
    yield line("  ", body=made_from, tone=Tone.FAINT)
    if simulation.baseline.again:
        steps = listing(simulation.baseline.again, most=_NAMES_MOST)
        yield line("  ", Span("The cluster flaps as it is: ", Tone.LOUD_BAD), body=steps)


def _promises(sweep: Sweep) -> Iterator[Line]:
    if not sweep.promises:
        return
    yield line("  ", Span("Promises", Tone.STRONG))
    listed: dict[tuple[bool, str], list[str]] = {}
    for promise in sweep.promises:
        said = f"survive: {promise.survive}, {verdict(promise, sweep)}"
        listed.setdefault((not promise.broken_by, said), []).append(promise.service)
    for (holds, said), names in sorted(listed.items()):
        mark, tone = ("✓", Tone.GOOD) if holds else ("✗", Tone.LOUD_BAD)
        yield line("    ", Span(f"{mark} {listing(names)}  ", tone), body=said)
    yield BLANK


# One scenario ---------------------------------------------------------------------------------------


def _scenario(outcome: Outcome) -> Iterator[Line]:
    tone = Tone.STRONG if outcome.losses else Tone.LOUD_GOOD
    yield line("  ", body=_summary(outcome), tone=tone)
    for said in remarks(outcome):
        yield line("    ", Span(said, Tone.LOUD_BAD))
    yield BLANK
    if outcome.losses:
        yield line("  ", Span("Lost or worse", Tone.BAD))
        for loss in outcome.losses:
            yield from _loss(loss)
        yield BLANK
    if outcome.moves:
        yield line("  ", Span("Moves", Tone.STRONG))
        width = max(len(move.service) for move in outcome.moves)
        yield from (_move(move, width) for move in outcome.moves)
        yield BLANK


def _summary(outcome: Outcome) -> str:
    kinds = [(len(outcome.lost), "is lost", "are lost")]
    fewer = sum(loss.kind is not LossKind.LOST for loss in outcome.losses)
    kinds.append((fewer, "is worse off", "are worse off"))
    parts = [
        f"{amount(count, 'service')} {one if count == 1 else many}"
        for count, one, many in kinds
        if count
    ]
    parts = parts or ["Nothing is lost"]
    if outcome.moves:
        parts.append(f"{amount(len(outcome.moves), 'copy')} moved or restarted")
    if outcome.fenced:
        parts.append(f"{listing(outcome.fenced)} fenced, which is taken to succeed")
    return "; ".join(parts) + "."


def _loss(loss: Loss) -> Iterator[Line]:
    word = "deadlock" if loss.deadlock else loss.kind.value
    tone = Tone.LOUD_BAD if loss.deadlock else Tone.BAD
    noun = " promoted" if loss.kind is LossKind.DEMOTED else ""
    yield line(
        "    ", Span(f"{loss.service}  ", Tone.STRONG), Span(f"{word}  ", tone),
        body=f"{loss.after} of {loss.before}{noun} run",
    )  # fmt: skip
    for reason in loss.reasons:
        yield line("      ", Span(f"{reason.why:<17}", Tone.FAINT), body=because(reason))


def _move(move: Move, width: int) -> Line:
    where = f"{move.source} → {move.target}"
    if move.source == move.target:
        where = f"restarts on {move.source}"
    note = "  (it ran well)" if move.disturbed else ""
    return line("    ", Span(f"{move.service:<{width}}  ", Tone.STRONG), f"{where}{note}")


# A sweep --------------------------------------------------------------------------------------------


def _sweep(sweep: Sweep) -> Iterator[Line]:
    bad = any(not outcome.calm for outcome in sweep.outcomes)
    yield line("  ", body=headline(sweep) + ".", tone=Tone.STRONG if bad else Tone.LOUD_GOOD)
    yield BLANK
    yield from _table(list(rows(sweep)))
    yield from _frail(sweep)


def _table(listed: list[Row]) -> Iterator[Line]:
    cells = [_cells(row) for row in listed[:_ROWS_MOST]]
    if not cells:
        return
    titles = ("Fails", "Lost", "Worse", "Moves")
    widths = [max(map(len, column)) for column in zip(titles, *cells, strict=True)]
    head = "  ".join(f"{title:<{width}}" for title, width in zip(titles, widths, strict=True))
    yield line("  ", Span(head, Tone.FAINT))
    for row, (fails, lost, worse, moves) in zip(listed, cells, strict=False):
        yield line(
            "  ",
            Span(f"{fails:<{widths[0]}}  ", Tone.NAME),
            Span(f"{lost:<{widths[1]}}  ", Tone.BAD),
            Span(f"{worse:<{widths[2]}}  ", Tone.CHANGE),
            Span(f"{moves:<{widths[3]}}  ", Tone.MOVE),
            body="; ".join(remarks(row.outcome)),
            tone=Tone.LOUD_BAD if row.outcome.broken or row.outcome.flaps else Tone.BAD,
        )
    if len(listed) > _ROWS_MOST:
        more = f"… {len(listed) - _ROWS_MOST} more; --format json lists them all"
        yield line("  ", Span(more, Tone.FAINT))
    yield BLANK


def _cells(row: Row) -> tuple[str, str, str, str]:
    return (
        str(row.outcome.scenario),
        _names(row.lost),
        _names(row.worse),
        moved(row.outcome),
    )


def _names(names: Iterable[str]) -> str:
    """As many names as a column has room for."""
    items = list(names)
    most = len(items)
    while most > 1 and len(listing(items, most=most)) > _COLUMN_MOST:
        most -= 1
    return listing(items, most=most) if most > 1 or len(items) == 1 else _number(items)


def _number(items: list[str]) -> str:
    return amount(len(items), "service") if items else ""


def _frail(sweep: Sweep) -> Iterator[Line]:
    found = frail(sweep)
    if not found:
        return
    total = len(sweep.outcomes)
    yield line(
        "  ", Span("Services that can be lost", Tone.STRONG),
        Span("  the easiest first", Tone.FAINT),
    )  # fmt: skip
    width = max(len(each.service) for each in found[:_FRAIL_MOST])
    for each in found[:_FRAIL_MOST]:
        yield line(
            "    ", Span(f"{each.service:<{width}}  ", Tone.STRONG),
            body=f"in {each.times} of {total}, for one when {each.smallest} fails",
        )  # fmt: skip
    if len(found) > _FRAIL_MOST:
        yield line("    ", Span(f"… {len(found) - _FRAIL_MOST} more", Tone.FAINT))
    yield BLANK
