"""Services run by OCF resource agents: the same scripts that Pacemaker runs, unchanged.

An agent gets its parameters as `OCF_RESKEY_*`, and answers with an exit code and, on stderr, a reason. What
it did counts only once a `monitor` after it agrees; only the sending half of a migration leaves nothing to
look at. Agents speak of their node by Pacemaker's own programs, which `attributes` stands in for. Their
state files go below the run directory, so that several nodes can share a machine; it must be empty after a
boot, as the API demands.
Source: OCF resource agent API 1.1; resource-agents, `ocf-shellfuncs`; capabilities A70, A115, A124, G9.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from reconciler.model.errors import Corrupt
from reconciler.model.ids import Millis, ServiceName
from reconciler.model.intent import Service
from reconciler.model.operation import Outcome, Verdict
from reconciler.ports import OperationContext
from reconciler.resources import (
    attributes,
    environment,
    exit_codes,
    lookup,
    metadata,
    outcomes,
    processes,
    runner,
)
from reconciler.resources.lookup import AgentProgram, NotInstalled, NotTrusted
from reconciler.resources.metadata import Metadata
from reconciler.resources.outcomes import Deadline

_REASON_MARK = "ocf-exit-reason:"
_REASON_CHARACTERS_MAX = 300
_PID_FILE_PARAMETERS = ("pidfile", "pid_file", "pid", "squid_pidfile", "named_pidfile")
"""What agents call the file with the number of the service's main process."""
_METADATA_TIMEOUT_MS: Final = Millis(5_000)
_FEATURE_SET = "3.16.2"
"""Of Pacemaker 2.1.5: agents choose by it which programs they call."""
_CHECK_LEVEL = "OCF_CHECK_LEVEL"
"""A parameter of this name says how deep monitors look, as in Pacemaker."""


class OcfHand:
    """`ports.ResourceAgent` for services of kind `ocf`."""

    def __init__(self, root: Path = lookup.ROOT) -> None:
        self._root = root
        self._running: set[ServiceName] = set()
        """Known to run here: a look at these is a monitor, a look at any other is a probe (A119)."""
        self._pid_files: dict[ServiceName, Path | None] = {}
        self._reloads: dict[str, str] = {}
        """What each agent calls its reload."""

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

    async def promote(self, service: Service, context: OperationContext) -> Outcome:
        """Promote a running copy, and confirm that with a monitor."""
        return await self._change_role("promote", (Verdict.PROMOTED,), service, context)

    async def demote(self, service: Service, context: OperationContext) -> Outcome:
        """Demote a copy, and confirm with a monitor that it runs on."""
        return await self._change_role("demote", (Verdict.RUNNING,), service, context)

    async def reload(self, service: Service, context: OperationContext) -> Outcome:
        """Let a running copy take over its parameters, by the name that its agent has for that."""
        if service.agent not in self._reloads:
            try:
                described = await self.describe(service, context)
            except (Corrupt, NotInstalled, NotTrusted) as trouble:
                return Outcome(verdict=Verdict.FAILED, reason=str(trouble))
            known = {action.name for action in described.actions}
            name = "reload-agent" if "reload-agent" in known else "reload"
            self._reloads[service.agent] = name
        wanted = (Verdict.RUNNING, Verdict.PROMOTED)
        return await self._change_role(self._reloads[service.agent], wanted, service, context)

    async def migrate_to(self, service: Service, context: OperationContext) -> Outcome:
        """Send the copy to `context.peer`. What is left here is nobody's to judge before its stop."""
        deadline = Deadline(context.timeout_ms)
        failure = await self._act("migrate_to", service, context, deadline)
        if failure is not None:
            return failure
        self._running.discard(service.name)
        self._pid_files.pop(service.name, None)
        reason = f"sent to {context.peer}"
        return Outcome(verdict=Verdict.RUNNING, reason=reason, took_ms=deadline.took_ms())

    async def migrate_from(self, service: Service, context: OperationContext) -> Outcome:
        """Take in the copy that `context.peer` has sent, and confirm that with a monitor."""
        outcome = await self._change_role(
            "migrate_from", (Verdict.RUNNING, Verdict.PROMOTED), service, context
        )
        if outcomes.runs(outcome):
            await self._learn_pid_file(service, context)
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

    async def _change_role(
        self,
        action: str,
        wanted: tuple[Verdict, ...],
        service: Service,
        context: OperationContext,
    ) -> Outcome:
        """Run an action, and believe it as far as a monitor after it agrees."""
        deadline = Deadline(context.timeout_ms)
        failure = await self._act(action, service, context, deadline)
        if failure is not None:
            return failure
        self._running.add(service.name)
        promoted = Verdict.PROMOTED in wanted and (context.promoted or action == "promote")
        context = replace(context, promoted=promoted)
        look = await self._look(service, context, deadline)
        return outcomes.after_change(action, wanted, look, deadline.took_ms())

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
        return _outcome(execution, verdict, _reason(execution, action), context)

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
        monitor = service.monitor_promoted if context.promoted else None
        every_ms = (monitor or service.monitor).every_ms if known else Millis(0)
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
        return _outcome(execution, verdict, reason, context)

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
        """Run it; the directories for the agents' state and for what they call are made first."""
        state = self.context.run_directory / "resource-agents"
        try:
            state.mkdir(mode=0o755, parents=True, exist_ok=True)
            tools = attributes.tools(self.context.run_directory)
        except OSError as trouble:
            reason = f"cannot make {trouble.filename or state}: {trouble.strerror}"
            return runner.Execution(ending=runner.NotBegun(reason=reason))
        return await runner.run(
            [str(self.program.path), self.action],
            self._variables(state, tools, timeout_ms),
            timeout_ms=timeout_ms,
            run_directory=self.context.run_directory,
        )

    def _variables(self, state: Path, tools: Path, timeout_ms: Millis) -> Mapping[str, str]:
        variables = {
            "PATH": f"{tools}:{environment.PATH}",
            "OCF_ROOT": str(lookup.OCF_ROOT),
            "OCF_RA_VERSION_MAJOR": "1",
            "OCF_RA_VERSION_MINOR": "1",
            "OCF_RESOURCE_INSTANCE": self.service.name,
            "OCF_RESOURCE_PROVIDER": self.program.provider,
            "OCF_RESOURCE_TYPE": self.program.type,
            "OCF_CHECK_LEVEL": "0",
            "OCF_RESKEY_crm_feature_set": _FEATURE_SET,
            "HA_RSCTMP": str(state),
            "HA_SBIN_DIR": str(tools),
            "HA_LOGFACILITY": "none",  # what agents log goes to stderr, and so into the outcome
            "HA_debug": "0",
            "RECONCILE_NODE": self.context.node,
            "RECONCILE_RUN": str(self.context.run_directory),
        }
        settings = [*self.service.parameters, *self.context.secrets]
        variables |= {f"OCF_RESKEY_{name}": value for name, value in settings}
        variables |= {name: value for name, value in settings if name == _CHECK_LEVEL}
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
        if self.service.replicas != 1 or self._has_roles:
            copies = self.service.replicas
            most = [("clone_max", str(copies))] if copies is not None else []
            pairs += [("clone", "0"), *most]
            pairs += [("clone_node_max", "1"), ("globally_unique", "false")]
        if self._has_roles:
            most_promoted = str(max(1, self.service.promoted))
            pairs += [("promotable", "true"), ("master_max", most_promoted)]
            pairs += [("master_node_max", "1"), ("promoted_max", most_promoted)]
            pairs += [("promoted_node_max", "1")]
        return pairs + self._role() + self._ends() + self._notices()

    @property
    def _has_roles(self) -> bool:
        return self.service.promotable or self.service.promoted > 0

    def _role(self) -> list[tuple[str, str]]:
        """The role that a monitor looks for; a probe (every 0 ms) looks for none."""
        if self.action != "monitor" or not self.every_ms or not self._has_roles:
            return []
        return [("role", "Promoted" if self.context.promoted else "Unpromoted")]

    def _ends(self) -> list[tuple[str, str]]:
        """Where a migration goes from and to."""
        here, there = str(self.context.node), str(self.context.peer)
        match self.action:
            case "migrate_to":
                return [("migrate_source", here), ("migrate_target", there)]
            case "migrate_from":
                return [("migrate_source", there), ("migrate_target", here)]
            case _:
                return []

    def _notices(self) -> list[tuple[str, str]]:
        if not self.service.notify:
            return []
        return [("notify", "true"), *((f"notify_{n}", v) for n, v in self.context.notify)]


def _outcome(
    execution: runner.Execution, verdict: Verdict, reason: str, context: OperationContext
) -> Outcome:
    """An outcome with all that an OCF exit code says."""
    code = execution.exit_code
    outcome = outcomes.from_execution(
        execution, verdict, reason, context, definite=code in exit_codes.OCF_DEFINITE
    )
    return replace(
        outcome,
        fatal=code in exit_codes.OCF_FATAL,
        degraded=code in exit_codes.OCF_DEGRADED,
        promoted=code == exit_codes.OCF_FAILED_PROMOTED,
    )


def _reason(execution: runner.Execution, action: str) -> str:
    """The reason that the agent gave, else how it ended and its last line."""
    ended = exit_codes.words(execution.ending, exit_codes.OCF_NAMES)
    for line in reversed(execution.errors.splitlines()):
        if line.startswith(_REASON_MARK):
            said = line.removeprefix(_REASON_MARK).strip()[:_REASON_CHARACTERS_MAX]
            return f"{action}: {ended}: {said}"
    said = execution.last_words
    return f"{action}: {ended}: {said}" if said else f"{action}: {ended}"
