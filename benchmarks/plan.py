"""How long deciding takes: examples/clusters/large, from nothing, settled, and with each node lost in turn.

    .venv/bin/python benchmarks/plan.py

One process, warm: the intent is loaded once. Prints milliseconds, median and worst.
"""

import dataclasses
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from reconciler.config.load import load_path  # noqa: E402
from reconciler.core.cold import cold  # noqa: E402
from reconciler.core.definition import definition_digest  # noqa: E402
from reconciler.core.reconcile import reconcile  # noqa: E402
from reconciler.core.verify import verify  # noqa: E402
from reconciler.model.ids import Millis  # noqa: E402
from reconciler.model.intent import Intent  # noqa: E402
from reconciler.model.observed import Copy, Liveness, Observed  # noqa: E402
from reconciler.model.plan import Decision  # noqa: E402


def main() -> None:
    intent = load_path(ROOT / "examples/clusters/large").intent
    assert intent is not None
    nothing = cold(intent)
    print(f"{len(intent.nodes)} nodes, {len(intent.services)} services")
    first = table("nothing runs", intent, [nothing] * 3)
    settled = running(intent, nothing, first)
    table("everything runs", intent, [settled] * 5)
    table("one node lost", intent, [without(settled, at) for at in range(len(intent.nodes))])


def table(title: str, intent: Intent, worlds: list[Observed]) -> Decision:
    plans, judgements, actions, proven = [], [], [], []
    for observed in worlds:
        began = time.perf_counter()
        decision = reconcile(intent, observed, Millis(0))
        planned = time.perf_counter()
        assert verify(decision.plan, intent, observed, decision.placement) == ()
        judgements.append((time.perf_counter() - planned) * 1000)
        plans.append((planned - began) * 1000)
        actions.append(len(decision.plan.actions))
        proven.append(decision.placement.optimal)
    print(
        f"{title:<16} plan {statistics.median(plans):6.0f} ms (worst {max(plans):.0f}), "
        f"verify {statistics.median(judgements):5.0f} ms, "
        f"actions {statistics.median(actions):.0f}, proven {sum(proven)} of {len(proven)}"
    )
    return decision


def running(intent: Intent, observed: Observed, decision: Decision) -> Observed:
    """Everything where the decision wants it."""
    digests = {s.name: definition_digest(s) for s in intent.services}
    return dataclasses.replace(
        observed,
        copies=tuple(
            Copy(service=seat.service, node=seat.node, digest=digests[seat.service])
            for seat in decision.placement.seats
        ),
    )


def without(observed: Observed, at: int) -> Observed:
    """The same with one node lost."""
    nodes = list(observed.nodes)
    nodes[at] = dataclasses.replace(nodes[at], liveness=Liveness.LOST)
    return dataclasses.replace(observed, nodes=tuple(nodes))


if __name__ == "__main__":
    main()
