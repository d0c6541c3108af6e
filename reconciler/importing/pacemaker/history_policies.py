"""What failures of a resource's operations lead to, and when they are too old to count.

The policy is what the configuration says of an operation of that name and interval, and Pacemaker's
defaults where it says nothing or nothing that makes sense.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from reconciler.importing.pacemaker.history import Entry
from reconciler.importing.pacemaker.history_replay import Fate
from reconciler.importing.pacemaker.operations import Operation
from reconciler.importing.pacemaker.resources import Primitive
from reconciler.importing.pacemaker.words import duration_ms

_FATES: Final[Mapping[str, Fate]] = {
    "ignore": Fate.IGNORE,
    "nothing": Fate.IGNORE,
    "demote": Fate.DEMOTE,
    "restart": Fate.RESTART,
    "migrate": Fate.BAN,
    "block": Fate.BLOCK,
    "stop": Fate.STOP,
    "standby": Fate.STANDBY,
    "fence": Fate.FENCE,
}
_INSTALLED_STATUS: Final = 7
_FINDINGS: Final = frozenset({0, 7, 8, 190, 191})
"""Exit codes of a probe that say what is so, which stays so however long ago it was found."""


def policy(primitive: Primitive | None, entry: Entry, *, fencing: bool) -> Fate:
    """What the failure of this operation leads to; `fencing`: whether the cluster fences at all."""
    operations = primitive.operations if primitive else ()
    found = _operation(operations, entry)
    written = _valid(operations, found, entry) if found else ""
    fate = _FATES.get(written)
    if fate is Fate.FENCE and not fencing:
        return Fate.STOP
    if fate is not None:
        return fate
    if primitive is not None and primitive.meta.get("container"):
        return Fate.CONTAINER
    if entry.operation != "stop":
        return Fate.RESTART
    return Fate.FENCE if fencing else Fate.BLOCK


def has_expired(primitive: Primitive, entry: Entry, *, now_s: int, counted: bool) -> bool:
    """Whether a recorded failure is too old to count.

    `counted`: whether failures of this resource there are still counted, some of them being younger.
    """
    timeout_s = failure_timeout_s(primitive)
    if not timeout_s or entry.changed_s is None or entry.status == _INSTALLED_STATUS:
        return False
    if now_s < entry.changed_s + timeout_s or counted:
        return False
    return not (entry.probe and entry.code in _FINDINGS)


def failure_timeout_s(primitive: Primitive) -> int:
    """After how long failures are forgotten; 0: never."""
    return duration_ms(primitive.meta.get("failure-timeout", "")) // 1000


def never_forgotten(primitive: Primitive, entries: Iterable[Entry]) -> bool:
    """Whether one of these failures blocks the resource: such a one stays until it is cleared."""
    blocking = {
        (each.name, each.every_ms)
        for each in primitive.operations
        if each.element is not None and each.element.get("on-fail") == "block"
    }
    return any(
        (entry.operation, entry.every_ms) in blocking
        and (entry.last_failure or entry.code != entry.expected)
        for entry in entries
    )


def _operation(operations: tuple[Operation, ...], entry: Entry) -> Operation | None:
    names = [entry.operation]
    if entry.operation in {"migrate_to", "migrate_from"}:
        names.append("migrate")
    for name in names:
        for each in operations:
            if (each.name, each.every_ms) == (name, entry.every_ms if name != "migrate" else 0):
                return each
    return None


def _valid(operations: tuple[Operation, ...], found: Operation, entry: Entry) -> str:
    """The policy as written, unless it makes no sense for such an operation."""
    if entry.operation == "demote" and not found.on_fail and found.written:
        return _of_promoted_monitor(operations)
    if found.on_fail == "standby" and entry.operation == "stop":
        return ""
    if found.on_fail == "demote":
        looks = found.name == "monitor" and found.role == "promoted" and found.every_ms
        return "demote" if looks or found.name == "promote" else ""
    return found.on_fail


def _of_promoted_monitor(operations: tuple[Operation, ...]) -> str:
    """A failed demotion is dealt with as a failure of the promoted copy is, unless that is to demote."""
    for each in operations:
        looks = each.name == "monitor" and each.role == "promoted" and each.every_ms
        if looks and each.enabled and each.on_fail not in {"", "demote"}:
            return each.on_fail
    return ""
