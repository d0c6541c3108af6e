"""The status of a CIB as an observation: nodes, copies, failures, promotion scores and tickets.

Histories are replayed node by node in the order of the file, as Pacemaker does, since what is found on a
node may be a reason to fence it, and what it ran counts otherwise from then on. What is gone from the
configuration but runs on is kept: an orphan is a fact too.

Law: a service that is not recorded to run on a node is not said to run there.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from reconciler.core.definition import fixed_digest
from reconciler.importing.pacemaker import history_policies as policies
from reconciler.importing.pacemaker.document import Cib
from reconciler.importing.pacemaker.history import (
    Entry,
    History,
    read_history,
    started_after_stop,
)
from reconciler.importing.pacemaker.history_migrations import Arrival, Migrations
from reconciler.importing.pacemaker.history_replay import Circumstances, Fate, Replay, State
from reconciler.importing.pacemaker.nodes import Standing, read_nodes
from reconciler.importing.pacemaker.notes import Notes
from reconciler.importing.pacemaker.resources import Primitive, Resources, without_instance
from reconciler.importing.pacemaker.settings import Options
from reconciler.importing.pacemaker.status_bans import Bans
from reconciler.importing.pacemaker.status_digests import Change, change
from reconciler.importing.pacemaker.status_failures import (
    Count,
    fail_counts,
    promotion_score,
    tickets,
    unforgotten,
)
from reconciler.importing.pacemaker.status_locks import locks
from reconciler.importing.pacemaker.status_nodes import node_state
from reconciler.importing.pacemaker.words import is_name, truth
from reconciler.model.diagnostic import Diagnostic
from reconciler.model.ids import Digest, NodeName, ServiceName
from reconciler.model.intent import Intent, Role
from reconciler.model.observed import Certainty, Copy, Observed, PromotionScore

OTHER_DIGEST: Final = Digest("0" * 64)
"""Of a definition that is not the one wanted now, whichever it was."""


def read_status(
    cib: Cib, resources: Resources, options: Options, intent: Intent | None = None
) -> tuple[Observed, tuple[Diagnostic, ...]]:
    """Read what the status says of the cluster at the CIB's own moment.

    `intent` is what the configuration became; it tells apart what a reload can change of a running copy.
    A copy whose role is `stopped` is no copy yet, or none any more: a start was under way there, or
    (`failed`) a migration left it behind, and it only needs a stop.
    """
    reader = _Reader(cib, resources, options, intent)
    reader.replay()
    return reader.observed(), reader.notes.sorted()


class _Reader:
    """Goes through the status once, and keeps what it finds."""

    def __init__(
        self, cib: Cib, resources: Resources, options: Options, intent: Intent | None
    ) -> None:
        self.notes = Notes()
        self._cib, self._resources, self._options = cib, resources, options
        self._services = {each.name: each for each in intent.services} if intent else {}
        self._now_s = cib.now_ms // 1000
        self._fencing = options.truth("fencing-enabled", default=True)
        self._standings = tuple(n for n in read_nodes(cib, options) if is_name(n.name))
        self._histories = _histories(self._standings)
        self._migrations = Migrations(
            histories={(each.resource, each.node): each for each in self._histories},
            online=frozenset(each.name for each in self._standings if each.online),
        )
        self._bans = Bans(resources, cib.now_ms)
        self._counts: dict[str, dict[str, Count]] = {}
        self._copies: dict[tuple[str, str, int], Copy] = {}
        self._seen: dict[tuple[str, str], list[History]] = defaultdict(list)
        self._probed: dict[str, set[ServiceName]] = defaultdict(set)
        self._broken_containers: set[tuple[str, str]] = set()

    def replay(self) -> None:
        """Replay every history that counts, then put in what migrations brought."""
        by_node = {standing.name: standing for standing in self._standings}
        self._remote_nodes()
        for standing in self._standings:
            self._count(standing)
        for history in self._histories:
            standing = by_node[history.node]
            if self._fencing or standing.online:
                self._take(standing, history)
        for arrival in self._migrations.arrivals:
            self._arrive(arrival)
        for (service, node, instance), copy in self._copies.items():
            if (service, node) in self._broken_containers:
                self._copies[service, node, instance] = replace(copy, failed=True)
        self._hold()

    def observed(self) -> Observed:
        """All of it together."""
        return Observed(
            taken_at_ms=self._cib.now_ms,
            nodes=tuple(
                node_state(
                    each,
                    probed=frozenset(self._probed[each.name]),
                    may_run_something=any(copy.node == each.name for copy in self._copies.values()),
                )
                for each in sorted(self._standings, key=lambda each: each.name)
            ),
            copies=tuple(
                sorted(
                    self._copies.values(),
                    key=lambda copy: (copy.node, copy.service, copy.instance),
                )
            ),
            failures=self._bans.failures(),
            promotion_scores=tuple(self._promotion_scores()),
            tickets=tickets(self._cib),
            quorate=truth(self._cib.root.get("have-quorum"), default=False),
        )

    def _hold(self) -> None:
        """Keep what waits for a node that was shut down off all others."""
        held = locks(
            self._resources,
            self._options,
            self._standings,
            self._histories,
            self._copies.values(),
            now_s=self._now_s,
        )
        for name, node in held.items():
            primitive = self._resources.primitive(name)
            if primitive is not None:
                self._bans.hold(primitive, node, [each.name for each in self._standings])

    def _remote_nodes(self) -> None:
        """Say which nodes were only reached through others, since what runs there is not carried over."""
        known = {standing.name for standing in self._standings}
        for state in self._cib.status.all("node_state"):
            remote = truth(state.get("remote_node"), default=False)
            name = state.get("uname", "id")
            if not remote or name in known or next(state.walk("lrm_rsc_op"), None) is None:
                continue
            detail = f'"{name}" is a remote node; what runs there is not carried over.'
            if any(self._connected(name, standing) for standing in self._standings):
                self.notes.unsupported(detail, self._cib.origin(state))
            else:
                self.notes.left_out(detail, self._cib.origin(state))

    def _connected(self, remote: str, standing: Standing) -> bool:
        histories = (each for each in self._histories if each.node == standing.name)
        return standing.online and any(
            each.resource == remote and started_after_stop(each.entries) for each in histories
        )

    def _count(self, standing: Standing) -> None:
        """Take in the fail counts of a node, but for those that are forgotten."""
        here = [each for each in self._histories if each.node == standing.name]
        counted = {}
        for primitive, count in fail_counts(standing.attributes, self._resources, self._cib):
            name = primitive.id
            own = [each for each in here if without_instance(each.resource) == name]
            still = unforgotten(count, primitive, own, now_s=self._now_s)
            if still is not None:
                counted[name] = still
                self._bans.count(standing.name, primitive, still, own)
        self._counts[standing.name] = counted

    def _take(self, standing: Standing, history: History) -> None:
        primitive = self._resources.primitive(history.resource)
        if not history.entries or self._beyond(primitive, history):
            return
        replay = Replay(given=self._circumstances(standing, history, primitive))
        for entry in history.entries:
            replay.take(entry)
        name = primitive.id if primitive else without_instance(history.resource)
        if not is_name(name):
            detail = f'"{name}" on "{standing.name}" cannot be named here.'
            self.notes.left_out(detail, self._cib.origin(history.element))
            return
        if replay.state is not State.UNKNOWN:
            self._probed[standing.name].add(ServiceName(name))
        self._seen[name, standing.name].append(history)
        active = replay.state >= State.STARTED
        trusted = standing.online or standing.maintenance or not self._fencing
        if active and not trusted and self._managed(primitive) and not standing.unclean:
            standing.unclean = f"{name} may run there"
        fate = Fate.IGNORE if standing.unclean else replay.fate
        self._condemn(standing, replay, fate, name)
        self._bans.take(standing.name, primitive, replay, fate)
        if primitive is not None and fate is Fate.CONTAINER:
            self._broken_containers.add((primitive.meta["container"], standing.name))
        if active or replay.remainder:
            self._add(standing, history, primitive, replay, fate)

    def _arrive(self, arrival: Arrival) -> None:
        """Put a copy where a migration may have brought it, if nothing is known of one there."""
        primitive = self._resources.primitive(arrival.resource)
        name = primitive.id if primitive else without_instance(arrival.resource)
        sent = arrival.came_from if (name, arrival.came_from, 0) in self._copies else None
        present = self._copies.get((name, arrival.node, 0))
        if present is None:
            present = Copy(service=ServiceName(name), node=NodeName(arrival.node))
        came_from = NodeName(sent) if sent else present.migrating_from
        self._copies[name, arrival.node, 0] = replace(present, migrating_from=came_from)

    def _beyond(self, primitive: Primitive | None, history: History) -> bool:
        """Whether it is a part of something that no import carries over."""
        if primitive is not None:
            return primitive.in_bundle or primitive.remote
        return any(
            history.resource.startswith(f"{bundle.id}-") for bundle in self._resources.bundles
        )

    def _managed(self, primitive: Primitive | None) -> bool:
        if primitive is None:
            return self._options.truth("stop-orphan-resources", default=True)
        default = self._options.truth("is-managed-default", default=True)
        return (
            primitive.truth("is-managed", default=default)
            and not primitive.truth("maintenance", default=False)
            and not self._options.truth("maintenance-mode", default=False)
        )

    def _can_fence(self, standing: Standing) -> bool:
        devices = any(each.fences for each in self._resources.primitives)
        watchdog = truth(self._cib.root.get("have-watchdog"), default=False) and bool(
            self._options.text("fencing-watchdog-timeout")
        )
        if not self._fencing or not (devices or watchdog):
            return False
        quorate = truth(self._cib.root.get("have-quorum"), default=False)
        return quorate or standing.online or self._options.text("no-quorum-policy") == "ignore"

    def _circumstances(
        self, standing: Standing, history: History, primitive: Primitive | None
    ) -> Circumstances:
        counted = primitive is not None and primitive.id in self._counts[standing.name]

        def expired(entry: Entry) -> bool:
            return primitive is not None and policies.has_expired(
                primitive, entry, now_s=self._now_s, counted=counted
            )

        return Circumstances(
            promotable=primitive is not None and primitive.promotable,
            managed=self._managed(primitive),
            can_fence=self._can_fence(standing),
            policy=lambda entry: policies.policy(primitive, entry, fencing=self._fencing),
            expired=expired,
            migrated=lambda entry, failed: self._migrations.ended(
                history.resource, entry, failed=failed
            ),
        )

    def _condemn(self, standing: Standing, replay: Replay, fate: Fate, name: str) -> None:
        if fate is Fate.STANDBY:
            standing.standby = True
        elif fate is Fate.FENCE and replay.culprit is not None:
            standing.unclean = f"{name} failed there ({replay.culprit.operation})"
            standing.by_stop = replay.culprit.operation == "stop"

    def _add(
        self,
        standing: Standing,
        history: History,
        primitive: Primitive | None,
        replay: Replay,
        fate: Fate,
    ) -> None:
        name = ServiceName(primitive.id if primitive else without_instance(history.resource))
        instance = self._instance(name, standing.name, history.resource, primitive)
        failed = fate is not Fate.IGNORE or replay.broken
        culprit = replay.culprit if failed else None
        blocked = fate is Fate.BLOCK or (replay.blocked and not standing.unclean)
        digest, fixed = self._digests(primitive, history)
        self._copies[name, standing.name, instance] = Copy(
            service=name,
            node=NodeName(standing.name),
            instance=instance,
            role=_role(primitive, replay, unclean=bool(standing.unclean)),
            certainty=(
                Certainty.OBSERVED
                if standing.online and not standing.pending
                else Certainty.ASSUMED
            ),
            failed=failed or replay.remainder,
            failed_operation=_operation(culprit) if culprit else "",
            degraded=replay.degraded,
            digest=digest,
            fixed_digest=fixed,
            blocked=_why_blocked(replay) if blocked else None,
        )

    def _instance(self, name: str, node: str, resource: str, primitive: Primitive | None) -> int:
        """The number of an instance where it says which one it is; else the next one on its node."""
        number = resource.removeprefix(f"{without_instance(resource)}:")
        distinct = primitive is None or (primitive.clone is not None and primitive.clone.unique)
        instance = int(number) if distinct and number.isdigit() else 0
        while (name, node, instance) in self._copies:
            instance += 1
        return instance

    def _digests(
        self, primitive: Primitive | None, history: History
    ) -> tuple[Digest | None, Digest | None]:
        if primitive is None:
            return None, None
        if primitive.clone is None and history.resource != primitive.id:
            return OTHER_DIGEST, None  # it was a clone's instance when it was started
        match change(primitive, history, self._cib):
            case Change.RESTART:
                return OTHER_DIGEST, None
            case Change.RELOAD:
                service = self._services.get(ServiceName(primitive.id))
                return OTHER_DIGEST, fixed_digest(service) if service else None
            case Change.NONE:
                return None, None

    def _promotion_scores(self) -> Iterable[PromotionScore]:
        for standing in sorted(self._standings, key=lambda each: each.name):
            for primitive in sorted(self._resources.primitives, key=lambda each: each.id):
                if not (primitive.promotable and is_name(primitive.id)):
                    continue
                here = self._seen[primitive.id, standing.name]
                anywhere = any(self._seen.get((primitive.id, o.name)) for o in self._standings)
                if anywhere and not here:
                    continue  # what was said of it once is not known to hold
                fitness = promotion_score(primitive, standing.attributes, here[0] if here else None)
                if fitness is not None:
                    yield PromotionScore(
                        service=ServiceName(primitive.id),
                        node=NodeName(standing.name),
                        score=fitness,
                    )


def _histories(standings: tuple[Standing, ...]) -> list[History]:
    """Every history of every node, in the order of the file."""
    ordered = [each for each in standings if each.state is not None]
    ordered.sort(key=lambda each: each.state.line if each.state else 0)
    return [
        read_history(element, standing.name)
        for standing in ordered
        if standing.state is not None
        for lrm in standing.state.all("lrm")
        for listed in lrm.all("lrm_resources")
        for element in listed.all("lrm_resource")
        if element.id
    ]


def _role(primitive: Primitive | None, replay: Replay, *, unclean: bool) -> Role:
    if replay.state <= State.STOPPED or (replay.starting and not unclean):
        return Role.STOPPED
    if replay.state is State.PROMOTED:
        return Role.PROMOTED  # even where its service has no roles: it was seen
    promotable = primitive is not None and primitive.promotable
    return Role.UNPROMOTED if promotable else Role.STARTED


def _operation(entry: Entry) -> str:
    """The operation that failed, by the name that copies give it; a probe is a mere look."""
    if entry.probe:
        return ""
    return "start" if entry.operation.startswith("migrate_") else entry.operation


def _why_blocked(replay: Replay) -> str:
    if replay.culprit is None:
        return "an operation failed, and nothing can be done about it"
    return f"its {replay.culprit.operation} failed, and an operator has to see to it"
