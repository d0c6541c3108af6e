"""Saved plans: a decision bound to its intent and to every fact that it used.

A saved plan is applied exactly and once, or refused as stale with what changed. It can be shown and
replayed for ever: it holds its own inputs.
"""

import dataclasses

from reconciler.codec import canonical
from reconciler.model.errors import Corrupt
from reconciler.model.ids import Digest, PlanId
from reconciler.model.intent import Intent
from reconciler.model.observed import Observed
from reconciler.model.plan import Decision, SavedPlan


def bind(decision: Decision, *, intent: Intent, revision: str, observed: Observed) -> SavedPlan:
    """Bind a decision to what it was made from; equal inputs give an equal id."""
    unnamed = SavedPlan(
        id=PlanId(""),
        intent_digest=canonical.intent_digest(intent),
        intent_revision=revision,
        observed_digest=canonical.fingerprint(observed),
        intent=intent,
        observed=observed,
        decision=decision,
    )
    return dataclasses.replace(unnamed, id=_identity(unnamed))


def read(data: bytes) -> SavedPlan:
    """Read a saved plan.

    Errors: `Corrupt` when it is not one, or when its parts do not match its digests.
    """
    saved = canonical.load(data, SavedPlan)
    if (
        saved.id != _identity(saved)
        or saved.intent_digest != canonical.intent_digest(saved.intent)
        or saved.observed_digest != canonical.fingerprint(saved.observed)
    ):
        raise Corrupt("the plan file was changed after it was written")
    return saved


def changes(before: Observed, now: Observed) -> tuple[str, ...]:
    """Say in words which facts differ, node by node and copy by copy; empty when none does."""
    old, new = _facts(before), _facts(now)
    lines = []
    for subject in sorted(old.keys() | new.keys()):
        if old.get(subject) != new.get(subject):
            was, now_is = old.get(subject, "not there"), new.get(subject, "not there")
            lines.append(f"{subject}: was {was}, now {now_is}")
    return tuple(lines)


def _identity(saved: SavedPlan) -> PlanId:
    return PlanId(
        canonical.digest(
            (
                saved.intent_digest,
                saved.observed_digest,
                saved.decision.placement.seats,
                saved.decision.plan,
            )
        )
    )


def _facts(observed: Observed) -> dict[str, str]:
    facts = {"quorum": "held" if observed.quorate else "lost"}
    for node in observed.nodes:
        facts[f"node {node.name}"] = (
            f"{node.liveness} (boot {node.boot}, {len(node.probed)} probed)"
        )
        facts |= {f"node {node.name} attribute {key}": value for key, value in node.attributes}
    for copy in observed.copies:
        state = "failed" if copy.failed else copy.role.value
        words = f"{copy.certainty} {state}" + (f", blocked: {copy.blocked}" if copy.blocked else "")
        words += f", definition {(copy.digest or Digest('adopted'))[:8]}"
        facts[f"service {copy.service} on {copy.node} instance {copy.instance}"] = words
    for failure in observed.failures:
        facts[f"failures of {failure.service} on {failure.node}"] = str(failure.count)
    return facts
