"""The agent of a node: the shell around `core.executor`, and the only thing here that acts.

One loop takes events in order, asks the brain, makes durable what has to be, and carries out the rest. All
that can take long runs beside it: operations as tasks, the disk in a thread, heartbeats in a process.

Law: when the agent ends, for whatever reason, the services of its node run on; the next one adopts them.
It is started by `python -m reconciler.runtime.agent` or `reconcile agent`, and imports only what it needs:
an agent has to be small, since there is one on every node for ever.
"""

import argparse
import asyncio
import gc
import re
import signal
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

from reconciler.core.executor import (
    Backed,
    Booted,
    Effect,
    Event,
    HangUp,
    NotDurable,
    Note,
    OperationFinished,
    Persist,
    RunOperation,
    SendDone,
    SendReport,
    SetTimer,
    State,
    StepArrived,
    Unwatch,
    Watch,
    hears_no_controller,
    snapshot,
    step,
)
from reconciler.core.executor import Due as TimeCame
from reconciler.core.executor.events import Happening
from reconciler.model.errors import ReconcilerError, Refused
from reconciler.model.ids import BootId, Millis, NodeName, ServiceName
from reconciler.model.intent import Kind
from reconciler.ports import ResourceAgent
from reconciler.resources import attributes, leftovers, reaper
from reconciler.resources.registry import hands as hands_of_this_node
from reconciler.runtime import clock, log
from reconciler.runtime.address import Address, parse_address
from reconciler.runtime.heartbeat import Speaker
from reconciler.runtime.journal import Journal
from reconciler.runtime.link import Arrived, Link
from reconciler.runtime.operations import Operations, Premises
from reconciler.runtime.pki import Credentials, Role

EVENTS_MAX = 10_000
"""A controller that sends more than this before it is taken in is hung up on."""
PATIENCE_MS = 5_000
"""How long an agent that was told to end waits for starts and stops under way."""
TICK_MIN_MS = 100

SECRETS = Path("/etc/reconcile/secrets")

_NODE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
_KERNEL_BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How an agent was started."""

    node: NodeName
    controllers: tuple[Address, ...]
    pki: Path
    state: Path
    """Kept for ever: the journal."""
    run: Path
    """Must vanish when the node is booted, as /run does."""
    interface: str | None = None
    secrets: Path = SECRETS
    pretend_addresses: bool = False
    fence_agents: tuple[Path, ...] = ()
    """Directories of fence agents besides the distribution's."""


class Agent:
    """One running agent."""

    def __init__(
        self,
        settings: Settings,
        hands: Mapping[Kind, ResourceAgent],
        journal: Journal,
        *,
        boot: BootId,
        speaker: Speaker,
    ) -> None:
        self.state = State(node=settings.node)
        self._journal = journal
        self._speaker = speaker
        self._log = log.events(node=settings.node)
        self._events: asyncio.Queue[Happening] = asyncio.Queue()
        self._timers: dict[ServiceName | None, asyncio.TimerHandle] = {}
        self._taking: Happening | None = None
        self._ticked: Happening | None = None
        self._tick = 0
        premises = Premises(
            node=settings.node,
            run=settings.run,
            interface=settings.interface,
            secrets=settings.secrets,
        )
        self._operations = Operations(hands, premises, self._events.put_nowait, self._log)
        self._link = Link(
            settings.controllers,
            Credentials.load(settings.pki, Role.AGENT, settings.node),
            boot=boot,
            term=lambda: self.state.memory.term,
            snapshot=lambda: snapshot(self.state, clock.monotonic_ms()),
            tell=self._arrived,
            speaker=speaker,
            log=self._log,
        )

    async def run(self, booted: Booted, stop: asyncio.Event) -> None:
        """Serve the node until told to stop; what was begun may end first."""
        await self._take(booted)
        async with asyncio.TaskGroup() as group:
            working = group.create_task(self._work())
            linking = group.create_task(self._link.keep())
            ticking = group.create_task(self._keep_ticking())
            await stop.wait()
            self._log.info("ending")
            linking.cancel()
            await self._operations.finish(PATIENCE_MS)
            await self._events.join()
            for task in (working, ticking):
                task.cancel()
        for timer in self._timers.values():
            timer.cancel()

    def _arrived(self, event: Arrived) -> bool:
        self._events.put_nowait(event)
        return self._events.qsize() <= EVENTS_MAX

    async def _work(self) -> None:
        while True:
            self._taking = await self._events.get()
            await self._take(self._taking)
            self._taking = None
            self._events.task_done()

    async def _take(self, happening: Happening) -> None:
        """Take in one event: the new state counts only once what it rests on is durable."""
        _log_event(self._log, happening)
        event: Event = happening
        state, effects = step(self.state, event, clock.monotonic_ms())
        if effects and isinstance(effects[0], Persist):
            try:
                await asyncio.to_thread(
                    self._journal.write, effects[0].records, state.memory, durable=True
                )
            except OSError as trouble:
                self._log.error("the journal cannot be written", reason=str(trouble))
                event = NotDurable(event=happening, reason=str(trouble))
                state, effects = step(self.state, event, clock.monotonic_ms())
        self.state = state
        for effect in effects:
            self._do(effect)

    def _do(self, effect: Effect) -> None:  # noqa: C901 - an arm per effect
        match effect:
            case Persist():
                pass  # done before anything else
            case Note(records=records):
                try:
                    self._journal.write(records, self.state.memory, durable=False)
                except OSError as trouble:
                    self._log.error("the journal cannot be written", reason=str(trouble))
            case RunOperation(service=name, verb=verb):
                self._log.debug("operation begun", service=name, verb=verb)
                self._operations.run(effect)
            case Watch(definition=definition):
                self._operations.watch(definition)
            case Unwatch(service=name):
                self._operations.unwatch(name)
            case SetTimer(service=name, at_ms=at_ms):
                self._set_timer(name, at_ms)
            case SendReport():
                self._link.report()
            case SendDone(result=result):
                self._log.info(
                    "order answered",
                    action=result.key.action,
                    plan=result.key.plan[:8],
                    attempt=result.key.attempt,
                    verdict=result.outcome.verdict,
                    reason=result.refused or result.outcome.reason or None,
                )
                self._link.done(result)
            case HangUp(reason=reason):
                self._link.hang_up(reason)
            case _:
                assert_never(effect)

    def _set_timer(self, name: ServiceName | None, at_ms: Millis | None) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()
        if at_ms is not None:
            wait_ms = max(0, at_ms - clock.monotonic_ms()) + 1  # never before the time itself
            due = TimeCame(service=name)
            loop = asyncio.get_running_loop()
            self._timers[name] = loop.call_later(wait_ms / 1000, self._events.put_nowait, due)

    async def _keep_ticking(self) -> None:
        """Let heartbeats tell whether this agent works: a tick for every beat not spent on one event."""
        while True:
            if self._taking is None or self._taking is not self._ticked:
                self._tick += 1
            self._ticked = self._taking
            now_ms, backed_ms = clock.monotonic_ms(), self._speaker.backed_ms
            if backed_ms is not None and backed_ms != self.state.backed_ms:
                self._events.put_nowait(Backed(at_ms=backed_ms))
            alone = hears_no_controller(self.state, now_ms)
            self._speaker.tell(tick=self._tick, report=self._link.sequence, state=None, alone=alone)
            await asyncio.sleep(max(TICK_MIN_MS, self._link.beat_every_ms) / 1000)


async def serve(settings: Settings, hands: Mapping[Kind, ResourceAgent] | None = None) -> None:
    """Be the agent of a node until SIGTERM or SIGINT.

    Errors: `Refused` when this cannot be: no credentials, no state directory, another agent on it.
    """
    events = log.events(node=settings.node)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    Credentials.load(settings.pki, Role.AGENT, settings.node)
    boot = boot_of(settings.run)
    journal, found = Journal.open(settings.state, settings.node, boot)
    let_orphans_be = reaper.adopt_orphans()
    try:
        for trouble in found.troubles:
            events.error("journal", reason=trouble)
        for pid in leftovers.end_leftovers(settings.run):
            events.warning("ended what an earlier agent left unfinished", pid=pid)
        kept = {n: a.value for n, a in found.memory.attributes.items() if a.forever}
        attributes.restore(settings.run, kept)
        speaker = Speaker.start(boot, settings.run)
        own = hands_of_this_node(
            pretend_addresses=settings.pretend_addresses,
            others={Kind.FENCE_DEVICE: lambda: _fence_device_hand(settings)},
        )
        agent = Agent(settings, hands or own, journal, boot=boot, speaker=speaker)
        events.info("agent", boot=boot, term=".".join(map(str, found.memory.term)))
        gc.freeze()  # what is there now stays: no need to look at it again and again
        await agent.run(Booted(memory=found.memory), stop)
        await own.close()
    finally:
        let_orphans_be()
        journal.close()


def _fence_device_hand(settings: Settings) -> ResourceAgent:
    from reconciler.fencing.watch import FenceDeviceHand
    from reconciler.runtime.fence_agents import device_fences

    return FenceDeviceHand(
        device_fences(
            run_directory=settings.run, secrets=settings.secrets, places=settings.fence_agents
        )
    )


def boot_of(run: Path) -> BootId:
    """The name of this boot of the node, made when it is first asked for.

    It stands in the run directory, which vanishes with the node even where several nodes share a kernel;
    and it names the kernel's own boot too, so that a run directory on a disk does no harm.
    """
    kernel = _KERNEL_BOOT.read_text(encoding="ascii").strip()
    path = run / "boot"
    try:
        run.mkdir(mode=0o700, parents=True, exist_ok=True)
        known = path.read_text(encoding="ascii").split() if path.exists() else []
        if len(known) == 2 and known[0] == kernel:  # noqa: PLR2004 - kernel and node
            return BootId(known[1])
        boot = BootId(uuid.uuid4().hex)
        new = path.with_suffix(".new")
        new.write_text(f"{kernel} {boot}\n", encoding="ascii")
        new.rename(path)
    except (OSError, ValueError) as trouble:
        raise Refused(f"{run}: cannot be the run directory: {trouble}") from trouble
    return boot


def _log_event(events: log.Events, event: Happening) -> None:
    """Log what people look for; reports and heartbeats are too many."""
    match event:
        case StepArrived(step=order):
            events.info(
                "order",
                action=order.key.action,
                plan=order.key.plan[:8],
                attempt=order.key.attempt,
                term=f"{order.incarnation}.{order.epoch}",
            )
        case OperationFinished(service=name, outcome=outcome):
            events.debug(
                "operation ended",
                service=name,
                verdict=outcome.verdict,
                took_ms=outcome.took_ms,
                reason=outcome.reason or None,
            )
        case _:
            events.debug(type(event).__name__, service=getattr(event, "service", None))


def parse(words: Sequence[str]) -> tuple[Settings, bool]:
    """Read the options of `python -m reconciler.runtime.agent`; the second is whether to log more."""
    parser = argparse.ArgumentParser(prog="reconcile agent", description="The agent of a node.")
    parser.add_argument("--node", required=True)
    parser.add_argument("--controller", required=True, action="append", metavar="HOST:PORT")
    parser.add_argument("--pki", required=True, type=Path, metavar="DIR")
    parser.add_argument("--state", required=True, type=Path, metavar="DIR")
    parser.add_argument("--run", required=True, type=Path, metavar="DIR")
    parser.add_argument("--interface")
    parser.add_argument("--secrets", type=Path, default=SECRETS, metavar="DIR")
    parser.add_argument("--fence-agents", type=Path, action="append", default=[], metavar="DIR")
    parser.add_argument("--pretend-addresses", action="store_true")
    parser.add_argument("--verbose", action="store_true")
    given = parser.parse_args(words)
    settings = settings_of(
        node=given.node,
        controllers=given.controller,
        pki=given.pki,
        state=given.state,
        run=given.run,
        interface=given.interface,
        secrets=given.secrets,
        pretend_addresses=given.pretend_addresses,
        fence_agents=given.fence_agents,
    )
    return settings, given.verbose


def settings_of(  # noqa: PLR0913 - one for each option
    *,
    node: str,
    controllers: Sequence[str],
    pki: Path,
    state: Path,
    run: Path,
    interface: str | None,
    secrets: Path,
    pretend_addresses: bool,
    fence_agents: Sequence[Path] = (),
) -> Settings:
    """Check what was typed.

    Errors: `Refused` for a name or an address that is none.
    """
    if not _NODE.fullmatch(node):
        raise Refused(f"{node!r} is no name of a node")
    return Settings(
        node=NodeName(node),
        controllers=tuple(parse_address(controller) for controller in controllers),
        pki=pki.absolute(),
        state=state.absolute(),
        run=run.absolute(),
        interface=interface,
        secrets=secrets.absolute(),
        pretend_addresses=pretend_addresses,
        fence_agents=tuple(place.absolute() for place in fence_agents),
    )


def main(words: Sequence[str] | None = None) -> int:
    """Run an agent; the status is 0 when it was told to end, and 1 when it could not begin."""
    try:
        settings, verbose = parse(sys.argv[1:] if words is None else words)
        log.to_stderr(verbose=verbose)
        asyncio.run(serve(settings))
    except ReconcilerError as trouble:
        sys.stderr.write(f"error: {trouble}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
