"""Baselines in a few words: every node alive, everything where a cold plan puts it."""

from collections.abc import Collection, Mapping

from reconciler.core.cold import cold
from reconciler.core.whatif import (
    Baseline,
    DomainFault,
    Fault,
    NodeFault,
    Outcome,
    Scenario,
    ServiceFault,
    attempt,
    settle,
)
from reconciler.membership import votes
from reconciler.model.ids import Millis
from reconciler.model.intent import FenceDevice, Fencing, Intent
from reconciler.model.observed import Liveness, Observed


def quorate(members: Collection[str], heard: Mapping[str, Liveness]) -> bool:
    return votes.count(members, heard).quorate


def baseline(intent: Intent, observed: Observed | None = None) -> Baseline:
    facts = cold(intent) if observed is None else observed
    return settle(intent, facts, Millis(0), quorate, judged=True)


def fault(word: str, base: Baseline) -> Fault:
    """`node:n1`, `service:db@n1`, `domain:rack=a`."""
    kind, _, rest = word.partition(":")
    match kind:
        case "node":
            return NodeFault(node=rest)
        case "service":
            service, _, node = rest.partition("@")
            return ServiceFault(service=service, node=node)
    label, _, value = rest.partition("=")
    nodes = tuple(n.name for n in base.intent.nodes if dict(n.labels).get(label) == value)
    return DomainFault(label=label, value=value, nodes=nodes)


def scenario(words: str, base: Baseline) -> Scenario:
    return Scenario(faults=tuple(fault(word, base) for word in words.split()))


def outcome(base: Baseline, words: str) -> Outcome:
    return attempt(base, scenario(words, base), judged=True).outcome


def losses(found: Outcome) -> str:
    """`db:lost! web:fewer`; the mark is a deadlock."""
    return " ".join(f"{x.service}:{x.kind}{'!' if x.deadlock else ''}" for x in found.losses)


def moves(found: Outcome) -> str:
    """`db:n1>n2`; a star where it ran well."""
    return " ".join(
        f"{m.service}:{m.source}>{m.target}{'*' if m.disturbed else ''}" for m in found.moves
    )


def fenced(*nodes: str) -> Fencing:
    """A device for each node."""
    return Fencing(
        devices=tuple(
            FenceDevice(name=f"f-{node}", agent="fence_virsh", nodes=(node,)) for node in nodes
        )
    )
