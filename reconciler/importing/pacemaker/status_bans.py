"""Failures as they are observed: those counted, and those after which a service may not run somewhere.

A failure that a retry cannot mend (not installed, wrong settings) bans whatever the resource is a part of:
its group, its clone. There is one failure for each service and node, and the gravest reason is the one told.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from reconciler.importing.pacemaker.history import Entry, History
from reconciler.importing.pacemaker.history_policies import failure_timeout_s
from reconciler.importing.pacemaker.history_replay import Fate, Replay
from reconciler.importing.pacemaker.resources import Primitive, Resources
from reconciler.importing.pacemaker.status_failures import Count
from reconciler.importing.pacemaker.words import INFINITY, is_name
from reconciler.model.ids import Millis, NodeName, ServiceName
from reconciler.model.observed import Failure

_CODES: Final = {
    1: "error",
    2: "invalid parameter",
    3: "not implemented",
    4: "insufficient privileges",
    5: "not installed",
    6: "not configured",
    7: "not running",
    8: "promoted",
    9: "promoted and failed",
}
_STATUSES: Final = {2: "timed out", 7: "agent not installed"}


class Bans:
    """Collects failures, one for each service and node."""

    def __init__(self, resources: Resources, now_ms: Millis) -> None:
        self._resources = resources
        self._now_ms = now_ms
        self._found: dict[tuple[str, str], Failure] = {}

    def failures(self) -> tuple[Failure, ...]:
        """All of them, by node and service."""
        return tuple(self._found[key] for key in sorted(self._found))

    def count(
        self, node: str, primitive: Primitive, count: Count, histories: Iterable[History]
    ) -> None:
        """Take in what a node has counted."""
        if not count.count:
            return
        failed = [e for h in histories for e in h.entries if e.code != e.expected]
        last = next((e for e in failed if e.last_failure), failed[-1] if failed else None)
        operation = count.operation or (last.operation if last else "monitor")
        self._put(
            Failure(
                service=ServiceName(primitive.id),
                node=NodeName(node),
                count=count.count,
                operation=operation,
                reason=_reason(last) if last else f"its {operation} failed",
                last_ms=Millis(count.last_s * 1000) if count.last_s else self._now_ms,
            )
        )

    def take(self, node: str, primitive: Primitive | None, replay: Replay, fate: Fate) -> None:
        """Take in what the history of a resource on a node leads to."""
        if primitive is None:
            return
        if replay.banned is not None:
            self._ban(self._whole(primitive), node, replay.banned)
        if replay.barred is not None:
            self._ban(self._whole(primitive), node, replay.barred, fatal=True)
        if replay.avoided is not None:
            self._ban((primitive,), node, replay.avoided)
        if fate is Fate.BAN and replay.culprit is not None:
            self._ban((primitive,), node, replay.culprit)
        if replay.halted is not None:
            self._ban(self._copies(primitive), node, replay.halted, fatal=True)

    def hold(self, primitive: Primitive, waits_for: str, nodes: Iterable[str]) -> None:
        """Keep a resource off every node but the one whose return it waits for."""
        for node in nodes:
            if node != waits_for:
                self._put(
                    Failure(
                        service=ServiceName(primitive.id),
                        node=NodeName(node),
                        count=INFINITY,
                        operation="",
                        reason=f"it waits for {waits_for}, which was shut down (shutdown-lock)",
                        last_ms=self._now_ms,
                    )
                )

    def _whole(self, primitive: Primitive) -> tuple[Primitive, ...]:
        """All that stands or falls with a resource: its clone, or its group."""
        if primitive.clone is not None:
            if primitive.clone.unique:
                return (primitive,)
            return self._resources.members(primitive.clone)
        return self._resources.members(primitive.group) if primitive.group else (primitive,)

    def _copies(self, primitive: Primitive) -> tuple[Primitive, ...]:
        return self._whole(primitive) if primitive.clone is not None else (primitive,)

    def _ban(
        self, primitives: Iterable[Primitive], node: str, entry: Entry, *, fatal: bool = False
    ) -> None:
        for primitive in primitives:
            self._put(
                Failure(
                    service=ServiceName(primitive.id),
                    node=NodeName(node),
                    count=INFINITY,
                    operation=entry.operation,
                    reason=_reason(entry),
                    last_ms=self._when(primitive, entry),
                    fatal=fatal,
                )
            )

    def _when(self, primitive: Primitive, entry: Entry) -> Millis:
        """When it happened, or now where others would think that it was forgotten since."""
        if entry.changed_s is None:
            return self._now_ms
        when_ms, timeout_ms = entry.changed_s * 1000, failure_timeout_s(primitive) * 1000
        forgotten = timeout_ms and when_ms + timeout_ms <= self._now_ms
        return self._now_ms if forgotten else Millis(when_ms)

    def _put(self, failure: Failure) -> None:
        if not is_name(failure.service):
            return  # it is no service here, and the other half of the import has said so
        failure = replace(failure, last_ms=min(failure.last_ms, self._now_ms))
        key = (failure.node, failure.service)
        present = self._found.get(key)
        if present is None or (failure.fatal, failure.count) > (present.fatal, present.count):
            self._found[key] = failure


def _reason(entry: Entry) -> str:
    if entry.reason:
        return entry.reason
    said = _STATUSES.get(entry.status or 0) or _CODES.get(entry.code or 0)
    return f"its {entry.operation} failed" + (f": {said}" if said else "")
