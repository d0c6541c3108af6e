"""A simulation as Markdown for a pull request: promises first, then a table, the frail services folded away.

Tables are cut where a comment on a forge would be too long, and say so. Every value is escaped.
"""

from collections.abc import Iterator

from reconciler.core.whatif import Sweep
from reconciler.render import plan_markdown
from reconciler.render.markdown import code, text
from reconciler.render.plan_text import because
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

_ROWS_MOST = 100
_NAMES_MOST = 6


def render(simulation: Simulation) -> str:
    """The simulation as GitHub-flavoured Markdown."""
    sweep, cluster = simulation.sweep, code(simulation.baseline.intent.cluster)
    given = [] if sweep.depth else [code(str(f)) for f in sweep.outcomes[0].scenario.faults]
    what = f"what if {' and '.join(given)} fails" if given else headline(sweep).lower()
    parts = [
        f"### {cluster}: {what}\n",
        *_promises(sweep),
        *_table(list(rows(sweep))),
        *_reasons(sweep),
        *_frail(sweep),
        _made_from(simulation),
    ]
    if simulation.plan is not None:
        parts.append(plan_markdown.render(simulation.plan))
    return "\n".join(parts)


def _promises(sweep: Sweep) -> Iterator[str]:
    if not sweep.promises:
        return
    yield "| Service | Promise | |"
    yield "|---|---|---|"
    listed = sorted(sweep.promises, key=lambda promise: not promise.broken_by)
    for promise in listed[:_ROWS_MOST]:
        said = text(verdict(promise, sweep))
        said = f"**{said}**" if promise.broken_by else said
        yield f"| {code(promise.service)} | survive: {promise.survive} | {said} |"
    if len(listed) > _ROWS_MOST:
        yield f"\n… and {len(listed) - _ROWS_MOST} more promises."
    yield ""


def _table(listed: list[Row]) -> Iterator[str]:
    if not listed:
        return
    yield "| Fails | Lost | Worse | Moves | |"
    yield "|---|---|---|---|---|"
    for row in listed[:_ROWS_MOST]:
        fails = " + ".join(code(str(fault)) for fault in row.outcome.scenario.faults)
        lost = listing((code(name) for name in row.lost), most=_NAMES_MOST)
        worse = text(listing(row.worse, most=_NAMES_MOST))
        said = text("; ".join(remarks(row.outcome)))
        yield f"| {fails} | {lost} | {worse} | {moved(row.outcome)} | {said} |"
    if len(listed) > _ROWS_MOST:
        yield f"\n… and {len(listed) - _ROWS_MOST} more rows."
    yield ""


def _reasons(sweep: Sweep) -> Iterator[str]:
    """Why things are lost, for one scenario; a sweep has too many."""
    if sweep.depth or not sweep.outcomes[0].losses:
        return
    for loss in sweep.outcomes[0].losses[:_ROWS_MOST]:
        yield f"- {code(loss.service)}: {loss.after} of {loss.before} run"
        yield from (f"  - {text(because(reason))}" for reason in loss.reasons)
    yield ""


def _frail(sweep: Sweep) -> Iterator[str]:
    found = frail(sweep) if sweep.depth else []
    if not found:
        return
    yield f"<details><summary>{amount(len(found), 'service')} can be lost</summary>\n"
    for each in found[:_ROWS_MOST]:
        why = " + ".join(code(str(fault)) for fault in each.smallest.faults)
        yield f"- {code(each.service)}: in {each.times} of {len(sweep.outcomes)}, as when {why} fails"
    if len(found) > _ROWS_MOST:
        yield f"\n… and {len(found) - _ROWS_MOST} more services."
    yield "\n</details>\n"


def _made_from(simulation: Simulation) -> str:
    what = f"{text(tried(simulation.sweep))} · " if simulation.sweep.depth else ""
    return (
        f"<sub>{what}{text(premise(simulation))} · intent {code(short(simulation.revision))} · "
        f"facts {code(simulation.observed_digest[:10])}</sub>\n"
    )
