"""The world in index form: what may be done with every copy, as sets of nodes.

`read_world` is the only place where facts become permissions. What it decides of each copy:

  running   reported by an alive node, and free to be stopped, restarted or kept
  pinned    it must be left where it is: blocked, in maintenance, of unknown state, or on a silent node
  gone      on a node that is fenced first or left in good order; or best-effort on a lost node

Law: a copy on a node that is silent, or whose state is unknown, never counts as stopped without a proof.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from reconciler.core.blueprint import Crowds, Mask, Part, bits
from reconciler.core.compiled import Compiled, compile_intent
from reconciler.core.definition import definition_digest, fixed_digest
from reconciler.core.mishaps import Mishaps, read_mishaps
from reconciler.model.ids import NodeName, ServiceName
from reconciler.model.intent import Intent, MultipleActive, Orphans, Role, Safety, Service
from reconciler.model.observed import Certainty, Copy, Liveness, NodeState, Observed

__all__ = ["Copies", "Mask", "Part", "World", "bits", "read_world"]


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


NO_COPIES = Copies()


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Intent and facts by index. Parts stand by priority, rank and name, nodes by name."""

    compiled: Compiled
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
    found: Mapping[ServiceName, list[Copy]]
    """The observed copies by service."""
    copies: tuple[Copies, ...]
    removed: tuple[Copy, ...]
    """Copies of services that the intent does not name, free to be stopped."""
    mishaps: Mishaps
    alive: Mask
    suspect: Mask
    fenced: Mask
    """Nodes that this decision fences: nothing runs there once that is confirmed."""
    unheard: Mask
    """Nodes that were never heard: anything may run there."""
    standby: Mask
    maintenance: Mask
    everywhere: Mask

    @property
    def open(self) -> Mask:
        """Nodes where something may start, as far as the nodes themselves go."""
        return self.alive & ~self.standby & ~self.maintenance

    def names(self, mask: Mask) -> tuple[NodeName, ...]:
        """Node names of a set, in order."""
        return tuple(self.node_names[i] for i in bits(mask))

    def mask(self, names: tuple[NodeName, ...]) -> Mask:
        """The set of these nodes; names that the intent does not list are left out."""
        return self.compiled.blueprint.mask(names)


def read_world(intent: Intent, observed: Observed) -> World:
    """Turn names into numbers and copies into permissions.

    Shape: N nodes, M services, C copies: O(N + M + C).
    """
    by_service: dict[ServiceName, list[Copy]] = defaultdict(list)
    for copy in observed.copies:
        by_service[copy.service].append(copy)
    for found in by_service.values():
        if len(found) > 1:
            found.sort(key=_seat)
    compiled = compile_intent(intent, _crowds(by_service))
    blueprint = compiled.blueprint
    heard = {state.name: state for state in observed.nodes}
    states = tuple(
        heard.get(name) or NodeState(name=name, liveness=Liveness.UNKNOWN)
        for name in blueprint.node_names
    )
    mishaps = read_mishaps(intent, observed, blueprint)
    modes = _Modes.read(compiled, states, mishaps)
    copies = [NO_COPIES] * len(blueprint.parts)
    for name, found in by_service.items():
        base = blueprint.service_index.get(name)
        if base is None:
            continue
        copies[base] = _sort_copies(blueprint.parts[base], found, modes, mishaps)
        role = blueprint.promotion.get(base)
        for part in (*blueprint.layers.get(base, ()), *(() if role is None else (role,))):
            copies[part] = _sort_copies(blueprint.parts[part], found, modes, mishaps)
    return World(
        compiled=compiled,
        intent=intent,
        observed=observed,
        node_names=blueprint.node_names,
        node_index=blueprint.node_index,
        parts=blueprint.parts,
        services=blueprint.services,
        count=blueprint.count,
        service_index=blueprint.service_index,
        promotion=blueprint.promotion,
        layers=blueprint.layers,
        states=states,
        found=by_service,
        copies=tuple(copies),
        removed=_removed(intent, by_service, compiled, modes),
        mishaps=mishaps,
        alive=modes.alive,
        suspect=modes.suspect,
        fenced=modes.fenced,
        unheard=modes.unheard,
        standby=modes.standby,
        maintenance=blueprint.maintenance,
        everywhere=blueprint.everywhere,
    )


def _seat(copy: Copy) -> tuple[str, int]:
    return copy.node, copy.instance


def _crowds(by_service: Mapping[ServiceName, list[Copy]]) -> Crowds:
    """Services with more than one copy on some node."""
    found = []
    for name, copies in by_service.items():
        if len(copies) > 1:
            most = max(Counter(copy.node for copy in copies).values())
            if most > 1:
                found.append((name, most))
    return tuple(sorted(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Modes:
    """Nodes by how they may be dealt with."""

    bit: Mapping[NodeName, Mask]
    alive: Mask
    suspect: Mask
    lost: Mask
    gone: Mask
    """Down or to be fenced: no copy there counts."""
    fenced: Mask
    unheard: Mask
    standby: Mask
    maintenance: Mask

    @classmethod
    def read(cls, compiled: Compiled, states: tuple[NodeState, ...], mishaps: Mishaps) -> "_Modes":
        bit = {state.name: 1 << i for i, state in enumerate(states)}
        by_liveness: dict[Liveness, Mask] = dict.fromkeys(Liveness, 0)
        unheard = standby = 0
        for state in states:
            by_liveness[state.liveness] |= bit[state.name]
            if state.boot is None and state.liveness not in (Liveness.ALIVE, Liveness.DOWN):
                unheard |= bit[state.name]
            if state.standby or state.leaving or state.name in mishaps.standby:
                standby |= bit[state.name]
        fenced = sum(bit[name] for name in mishaps.fenced if name in bit)
        return cls(
            bit=bit,
            alive=by_liveness[Liveness.ALIVE] & ~fenced,
            suspect=by_liveness[Liveness.SUSPECT],
            lost=by_liveness[Liveness.LOST],
            gone=fenced | by_liveness[Liveness.DOWN],
            fenced=fenced,
            unheard=unheard & ~fenced,
            standby=standby | compiled.blueprint.standby,
            maintenance=compiled.blueprint.maintenance,
        )


def _removed(
    intent: Intent,
    by_service: Mapping[ServiceName, list[Copy]],
    compiled: Compiled,
    modes: _Modes,
) -> tuple[Copy, ...]:
    known = compiled.blueprint.service_index
    if intent.orphans is Orphans.KEEP or by_service.keys() <= known.keys():
        return ()
    touchable = modes.alive & ~modes.maintenance
    return tuple(
        copy
        for name, copies in sorted(by_service.items())
        if name not in known
        for copy in copies
        if modes.bit.get(copy.node, 0) & touchable and copy.tangible and copy.blocked is None
    )


def _sort_copies(  # noqa: C901 - one question after the other, asked of each copy
    part: Part, copies: list[Copy], modes: _Modes, mishaps: Mishaps
) -> Copies:
    service = part.service
    held = service.maintenance or not service.managed or service.name in mishaps.frozen
    touchable = 0 if held else modes.alive & ~modes.maintenance
    running = failed = changed = reloadable = starting = leftover = pinned = silent = 0
    for copy in _of_part(part, copies, mishaps):
        bit = modes.bit.get(copy.node, 0)
        if not bit or modes.gone & bit:
            continue
        if not modes.alive & bit:
            if not modes.lost & bit or service.safety is not Safety.BEST_EFFORT:
                pinned |= bit
                silent |= bit
            continue
        stuck = copy.blocked is not None or (copy.failed and copy in mishaps.blocked)
        if stuck or not touchable & bit or not copy.tangible:
            pinned |= bit
            if stuck or copy.failed or copy.certainty is not Certainty.OBSERVED:
                silent |= bit
            continue
        if copy.role is Role.STOPPED:
            if copy.failed:
                leftover |= bit
                continue
            starting |= bit
        running |= bit
        if copy.failed and (mishaps.restarts(copy) or (part.promoted and mishaps.demotes(copy))):
            failed |= bit
        match _change(service, copy):
            case True:
                changed |= bit
            case False:
                reloadable |= bit
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


def _change(service: Service, copy: Copy) -> bool | None:
    """Whether a copy must restart for its definition (False: a reload will do, None: it is as wanted)."""
    if copy.digest is None or copy.digest == definition_digest(service):
        return None
    fixed = fixed_digest(service)
    return fixed is None or copy.fixed_digest != fixed


def _of_part(part: Part, copies: list[Copy], mishaps: Mishaps) -> Iterator[Copy] | list[Copy]:
    """The copies that belong to this part: every first one of a node, every second one, ..."""
    if part.promoted:
        return [copy for copy in copies if copy.role is Role.PROMOTED]
    if len({copy.node for copy in copies}) == len(copies):
        return copies if not part.layer else []
    return _nth(part.layer, in_layers(part.service, copies, mishaps))


def in_layers(service: Service, copies: Iterable[Copy], mishaps: Mishaps) -> list[Copy]:
    """Copies in the order of their layers: on each node those that run well first, then by number."""

    def place(copy: Copy) -> tuple[bool, int]:
        return mishaps.restarts(copy) or _change(service, copy) is True, copy.instance

    return sorted(copies, key=place)


def _nth(layer: int, copies: list[Copy]) -> Iterator[Copy]:
    seen: dict[NodeName, int] = defaultdict(int)
    for copy in copies:
        if seen[copy.node] == layer:
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
