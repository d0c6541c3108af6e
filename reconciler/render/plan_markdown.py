"""A plan as Markdown for a pull request: the summary in a line, a table, the reasons folded away.

A comment on a forge may hold some 65,000 characters, so long tables are cut, and say so. Every value is
escaped: a reason may quote what a script printed.
"""

from collections.abc import Iterable, Iterator

from reconciler.model.placement import Unplaced
from reconciler.model.plan import Action, SavedPlan
from reconciler.render import story
from reconciler.render.markdown import code, text
from reconciler.render.plan_text import because
from reconciler.render.story import Change, Story
from reconciler.render.words import GLYPHS, advice, amount, short

_ROWS_MOST = 100
_REASONS_MOST = 100


def render(saved: SavedPlan) -> str:
    """The plan as GitHub-flavoured Markdown."""
    told = story.tell(saved.observed, saved.decision)
    parts = [
        f"### Plan for {code(saved.intent.cluster)}: {story.headline(told).lower()}\n",
        *_table(told.changes),
        *_waiting("Blocked", "not safe now", told.blocked),
        *_waiting("Unplaced", "no node can hold it", told.impossible),
        *_folded(told),
        _made_from(saved),
    ]
    return "\n".join(parts)


def _table(changes: tuple[Change, ...]) -> Iterator[str]:
    if not changes:
        return
    yield "| | Change | Service | Where | Why | Disturbs |"
    yield "|---|---|---|---|---|---|"
    for change in changes[:_ROWS_MOST]:
        where = code(change.node) + (f" → {code(change.target)}" if change.target else "")
        reasons = change.actions[0].reasons
        why = text(because(reasons[0])) if reasons else ""
        mark = "**yes**" if change.disturbs else ""
        glyph = _GLYPHS_OF_VERBS.get(change.verb) or GLYPHS[change.actions[0].kind]
        name = code(change.service) if change.service else ""
        yield f"| `{glyph}` | {change.verb} | {name} | {where} | {why} | {mark} |"
    if len(changes) > _ROWS_MOST:
        yield f"\n… and {amount(len(changes) - _ROWS_MOST, 'change')} more."
    yield ""


_GLYPHS_OF_VERBS = {"move": "→", "restart": "↻"}


def _waiting(title: str, meaning: str, items: tuple[Unplaced, ...]) -> Iterator[str]:
    if not items:
        return
    yield f"**{title}** ({meaning}):\n"
    for item in items[:_ROWS_MOST]:
        yield f"- {code(item.service)}: {item.placed} of {item.wanted} run"
        yield from (f"  - {text(because(reason))}" for reason in item.reasons[:5])
        yield from (f"  - _{text(step)}_" for step in advice(item.reasons, item.service))
    yield ""


def _folded(told: Story) -> Iterator[str]:
    actions = [(number, action) for number, wave in enumerate(told.waves, 1) for action in wave]
    if not actions:
        return
    waves, count = amount(len(told.waves), "wave"), amount(len(actions), "action")
    yield f"<details><summary>{count} in {waves}, with every reason</summary>\n"
    yield from _listed(actions[:_REASONS_MOST])
    if len(actions) > _REASONS_MOST:
        yield f"\n… and {amount(len(actions) - _REASONS_MOST, 'action')} more."
    yield "\n</details>\n"


def _listed(actions: Iterable[tuple[int, Action]]) -> Iterator[str]:
    for number, action in actions:
        what = f"{action.kind} {code(action.service)} on" if action.service else action.kind.value
        yield f"- wave {number}: {what} {code(action.node)}"
        yield from (f"  - {text(because(reason))}" for reason in action.reasons[:4])


def _made_from(saved: SavedPlan) -> str:
    return (
        f"<sub>intent {code(short(saved.intent_revision))} · facts "
        f"{code(saved.observed_digest[:10])} · plan {code(saved.id[:10])}</sub>\n"
    )
