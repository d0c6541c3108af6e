"""One world, planned and judged: is the answer the best there is, and is what is claimed of it true.

Verdicts: `best`; `not allowed`; `missed` (something better exists, and nothing else was claimed); `false
proof` (something better exists, and the answer was called optimal); `low bound` (the bound is below what
exists); `not proven` (the best, but not called so); `unbalanced` (the best on levels 1 to 3, not on 4).
"""

from dataclasses import dataclass, field
from enum import StrEnum

from reconciler.core.reconcile import reconcile
from reconciler.model.ids import Millis
from reconciler.model.intent import Intent
from reconciler.model.observed import Observed
from tests.oracle.brute_force import Oracle, TooManyError, Value, balances, seats_of
from tests.oracle.facts import Choice


class Verdict(StrEnum):
    BEST = "best"
    NOT_ALLOWED = "not allowed"
    MISSED = "missed"
    FALSE_PROOF = "false proof"
    LOW_BOUND = "low bound"
    NOT_PROVEN = "not proven"
    UNBALANCED = "unbalanced"
    TOO_MANY = "too many"
    """More placements than the oracle looks through: not judged."""


@dataclass(frozen=True, slots=True)
class Judgement:
    verdict: Verdict
    got: Value | None = None
    best: Value | None = None
    seats: dict[str, Choice] = field(default_factory=dict)
    better: dict[str, Choice] = field(default_factory=dict)
    broken: tuple[str, ...] = ()


def judge(intent: Intent, observed: Observed, *, limit: int = 10**9) -> Judgement:
    """Plan this world and look at every placement for a better one."""
    placement = reconcile(intent, observed, Millis(0)).placement
    oracle = Oracle(intent, observed)
    seats = seats_of(oracle, placement.seats)
    broken = oracle.broken(seats)
    if broken:
        return Judgement(Verdict.NOT_ALLOWED, seats=seats, broken=tuple(broken))
    got = oracle.value(seats)
    try:
        best, better = oracle.best(seats, limit=limit)
    except TooManyError:
        return Judgement(Verdict.TOO_MANY)
    verdict = Verdict.BEST
    claimed = placement.bound or placement.score
    margin = oracle.pack(claimed.levels) - oracle.pack(placement.score.levels)
    if best.worth > got.worth:
        verdict = Verdict.FALSE_PROOF if placement.optimal else Verdict.MISSED
        if not placement.optimal and margin < best.worth - got.worth:
            verdict = Verdict.LOW_BOUND
    elif not placement.optimal:
        verdict = Verdict.NOT_PROVEN
    elif best.even > got.even and balances(intent):
        verdict = Verdict.UNBALANCED
    return Judgement(verdict, got, best, seats, better)
