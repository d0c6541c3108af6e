"""What an intent and the facts allow each service, read for the oracle: plain, and its own code.

Written from DESIGN section 5 and the words of `model.intent`; it shares nothing with the planner but the
model and the digest of a definition. Nodes are bits, in the order of the intent. It refuses to know copies
that nobody may touch: worlds with blocked, unknown, unmanaged or frozen ones are not for it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, product

from reconciler.core.definition import definition_digest
from reconciler.model.intent import (
    Intent,
    Mandate,
    NegativeScores,
    OnFail,
    OnLoss,
    Role,
    Service,
)
from reconciler.model.observed import Copy, Failure, Liveness, Observed

Mask = int


@dataclass(frozen=True, slots=True)
class Choice:
    """Where one service runs: copies per node, and the nodes where one of them is promoted."""

    counts: tuple[int, ...]
    promoted: Mask = 0

    @property
    def here(self) -> Mask:
        return sum(1 << at for at, count in enumerate(self.counts) if count)


@dataclass(slots=True)
class Found:
    """The copies of one service as they run: per node, all and the healthy ones, and by role."""

    ran: list[int]
    well: list[int]
    ran_promoted: Mask = 0
    well_promoted: Mask = 0

    @property
    def healthy(self) -> Mask:
        return sum(1 << at for at, count in enumerate(self.well) if count)


class Facts:
    """One world: which nodes are of use, what runs, and every way to seat each service alone."""

    def __init__(self, intent: Intent, observed: Observed) -> None:
        self.intent, self.observed = intent, observed
        self.nodes = [node.name for node in intent.nodes]
        self.at = {name: at for at, name in enumerate(self.nodes)}
        self.services = {service.name: service for service in intent.services}
        self.groups = {group.name: group for group in intent.groups}
        self.followers = {
            name for group in intent.groups if group.colocated for name in group.members[1:]
        }
        self.states = {state.name: state for state in observed.nodes}
        self.fenced = self._fenced()
        self.usable = self._usable()
        self.found = {name: self._found(service) for name, service in self.services.items()}
        self.stopped = {
            copy.service for copy in observed.copies if self.policy(copy) is OnFail.STOP
        } | {failure.service for failure in observed.failures if self._led(failure) is OnFail.STOP}

    def members(self, name: str) -> tuple[str, ...]:
        group = self.groups.get(name)
        return group.members if group else (name,)

    def mask(self, names: tuple[str, ...]) -> Mask:
        return sum(1 << self.at[name] for name in set(names) if name in self.at)

    def policy(self, copy: Copy) -> OnFail | None:
        """What a failed copy leads to; None when it has not failed."""
        service = self.services.get(copy.service)
        if service is None or not copy.failed:
            return None
        looks = service.monitor
        if copy.role is Role.PROMOTED and service.monitor_promoted is not None:
            looks = service.monitor_promoted
        return looks.on_fail or OnFail.RESTART

    def _led(self, failure: Failure) -> OnFail | None:
        """What a remembered failure of a monitor leads to, whether or not its copy is still there."""
        service = self.services.get(failure.service)
        return service.monitor.on_fail if service is not None else None

    # Nodes ------------------------------------------------------------------------------------------

    def _fenced(self) -> Mask:
        devices = self.mask(tuple(n for d in self.intent.fencing.devices for n in d.nodes))
        wanted = 0
        for state in self.observed.nodes:
            if state.condemned or state.liveness is Liveness.LOST:
                wanted |= self.mask((state.name,))
        for copy in self.observed.copies:
            if self.policy(copy) is OnFail.FENCE or self._fences(copy):
                wanted |= self.mask((copy.node,))
        return wanted & devices

    def _fences(self, copy: Copy) -> bool:
        """Whether this copy runs without the ticket whose loss is answered with a fence."""
        held = {ticket.ticket for ticket in self.observed.tickets if ticket.granted}
        return any(
            rule.on_loss is OnLoss.FENCE
            and rule.ticket not in held
            and copy.service in self.members(rule.service)
            and (rule.role is not Role.PROMOTED or copy.role is Role.PROMOTED)
            for rule in self.intent.tickets
        )

    def alive(self) -> Mask:
        alive = (s.name for s in self.observed.nodes if s.liveness is Liveness.ALIVE)
        return self.mask(tuple(alive)) & ~self.fenced

    def _usable(self) -> Mask:
        usable = self.alive()
        for node in self.intent.nodes:
            state = self.states[node.name]
            if node.standby or state.standby or state.leaving:
                usable &= ~self.mask((node.name,))
        for copy in self.observed.copies:
            if self.policy(copy) is OnFail.STANDBY:
                usable &= ~self.mask((copy.node,))
        for failure in self.observed.failures:
            if self._led(failure) is OnFail.STANDBY:
                usable &= ~self.mask((failure.node,))
        return usable

    # Copies -----------------------------------------------------------------------------------------

    def _found(self, service: Service) -> Found:
        found = Found([0] * len(self.nodes), [0] * len(self.nodes))
        alive = self.alive()
        for copy in self.observed.copies:
            at = self.at[copy.node]
            if copy.service != service.name or not alive >> at & 1:
                continue
            policy = self.policy(copy)
            well = copy.digest in (None, definition_digest(service))
            sound = policy in (None, OnFail.IGNORE, OnFail.DEMOTE)
            found.ran[at] += 1
            found.well[at] += well and sound
            if copy.role is Role.PROMOTED:
                found.ran_promoted |= 1 << at
                found.well_promoted |= (1 << at) * (well and sound) * (policy is not OnFail.DEMOTE)
        return found

    # Where a service may be -------------------------------------------------------------------------

    def choices(self, service: Service) -> Iterator[Choice]:
        """Every way to seat one service, whatever the others do."""
        may, may_promote = self.eligible(service), self.promotable(service)
        limit = len(self.nodes) if service.replicas is None else service.replicas
        each = 1 if service.replicas is None else service.replicas_per_node
        ranges = [range(each + 1) if may >> at & 1 else (0,) for at in range(len(self.nodes))]
        for counts in product(*ranges):
            if sum(counts) > limit:
                continue
            fit = [at for at, n in enumerate(counts) if n and may_promote >> at & 1]
            for size in range(min(service.promoted, len(fit)) + 1):
                for chosen in combinations(fit, size):
                    yield Choice(counts, sum(1 << at for at in chosen))

    def eligible(self, service: Service) -> Mask:
        if not service.enabled or service.name in self.stopped:
            return 0
        may = self.usable & self._located(service, role=None)
        for rule in self.intent.tickets:
            if service.name in self.members(rule.service) and not self._granted(rule.ticket):
                may = may if rule.role is Role.PROMOTED else 0
        for failure in self.observed.failures:
            if failure.service == service.name:
                if failure.fatal:
                    return 0
                if service.failures_max is not None and failure.count >= service.failures_max:
                    may &= ~self.mask((failure.node,))
        if self.intent.negative_scores is NegativeScores.FORBID:
            for at in range(len(self.nodes)):
                if self.score(service, at) + self._held(service, at) < 0:
                    may &= ~(1 << at)
        return may

    def promotable(self, service: Service) -> Mask:
        """Where a copy may be promoted: something asks for it there, and nothing outweighs that."""
        may = self._located(service, role=Role.PROMOTED)
        for rule in self.intent.tickets:
            lost = not self._granted(rule.ticket)
            if lost and rule.role is Role.PROMOTED and service.name in self.members(rule.service):
                may = 0
        fit = (1 << at for at in range(len(self.nodes)) if self.asked(service, at) >= 0)
        return may & sum(fit)

    def _granted(self, ticket: str) -> bool:
        return any(
            state.ticket == ticket and state.granted and not state.standby
            for state in self.observed.tickets
        )

    def _located(self, service: Service, *, role: Role | None) -> Mask:
        may = (1 << len(self.nodes)) - 1
        for rule in self.intent.locations:
            if service.name in self.members(rule.service) and rule.role is role:
                if rule.strength is Mandate.REQUIRED:
                    may &= self.mask(rule.nodes)
                elif rule.strength is Mandate.FORBIDDEN:
                    may &= ~self.mask(rule.nodes)
        return may

    # What a node is worth ---------------------------------------------------------------------------

    def score(self, service: Service, at: int) -> int:
        """The points of a copy on a node; a group's count once, for its first member."""
        return self._points(service, at, role=None)

    def asked(self, service: Service, at: int) -> int:
        """The promotion score of a node. Silence is -1, but 0 where a healthy copy is promoted.

        Groups are promoted as one: of the members that follow another, nobody needs to speak.
        """
        told = {(p.service, p.node): p.score for p in self.observed.promotion_scores}
        points = told.get((service.name, self.nodes[at]))
        if points is None:
            kept = self.found[service.name].well_promoted >> at & 1
            points = 0 if kept or service.name in self.followers else -1
            points += sum(
                rule.role is Role.PROMOTED
                and rule.strength is Mandate.REQUIRED
                and service.name in self.members(rule.service)
                and self.nodes[at] in rule.nodes
                for rule in self.intent.locations
            )
        return points + self._points(service, at, role=Role.PROMOTED)

    def _points(self, service: Service, at: int, *, role: Role | None) -> int:
        return sum(
            rule.strength
            for rule in self.intent.locations
            if isinstance(rule.strength, int)
            and rule.role is role
            and self.members(rule.service)[0] == service.name
            and self.nodes[at] in rule.nodes
        )

    def _held(self, service: Service, at: int) -> int:
        """What keeps a healthy copy on its node."""
        return service.stickiness if self.found[service.name].well[at] else 0

    def pull(self, service: Service, at: int, *, promoted: bool) -> int:
        """All that speaks for a node but other services."""
        if not promoted:
            return self.score(service, at) + self._held(service, at)
        kept = self.found[service.name].well_promoted >> at & 1
        total = self.asked(service, at) + self.score(service, at)
        return total + service.stickiness * kept
