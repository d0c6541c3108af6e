"""The world in index form: nodes and services as numbers, sets of nodes as the bits of one integer.

`read_world` is the only place where facts become permissions. What it decides of each copy:

  running   reported by an alive node, and free to be stopped, restarted or kept
  pinned    it must be left where it is: blocked, in maintenance, of unknown state, or on a silent node
  gone      a best-effort copy of a lost node, which may be taken over on suspicion alone

Law: a copy on a node that is silent, or whose state is unknown, never counts as stopped.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reconciler.core.definition import definition_digest
from reconciler.model.ids import NodeName, ServiceName
from reconciler.model.intent import Intent, Safety, Service
from reconciler.model.observed import Certainty, Copy, Liveness, NodeState, Observed

Mask = int
"""A set of nodes: bit i stands for `World.node_names[i]`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """Where the copies of one service are, by what may be done with them."""

    running: Mask = 0
    failed: Mask = 0
    """Running, but broken: to be stopped, wherever it goes next."""
    changed: Mask = 0
    """Running with a definition that is no longer wanted."""
    pinned: Mask = 0
    silent: Mask = 0
    """The pinned ones that may run and cannot be relied on: unheard, unknown, blocked or broken."""

    @property
    def healthy(self) -> Mask:
        """Running well, as wanted: what it costs stickiness to disturb."""
        return self.running & ~self.failed & ~self.changed

    @property
    def reliable(self) -> Mask:
        """Pinned copies that others may count on."""
        return self.pinned & ~self.silent


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Intent and facts by index. Services stand by priority, rank and name, nodes by name."""

    intent: Intent
    observed: Observed
    node_names: tuple[NodeName, ...]
    node_index: Mapping[NodeName, int]
    services: tuple[Service, ...]
    service_index: Mapping[ServiceName, int]
    states: tuple[NodeState, ...]
    copies: tuple[Copies, ...]
    removed: tuple[Copy, ...]
    """Copies of services that the intent does not name, free to be stopped."""
    alive: Mask
    unheard: Mask
    """Nodes that were never heard: anything may run there."""
    standby: Mask
    maintenance: Mask
    everywhere: Mask

    def names(self, mask: Mask) -> tuple[NodeName, ...]:
        """Node names of a set, in order."""
        return tuple(self.node_names[i] for i in bits(mask))

    def mask(self, names: tuple[NodeName, ...]) -> Mask:
        """The set of these nodes; names that the intent does not list are left out."""
        return sum({1 << self.node_index[name] for name in names if name in self.node_index})


def bits(mask: Mask) -> Iterator[int]:
    """Walk the members of a set, lowest first."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def read_world(intent: Intent, observed: Observed) -> World:
    """Turn names into numbers and copies into permissions.

    Shape: N nodes, M services, C copies: O(N + M log M + C).
    """
    node_names = tuple(node.name for node in intent.nodes)
    node_index = {name: i for i, name in enumerate(node_names)}
    services = tuple(sorted(intent.services, key=lambda s: (-s.priority, s.rank, s.name)))
    heard = {state.name: state for state in observed.nodes}
    states = tuple(
        heard.get(name, NodeState(name=name, liveness=Liveness.UNKNOWN)) for name in node_names
    )
    maintenance = sum(1 << i for i, node in enumerate(intent.nodes) if node.maintenance)
    alive = sum(1 << i for i, state in enumerate(states) if state.liveness is Liveness.ALIVE)

    by_service: dict[ServiceName, list[Copy]] = defaultdict(list)
    for copy in observed.copies:
        by_service[copy.service].append(copy)
    service_index = {service.name: i for i, service in enumerate(services)}
    removed = tuple(
        copy
        for copy in observed.copies
        if copy.service not in service_index and _is_free(copy, node_index, alive & ~maintenance)
    )
    return World(
        intent=intent,
        observed=observed,
        node_names=node_names,
        node_index=node_index,
        services=services,
        service_index=service_index,
        states=states,
        copies=tuple(
            _sort_copies(service, by_service[service.name], node_index, states, maintenance)
            if service.name in by_service
            else Copies()
            for service in services
        ),
        removed=removed,
        alive=alive,
        unheard=sum(
            1 << i
            for i, state in enumerate(states)
            if state.boot is None and state.liveness is not Liveness.ALIVE
        ),
        standby=sum(1 << i for i, node in enumerate(intent.nodes) if node.standby),
        maintenance=maintenance,
        everywhere=(1 << len(node_names)) - 1,
    )


def _is_free(copy: Copy, node_index: Mapping[NodeName, int], touchable: Mask) -> bool:
    at = node_index.get(copy.node)
    return at is not None and bool(touchable >> at & 1) and copy.tangible and copy.blocked is None


def _sort_copies(
    service: Service,
    copies: list[Copy],
    node_index: Mapping[NodeName, int],
    states: tuple[NodeState, ...],
    maintenance: Mask,
) -> Copies:
    wanted = definition_digest(service)
    running = failed = changed = pinned = silent = 0
    for copy in copies:
        at = node_index.get(copy.node)
        if at is None:
            continue
        bit = 1 << at
        match states[at].liveness:
            case Liveness.ALIVE:
                free = (
                    copy.tangible
                    and copy.blocked is None
                    and not service.maintenance
                    and not maintenance & bit
                )
                if not free:
                    pinned |= bit
                    well = copy.certainty is Certainty.OBSERVED and not copy.blocked
                    silent |= 0 if well and not copy.failed else bit
                    continue
                running |= bit
                failed |= bit if copy.failed else 0
                changed |= bit if copy.digest not in (None, wanted) else 0
            case Liveness.LOST if service.safety is Safety.BEST_EFFORT:
                pass
            case _:
                pinned |= bit
                silent |= bit
    return Copies(running=running, failed=failed, changed=changed, pinned=pinned, silent=silent)
