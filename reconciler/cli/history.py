"""`reconcile history`: what the controller decided and what came of it."""

from pathlib import Path
from typing import Any, Literal

from reconciler.cli import context, link
from reconciler.cli.exit_codes import ExitCode
from reconciler.cli.terminal import say, say_text
from reconciler.render import history_text
from reconciler.render.plan_json import indented


def run_history(
    *, last: int, form: Literal["text", "json"], controller: str | None, pki: Path | None
) -> ExitCode:
    """Print the last so many records, oldest first."""
    with link.linked(context.need(controller, pki)) as asked:
        body = asked.ask("history", {"last": last})
    records = link.read(body.get("records", []), list[dict[str, Any]])
    if form == "json":
        say_text(indented({"version": 1, "records": records}))
    else:
        say(history_text.render(records))
    return ExitCode.DONE
