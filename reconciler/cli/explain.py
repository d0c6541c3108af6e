"""`reconcile explain`: why a service is where it is, or is not where one might expect it."""

from pathlib import Path
from typing import Literal

from reconciler.cli import context, inputs
from reconciler.cli.exit_codes import ExitCode
from reconciler.cli.plan import Source
from reconciler.cli.terminal import Trouble, say, say_text
from reconciler.core.cold import cold
from reconciler.core.explain import explain
from reconciler.model.ids import Millis, NodeName, ServiceName
from reconciler.model.intent import Intent
from reconciler.model.observed import Observed
from reconciler.render import explain_text
from reconciler.render.words import close


def run_explain(
    service: str,
    *,
    node: str | None,
    cluster: Path | None,
    source: Source,
    form: Literal["text", "json"],
) -> ExitCode:
    """Explain one service: status 4 when copies of it are blocked or unplaced."""
    intent, observed, now_ms = _premises(cluster, source)
    _known("service", service, [each.name for each in intent.services])
    if node is not None:
        _known("node", node, [each.name for each in intent.nodes])
    explanation = explain(
        intent, observed, now_ms, ServiceName(service), NodeName(node) if node else None
    )
    if form == "json":
        say_text(explain_text.render_json(explanation))
    else:
        say(explain_text.render(explanation))
    return ExitCode.BLOCKED if explanation.unplaced else ExitCode.DONE


def _premises(cluster: Path | None, source: Source) -> tuple[Intent, Observed, Millis]:
    """The intent and the facts to explain by: the controller's own, where none are named."""
    from reconciler.cli.cluster import load

    if source.facts is not None and source.cold:
        raise Trouble("--observed and --cold exclude each other", code=ExitCode.USAGE)
    if source.cold:
        intent = load(context.cluster(cluster))
        return intent, cold(intent), Millis(0)
    if source.facts is not None:
        observed = inputs.observed(source.facts)
        return load(context.cluster(cluster)), observed, observed.taken_at_ms
    where = context.need(source.controller, source.pki)
    from reconciler.cli import link

    seen = link.observe(where)
    if cluster is not None:
        return load(cluster), seen.observed, seen.now_ms
    if seen.accepted is None:
        raise Trouble(
            "no intent has been accepted yet", detail="`reconcile apply CLUSTER` does it."
        )
    return seen.accepted.intent, seen.observed, seen.now_ms


def _known(what: str, name: str, names: list[str]) -> None:
    if name not in names:
        raise Trouble(f'no {what} "{name}" in this cluster', detail=close(name, names))
