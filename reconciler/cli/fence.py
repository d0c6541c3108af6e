"""`reconcile fence`: make sure by hand that a node does nothing any more, or say that this was seen.

Both end what runs there in the controller's eyes, so that it is started elsewhere. A confirmation is
believed: a node that is on in spite of it may run a second copy. So a person at a terminal is asked first.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from reconciler.cli import context, link
from reconciler.cli.exit_codes import ExitCode
from reconciler.cli.terminal import Trouble, is_terminal, note, say
from reconciler.render.ink import line
from reconciler.render.words import close


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What was typed besides the node."""

    confirm: bool
    yes: bool
    controller: str | None
    pki: Path | None


def run_fence(node: str, wishes: Wishes) -> ExitCode:
    """Fence a node, or confirm that it is off."""
    if not wishes.yes and not is_terminal(sys.stdin):
        raise Trouble(
            "nobody is here to be asked",
            detail="--yes goes ahead without a question.",
            code=ExitCode.USAGE,
        )
    where = context.need(wishes.controller, wishes.pki)
    _check(where, node)
    if not wishes.yes and not _agreed(node, confirm=wishes.confirm):
        note("Nothing was done.")
        return ExitCode.ERROR
    with link.linked(where) as asked:
        told = asked.ask("fence", {"node": node, "confirm": wishes.confirm})
    words = "confirmed to be off" if wishes.confirm else str(told.get("reason") or "fenced")
    say([line(body=f"{node}: {words}")])
    return ExitCode.DONE


def _check(where: context.Context, node: str) -> None:
    """A mistyped name is found before a question is asked about it."""
    seen = link.observe(where)
    known = {str(state.name) for state in seen.observed.nodes}
    if node not in known:
        raise Trouble(f'no node "{node}" in this cluster', detail=close(node, known))


def _agreed(node: str, *, confirm: bool) -> bool:
    question = (
        f"Have you seen with your own eyes that {node} is off, or cut from all storage and networks?"
        if confirm
        else f"Fence {node}? Everything that runs on it ends at once."
    )
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
