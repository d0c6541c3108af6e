"""What the facts allow and demand, read anew: which nodes must be fenced, and what may be touched.

The judge reads every failure, ticket, node and majority in its own words. Nothing here comes from the
planner.
"""

from collections.abc import Iterator
from enum import Enum

from reconciler.core.verify.values import reliable
from reconciler.model.intent import (
    Health,
    HealthStrategy,
    Intent,
    OnFail,
    OnLoss,
    Orphans,
    Role,
    Safety,
    Service,
)
from reconciler.model.observed import Copy, Liveness, NodeState, Observed

FORBIDS = -1_000_000
"""Scores of this size or less are no matter of more or less."""


class Fate(Enum):
    """What a plan may do with a copy."""

    FREE = 1
    HELD = 2
    DOOMED = 3
    GONE = 4


class Facts:
    """The intent and the facts, and what follows from failures, tickets and lost majorities."""

    def __init__(self, intent: Intent, observed: Observed, fenced: frozenset[str]) -> None:
        self.intent, self.observed, self.fenced = intent, observed, fenced
        self.services: dict[str, Service] = {s.name: s for s in intent.services}
        self.nodes = {str(node.name): node for node in intent.nodes}
        heard = {state.name: state for state in observed.nodes}
        self.states: dict[str, NodeState] = {
            node.name: heard.get(node.name) or NodeState(name=node.name, liveness=Liveness.UNKNOWN)
            for node in intent.nodes
        }
        self.members_of = {str(g.name): tuple(map(str, g.members)) for g in intent.groups}
        self.stopped: set[str] = set()
        """Services that a failure keeps stopped."""
        self.emptied: set[str] = set()
        """Nodes that a failure empties."""
        self.stuck: set[int] = set()
        """Failed copies that nobody may touch, by identity."""
        self.frozen = {
            name
            for rule in intent.tickets
            if rule.on_loss is OnLoss.FREEZE and not self.granted(rule.ticket)
            for name in self.members(rule.service)
        }
        self.causes: dict[str, str] = dict(self._causes())
        """Why nodes are to be fenced."""
        for copy in observed.copies:
            if copy.failed:
                self._fail(copy)
        self._alive_open = {
            name
            for name, state in self.states.items()
            if state.liveness is Liveness.ALIVE
            and name not in fenced
            and not self.nodes[name].maintenance
        }
        self._hands_off = {
            s.name
            for s in intent.services
            if s.maintenance or not s.managed or s.name in self.frozen
        }

    def members(self, name: str) -> tuple[str, ...]:
        """The services that a name in a constraint stands for."""
        return self.members_of.get(name, (name,))

    def granted(self, ticket: str) -> bool:
        """Whether the ticket is held, about to be given up or not."""
        return any(state.ticket == ticket and state.granted for state in self.observed.tickets)

    def alive(self, node: str) -> bool:
        """Whether a node is heard, and not about to be fenced."""
        return self.states[node].liveness is Liveness.ALIVE and node not in self.fenced

    def may_fence(self, node: str) -> bool:
        """Whether there is a device, and the right to use it."""
        devices = self.intent.fencing.devices
        if not any(node in device.nodes for device in devices):
            return False
        return (
            self.observed.quorate
            or self.intent.on_quorum_loss is OnLoss.IGNORE
            or self.states[node].liveness is Liveness.ALIVE
        )

    def fate(self, copy: Copy) -> Fate:
        """What a plan may do with a copy on a node that the intent names."""
        node, name = copy.node, copy.service
        if node in self._alive_open:
            if name in self._hands_off or not copy.tangible or copy.blocked is not None:
                return Fate.HELD
            return Fate.HELD if copy.failed and id(copy) in self.stuck else Fate.FREE
        state, service = self.states[node], self.services.get(name)
        if state.liveness is Liveness.DOWN:
            return Fate.GONE
        lenient = service is not None and service.safety is Safety.BEST_EFFORT
        if state.liveness is Liveness.LOST and lenient:
            return Fate.GONE
        return Fate.DOOMED if node in self.fenced else Fate.HELD

    def counts(self, copy: Copy) -> bool:
        """Whether others may count on a copy that nobody may touch."""
        alive = self.states[copy.node].liveness is Liveness.ALIVE
        return alive and reliable(copy) and id(copy) not in self.stuck

    def restarts(self, copy: Copy) -> bool:
        """Whether this copy must stop because it is broken."""
        if not copy.failed:
            return False
        return remains(copy) or self.policy(copy) not in (OnFail.IGNORE, OnFail.DEMOTE)

    def demotes(self, copy: Copy) -> bool:
        """Whether this promoted copy is demoted because it is broken."""
        return copy.failed and self.policy(copy) is OnFail.DEMOTE

    def kept_orphans(self) -> bool:
        """Whether copies that the intent does not name stay as they are."""
        return self.intent.orphans is Orphans.KEEP

    def policy(self, copy: Copy) -> OnFail:
        """What the failure of this copy leads to."""
        service = self.services.get(copy.service)
        if service is None:
            return OnFail.RESTART
        given = {
            "start": service.start.on_fail,
            "stop": service.stop.on_fail,
            "promote": service.promote.on_fail,
            "demote": service.demote.on_fail,
        }
        watch = service.monitor_promoted
        if copy.failed_operation in given:
            said = given[copy.failed_operation]
        else:
            promoted = copy.role is Role.PROMOTED and watch is not None
            said = watch.on_fail if promoted and watch else service.monitor.on_fail
        if said is not None:
            return said
        if copy.failed_operation == "stop":
            return OnFail.FENCE if self.may_fence(copy.node) else OnFail.BLOCK
        if copy.failed_operation == "demote" and watch is not None and watch.on_fail is not None:
            return OnFail.RESTART if watch.on_fail is OnFail.DEMOTE else watch.on_fail
        return OnFail.RESTART

    def _fail(self, copy: Copy) -> None:
        service = self.services.get(copy.service)
        if service is None or copy.node not in self.nodes:
            return
        untouched = service.maintenance or not service.managed
        match self.policy(copy):
            case OnFail.BLOCK:
                self.stuck.add(id(copy))
            case OnFail.FENCE if self.may_fence(copy.node):
                if not untouched:
                    self.causes.setdefault(copy.node, f"{copy.service} failed there")
            case OnFail.FENCE:
                self.stuck.add(id(copy))
            case OnFail.STOP:
                self.stopped.add(copy.service)
            case OnFail.STANDBY if not untouched:
                self.emptied.add(copy.node)
            case _:
                pass

    def _causes(self) -> Iterator[tuple[str, str]]:
        lonely = not self.observed.quorate and self.intent.on_quorum_loss is OnLoss.FENCE
        for name, state in self.states.items():
            if state.condemned:
                yield name, state.condemned
            elif state.liveness is Liveness.LOST:
                yield name, "it is lost"
            elif state.liveness is Liveness.UNKNOWN and self.intent.fencing.unseen:
                yield name, "it was never heard"
            elif lonely and state.liveness is Liveness.ALIVE:
                yield name, "no majority"
        for rule in self.intent.tickets:
            if rule.on_loss is OnLoss.FENCE and not self.granted(rule.ticket):
                names = self.members(rule.service)
                for copy in self.observed.copies:
                    in_role = rule.role is not Role.PROMOTED or copy.role is Role.PROMOTED
                    if copy.service in names and in_role and copy.node in self.states:
                        yield copy.node, f"{copy.service} lost {rule.ticket}"

    def health(self, node: str) -> int:
        """What the health of a node is worth to every service."""
        health = self.intent.health
        if health.strategy is HealthStrategy.NONE:
            return 0
        told = [v for k, v in self.states[node].attributes if k.startswith("health-")]
        points = [_points(health, value) for value in told]
        if any(one <= FORBIDS for one in points):
            return FORBIDS
        base = health.base if health.strategy is HealthStrategy.PROGRESSIVE else 0
        return base + sum(points)


def remains(copy: Copy) -> bool:
    """Whether this is what was left of a copy that runs elsewhere now: it is stopped, and no more."""
    return copy.failed and copy.role is Role.STOPPED


def _points(health: Health, value: str) -> int:
    if value in ("red", "yellow", "green"):
        match health.strategy:
            case HealthStrategy.MIGRATE_ON_RED:
                return FORBIDS if value == "red" else 0
            case HealthStrategy.ONLY_GREEN:
                return 0 if value == "green" else FORBIDS
            case _:
                return {"red": health.red, "yellow": health.yellow, "green": health.green}[value]
    digits = value.removeprefix("-").removeprefix("+")
    return int(value) if digits.isdecimal() else 0
