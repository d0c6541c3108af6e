"""Services run by three commands of the operators: `start`, `stop` and `status`.

`status` answers as an LSB init script does: 0 runs, 3 stopped, 1 or 2 dead and left something behind,
anything else unknown. A `pidfile`, where given, is a second witness: against a status that says running
while the process is gone, against a stop that leaves it alive, and for noticing a death at once.
Knows nothing of shells: each command is an argument vector.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from reconciler.model.ids import Millis, ServiceName
from reconciler.model.intent import Service
from reconciler.model.operation import Outcome, Verdict
from reconciler.ports import OperationContext
from reconciler.resources import exit_codes, outcomes, processes, runner
from reconciler.resources.outcomes import Deadline
from reconciler.resources.processes import Process

_JUST_NOW_S = 1.0
_OWN = frozenset({"start", "stop", "status", "pidfile"})


class BadSettings(ValueError):  # noqa: N818 - it names what was found
    """Parameters of a service that this hand cannot use. Becomes an outcome, never leaves the hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commands:
    """The settings of a script service."""

    start: tuple[str, ...]
    stop: tuple[str, ...]
    status: tuple[str, ...]
    pid_file: Path | None

    @classmethod
    def read(cls, service: Service, context: OperationContext) -> "Commands":
        """Read them from a service's parameters.

        Errors: `BadSettings`, in words for the operator.
        """
        parameters = dict(service.parameters)
        return cls(
            start=_vector(parameters, "start"),
            stop=_vector(parameters, "stop"),
            status=_vector(parameters, "status"),
            pid_file=_pid_file(parameters, context),
        )


class ScriptHand:
    """`ports.ResourceAgent` for services of kind `script`."""

    def __init__(self) -> None:
        self._stopped: dict[ServiceName, tuple[Commands, float]] = {}
        """When a stop was last verified; a start at once need not look again. Losing it costs a look."""

    async def start(self, service: Service, context: OperationContext) -> Outcome:
        """Start it, then look until it runs or the time is over.

        Scripts are rarely idempotent, so one that runs is not started again, and one whose state is unknown
        or half dead is not started at all: that needs a stop first.
        """
        deadline = Deadline(context.timeout_ms)
        try:
            commands = Commands.read(service, context)
        except BadSettings as trouble:
            return Outcome(verdict=Verdict.FAILED, reason=str(trouble), definite=True)

        async def look() -> Outcome:
            return await _look(commands, service, context, deadline)

        if not self._just_stopped(service, commands):
            before = await look()
            if outcomes.runs(before):
                return before
            if not outcomes.stopped(before):
                return replace(before, reason=f"not started, because {before.reason}")
        execution = await _run(commands.start, "start", service, context, deadline)
        failure = _failure(execution, "start", context)
        if failure is not None:
            return failure
        return outcomes.after_start(
            await outcomes.look_until(look, outcomes.runs, deadline), deadline.took_ms()
        )

    async def stop(self, service: Service, context: OperationContext) -> Outcome:
        """Stop it, then wait until both the process of its pid file and its status say that it is gone."""
        outcome = await self._stop(service, context)
        if outcomes.stopped(outcome):
            commands = Commands.read(service, context)
            self._stopped[service.name] = commands, asyncio.get_running_loop().time()
        return outcome

    def _just_stopped(self, service: Service, commands: Commands) -> bool:
        """Whether a stop of just this was verified a moment ago, and no process of it is there."""
        stopped, at_s = self._stopped.pop(service.name, (None, 0.0))
        known = _process(commands.pid_file)
        if stopped != commands or (known is not None and processes.lives(known)):
            return False
        return asyncio.get_running_loop().time() - at_s < _JUST_NOW_S

    async def _stop(self, service: Service, context: OperationContext) -> Outcome:
        deadline = Deadline(context.timeout_ms)
        try:
            commands = Commands.read(service, context)
        except BadSettings as trouble:
            return Outcome(verdict=Verdict.FAILED, reason=str(trouble), definite=True)
        # Taken before the stop: a stop that lies may well remove the pid file.
        known = _process(commands.pid_file)

        async def look(limit: Deadline) -> Outcome:
            if known is not None and processes.lives(known):
                return Outcome(verdict=Verdict.FAILED, reason=f"process {known.pid} still runs")
            return await _look(commands, service, context, limit)

        # A status that hangs must leave time for the stop itself.
        before = await look(Deadline(Millis(context.timeout_ms // 4)))
        if outcomes.stopped(before):
            return before
        execution = await _run(commands.stop, "stop", service, context, deadline)
        failure = _failure(execution, "stop", context)
        if failure is not None:
            return failure
        return outcomes.after_stop(
            await outcomes.look_until(lambda: look(deadline), outcomes.stopped, deadline),
            deadline.took_ms(),
        )

    async def probe(self, service: Service, context: OperationContext) -> Outcome:
        """Ask `status`, and hold the answer against the pid file."""
        try:
            commands = Commands.read(service, context)
        except BadSettings as trouble:
            return Outcome(verdict=Verdict.UNKNOWN, reason=str(trouble), definite=True)
        return await _look(commands, service, context, Deadline(context.timeout_ms))

    def watch(
        self, service: Service, context: OperationContext, died: Callable[[], None]
    ) -> Callable[[], None] | None:
        """Watch the process of the pid file; None without one."""
        try:
            known = _process(Commands.read(service, context).pid_file)
        except BadSettings:
            return None
        return processes.watch(known, died) if known is not None else None


async def _look(
    commands: Commands, service: Service, context: OperationContext, deadline: Deadline
) -> Outcome:
    execution = await _run(commands.status, "status", service, context, deadline)
    verdict = exit_codes.look(execution.ending, exit_codes.SCRIPT_LOOK)
    reason = _reason(execution, "status") if verdict is not Verdict.RUNNING else ""
    outcome = outcomes.from_execution(execution, verdict, reason, context)
    if commands.pid_file is None:
        return outcome
    if verdict is Verdict.STOPPED and (alive := _process(commands.pid_file)) is not None:
        reason = f"status says stopped, but process {alive.pid} of the pidfile runs"
        return replace(outcome, verdict=Verdict.FAILED, reason=reason)
    if verdict is Verdict.RUNNING and _names_a_dead_process(commands.pid_file):
        reason = "status says running, but the process of the pidfile is gone"
        return replace(outcome, verdict=Verdict.FAILED, reason=reason)
    return outcome


def _names_a_dead_process(pid_file: Path) -> bool:
    try:
        number = processes.number_in(pid_file)
    except ValueError:
        return False
    return number is not None and processes.process(number) is None


def _process(pid_file: Path | None) -> Process | None:
    """The living process of a pid file, unless its number went to another one since."""
    found = processes.read_pid_file(pid_file) if pid_file is not None else None
    if found is None or pid_file is None or processes.reused(found, pid_file):
        return None
    return found


def _failure(
    execution: runner.Execution, operation: str, context: OperationContext
) -> Outcome | None:
    """The outcome of a command that says itself that it did not work."""
    verdict = exit_codes.action(execution.ending)
    if verdict is None:
        return None
    return outcomes.from_execution(
        execution,
        verdict,
        _reason(execution, operation),
        context,
        definite=execution.exit_code in exit_codes.SCRIPT_DEFINITE,
    )


def _reason(execution: runner.Execution, operation: str) -> str:
    ended = exit_codes.words(execution.ending, exit_codes.SCRIPT_NAMES)
    said = execution.last_words
    return f"{operation}: {ended}: {said}" if said else f"{operation}: {ended}"


async def _run(
    arguments: tuple[str, ...],
    operation: str,
    service: Service,
    context: OperationContext,
    deadline: Deadline,
) -> runner.Execution:
    return await runner.run(
        arguments,
        _variables(operation, service, context, deadline),
        timeout_ms=deadline.left_ms(),
        run_directory=context.run_directory,
    )


def _variables(
    operation: str, service: Service, context: OperationContext, deadline: Deadline
) -> Mapping[str, str]:
    """What a command learns: where it runs, what for, and the service's other parameters."""
    settings = [*service.parameters, *context.secrets]
    return {
        "RECONCILE_ACTION": operation,
        "RECONCILE_NODE": context.node,
        "RECONCILE_RUN": str(context.run_directory),
        "RECONCILE_SERVICE": service.name,
        "RECONCILE_TIMEOUT_MS": str(deadline.left_ms()),
    } | {f"RECONCILE_PARAMETER_{name}": value for name, value in settings if name not in _OWN}


def _vector(parameters: Mapping[str, str], name: str) -> tuple[str, ...]:
    words = _words(parameters.get(name, ""))
    if not words:
        raise BadSettings(f"a script's {name} must be a list of words")
    if any("\0" in word for word in words) or not words[0]:
        raise BadSettings(f"a script's {name} has an empty program or a NUL in it")
    return words


@lru_cache(maxsize=1024)  # every look at a service reads the same three commands
def _words(text: str) -> tuple[str, ...]:
    """The words of a JSON list; none for anything else."""
    try:
        words = json.loads(text)
    except (ValueError, RecursionError):
        return ()
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        return ()
    return tuple(words)


def _pid_file(parameters: Mapping[str, str], context: OperationContext) -> Path | None:
    """A relative pid file lies below the run directory, and cannot leave it."""
    text = parameters.get("pidfile")
    if not text:
        return None
    path = Path(text)
    if "\0" in text or ".." in path.parts:
        raise BadSettings("a pidfile must not contain '..'")
    return context.run_directory / path
