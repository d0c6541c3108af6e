"""Services run by OCF resource agents: the same scripts that Pacemaker runs, unchanged.

An agent gets its parameters as `OCF_RESKEY_*`, and answers with an exit code and, on stderr, a reason. A
start or a stop counts only once a `monitor` after it agrees. Their state files go below the run directory, so
that several nodes can share a machine; it must be empty after a boot, as the API demands.
Source: OCF resource agent API 1.1; resource-agents, `ocf-shellfuncs`; capabilities A70, A115, A124, G9.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from reconciler.model.errors import Corrupt
from reconciler.model.ids import Millis, ServiceName
from reconciler.model.intent import Service
from reconciler.model.operation import Outcome, Verdict
from reconciler.ports import OperationContext
from reconciler.resources import exit_codes, lookup, metadata, outcomes, processes, runner
from reconciler.resources.lookup import AgentProgram, NotInstalled, NotTrusted
from reconciler.resources.metadata import Metadata
from reconciler.resources.outcomes import Deadline

_REASON_MARK = "ocf-exit-reason:"
_REASON_CHARACTERS_MAX = 300
_PID_FILE_PARAMETERS = ("pidfile", "pid_file", "pid", "squid_pidfile", "named_pidfile")
"""What agents call the file with the number of the service's main process."""
_METADATA_TIMEOUT_MS: Final = Millis(5_000)


class OcfHand:
    """`ports.ResourceAgent` for services of kind `ocf`."""

    def __init__(self, root: Path = lookup.ROOT) -> None:
        self._root = root
        self._running: set[ServiceName] = set()
        """Known to run here: a look at these is a monitor, a look at any other is a probe (A119)."""
        self._pid_files: dict[ServiceName, Path | None] = {}

    async def start(self, service: Service, context: OperationContext) -> Outcome:
        """Start it (a start of what runs is a success by the API), and confirm that with a monitor."""
        deadline = Deadline(context.timeout_ms)
        failure = await self._act("start", service, context, deadline)
        if failure is not None:
            return failure
        self._running.add(service.name)
        outcome = outcomes.after_start(
            await self._look(service, context, deadline), deadline.took_ms()
        )
        if outcomes.runs(outcome):
            await self._learn_pid_file(service, context)
        return outcome

    async def stop(self, service: Service, context: OperationContext) -> Outcome:
        """Stop it, also when it does not run (leftovers are its business), and confirm with a monitor."""
        deadline = Deadline(context.timeout_ms)
        failure = await self._act("stop", service, context, deadline)
        if failure is not None:
            return failure
        self._running.discard(service.name)
        outcome = outcomes.after_stop(
            await self._look(service, context, deadline), deadline.took_ms()
        )
        if outcome.verdict is Verdict.STOPPED:
            self._pid_files.pop(service.name, None)
        return outcome

    async def probe(self, service: Service, context: OperationContext) -> Outcome:
        """Run the agent's `monitor`."""
        outcome = await self._look(service, context, Deadline(context.timeout_ms))
        if outcomes.runs(outcome):
            self._running.add(service.name)
            await self._learn_pid_file(service, context)
        elif outcome.verdict is Verdict.STOPPED:
            self._running.discard(service.name)
        return outcome

    def watch(
        self, service: Service, context: OperationContext, died: Callable[[], None]
    ) -> Callable[[], None] | None:
        """Watch the process of the agent's pid file; None if it has no such parameter."""
        del context
        path = self._pid_files.get(service.name)
        found = processes.read_pid_file(path) if path is not None else None
        if found is None or path is None or processes.reused(found, path):
            return None
        return processes.watch(found, died)

    async def describe(self, service: Service, context: OperationContext) -> Metadata:
        """Ask an agent for its meta-data, with the defaults as they are for this service.

        Errors: `Corrupt` if it gives none; `NotInstalled`, `NotTrusted` if it cannot be asked.
        """
        program = lookup.find(service.agent, self._root)
        call = _Call(program=program, action="meta-data", service=service, context=context)
        execution = await call.run(_METADATA_TIMEOUT_MS)
        if execution.exit_code != 0:
            ended = exit_codes.words(execution.ending, exit_codes.OCF_NAMES)
            raise Corrupt(f"{program.path} gave no meta-data: {ended}")
        return metadata.parse(execution.output.encode())

    async def _act(
        self, action: str, service: Service, context: OperationContext, deadline: Deadline
    ) -> Outcome | None:
        """Run a start or a stop; None where the agent says that it worked."""
        try:
            program = lookup.find(service.agent, self._root)
        except (NotInstalled, NotTrusted) as trouble:
            return Outcome(verdict=Verdict.FAILED, reason=str(trouble), definite=True)
        call = _Call(program=program, action=action, service=service, context=context)
        execution = await call.run(deadline.left_ms())
        verdict = exit_codes.action(execution.ending)
        if verdict is None:
            return None
        return outcomes.from_execution(
            execution,
            verdict,
            _reason(execution, action),
            context,
            definite=execution.exit_code in exit_codes.OCF_DEFINITE,
        )

    async def _look(
        self, service: Service, context: OperationContext, deadline: Deadline
    ) -> Outcome:
        known = service.name in self._running
        try:
            program = lookup.find(service.agent, self._root)
        except NotInstalled as trouble:
            # A package being upgraded is missing for a moment: what ran here may well run on.
            verdict = Verdict.UNKNOWN if known else Verdict.STOPPED
            return Outcome(verdict=verdict, reason=str(trouble), definite=True)
        except NotTrusted as trouble:
            return Outcome(verdict=Verdict.UNKNOWN, reason=str(trouble), definite=True)
        every_ms = service.monitor.every_ms if known else Millis(0)
        call = _Call(
            program=program, action="monitor", service=service, context=context, every_ms=every_ms
        )
        execution = await call.run(deadline.left_ms())
        verdict = exit_codes.look(execution.ending, exit_codes.OCF_LOOK)
        definite = execution.exit_code in exit_codes.OCF_DEFINITE
        if known and definite and verdict is Verdict.STOPPED:
            verdict = Verdict.UNKNOWN
        healthy = execution.exit_code in {0, 8}
        reason = "" if healthy else _reason(execution, "monitor")
        return outcomes.from_execution(execution, verdict, reason, context, definite=definite)

    async def _learn_pid_file(self, service: Service, context: OperationContext) -> None:
        """Find out, once for each service, where its agent keeps the number of its main process."""
        if service.name in self._pid_files:
            return
        given = dict(service.parameters)
        try:
            described = await self.describe(service, context)
        except (Corrupt, NotInstalled, NotTrusted):
            self._pid_files[service.name] = None
            return
        for name in _PID_FILE_PARAMETERS:
            parameter = described.parameter(name)
            value = given.get(name) or (parameter.default if parameter else None)
            if parameter is not None and value and Path(value).is_absolute():
                self._pid_files[service.name] = Path(value)
                return
        self._pid_files[service.name] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """One call of an agent."""

    program: AgentProgram
    action: str
    service: Service
    context: OperationContext
    every_ms: Millis = Millis(0)

    async def run(self, timeout_ms: Millis) -> runner.Execution:
        """Run it; the directory for the agents' state is made first."""
        state = self.context.run_directory / "resource-agents"
        try:
            state.mkdir(mode=0o755, parents=True, exist_ok=True)
        except OSError as trouble:
            reason = f"cannot make {state}: {trouble.strerror}"
            return runner.Execution(ending=runner.NotBegun(reason=reason))
        return await runner.run(
            [str(self.program.path), self.action],
            self._variables(state, timeout_ms),
            timeout_ms=timeout_ms,
            run_directory=self.context.run_directory,
        )

    def _variables(self, state: Path, timeout_ms: Millis) -> Mapping[str, str]:
        variables = {
            "OCF_ROOT": str(lookup.OCF_ROOT),
            "OCF_RA_VERSION_MAJOR": "1",
            "OCF_RA_VERSION_MINOR": "1",
            "OCF_RESOURCE_INSTANCE": self.service.name,
            "OCF_RESOURCE_PROVIDER": self.program.provider,
            "OCF_RESOURCE_TYPE": self.program.type,
            "OCF_CHECK_LEVEL": "0",
            "HA_RSCTMP": str(state),
            "HA_LOGFACILITY": "none",  # what agents log goes to stderr, and so into the outcome
            "HA_debug": "0",
            "RECONCILE_NODE": self.context.node,
            "RECONCILE_RUN": str(self.context.run_directory),
        }
        settings = [*self.service.parameters, *self.context.secrets]
        variables |= {f"OCF_RESKEY_{name}": value for name, value in settings}
        variables |= {f"OCF_RESKEY_CRM_meta_{name}": v for name, v in self._meta(timeout_ms)}
        return variables

    def _meta(self, timeout_ms: Millis) -> list[tuple[str, str]]:
        """What Pacemaker tells agents about the operation and the service's copies."""
        pairs = [
            ("name", self.action),
            ("timeout", str(timeout_ms)),
            ("interval", str(self.every_ms)),
            ("on_node", str(self.context.node)),
            ("on_node_uuid", str(self.context.node)),
        ]
        if self.service.replicas is not None and self.service.replicas > 1:
            pairs += [("clone", "0"), ("clone_max", str(self.service.replicas))]
            pairs += [("clone_node_max", "1"), ("globally_unique", "false")]
        if self.service.promoted:
            pairs += [("promotable", "true"), ("master_max", str(self.service.promoted))]
            pairs += [("promoted_max", str(self.service.promoted)), ("promoted_node_max", "1")]
        return pairs


def _reason(execution: runner.Execution, action: str) -> str:
    """The reason that the agent gave, else how it ended and its last line."""
    ended = exit_codes.words(execution.ending, exit_codes.OCF_NAMES)
    for line in reversed(execution.errors.splitlines()):
        if line.startswith(_REASON_MARK):
            said = line.removeprefix(_REASON_MARK).strip()[:_REASON_CHARACTERS_MAX]
            return f"{action}: {ended}: {said}"
    said = execution.last_words
    return f"{action}: {ended}: {said}" if said else f"{action}: {ended}"
