"""What a history leads to: its entries replayed, oldest first, into the state of one copy.

Each entry moves the role on, and a failed one leaves what its policy asks for, until a later success
clears it. Rules are those of Pacemaker's scheduler, so that an imported cluster is read as it was.

Law: an entry that cannot be read changes nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from reconciler.importing.pacemaker.history import PENDING, Entry


class Fate(IntEnum):
    """What a failure leads to, the mildest first: of several, the gravest counts."""

    IGNORE = 0
    DEMOTE = 1
    RESTART = 2
    CONTAINER = 3
    """What it runs in is restarted with it."""
    BAN = 4
    """It may not run on that node again."""
    BLOCK = 5
    STOP = 6
    STANDBY = 7
    FENCE = 8


class State(IntEnum):
    """What a copy is known to do, the least first."""

    UNKNOWN = 0
    STOPPED = 1
    STARTED = 2
    UNPROMOTED = 3
    PROMOTED = 4


class Grade(IntEnum):
    """How far a failed operation condemns: not at all, its copy, its node, or every node."""

    NONE = 0
    SOFT = 1
    HARD = 2
    FATAL = 3


_DONE: Final = 0
_ERROR: Final = 4
_STATUSES: Final = frozenset({-1, 0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11})
"""What executors write; a cancelled operation (1) is as good as none."""
_NOT_INSTALLED_STATUS: Final = 7
_NODE_STATUSES: Final = frozenset({5, 10, 11})
"""Faults of the node: an error called hard, no such fence device, no secrets."""
_FATAL_STATUS: Final = 6

_OK, _ARGS, _UNIMPLEMENTED, _PERM, _INSTALLED, _CONFIGURED, _NOT_RUNNING = 0, 2, 3, 4, 5, 6, 7
_PROMOTED, _FAILED_PROMOTED, _DEGRADED, _DEGRADED_PROMOTED = 8, 9, 190, 191
_OPERATIONS: Final = frozenset(
    {
        "asyncmon",
        "demote",
        "migrate_from",
        "migrate_to",
        "monitor",
        "promote",
        "start",
        "stop",
    }
)
_STICKY: Final = frozenset({Fate.STOP, Fate.BAN, Fate.STANDBY, Fate.FENCE})
"""No later success makes good for these."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Circumstances:
    """What bears on a replay and is not in the history itself."""

    promotable: bool
    managed: bool
    can_fence: bool
    policy: Callable[[Entry], Fate]
    """What a failure of this operation leads to."""
    expired: Callable[[Entry], bool]
    """Whether an entry is too old to count as a failure."""
    migrated: Callable[[Entry, bool], "Migrated"]
    """How a migration that this entry belongs to ended, given whether the entry failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Migrated:
    """What a migration means for the copy on the entry's node."""

    state: State | None = None
    """None: nothing, something newer counts."""
    remainder: bool = False
    """It was left behind there, and only needs a stop."""
    broken: bool = False
    """Nobody can say where it runs: it is restarted."""


@dataclass(slots=True, eq=False, kw_only=True)
class Replay:
    """The state of a copy so far; `take` is given the entries in order."""

    given: Circumstances
    state: State = State.UNKNOWN
    fate: Fate = Fate.IGNORE
    culprit: Entry | None = None
    """The failure that `fate` comes from."""
    last_failure: Entry | None = None
    starting: bool = False
    remainder: bool = False
    broken: bool = False
    degraded: bool = False
    blocked: bool = False
    banned: Entry | None = None
    """The failure after which neither it nor what it is a part of may run on this node."""
    barred: Entry | None = None
    """The failure after which neither it nor what it is a part of may run anywhere."""
    avoided: Entry | None = None
    """The failure after which it alone may not run on this node."""
    halted: Entry | None = None
    """The failure after which it, and all copies of it, are to stay stopped."""

    def take(self, entry: Entry) -> None:
        """Move on by one entry."""
        if entry.operation not in _OPERATIONS or entry.status not in _STATUSES:
            return
        if entry.code is None or entry.code < 0:
            return
        self.degraded = entry.code in {_DEGRADED, _DEGRADED_PROMOTED}
        expired = self.given.expired(entry)
        masked = _is_masked(entry)
        code, grade, pending = self._judge(entry, expired=expired, masked=masked)
        if expired and self._passes_over(entry, code):
            return
        if masked:
            self._update(entry, entry.expected)
            self.banned = entry
        elif pending:
            self._pending(entry)
        elif grade is Grade.NONE:
            self._update(entry, code)
        else:
            self._failed(entry, code, grade)

    def _judge(  # noqa: C901 - one case for each exit code that means something
        self, entry: Entry, *, expired: bool, masked: bool
    ) -> tuple[int, Grade, bool]:
        """The exit code that counts, how bad it is, and whether there is no result yet."""
        assert entry.code is not None  # noqa: S101 - `take` has looked
        code = {_DEGRADED: _OK, _DEGRADED_PROMOTED: _PROMOTED}.get(entry.code, entry.code)
        if masked:
            code = _NOT_RUNNING
        elif entry.status not in {_DONE, _ERROR}:
            return code, _status_grade(entry), entry.status == PENDING
        grade = Grade.NONE if code == entry.expected else Grade.SOFT
        match code:
            case 0 if entry.probe and entry.expected == _NOT_RUNNING:
                grade = Grade.NONE
            case 7 if entry.probe or code == entry.expected or not self.given.managed:
                grade = Grade.NONE
                self.state = State.STOPPED
                self._forgive(grave=True)
            case 8:
                grade = Grade.NONE if entry.probe else grade
                if not expired or code == entry.expected:
                    self.state = State.PROMOTED
            case 9:
                grade = Grade.SOFT
                self.state = self.state if expired else State.PROMOTED
            case 6:
                grade = Grade.FATAL
            case 3 if entry.every_ms:
                grade = Grade.SOFT
            case 2 | 3 | 4 | 5:
                grade = Grade.HARD
                unmendable = entry.operation == "stop" and not self.given.can_fence
                self.blocked |= unmendable and not expired
        return code, grade, False

    def _passes_over(self, entry: Entry, code: int) -> bool:
        """Whether an expired entry counts for nothing."""
        if _is_masked(entry) and entry.code != entry.expected:
            if self.state <= State.STOPPED:
                self.state = State.UNKNOWN
            return True
        return code != entry.expected

    def _update(self, entry: Entry, code: int | None) -> None:  # noqa: C901 - one case for each operation
        """Move on by a success, or by a failure that is taken for one."""
        clears = False
        match entry.operation:
            case _ if code == _INSTALLED or _is_masked(entry):
                self.state = State.STOPPED
            case _ if code == _NOT_RUNNING:
                clears = True
            case "monitor":
                clears = self.last_failure is not None and self.last_failure.key == entry.key
                self._active()
            case "start" | "migrate_from":
                self.state, clears = State.STARTED, True
            case "stop":
                self.state, clears = State.STOPPED, True
            case "promote":
                self.state, clears = State.PROMOTED, True
            case "demote":
                self.state, clears = State.UNPROMOTED, self.fate is Fate.DEMOTE
            case "migrate_to":
                self._migrated(entry, failed=False)
            case _:
                self._active()
        if self.state <= State.STOPPED or entry.operation == "start":
            self.starting = False
        if clears:
            self._forgive(grave=False)

    def _forgive(self, *, grave: bool) -> None:
        """Clear what earlier failures ask for; what is grave only where it is seen not to run."""
        if grave or self.fate not in _STICKY:
            self.fate, self.culprit = Fate.IGNORE, None

    def _active(self) -> None:
        if self.state < State.STARTED:
            self.state = State.UNPROMOTED if self.given.promotable else State.STARTED

    def _pending(self, entry: Entry) -> None:
        if _is_newer_failure(self.last_failure, entry):
            return
        if entry.operation == "start":
            self.starting = True
            self.state = State.UNKNOWN
            self._active()
        elif entry.operation == "promote":
            self.state = State.PROMOTED

    def _failed(self, entry: Entry, code: int, grade: Grade) -> None:
        policy = self.given.policy(entry)
        if entry.status == _NOT_INSTALLED_STATUS:
            self.banned = entry
            if policy is Fate.IGNORE:
                self.fate = policy = Fate.BAN
        elif policy is Fate.IGNORE:
            self._update(entry, entry.expected)
            return
        elif policy is Fate.CONTAINER and entry.operation == "stop":
            self._update(entry, entry.expected)  # it stops when what it runs in does
            if self.fate < policy:
                self.fate, self.culprit = policy, entry
            return
        self._recover(entry, code, policy)
        if grade is Grade.HARD:
            self.banned = entry
        if grade is Grade.FATAL:
            self.barred = entry
        if policy is Fate.STOP:
            self.halted = entry

    def _recover(self, entry: Entry, code: int, policy: Fate) -> None:
        self.last_failure = entry
        if policy >= self.fate:
            self.fate, self.culprit = policy, entry
        match entry.operation:
            case "stop":
                self.avoided = entry
            case "migrate_to" | "migrate_from":
                self._migrated(entry, failed=True)
            case "promote":
                self.state = State.PROMOTED
            case "demote" if policy is Fate.BLOCK:
                self.state = State.PROMOTED
            case "demote" if code == _NOT_RUNNING:
                self.state = State.STOPPED
            case "demote":
                self.state = State.UNPROMOTED
        if entry.probe and code == _INSTALLED:
            self.state = State.STOPPED
        else:
            self._active()

    def _migrated(self, entry: Entry, *, failed: bool) -> None:
        found = self.given.migrated(entry, failed)
        self.state = self.state if found.state is None else found.state
        self.remainder |= found.remainder
        self.broken |= found.broken


def _status_grade(entry: Entry) -> Grade:
    if entry.status in _NODE_STATUSES:
        return Grade.HARD
    return Grade.FATAL if entry.status == _FATAL_STATUS else Grade.SOFT


def _is_masked(entry: Entry) -> bool:
    """Whether a probe found that it cannot run there: then it does not, and that is no failure."""
    cannot = entry.code in {_INSTALLED, _ARGS} or entry.status == _NOT_INSTALLED_STATUS
    return entry.probe and cannot


def _is_newer_failure(failure: Entry | None, entry: Entry) -> bool:
    """Whether an operation that seems to be under way has failed since."""
    if failure is None or failure.changed_s is None or entry.changed_s is None:
        return False
    same = (failure.operation, failure.every_ms) == (entry.operation, entry.every_ms)
    return same and failure.changed_s >= entry.changed_s
