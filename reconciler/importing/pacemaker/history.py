"""The history that a node keeps of a resource: its entries, and which of two is newer.

An executor writes down the last result of every kind of operation, one entry each, so the entries of a
history are no log: they are put in order by the number of the call, and where that says nothing by the
time or by the transition that they belong to. Nothing here knows what an entry leads to.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cmp_to_key

from reconciler.importing.pacemaker.document import Element
from reconciler.importing.pacemaker.words import integer

PENDING = -1
"""The status of an operation of which no result has come yet, and the number of its call."""

_KEY = re.compile(r"(-?\d+):(-?\d+):(-?\d+):(\S+)")
_MAGIC = re.compile(r"-?\d+:-?\d+;(.*)")
_STARTS = frozenset({"start", "migrate_from"})
_RUNNING = frozenset({0, 8})


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Entry:
    """The recorded result of one operation.

    Units: `changed_s` is the time of the result in seconds since the epoch; None if it is not known.
    """

    id: str
    node: str
    operation: str
    every_ms: int = 0
    call: int = PENDING
    status: int | None = None
    code: int | None = None
    expected: int | None = None
    """The exit code that would have been a success; None if the entry does not tell."""
    transition: tuple[int, str] | None = None
    """Number of the transition, and who made it."""
    changed_s: int | None = None
    source: str = ""
    target: str = ""
    reason: str = ""
    element: Element = field(repr=False)

    @property
    def probe(self) -> bool:
        """Whether it looked once, before anything was known."""
        return self.operation == "monitor" and self.every_ms == 0

    @property
    def key(self) -> str:
        """What it is called by whoever ordered it."""
        return self.element.get("operation_key") or self.id

    @property
    def last_failure(self) -> bool:
        """Whether it is the copy that is kept of a failure."""
        return self.id.endswith("_last_failure_0")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class History:
    """What one node recorded of one resource, oldest entry first."""

    resource: str
    """As the node calls it: an instance of a clone may carry its number."""
    node: str
    element: Element
    entries: tuple[Entry, ...]


def read_history(element: Element, node: str) -> History:
    """Read an `lrm_resource` element."""
    entries = [_entry(child, node) for child in element.all("lrm_rsc_op")]
    return History(resource=element.id, node=node, element=element, entries=in_order(entries))


def in_order(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Entries of one node, oldest first; of equally old ones the last written comes first."""
    latest_first = list(entries)[::-1]
    return tuple(sorted(latest_first, key=cmp_to_key(age)))


def age(one: Entry, other: Entry) -> int:
    """Negative if `one` is older, positive if it is newer, zero if nothing tells."""
    here = one.node == other.node
    if (here and one.id == other.id) or (one.call == PENDING and other.call == PENDING):
        return 0
    if one.call >= 0 and other.call >= 0:
        if here and one.call != other.call:
            return -1 if one.call < other.call else 1
        return _by_time(one, other)
    return _by_transition(one, other)


def started_after_stop(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """The entries since the resource was last started; none if it was stopped after that."""
    start, implied, role, stop = -1, -1, -1, -1
    for index, entry in enumerate(entries):
        if entry.operation == "stop" and entry.status == 0:
            stop = index
        elif entry.operation in _STARTS:
            start = index
        elif implied <= stop and entry.operation == "monitor":
            implied = index if entry.code in _RUNNING else implied
        elif entry.operation in {"promote", "demote"}:
            role = index
    if start < 0:
        start = role if role >= 0 else implied
    return () if start < stop else entries[max(start, 0) :]


def _by_time(one: Entry, other: Entry) -> int:
    first = -1 if one.changed_s is None else one.changed_s
    second = -1 if other.changed_s is None else other.changed_s
    if 0 <= first < second:
        return -1
    return 1 if 0 <= second < first else 0


def _by_transition(one: Entry, other: Entry) -> int:
    """One of the two is pending: it may have been overtaken since it was ordered."""
    if one.transition is None or other.transition is None:
        return 0
    (first, maker), (second, other_maker) = one.transition, other.transition
    if maker.lower() != other_maker.lower() or first == second:
        return -1 if other.call == PENDING else 1
    if 0 <= first < second or second == -1:  # a number of -1 means a shutdown, which comes last
        return -1
    return 1


def _entry(element: Element, node: str) -> Entry:
    key = _KEY.fullmatch(element.get("transition-key"))
    magic = _MAGIC.fullmatch(element.get("transition-magic"))
    ordered = _KEY.fullmatch(magic[1]) if magic else None
    changed = element.get("last-rc-change")
    return Entry(
        id=element.id,
        node=node,
        operation=element.get("operation"),
        every_ms=integer(element.get("interval")),
        call=integer(element.get("call-id"), PENDING),
        status=_number(element.get("op-status")),
        code=_number(element.get("rc-code")),
        expected=int(key[3]) if key and int(key[3]) >= 0 else None,
        transition=(int(ordered[2]), ordered[4]) if ordered else None,
        changed_s=_number(changed),
        source=element.get("migrate_source"),
        target=element.get("migrate_target"),
        reason=element.get("exit-reason"),
        element=element,
    )


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"\s*-?[0-9]{1,18}\s*", text) else None
