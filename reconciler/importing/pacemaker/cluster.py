"""What holds for the whole cluster: its nodes, and the options that became settings here.

Options that only tune Pacemaker's own daemons are passed over in silence; every other option without a
counterpart is named with its line.
"""

import re
from collections.abc import Iterator
from typing import Final

from reconciler.importing.pacemaker.document import Cib, Element
from reconciler.importing.pacemaker.nodes import Standing
from reconciler.importing.pacemaker.notes import Notes
from reconciler.importing.pacemaker.rules import Context
from reconciler.importing.pacemaker.settings import Options, pairs, present_name
from reconciler.importing.pacemaker.words import INFINITY, integer, is_name, truth
from reconciler.importing.pacemaker.yaml_text import Value

_PACKINGS: Final = {"utilization": "count", "balanced": "room", "minimal": "fewest-nodes"}
_QUORUM: Final = {
    "ignore": "ignore",
    "freeze": "freeze",
    "demote": "demote",
    "suicide": "fence",
    "fence": "fence",
}
_COLOURS: Final = (("base", 0), ("green", 0), ("yellow", 0), ("red", -INFINITY))
_HEALTH: Final = ("migrate-on-red", "only-green", "progressive", "custom")
_CARRIED: Final = frozenset(
    {
        "cluster-name",
        "default-resource-stickiness",
        "enable-startup-probes",
        "fencing-action",
        "fencing-enabled",
        "is-managed-default",
        "maintenance-mode",
        "no-quorum-policy",
        "node-health-base",
        "node-health-green",
        "node-health-red",
        "node-health-strategy",
        "node-health-yellow",
        "node-pending-timeout",
        "placement-strategy",
        "priority-fencing-delay",
        "start-failure-is-fatal",
        "startup-fencing",
        "stop-all-resources",
        "stop-orphan-resources",
        "symmetric-cluster",
    }
)
_OWN: Final = frozenset(
    {
        "cluster-delay",
        "cluster-infrastructure",
        "cluster-recheck-interval",
        "concurrent-fencing",
        "crmd-finalization-timeout",
        "crmd-integration-timeout",
        "dc-deadtime",
        "dc-version",
        "election-timeout",
        "expected-quorum-votes",
        "fencing-max-attempts",
        "fencing-timeout",
        "fencing-watchdog-timeout",
        "have-watchdog",
        "join-finalization-timeout",
        "join-integration-timeout",
        "last-lrm-refresh",
        "network-delay",
        "pe-error-series-max",
        "pe-input-series-max",
        "pe-warn-series-max",
        "shutdown-escalation",
        "transition-delay",
        "transition-idle-timeout",
    }
)
_NO_LABELS: Final = frozenset({"standby", "maintenance", "terminate"})


def cluster_name(cib: Cib, options: Options) -> str:
    """The cluster's name: its own, or the file's."""
    stem = cib.path.rsplit("/", 1)[-1].split(".", 1)[0]
    for text in (options.text("cluster-name"), stem):
        name = re.sub(r"[^A-Za-z0-9_.-]+", "-", text).lstrip(".-")[:128]
        if name:
            return name
    return "imported"


def read_node_bodies(
    cib: Cib, nodes: tuple[Standing, ...], demanded: frozenset[str], notes: Notes
) -> dict[str, Value]:
    """The section `nodes`. `demanded` are the resources that count; a node without one has none."""
    found: dict[str, Value] = {}
    for node in nodes:
        if not is_name(node.name):
            notes.unsupported(
                f'"{node.name}" cannot be the name of a node here (letters, digits, `_`, `.`, `-`).',
                cib.origin(node.element),
            )
            continue
        context = Context(node=node.built_in)
        permanent = pairs(node.element, "instance_attributes", context, cib)
        body: dict[str, Value] = {"address": _address(node.name)}
        if labels := labels_of(permanent):
            body["labels"] = dict(labels)
        if demanded:
            has = pairs(node.element, "utilization", context, cib)
            body["capacity"] = {
                name: max(0, integer(has.get(name, "0"))) for name in sorted(demanded)
            }
        for flag in ("standby", "maintenance"):
            if truth(permanent.get(flag, ""), default=False):
                body[flag] = True
        if node.maintenance and "maintenance" not in body:
            body["maintenance"] = True
            notes.changed(
                f'"{node.name}" is in maintenance until it boots again. What is written holds until it is '
                "taken out.",
                cib.origin(node.state or node.element),
            )
        found[node.name] = body
    return found


def labels_of(attributes: dict[str, str]) -> dict[str, str]:
    """The attributes that become labels; of `#health-...` without the first sign."""
    named = ((name.removeprefix("#"), text) for name, text in attributes.items())
    return {name: text for name, text in named if is_name(name) and name not in _NO_LABELS}


def _address(name: str) -> str:
    return f"node-{name}" if name.replace(".", "").isdigit() or len(name) > 63 else name  # noqa: PLR2004 - DNS


def cluster_defaults(options: Options) -> dict[str, Value]:
    """Settings of `defaults` that are no service's."""
    found: dict[str, Value] = {"when-equal": "spread", "negative-scores": "forbid"}
    if packing := _PACKINGS.get(options.text("placement-strategy").lower()):
        found["packing"] = packing
    if not options.truth("stop-orphan-resources", default=True):
        found["orphans"] = "keep"
    return found


def quorum_and_health(options: Options, *, devices: bool) -> dict[str, Value]:
    """The sections `quorum` and `health`."""
    policy = options.text("no-quorum-policy").lower()
    on_loss = _QUORUM.get(policy, "stop")
    fenced = devices and options.truth("fencing-enabled", default=True)
    if on_loss == "fence" and not fenced:
        on_loss = "stop"
    found: dict[str, Value] = {"quorum": {"on-loss": on_loss}}
    strategy = options.text("node-health-strategy").lower()
    if strategy in _HEALTH:
        health: dict[str, Value] = {"strategy": strategy}
        counted = strategy == "progressive"  # the others have scores of their own
        for colour, usual in _COLOURS if counted else ():
            points = options.score(f"node-health-{colour}", usual)
            if points != usual:
                health[colour] = "forbidden" if points <= -INFINITY else points
        found["health"] = health
    return found


def note_the_rest(cib: Cib, notes: Notes) -> None:
    """Name what has no counterpart: options, ACLs, alerts."""
    for name, element in _options(cib):
        if name not in _CARRIED | _OWN:
            notes.left_out(f'The option "{name}" has no counterpart here.', cib.origin(element))
    for tag in ("acls", "alerts"):
        for element in cib.section(tag).children:
            notes.left_out(
                f'The element <{element.tag}> "{element.id}" of <{tag}> has no counterpart here.',
                cib.origin(element),
            )


def _options(cib: Cib) -> Iterator[tuple[str, Element]]:
    for element in cib.section("crm_config").walk("nvpair"):
        yield present_name(element.get("name")), element
