"""Answers: minimal sets of causes for a question, or an honest "not found".

Every test of a set decides the whole cluster anew, so the number of tests is bounded, by count: the answer
to a question is the same on a slow machine.
"""

from collections.abc import Callable
from dataclasses import dataclass

from reconciler.core.explain.candidates import rungs
from reconciler.core.explain.cause import Cause
from reconciler.core.explain.counterfactual import Trials, TriesSpentError, minimal_sets
from reconciler.core.explain.question import Question, Result, place, result
from reconciler.core.explain.removal import remove
from reconciler.core.problem import Problem
from reconciler.model.ids import Millis, ServiceName
from reconciler.model.intent import Intent, Service
from reconciler.model.observed import Observed

TRIES_MAX = 300
"""Decisions for one question, in clusters of up to `_PARTS_EASY` parts; fewer in larger ones."""
_TRIES_MIN = 30
_PARTS_EASY = 100
_SETS_MAX = 3
"""Sets of causes to look for, in clusters that are not large; one in those that are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What would have to change for the result to be another.

    Law: without the causes of any one of the sets the result is another; with any one cause of that set back
    it is as it was.
    """

    question: Question
    sets: tuple[tuple[Cause, ...], ...]
    """The nearest first. None: nothing was found within so many tries."""
    tries: int
    """How many decisions were made."""
    spent: bool = False
    """The search ended because it had no more tries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A cluster, its facts, and what is decided of them."""

    intent: Intent
    observed: Observed
    now_ms: Millis
    problem: Problem
    chosen: tuple[int, ...]

    @classmethod
    def read(cls, intent: Intent, observed: Observed, now_ms: Millis) -> "Case":
        """Decide the case."""
        problem, chosen = place(intent, observed, now_ms)
        return cls(intent=intent, observed=observed, now_ms=now_ms, problem=problem, chosen=chosen)

    def result(self, service: ServiceName) -> Result:
        """What becomes of one service."""
        return result(service, self.problem, self.chosen)

    def service(self, name: ServiceName) -> Service:
        """A service of the intent."""
        return self.problem.world.services[self.problem.world.service_index[name]]


def answer(case: Case, question: Question, *, tries_max: int = TRIES_MAX) -> Answer:
    """Find minimal sets of causes.

    Law: `question` is true of the case.
    """
    size = max(_PARTS_EASY, len(case.problem.world.parts))
    allowed = min(tries_max, max(_TRIES_MIN, tries_max * _PARTS_EASY // size))
    trials = Trials(test=_test(case, question), tries_max=allowed)
    nearer, last_resorts = rungs(case.intent, case.problem, case.chosen, case.now_ms, question)
    most = _SETS_MAX if size == _PARTS_EASY else 1
    found: list[tuple[Cause, ...]] = []
    spent = False
    try:
        for causes in minimal_sets(trials, nearer, last_resorts, most=most):
            found.append(causes)  # noqa: PERF402 - what was found before the tries ran out counts
    except TriesSpentError:
        spent = True
    return Answer(question=question, sets=tuple(found), tries=trials.tries, spent=spent)


def _test(case: Case, question: Question) -> Callable[[frozenset[Cause]], bool]:
    before = case.result(question.service)

    def changes(causes: frozenset[Cause]) -> bool:
        intent, observed = remove(causes, case.intent, case.observed)
        after = result(question.service, *place(intent, observed, case.now_ms))
        return after.answers(question, before)

    return changes
