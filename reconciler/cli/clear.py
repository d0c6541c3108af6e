"""`reconcile clear`: forget failures, so that nodes that were given up are tried again."""

from pathlib import Path

from reconciler.cli import context, link
from reconciler.cli.exit_codes import ExitCode
from reconciler.cli.terminal import Trouble, say
from reconciler.render.ink import line
from reconciler.render.words import amount, close


def run_clear(service: str | None, *, controller: str | None, pki: Path | None) -> ExitCode:
    """Forget the failures of one service, or of all; running services are not touched."""
    with link.linked(context.need(controller, pki)) as asked:
        if service is not None:
            _check(asked, service)
        cleared = asked.ask("clear", {"service": service}).get("cleared", 0)
    what = f" of {service}" if service else ""
    say([line(body=f"forgot {amount(int(cleared), 'failure')}{what}")])
    return ExitCode.DONE


def _check(asked: link.Link, service: str) -> None:
    """A mistyped name would clear nothing and look like success."""
    seen = asked.observe()
    known = {copy.service for copy in seen.observed.copies}
    known |= {failure.service for failure in seen.observed.failures}
    known |= {each.name for each in seen.accepted.intent.services} if seen.accepted else set()
    if service not in known:
        raise Trouble(f'no service "{service}" in this cluster', detail=close(service, known))
