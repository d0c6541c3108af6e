"""Many scenarios at once: tried out in worker processes, gathered in their order, with progress to see.

Scenarios do not depend on each other and cost nothing but computing, so each processor takes some. The
workers hold the baseline from their start; only numbers go to them and only outcomes come back. Ctrl-C
belongs to this process: workers never see it, finish the few scenarios that they hold, and end.
"""

import gc
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from reconciler.cli.screen import Screen, watched
from reconciler.cli.terminal import Trouble, is_terminal
from reconciler.core.whatif import Baseline, Outcome, Scenario, attempt
from reconciler.render.ink import Tone, line
from reconciler.render.words import amount, duration

_ALONE_MOST = 48
"""So few scenarios are over before a second process could help."""
_CHUNK = 4
_REDRAW_S = 0.1
_SAY_S = 10.0
"""In a pipe, progress is a line now and then."""


def default_workers() -> int:
    """One for each processor that this process may use."""
    return len(os.sched_getaffinity(0))


def outcomes(
    baseline: Baseline, scenarios: Sequence[Scenario], *, workers: int, judged: bool
) -> tuple[Outcome, ...]:
    """Try every scenario out and return the outcomes in the same order, whoever found them.

    Errors: `Trouble` on Ctrl-C; `BrokenLaw` where `judged` and the checker refuses a plan.
    """
    alone = workers < 2 or len(scenarios) <= _ALONE_MOST  # noqa: PLR2004 - two is company
    found: list[Outcome] = []
    with watched(sys.stderr) as screen:
        progress = _Progress(screen=screen, total=len(scenarios))
        source = _here if alone else _pooled(workers)
        try:
            with closing(source(baseline, scenarios, judged)) as results:
                for outcome in results:
                    found.append(outcome)
                    progress.count(outcome)
        except KeyboardInterrupt:
            done = f"{len(found)} of {amount(len(scenarios), 'scenario')}"
            raise Trouble(f"interrupted after {done}") from None
        finally:
            screen.show([])  # what remains is the result
    return tuple(found)


_Source = Callable[[Baseline, Sequence[Scenario], bool], Generator[Outcome, None, None]]


def _here(
    baseline: Baseline, scenarios: Sequence[Scenario], judged: bool
) -> Generator[Outcome, None, None]:
    return (attempt(baseline, scenario, judged=judged).outcome for scenario in scenarios)


def _pooled(workers: int) -> _Source:
    def source(
        baseline: Baseline, scenarios: Sequence[Scenario], judged: bool
    ) -> Generator[Outcome, None, None]:
        how = "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"
        pool = ProcessPoolExecutor(
            workers,
            mp_context=multiprocessing.get_context(how),
            initializer=_begin,
            initargs=(baseline, scenarios, judged),
        )
        try:
            with _uninterrupted():
                found = pool.map(_one, range(len(scenarios)), chunksize=_CHUNK)
            for at, outcome in enumerate(found):
                if outcome is not None:
                    yield outcome
                else:  # what went wrong there goes wrong here too, and is told where it can be read
                    yield attempt(baseline, scenarios[at], judged=judged).outcome
        except BrokenProcessPool:
            raise Trouble(
                "a worker process died",
                detail="It may have run out of memory; --workers 1 works in this process.",
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    return source


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C back for a moment; what is started meanwhile is never interrupted by it at all."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# In a worker ----------------------------------------------------------------------------------------

_work: list[tuple[Baseline, Sequence[Scenario], bool]] = []


def _begin(baseline: Baseline, scenarios: Sequence[Scenario], judged: bool) -> None:
    _work.append((baseline, scenarios, judged))
    gc.freeze()  # what is shared stays shared, and is not walked again and again


def _one(at: int) -> Outcome | None:
    baseline, scenarios, judged = _work[0]
    try:
        return attempt(baseline, scenarios[at], judged=judged).outcome
    except Exception:  # noqa: BLE001 - tried again by the parent, which tells it
        return None


# Progress -------------------------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class _Progress:
    """How far a sweep is, shown where somebody watches."""

    screen: Screen
    total: int
    done: int = 0
    losing: int = 0
    began_s: float = field(default_factory=time.monotonic)
    said_s: float = field(default_factory=time.monotonic)

    def count(self, outcome: Outcome) -> None:
        """One more outcome."""
        self.done += 1
        self.losing += bool(outcome.lost)
        now_s = time.monotonic()
        watched_by_someone = is_terminal(sys.stderr)
        first = watched_by_someone and self.done == 1
        if first or now_s - self.said_s >= (_REDRAW_S if watched_by_someone else _SAY_S):
            self.said_s = now_s
            self.screen.show([line("  ", body=self._words(now_s), tone=Tone.FAINT)])

    def _words(self, now_s: float) -> str:
        left_s = (now_s - self.began_s) / self.done * (self.total - self.done)
        share = f"{self.done} of {amount(self.total, 'scenario')}"
        lose = f"{self.losing} lose a service"
        return f"{share}, {lose}, about {duration(round(left_s) * 1000)} left"
