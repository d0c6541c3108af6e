"""Ports: what the runtime needs from the world, as protocols. One contract suite each, in tests/contracts.

A hand (`ResourceAgent`) knows one kind of service; a `Store` keeps a controller's decisions; an
`IntentSource` says what the operators committed. Fakes stand only behind these.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from reconciler.model.ids import Epoch, Incarnation, Millis, NodeName
from reconciler.model.intent import FenceDevice, Fencing, Pairs, Service
from reconciler.model.operation import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationContext:
    """Where and under which limits an operation runs."""

    node: NodeName
    timeout_ms: Millis
    run_directory: Path
    """Private to this node; pid files and agent state live below it. Exported as RECONCILE_RUN."""
    interface: str | None = None
    """Network interface that addresses go to when a service names none."""
    secrets: Pairs = ()
    """Parameter name to secret value: never logged, never in an argument list."""
    promoted: bool = False
    """The copy is promoted, as far as is known: what a look expects."""
    peer: NodeName | None = None
    """The other end of a migration."""
    notify: Pairs = ()
    """For services that want to be told: which copies there are, and what the plan does to which."""
    device: FenceDevice | None = None
    """The device that a service of kind `fence-device` watches."""


class ResourceAgent(Protocol):
    """Starts, stops and looks at services of one kind on this node.

    Law: every method is idempotent, ends within `context.timeout_ms` plus two seconds, and never raises
    for anything that a service or a script does: that is an `Outcome`.
    """

    async def start(self, service: Service, context: OperationContext) -> Outcome:
        """Start it and return RUNNING once it runs; already running is a success."""
        ...

    async def stop(self, service: Service, context: OperationContext) -> Outcome:
        """Stop it and return STOPPED once an independent look confirms that; not running is a success."""
        ...

    async def probe(self, service: Service, context: OperationContext) -> Outcome:
        """Look whether it runs, without changing anything."""
        ...

    def watch(
        self, service: Service, context: OperationContext, died: Callable[[], None]
    ) -> Callable[[], None] | None:
        """Call `died` once, as soon as the running service's main process ends.

        Returns a function that ends the watch, or None where this kind cannot watch: then only monitors
        tell.
        """
        ...


@runtime_checkable
class RoleAgent(ResourceAgent, Protocol):
    """A hand whose services know roles, reloads or live migrations. The same law holds."""

    async def promote(self, service: Service, context: OperationContext) -> Outcome:
        """Promote a running copy and return PROMOTED once a look agrees."""
        ...

    async def demote(self, service: Service, context: OperationContext) -> Outcome:
        """Demote a copy and return RUNNING once a look finds it running and not promoted."""
        ...

    async def reload(self, service: Service, context: OperationContext) -> Outcome:
        """Let a running copy take over its new parameters; it runs, in its role, afterwards."""
        ...

    async def migrate_to(self, service: Service, context: OperationContext) -> Outcome:
        """Send the copy to `context.peer`; RUNNING when it was sent. A stop always follows."""
        ...

    async def migrate_from(self, service: Service, context: OperationContext) -> Outcome:
        """Take in the copy that `context.peer` has sent and return RUNNING once it runs here."""
        ...


class Fences(Protocol):
    """Makes nodes provably unable to act."""

    async def fence(self, node: NodeName, fencing: Fencing) -> Outcome:
        """Fence this node and no other; STOPPED when a device has confirmed that it is done.

        Law: anything else than STOPPED is no proof of anything. It ends, and never raises for what a device
        does.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A controller's right to decide: what agents compare before they obey."""

    incarnation: Incarnation
    epoch: Epoch


class Store(Protocol):
    """Keeps the decisions of a controller, durably: what `put` returned from has been fsynced."""

    def begin_term(self) -> Term:
        """Take the next epoch and keep it; no two calls ever return the same term."""
        ...

    def get(self, key: str) -> bytes | None:
        """The value last put under this key."""
        ...

    def put(self, values: Mapping[str, bytes]) -> None:
        """Put all of these, or none of them."""
        ...

    def append(self, stream: str, record: bytes) -> int:
        """Add a record to an append-only stream and return its number, from 1."""
        ...

    def read(self, stream: str, *, last: int) -> tuple[tuple[int, bytes], ...]:
        """The last so many records of a stream, oldest first."""
        ...

    def close(self) -> None:
        """Let go of it; safe to call twice."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """What an intent source found: a revision and the files of the cluster at it."""

    revision: str
    """A git commit id, or `worktree:` and a digest of the contents."""
    files: tuple[tuple[str, bytes], ...]
    """Path and contents, sorted by path."""
    subject: str = ""
    author: str = ""
    held: str = ""
    """Why it needs an operator even where commits are accepted by themselves; empty if it does not."""


class IntentSource(Protocol):
    """Where commits come from. Never raises for a repository's trouble: it reports it and keeps trying."""

    async def watch(
        self,
        found: Callable[[Commit], Awaitable[None]],
        trouble: Callable[[str], Awaitable[None]],
    ) -> None:
        """Call `found` for the present commit and every later one, until cancelled.

        `trouble` says in one line why the source cannot be read, and an empty line that it can again.
        """
        ...
