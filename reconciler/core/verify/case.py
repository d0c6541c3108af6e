"""One plan before the judge: the facts sorted into tracks, the plan's actions laid over them.

Shape: one pass over copies, seats and actions; ancestors as bits of integers.
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping
from functools import cached_property
from graphlib import TopologicalSorter
from typing import TypeVar

from reconciler.core.definition import definition_digest, fixed_digest
from reconciler.core.verify.facts import Facts, Fate, remains
from reconciler.core.verify.links import Links
from reconciler.core.verify.values import Key, Place, Track
from reconciler.model.ids import ActionId, Digest, Millis
from reconciler.model.intent import Intent, MultipleActive, Role, Service
from reconciler.model.observed import Copy, Observed
from reconciler.model.placement import Placement
from reconciler.model.plan import Action, ActionKind, Plan

_BEGINS = (ActionKind.START, ActionKind.PROMOTE)
_ENDS = (ActionKind.STOP, ActionKind.DEMOTE)
_ROLES = (ActionKind.PROMOTE, ActionKind.DEMOTE)

_LINKS: dict[int, tuple[Intent, Links]] = {}
"""The links of the intent that was judged last: they follow from it alone."""

_Where = TypeVar("_Where", bound=Hashable)


class Case:
    """The intent, the facts and the plan in the judge's own words."""

    def __init__(
        self, plan: Plan, intent: Intent, observed: Observed, placement: Placement, now_ms: Millis
    ) -> None:
        self.plan, self.intent, self.observed, self.placement = plan, intent, observed, placement
        self.now_ms = now_ms
        self.actions: dict[ActionId, Action] = {action.id: action for action in plan.actions}
        self.fences: dict[str, Action] = {
            a.node: a for a in plan.actions if a.kind is ActionKind.FENCE
        }
        self.facts = Facts(intent, observed, frozenset(self.fences))
        self.services = self.facts.services
        self.tracks: dict[Key, Track] = {}
        self.reloads: dict[str, dict[Place, Action]] = {}
        self.probes: dict[tuple[str, str], Action] = {}
        self.twice: list[Action] = []
        """Actions that another one does already."""
        self.lost_track: list[Action] = []
        """Actions on copies, of nodes, or of services that are not there."""
        self.too_many: set[str] = set()
        """Services of one copy found running more than once, all of which is suspect."""
        self._digests: dict[str, tuple[Digest, Digest | None]] = {}
        self._numbered = self._number()
        for copy in observed.copies:
            self._sort(copy)
        for track in list(self.tracks.values()):
            if len(track.free) > 1 and track.service is not None and track.service.replicas == 1:
                self._multiple(track, track.service)
        if any(track.held for track in self.tracks.values()):
            self._hold_suppliers()
        for action in plan.actions:
            if action.kind is not ActionKind.FENCE:
                self._lay(action)
        for seat in placement.seats:
            self._seat(seat.service, seat.node, seat.role)

    # Tracks -----------------------------------------------------------------------------------------

    def track(self, key: Key) -> Track:
        """The track of a service's copies, or of its promoted ones; an empty one if there are none."""
        found = self.tracks.get(key)
        return Track(key[0], key[1], self.services.get(key[0])) if found is None else found

    def _open(self, key: Key) -> Track:
        found = self.tracks.get(key)
        if found is None:
            found = self.tracks[key] = Track(key[0], key[1], self.services.get(key[0]))
        return found

    def _number(self) -> set[str]:
        """Services whose copies on one node are told apart by their numbers."""
        numbered = {s.name for s in self.intent.services if s.replicas_per_node > 1}
        spots = Counter((copy.service, copy.node) for copy in self.observed.copies)
        if len(spots) < len(self.observed.copies):
            numbered |= {name for (name, _), count in spots.items() if count > 1}
        return set(map(str, numbered))

    def _sort(self, copy: Copy) -> None:
        if copy.node not in self.facts.states:
            return
        name = copy.service
        service = self.services.get(name)
        fate = self.facts.fate(copy)
        if fate is Fate.GONE:
            return
        if service is None and (fate is not Fate.FREE or self.facts.kept_orphans()):
            return
        place = (copy.node, copy.instance if name in self._numbered else 0)
        track = self._open((name, False))
        _by_fate(track, fate)[place] = copy
        if fate is Fate.FREE and copy.role is Role.STOPPED and not copy.failed:
            track.rising.add(place)
        if copy.role is Role.PROMOTED and service is not None and service.promotable:
            _by_fate(self._open((name, True)), fate)[place] = copy

    def _multiple(self, track: Track, service: Service) -> None:
        if track.promoted or sum(not remains(copy) for copy in track.free.values()) <= 1:
            return
        name = track.name
        if service.multiple_active is MultipleActive.BLOCK:
            for one in (track, self._open((name, True))):
                one.held |= one.free
                self.facts.stuck |= {id(copy) for copy in one.free.values()}
                one.free = {}
        elif service.multiple_active is not MultipleActive.STOP_UNEXPECTED:
            self.too_many.add(name)

    def _hold_suppliers(self) -> None:
        """What an untouchable copy relies on could only stop after it: so nobody touches it either."""
        needs = [n for n in self.links.needs if n.required and n.symmetrical]
        changed = True
        while changed:
            changed = False
            for need in needs:
                first, then = self.track(need.first), self.track(need.then)
                if not first.free or not then.held:
                    continue
                leaning = {node for node, _ in then.held if self.facts.alive(node)}
                leaning -= {node for node, _ in first.held}
                whole = [place for place, copy in first.free.items() if not remains(copy)]
                anchored = [place for place in whole if place[0] in leaning]
                if leaning and not anchored and not first.held:
                    anchored = whole  # it relies on copies elsewhere
                for place in anchored:
                    self._hold(first, place)
                    changed = True

    def _hold(self, track: Track, place: Place) -> None:
        copy = track.held[place] = track.free.pop(place)
        if self.facts.restarts(copy) or (self.changed(copy) and not self.reloadable(copy)):
            self.facts.stuck.add(id(copy))

    def _lay(self, action: Action) -> None:
        if action.service is None or action.node not in self.facts.states:
            self.lost_track.append(action)
            return
        name = str(action.service)
        place = self._place(action, action.node)
        if action.kind is ActionKind.PROBE:
            self._put(self.probes, (name, action.node), action)
        elif action.kind is ActionKind.RELOAD:
            self._put(self.reloads.setdefault(name, {}), place, action)
        elif action.kind is ActionKind.MIGRATE:
            track = self._open((name, False))
            self._put(track.ends, place, action)
            if action.target is None or action.target not in self.facts.states:
                self.lost_track.append(action)
            else:
                self._put(track.begins, self._place(action, action.target), action)
        else:
            track = self._open((name, action.kind in _ROLES))
            self._put(track.begins if action.kind in _BEGINS else track.ends, place, action)

    def _put(self, into: dict[_Where, Action], key: _Where, action: Action) -> None:
        if key in into:
            self.twice.append(action)
        into[key] = action

    def _place(self, action: Action, node: str) -> Place:
        return node, action.instance if action.service in self._numbered else 0

    def _seat(self, name: str, node: str, role: Role) -> None:
        seats = self._open((name, False)).seats
        seats[node] = seats.get(node, 0) + 1
        if role is Role.PROMOTED:
            seats = self._open((name, True)).seats
            seats[node] = seats.get(node, 0) + 1

    @cached_property
    def busy(self) -> frozenset[Key]:
        """Tracks on which something begins, ends, or is ended by a fence."""
        return frozenset(
            key for key, track in self.tracks.items() if track.begins or track.ends or track.doomed
        )

    @cached_property
    def acting(self) -> tuple[Track, ...]:
        """Tracks on which the plan acts."""
        return tuple(t for t in self.tracks.values() if t.begins or t.ends)

    # Definitions ------------------------------------------------------------------------------------

    def changed(self, copy: Copy) -> bool:
        """Whether it runs with another definition than wanted."""
        return copy.digest is not None and copy.digest != self._digest(copy.service)[0]

    def reloadable(self, copy: Copy) -> bool:
        """Whether a reload makes its definition the wanted one."""
        fixed = self._digest(copy.service)[1]
        return fixed is not None and copy.fixed_digest == fixed

    def _digest(self, name: str) -> tuple[Digest, Digest | None]:
        found = self._digests.get(name)
        if found is None:
            service = self.services[name]
            found = definition_digest(service), fixed_digest(service)
            self._digests[name] = found
        return found

    # Order ------------------------------------------------------------------------------------------

    @cached_property
    def _order(self) -> Mapping[ActionId, int]:
        return {action.id: i for i, action in enumerate(self.plan.actions)}

    @cached_property
    def _reach(self) -> Mapping[ActionId, int]:
        """What is surely over when an action begins, as bits."""
        found: dict[ActionId, int] = {}
        place = self._order
        for action in self._sorted():
            reached = 0
            for earlier in action.after:
                reached |= found[earlier] | 1 << place[earlier]
            found[action.id] = reached
        return found

    def _sorted(self) -> Iterable[Action]:
        """The actions, each after all that it comes after: as they stand, if they stand so."""
        place = self._order
        if all(place[one] < place[a.id] for a in self.plan.actions for one in a.after):
            return self.plan.actions
        order = TopologicalSorter({a.id: a.after for a in self.plan.actions}).static_order()
        return (self.actions[name] for name in order)

    def before(self, earlier: Action, later: Action) -> bool:
        """Whether every order the graph allows has the one over before the other begins."""
        return bool(self._reach[later.id] >> self._order[earlier.id] & 1)

    def follows(self, earlier: ActionId, later: ActionId) -> bool:
        """The same by name."""
        return bool(self._reach[later] >> self._order[earlier] & 1)

    def gone_before(self, track: Track, place: Place, later: Action) -> bool:
        """Whether what runs at a place has surely ended, or been fenced, when an action begins."""
        end = track.ends.get(place) or (
            self.fences.get(place[0]) if place in track.doomed else None
        )
        return end is not None and self.before(end, later)

    # Constraints ------------------------------------------------------------------------------------

    @cached_property
    def links(self) -> Links:
        """What services have to do with one another."""
        kept = _LINKS.get(id(self.intent))
        if kept is None or kept[0] is not self.intent:
            _LINKS.clear()
            kept = _LINKS[id(self.intent)] = self.intent, Links(self.intent, self.services)
        return kept[1]

    def zone(self, attribute: str, node: str) -> str:
        """Where a node counts as being, for constraints by label."""
        if not attribute:
            return node
        return self._zones(attribute)[node]

    def zone_of(self, attribute: str, node: str) -> Iterator[str]:
        """The nodes that count as the same place."""
        if not attribute:
            return iter((node,))
        zones = self._zones(attribute)
        return (other for other, zone in zones.items() if zone == zones[node])

    def _zones(self, attribute: str) -> Mapping[str, str]:
        return {
            node.name: next((f"={v}" for k, v in node.labels if k == attribute), f"@{node.name}")
            for node in self.intent.nodes
        }


def _by_fate(track: Track, fate: Fate) -> dict[Place, Copy]:
    match fate:
        case Fate.FREE:
            return track.free
        case Fate.HELD:
            return track.held
        case _:
            return track.doomed
