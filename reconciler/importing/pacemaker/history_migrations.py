"""Live migrations that were cut off: what they left on the two nodes.

A migration is three operations: `migrate_to` on the source, `migrate_from` on the target, `stop` on the
source. Whichever of them is missing or failed, and whatever either node did since, says where the copy may
run: on the source, on the target, or on both.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.importing.pacemaker.history import PENDING, Entry, History, age
from reconciler.importing.pacemaker.history_replay import Migrated, State

_MOVING = frozenset({"start", "stop", "migrate_to", "migrate_from"})
_UNKNOWN_CODE = 193
"""What is written as the exit code of an operation that has none yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A copy that a migration puts on a node, whatever that node's own history says."""

    resource: str
    node: str
    came_from: str | None = None
    """The source, where the migration may still be finished."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Migrations:
    """Reads migrations across nodes; `arrivals` grows as histories are replayed."""

    histories: Mapping[tuple[str, str], History]
    """By resource, as the nodes call it, and node."""
    online: frozenset[str]
    arrivals: list[Arrival] = field(default_factory=list)

    def ended(self, resource: str, entry: Entry, *, failed: bool) -> Migrated:
        """What the migration that an entry is part of means for the copy on the entry's node."""
        if not entry.source or not entry.target:
            return Migrated()
        if entry.operation == "migrate_from":
            self._came_back(resource, entry)
            return Migrated(state=State.STARTED)
        if entry.source.lower() != entry.node.lower():
            return Migrated()
        if failed:
            return self._never_left(resource, entry)
        return self._left(resource, entry)

    def _left(self, resource: str, entry: Entry) -> Migrated:
        """After a `migrate_to` that succeeded."""
        overtaken = self._acted_after(resource, entry.source, entry)
        taken_in = self._find(resource, "migrate_from", entry.target, source=entry.source)
        newer = self._changed_since(resource, entry.target, entry, taken_in)
        if overtaken and (newer or taken_in is not None):
            return Migrated()
        if taken_in is not None and taken_in.status == 0 and taken_in.code == 0:
            return Migrated(state=State.STOPPED, remainder=True)
        if taken_in is not None and taken_in.status != PENDING:
            there = self._arrived(resource, entry.target, newer=newer)
            return Migrated(state=State.STARTED, broken=not there)
        if entry.target in self.online and self._unheard_of(resource, entry.target):
            return Migrated(state=State.STARTED)  # its history was cleared: a probe will tell
        resumable = entry.source if entry.source in self.online else None
        there = self._arrived(resource, entry.target, newer=newer, came_from=resumable)
        return Migrated(state=State.STARTED, broken=not there and not overtaken)

    def _arrived(
        self, resource: str, node: str, *, newer: bool, came_from: str | None = None
    ) -> bool:
        """Put a copy on the target, if it can be there."""
        if newer or node not in self.online:
            return False
        self._arrive(resource, node, came_from)
        return True

    def _never_left(self, resource: str, entry: Entry) -> Migrated:
        """After a `migrate_to` that failed: it runs on, and may run on the target too."""
        taken_in = self._find(resource, "migrate_from", entry.target, source=entry.source)
        if taken_in is not None and not (taken_in.status == 0 and taken_in.code == 0):
            taken_in = None
        if not self._changed_since(resource, entry.target, entry, taken_in):
            self._arrive_where_known(resource, entry.target)
        return Migrated(state=State.STARTED)

    def _came_back(self, resource: str, entry: Entry) -> None:
        """After a `migrate_from` that failed: the source may still run it."""
        sent = self._find(resource, "migrate_to", entry.source, target=entry.target)
        if sent is not None and not (sent.status == 0 and sent.code == 0):
            sent = None
        if not self._changed_since(resource, entry.source, sent, entry):
            self._arrive_where_known(resource, entry.source)

    def _arrive_where_known(self, resource: str, node: str) -> None:
        """Where its history was cleared, a probe will tell."""
        if node in self.online and not self._unheard_of(resource, node):
            self._arrive(resource, node)

    def _arrive(self, resource: str, node: str, came_from: str | None = None) -> None:
        self.arrivals.append(Arrival(resource=resource, node=node, came_from=came_from))

    def _entries(self, resource: str, node: str) -> tuple[Entry, ...]:
        found = self.histories.get((resource, node))
        return found.entries if found else ()

    def _find(
        self, resource: str, operation: str, node: str, *, source: str = "", target: str = ""
    ) -> Entry | None:
        for entry in self._entries(resource, node):
            fits = (not source or entry.source == source) and (not target or entry.target == target)
            if entry.operation == operation and fits:
                return entry
        return None

    def _unheard_of(self, resource: str, node: str) -> bool:
        """Whether no operation was ever completed there."""
        return all(entry.code == _UNKNOWN_CODE for entry in self._entries(resource, node))

    def _acted_after(self, resource: str, node: str, entry: Entry) -> bool:
        return any(
            other is not entry and other.operation in _MOVING and age(other, entry) > 0
            for other in self._entries(resource, node)
        )

    def _changed_since(
        self, resource: str, node: str, sent: Entry | None, taken_in: Entry | None
    ) -> bool:
        """Whether a node did something with it, or saw it stopped, after a migration."""
        entry = taken_in or sent
        if entry is None:
            return False
        if taken_in is not None and sent is not None and node.lower() == entry.source.lower():
            entry = sent  # numbers of calls tell more than times do
        if self._acted_after(resource, node, entry):
            return True
        return any(
            (other.operation, other.status, other.code) == ("monitor", 0, 7)
            and age(other, entry) > 0
            for other in self._entries(resource, node)
        )
