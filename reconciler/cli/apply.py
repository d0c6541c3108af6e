"""`reconcile apply`: have an intent accepted and carried out, or a saved plan, exactly and once.

What is asked is what is shown: after a yes at the prompt, the controller refuses if the facts moved in
between, and the plan is shown and asked anew. `--yes` means whatever it takes to get there.
The apply belongs to the cluster: leaving this command stops nothing.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from reconciler.cli import context, inputs, link, planning
from reconciler.cli.exit_codes import ExitCode, of_decision
from reconciler.cli.plan import show
from reconciler.cli.screen import watched
from reconciler.cli.terminal import Trouble, complain, is_terminal, note, say
from reconciler.model.errors import Stale
from reconciler.model.intent import Intent
from reconciler.model.plan import SavedPlan
from reconciler.render import progress
from reconciler.render.ink import Span, Tone, line

_ASK_MOST = 5
"""How often the facts may move between question and answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """The options of one apply."""

    yes: bool
    confirm_shrink: bool
    controller: str | None
    pki: Path | None


def run_apply(given: Path | None, wishes: Wishes) -> ExitCode:
    """Plan, show, ask, send, follow."""
    path = context.cluster(given)
    _check_can_ask(wishes)
    where = context.need(wishes.controller, wishes.pki)
    if inputs.is_plan(path):
        return _apply_plan(where, inputs.plan(path), wishes)
    from reconciler.cli import cluster

    intent = cluster.load(path)
    revision = cluster.revision(path, intent)
    return _apply_intent(where, intent, revision, wishes)


def _check_can_ask(wishes: Wishes) -> None:
    if not wishes.yes and not is_terminal(sys.stdin):
        raise Trouble(
            "nobody is here to be asked",
            detail="--yes goes ahead without a question; `reconcile plan CLUSTER` only shows.",
            code=ExitCode.USAGE,
        )


def _apply_plan(where: context.Context, saved: SavedPlan, wishes: Wishes) -> ExitCode:
    show(saved, form="text")
    if not wishes.yes and not _agreed("Carry out exactly this?"):
        return _left_undone()
    body = _order(saved.intent, saved.intent_revision, wishes)
    body["saved_plan"] = msgspec.to_builtins(saved, order="deterministic")
    return _follow(where, body, saved)


def _apply_intent(
    where: context.Context, intent: Intent, revision: str, wishes: Wishes
) -> ExitCode:
    for _ in range(_ASK_MOST):
        # A connection does not outlast the time that a person takes to answer.
        seen = link.observe(where)
        saved = planning.make(intent, seen.observed, revision=revision, now_ms=seen.now_ms)
        show(saved, form="text")
        known = seen.accepted is not None and seen.accepted.digest == saved.intent_digest
        if known and not saved.decision.plan.actions:
            return of_decision(saved.decision)
        if not known and not saved.decision.plan.actions:
            say(
                [
                    line(
                        body="  The controller has yet to accept this intent; it can, without doing anything."
                    )
                ]
            )
        body = _order(intent, revision, wishes)
        if not wishes.yes:
            if not _agreed("Go ahead?"):
                return _left_undone()
            body["expect"] = saved.observed_digest
        try:
            return _follow(where, body, saved)
        except Stale as moved:
            if wishes.yes:
                raise
            note("The facts moved in the meantime; planned anew:")
            for change in moved.changes:
                note(f"  {change}")
    raise Trouble("the facts keep moving; try again when the cluster is quieter, or with --yes")


def _order(intent: Intent, revision: str, wishes: Wishes) -> dict[str, Any]:
    return {
        "intent": msgspec.to_builtins(intent, order="deterministic"),
        "revision": revision,
        "saved_plan": None,
        "expect": None,
        "confirm_shrink": wishes.confirm_shrink,
    }


def _agreed(question: str) -> bool:
    sys.stdout.write(f"\n{question} [y/N] ")
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _left_undone() -> ExitCode:
    say([line(body="Nothing was changed.")])
    return ExitCode.CHANGES_PENDING


def _follow(where: context.Context, body: dict[str, Any], saved: SavedPlan) -> ExitCode:
    """Follow the events to the last one; leaving early leaves the apply going on."""
    last: dict[str, Any] = {}
    try:
        with link.linked(where) as joined, watched(sys.stdout) as screen:
            for last, state in _folded(joined.follow("apply", body), saved):
                screen.show(progress.table(state), otherwise=progress.sentence(last))
    except KeyboardInterrupt:
        complain(
            "no longer following",
            "The controller goes on with it. `reconcile status --watch` shows how it goes.",
        )
        return ExitCode.CHANGES_PENDING
    return _summed_up(last)


def _folded(
    events: Iterator[dict[str, Any]], saved: SavedPlan
) -> Iterator[tuple[dict[str, Any], progress.Progress]]:
    state = progress.begin(saved.decision.plan)
    for event in events:
        state = progress.heard(state, event)
        yield event, state


def _summed_up(last: dict[str, Any]) -> ExitCode:
    match last.get("event"):
        case "converged":
            if is_terminal(sys.stdout):  # a pipe has had the sentence already
                done = Span("Done: ", Tone.LOUD_GOOD)
                say([line("  ", done, body="everything is where it should be.")])
            return ExitCode.DONE
        case "blocked":
            say([line("  ", Span("Done as far as possible.", Tone.CHANGE))])
            say(progress.left_over(last))
            return ExitCode.BLOCKED
        case "superseded":
            complain(progress.sentence(last), "Another apply took this one's place.")
        case "failed":
            complain(progress.sentence(last), "`reconcile status` says how things stand.")
        case _:
            complain("the controller stopped telling", "`reconcile status` says how things stand.")
    return ExitCode.ERROR
