"""Helpers that hands share: outcomes from executions, a deadline for several steps, and a patient look.

Law: values of secrets never leave a hand; they are struck from reasons and output.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from reconciler.model.ids import Millis
from reconciler.model.operation import Outcome, Verdict
from reconciler.ports import OperationContext
from reconciler.resources.runner import Execution, NotBegun

Look = Callable[[], Awaitable[Outcome]]

_RUNS = frozenset({Verdict.RUNNING, Verdict.PROMOTED})
_STRUCK = "[secret]"
_FIRST_PAUSE_MS = 20
_LAST_PAUSE_MS = 500


class Deadline:
    """One time limit that several steps share."""

    def __init__(self, timeout_ms: Millis) -> None:
        self._loop = asyncio.get_running_loop()
        self._began_s = self._loop.time()
        self._timeout_ms = timeout_ms

    def left_ms(self) -> Millis:
        """What is left of it, never negative."""
        return Millis(max(0, self._timeout_ms - self.took_ms()))

    def took_ms(self) -> Millis:
        """How long it has been running."""
        return Millis(round((self._loop.time() - self._began_s) * 1000))


def runs(outcome: Outcome) -> bool:
    """Say whether a look found the service running, in either role."""
    return outcome.verdict in _RUNS


def stopped(outcome: Outcome) -> bool:
    """Say whether a look proves that nothing runs; "not installed" does not."""
    return outcome.verdict is Verdict.STOPPED and not outcome.definite


def from_execution(
    execution: Execution,
    verdict: Verdict,
    reason: str,
    context: OperationContext,
    *,
    definite: bool = False,
) -> Outcome:
    """An outcome that tells of one program, without secrets."""
    return Outcome(
        verdict=verdict,
        reason=strike(reason, context),
        exit_code=execution.exit_code,
        output=strike(execution.output + execution.errors, context),
        took_ms=execution.took_ms,
        definite=definite or isinstance(execution.ending, NotBegun),
    )


def strike(text: str, context: OperationContext) -> str:
    """Replace every value of a secret in a text, the longest first."""
    for value in sorted((value for _, value in context.secrets if value), key=len, reverse=True):
        text = text.replace(value, _STRUCK)
    return text


async def look_until(look: Look, good: Callable[[Outcome], bool], deadline: Deadline) -> Outcome:
    """Look again and again until it is good or the time is over; return the last look.

    A look that could not end in time is not begun: it would replace what is known by "timed out".
    """
    pause_ms = _FIRST_PAUSE_MS
    while True:
        before_ms = deadline.took_ms()
        outcome = await look()
        look_ms = deadline.took_ms() - before_ms
        if good(outcome) or deadline.left_ms() < pause_ms + 2 * look_ms:
            return outcome
        await asyncio.sleep(pause_ms / 1000)
        pause_ms = min(2 * pause_ms, _LAST_PAUSE_MS)


def after_start(look: Outcome, took_ms: Millis) -> Outcome:
    """Judge a start that says that it worked, by what a look found afterwards."""
    if runs(look):
        return replace(look, took_ms=took_ms, definite=False)
    unknown = look.verdict is Verdict.UNKNOWN
    return replace(
        look,
        verdict=Verdict.UNKNOWN if unknown else Verdict.FAILED,
        reason=_but("start succeeded, but it does not run", look.reason),
        took_ms=took_ms,
    )


def after_change(
    action: str, wanted: tuple[Verdict, ...], look: Outcome, took_ms: Millis
) -> Outcome:
    """Judge any other change of a running service that says that it worked, by the look after it."""
    if look.verdict in wanted:
        return replace(look, took_ms=took_ms, definite=False)
    unknown = look.verdict is Verdict.UNKNOWN
    return replace(
        look,
        verdict=Verdict.UNKNOWN if unknown else Verdict.FAILED,
        reason=_but(f"{action} succeeded, but it is {look.verdict}", look.reason),
        took_ms=took_ms,
        definite=False,
    )


def after_stop(look: Outcome, took_ms: Millis) -> Outcome:
    """Judge a stop that says that it worked, by what a look found afterwards.

    Law (B26): only a look that finds it stopped makes a stop STOPPED.
    """
    if stopped(look):
        return replace(look, took_ms=took_ms)
    unknown = look.verdict is Verdict.UNKNOWN
    return replace(
        look,
        verdict=Verdict.UNKNOWN if unknown else Verdict.FAILED,
        reason=_but("stop succeeded, but nothing shows that it is stopped", look.reason),
        took_ms=took_ms,
        definite=False,
    )


def _but(sentence: str, seen: str) -> str:
    return f"{sentence}: {seen}" if seen else sentence
