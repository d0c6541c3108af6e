"""The world in index form: nodes and parts of services as numbers, sets of nodes as the bits of one integer.

A service is one part, its copies; a promotable one is a second part, its promoted copies; and one that
may have several copies on a node is one part for the first copy of each node, one for the second, and so
on. `read_world` is the only place where facts become permissions. What it decides of each copy:

  running   reported by an alive node, and free to be stopped, restarted or kept
  pinned    it must be left where it is: blocked, in maintenance, of unknown state, or on a silent node
  gone      on a node that is fenced first or left in good order; or best-effort on a lost node

Law: a copy on a node that is silent, or whose state is unknown, never counts as stopped without a proof.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reconciler.core.definition import definition_digest, fixed_digest
from reconciler.core.mishaps import Mishaps, read_mishaps
from reconciler.model.ids import NodeName, ServiceName
from reconciler.model.intent import Intent, MultipleActive, Orphans, Role, Safety, Service
from reconciler.model.observed import Certainty, Copy, Liveness, NodeState, Observed

Mask = int
"""A set of nodes: bit i stands for `World.node_names[i]`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The copies of a service, or only its promoted ones, or the n-th copy on each node."""

    service: Service
    base: int
    """The part with the first copy of each node; itself, for that one."""
    promoted: bool = False
    layer: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """Where the copies of one part are, by what may be done with them."""

    running: Mask = 0
    failed: Mask = 0
    """Running, but broken: to be stopped, wherever it goes next."""
    changed: Mask = 0
    """Running with a definition that is no longer wanted."""
    reloadable: Mask = 0
    """Running with a definition that a reload makes the wanted one."""
    starting: Mask = 0
    """Running as far as anybody knows, and on its way up: to be started again, without a stop."""
    leftover: Mask = 0
    """Remains of a copy that is elsewhere now: to be stopped, and nothing else."""
    pinned: Mask = 0
    silent: Mask = 0
    """The pinned ones that may run and cannot be relied on: unheard, unknown, blocked or broken."""

    @property
    def healthy(self) -> Mask:
        """Running well, as wanted: what it costs stickiness to disturb."""
        return self.running & ~self.failed & ~self.changed & ~self.starting

    @property
    def reliable(self) -> Mask:
        """Pinned copies that others may count on."""
        return self.pinned & ~self.silent


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Intent and facts by index. Parts stand by priority, rank and name, nodes by name."""

    intent: Intent
    observed: Observed
    node_names: tuple[NodeName, ...]
    node_index: Mapping[NodeName, int]
    parts: tuple[Part, ...]
    services: tuple[Service, ...]
    """The service of each part."""
    count: int
    """How many services there are: their first parts come before all others."""
    service_index: Mapping[ServiceName, int]
    promotion: Mapping[int, int]
    """First part of a promotable service to the part of its promoted copies."""
    layers: Mapping[int, tuple[int, ...]]
    """First part of a service with several copies on a node to the parts of the further ones."""
    states: tuple[NodeState, ...]
    copies: tuple[Copies, ...]
    removed: tuple[Copy, ...]
    """Copies of services that the intent does not name, free to be stopped."""
    mishaps: Mishaps
    alive: Mask
    fenced: Mask
    """Nodes that this decision fences: nothing runs there once that is confirmed."""
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
    ranked = tuple(sorted(intent.services, key=lambda s: (-s.priority, s.rank, s.name)))
    heard = {state.name: state for state in observed.nodes}
    states = tuple(
        heard.get(name, NodeState(name=name, liveness=Liveness.UNKNOWN)) for name in node_names
    )
    by_service: dict[ServiceName, list[Copy]] = defaultdict(list)
    for copy in observed.copies:
        by_service[copy.service].append(copy)
    service_index = {service.name: i for i, service in enumerate(ranked)}
    parts = _parts(ranked, by_service)
    mishaps = read_mishaps(intent, observed, {service.name: service for service in ranked})
    modes = _Modes.read(intent, states, mishaps)
    sorted_copies: list[Copies] = []
    for part in parts:
        found = by_service.get(part.service.name)
        sorted_copies.append(
            _sort_copies(part, found, node_index, states, modes, mishaps) if found else Copies()
        )
    return World(
        intent=intent,
        observed=observed,
        node_names=node_names,
        node_index=node_index,
        parts=parts,
        services=tuple(part.service for part in parts),
        count=len(ranked),
        service_index=service_index,
        promotion={part.base: i for i, part in enumerate(parts) if part.promoted},
        layers=_layers(parts),
        states=states,
        copies=tuple(sorted_copies),
        removed=_removed(intent, observed, node_index, service_index, modes),
        mishaps=mishaps,
        alive=modes.alive,
        fenced=modes.fenced,
        unheard=modes.unheard,
        standby=modes.standby,
        maintenance=modes.maintenance,
        everywhere=(1 << len(node_names)) - 1,
    )


def _parts(
    ranked: tuple[Service, ...], found: Mapping[ServiceName, list[Copy]]
) -> tuple[Part, ...]:
    parts = [Part(service=service, base=i) for i, service in enumerate(ranked)]
    for base, service in enumerate(ranked):
        most = service.replicas_per_node
        if service.replicas is not None:
            most = min(most, service.replicas)
        if service.name in found:  # copies too many are parts too, or nobody would stop them
            most = max(most, *Counter(copy.node for copy in found[service.name]).values())
        parts += [Part(service=service, base=base, layer=layer) for layer in range(1, most)]
        if service.promotable:
            parts.append(Part(service=service, base=base, promoted=True))
    return tuple(parts)


def _layers(parts: tuple[Part, ...]) -> Mapping[int, tuple[int, ...]]:
    found: dict[int, list[int]] = defaultdict(list)
    for i, part in enumerate(parts):
        if part.layer:
            found[part.base].append(i)
    return {base: tuple(layers) for base, layers in found.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Modes:
    """Sets of nodes by how they may be dealt with."""

    alive: Mask
    down: Mask
    fenced: Mask
    unheard: Mask
    standby: Mask
    maintenance: Mask

    @classmethod
    def read(cls, intent: Intent, states: tuple[NodeState, ...], mishaps: Mishaps) -> "_Modes":
        fenced = sum(1 << i for i, state in enumerate(states) if state.name in mishaps.fenced)
        alive = down = unheard = leaving = 0
        for i, state in enumerate(states):
            bit = 1 << i
            match state.liveness:
                case Liveness.ALIVE:
                    alive |= bit
                case Liveness.DOWN:
                    down |= bit
                case _ if state.boot is None:
                    unheard |= bit
            if state.standby or state.leaving or state.name in mishaps.standby:
                leaving |= bit
        return cls(
            alive=alive & ~fenced,
            down=down,
            fenced=fenced,
            unheard=unheard & ~fenced,
            standby=sum(1 << i for i, node in enumerate(intent.nodes) if node.standby) | leaving,
            maintenance=sum(1 << i for i, node in enumerate(intent.nodes) if node.maintenance),
        )


def _removed(
    intent: Intent,
    observed: Observed,
    node_index: Mapping[NodeName, int],
    service_index: Mapping[ServiceName, int],
    modes: _Modes,
) -> tuple[Copy, ...]:
    if intent.orphans is Orphans.KEEP:
        return ()
    touchable = modes.alive & ~modes.maintenance
    return tuple(
        copy
        for copy in observed.copies
        if copy.service not in service_index and _is_free(copy, node_index, touchable)
    )


def _is_free(copy: Copy, node_index: Mapping[NodeName, int], touchable: Mask) -> bool:
    at = node_index.get(copy.node)
    return at is not None and bool(touchable >> at & 1) and copy.tangible and copy.blocked is None


def _sort_copies(
    part: Part,
    copies: list[Copy],
    node_index: Mapping[NodeName, int],
    states: tuple[NodeState, ...],
    modes: _Modes,
    mishaps: Mishaps,
) -> Copies:
    service = part.service
    wanted, fixed = definition_digest(service), fixed_digest(service)
    running = failed = changed = reloadable = starting = leftover = pinned = silent = 0
    for copy in _of_part(part, copies, node_index):
        at = node_index[copy.node]
        bit = 1 << at
        if (modes.fenced | modes.down) & bit:
            continue
        match states[at].liveness:
            case Liveness.ALIVE:
                held = service.maintenance or not service.managed or service.name in mishaps.frozen
                held = held or copy in mishaps.blocked
                if held or not copy.tangible or copy.blocked or modes.maintenance & bit:
                    pinned |= bit
                    well = copy.certainty is Certainty.OBSERVED and not copy.blocked
                    well = well and copy not in mishaps.blocked
                    silent |= 0 if well and not copy.failed else bit
                    continue
                if copy.role is Role.STOPPED and copy.failed:
                    leftover |= bit
                    continue
                running |= bit
                starting |= bit if copy.role is Role.STOPPED else 0
                if part.promoted:
                    failed |= bit if mishaps.demotes(copy) or mishaps.restarts(copy) else 0
                else:
                    failed |= bit if mishaps.restarts(copy) else 0
                if copy.digest in (None, wanted):
                    continue
                if fixed is not None and copy.fixed_digest == fixed:
                    reloadable |= bit
                else:
                    changed |= bit
            case Liveness.LOST if service.safety is Safety.BEST_EFFORT:
                pass
            case _:
                pinned |= bit
                silent |= bit
    return _multiple(
        part,
        Copies(
            running=running,
            failed=failed,
            changed=changed,
            reloadable=0 if part.promoted else reloadable,
            starting=starting,
            leftover=leftover & ~running,
            pinned=pinned,
            silent=silent,
        ),
    )


def _of_part(part: Part, copies: list[Copy], node_index: Mapping[NodeName, int]) -> Iterator[Copy]:
    """The copies that belong to this part: every first one of a node, every second one, ..."""
    seen: dict[NodeName, int] = defaultdict(int)
    for copy in copies:
        if copy.node not in node_index:
            continue
        if part.promoted:
            if copy.role is Role.PROMOTED:
                yield copy
            continue
        if seen[copy.node] == part.layer:
            yield copy
        seen[copy.node] += 1


def _multiple(part: Part, copies: Copies) -> Copies:
    """More copies of a single service than wanted: by policy, all of them are suspect."""
    service, count = part.service, copies.running.bit_count()
    if part.promoted or service.replicas != 1 or count <= 1:
        return copies
    match service.multiple_active:
        case MultipleActive.STOP_START | MultipleActive.STOP_ONLY:
            return Copies(
                running=copies.running,
                failed=copies.running,
                pinned=copies.pinned,
                silent=copies.silent,
            )
        case MultipleActive.BLOCK:
            pinned = copies.pinned | copies.running
            return Copies(pinned=pinned, silent=pinned)
        case _:
            return copies
