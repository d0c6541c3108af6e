"""Settings that ask for what cannot happen: a fence where nothing can fence, a minimum never reached.

Each is sound by itself; it is the rest of the cluster that makes it void.
"""

from collections.abc import Iterator

from reconciler.config import document
from reconciler.config.draft import Draft, Entry
from reconciler.config.problems import Problems
from reconciler.config.yaml_tree import quoted
from reconciler.model.intent import Intent, OnFail, OnLoss, Origin

_OPERATIONS = ("start", "stop", "promote", "demote", "monitor", "monitor_promoted")


def check_fences(draft: Draft, problems: Problems) -> None:
    """Report whatever asks for a fence in a cluster without fencing.

    Devices that are yet to be written (`devices: {}`) are fencing: nothing starts until they are there.
    """
    if draft.is_broken("fencing") or (draft.fencing and draft.fencing.body):
        return
    without = "with `fencing: none`" if draft.fencing else "without `fencing`"
    for who, at in _fences(draft):
        problems.add(
            "R044",
            f"{who} asks for a fence, and {without} nothing can fence a node. Add devices under `fencing`, "
            "or choose another word here.",
            at,
        )


def _fences(draft: Draft) -> Iterator[tuple[str, Origin]]:
    """Who asks for a fence, and where."""
    if draft.usual is not None:
        yield from _failed(draft.usual, "The defaults: a failed")
    for name, template in draft.templates.items():
        yield from _failed(template, f"Template {quoted(name)}: a failed")
    for name, service in draft.services.items():
        yield from _failed(service, f"Service {quoted(name)}: a failed")
    for entry in draft.constraints:
        if isinstance(entry.body, document.Ticket) and entry.body.on_loss is OnLoss.FENCE:
            yield f"The loss of ticket {quoted(entry.body.ticket)}", entry.at("on-loss")
    if draft.quorum is not None and draft.quorum.body.on_loss is OnLoss.FENCE:
        yield "The loss of the quorum", draft.quorum.at("on-loss")


def _failed(
    entry: Entry[document.ClusterDefaults] | Entry[document.Template] | Entry[document.Service],
    who: str,
) -> Iterator[tuple[str, Origin]]:
    for name in _OPERATIONS:
        said = getattr(entry.body, name)
        if said is not None and said.on_fail is OnFail.FENCE:
            key = name.replace("_", "-")
            yield f"{who} {key}", entry.at(key, "on-fail")


def check_minimums(intent: Intent, problems: Problems) -> None:
    """Report orderings that wait for more copies than there can be."""
    most: dict[str, tuple[int | None, int]] = {
        service.name: (service.replicas, service.replicas_per_node) for service in intent.services
    }
    for group in intent.groups:
        most[group.name] = most.get(group.members[0], (None, 1))
    for ordering in intent.orderings:
        if ordering.minimum is None or ordering.any_of or ordering.first not in most:
            continue
        replicas, per_node = most[ordering.first]
        count = len(intent.nodes) * per_node if replicas is None else replicas
        if ordering.minimum > count:
            problems.add(
                "R037",
                f"{quoted(ordering.then)} waits for {ordering.minimum} copies of {quoted(ordering.first)}, "
                f"of which there are {count} at most, so it never starts. Lower `minimum`, or raise "
                "`replicas`.",
                ordering.origin,
            )
