"""Minimal sets: which causes, taken away together, change the result, though all but one do not.

It works on any test of a set of causes, and the test is what costs: every call is a decision. So it counts
them, and gives up after so many with a value that says so. No clock decides, and equal inputs give equal
answers.

Law: a set that is given has been tested: without all of it the result changes, and with any one of it back
it does not.
Source: Junker, "QuickXplain", AAAI 2004; the passes after it are for tests that are not monotone.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from reconciler.core.explain.cause import Cause

Test = Callable[[frozenset[Cause]], bool]
Causes = tuple[Cause, ...]

_RUNGS_FURTHER = 2
"""What is near hides what is behind it: an ordering, the reason why what comes first does not run."""


class TriesSpentError(Exception):
    """No more tries; caught where the search began."""


@dataclass(slots=True)
class Trials:
    """Tests sets of causes, each of them once, and counts."""

    test: Test
    tries_max: int
    known: dict[frozenset[Cause], bool] = field(default_factory=dict)

    @property
    def tries(self) -> int:
        """How many decisions this took so far."""
        return len(self.known)

    def changes(self, causes: Sequence[Cause]) -> bool:
        """Whether the result is another one without these.

        Errors: `TriesSpentError`.
        """
        if not causes:
            return False
        key = frozenset(causes)
        if key not in self.known:
            if self.tries >= self.tries_max:
                raise TriesSpentError
            self.known[key] = self.test(key)
        return self.known[key]


def minimal_set(trials: Trials, causes: Sequence[Cause]) -> Causes | None:
    """A minimal set among these, or None when the result stays even without all of them.

    What stands first is rather kept. Shape: k of n causes: about 2k log(n/k) + k tests.
    Errors: `TriesSpentError`.
    """
    if not trials.changes(causes):
        return None
    found = _quick(trials, (), tuple(causes), tested=False)
    if not trials.changes(found):
        found = tuple(causes)  # not monotone here: drop one after the other
    return _dropped(trials, found)


def _quick(trials: Trials, given: Causes, causes: Causes, *, tested: bool) -> Causes:
    """What of `causes` must go, with `given` gone already."""
    if tested and trials.changes(given):
        return ()
    if len(causes) == 1:
        return causes
    first, second = causes[: len(causes) // 2], causes[len(causes) // 2 :]
    of_second = _quick(trials, given + first, second, tested=True)
    of_first = _quick(trials, given + of_second, first, tested=bool(of_second))
    return of_first + of_second


def _dropped(trials: Trials, found: Causes) -> Causes:
    """Put back one after the other, the last first, until a whole pass puts none back."""
    left, again = found, True
    while again:
        again = False
        for cause in reversed(left):
            rest = tuple(each for each in left if each is not cause)
            if trials.changes(rest):
                left, again = rest, True
    return left


def minimal_sets(
    trials: Trials,
    rungs: Iterable[Sequence[Cause]],
    last_resorts: Iterable[Sequence[Cause]],
    *,
    most: int,
) -> Iterator[Causes]:
    """Minimal sets that share no cause, from growing rungs: the first that has one, and the next few.

    One is taken from the last resorts where no rung has any.
    Errors: `TriesSpentError`, after what was found so far has been yielded.
    """
    used: set[Cause] = set()
    further = _RUNGS_FURTHER
    for rung in rungs:
        while found := minimal_set(trials, [cause for cause in rung if cause not in used]):
            yield found
            used.update(found)
            most -= 1
            if most == 0:
                return
        further -= bool(used)
        if further < 0:
            return
    if not used:
        yield from islice(filter(None, (minimal_set(trials, r) for r in last_resorts)), 1)
