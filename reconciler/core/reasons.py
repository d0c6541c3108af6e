"""Reasons: every action and every service that does not run says why, with its line or its fact.

The first reason is the one to tell people. A move and a restart have one reason, told on both halves.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from reconciler.core.bonds import supplied
from reconciler.core.drift import Drift
from reconciler.core.eligibility import first_ban
from reconciler.core.problem import Problem
from reconciler.core.relations import Link, Tie
from reconciler.core.restarts import borne_nodes
from reconciler.core.world import Mask, bits
from reconciler.model.ids import NodeName
from reconciler.model.intent import Mandate, Origin
from reconciler.model.observed import Certainty, Copy, Liveness
from reconciler.model.placement import Reason, Unplaced, Why

_WAITING = (Why.NO_PROOF, Why.NO_QUORUM, Why.NO_TICKET, Why.BLOCKED, Why.UNKNOWN_STATE)
"""Reasons that something is unsafe rather than impossible."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Because:
    """Answers why, about one problem and one choice of nodes."""

    problem: Problem
    chosen: Sequence[Mask]
    drift: Drift

    def seats(self, v: int) -> Mask:
        """Every node with a copy in the end, the pinned ones included."""
        return self.chosen[v] | self.problem.variables[v].pinned

    def stop(self, v: int, at: int) -> tuple[Reason, ...]:
        """Why a running copy is stopped."""
        if self.problem.world.copies[v].leftover >> at & 1:
            name, node = self._label(v), self._node(at)
            text = f"what is left of {name} on {node} is cleared away: it runs elsewhere now"
            return (Reason(why=Why.FAILED, text=text, node=node),)
        staying = self.chosen[v] >> at & 1
        return tuple(self._why_restart(v, at) if staying else self._why_leave(v, at))

    def start(self, v: int, at: int) -> tuple[Reason, ...]:
        """Why a copy is started here."""
        again = self.drift.stop[v] & ~self.problem.world.copies[v].leftover
        if again >> at & 1:
            return tuple(self._why_restart(v, at))
        return tuple(self._why_arrive(v, at))

    def fence(self, at: int) -> tuple[Reason, ...]:
        """Why a node is fenced."""
        node = self._node(at)
        text = f"{node} is fenced: {self.problem.world.mishaps.fenced[node]}"
        return (Reason(why=Why.FENCED_FIRST, text=text, node=node),)

    def reload(self, v: int, at: int) -> tuple[Reason, ...]:
        """Why a running copy is told to read its settings again."""
        service = self.problem.world.services[v]
        text = f'parameters of "{service.name}" changed that need no restart'
        return (Reason(why=Why.CHANGED, text=text, origin=service.origin, node=self._node(at)),)

    def probe(self, v: int, at: int) -> tuple[Reason, ...]:
        """Why a node is asked before anything starts."""
        name, node = self.problem.world.services[v].name, self._node(at)
        text = f'nobody has looked yet whether "{name}" runs on {node}'
        return (Reason(why=Why.NOT_PROBED, text=text, node=node),)

    def removed(self, copy: Copy) -> tuple[Reason, ...]:
        """Why a copy of an unknown service is stopped."""
        text = f'"{copy.service}" is no longer in the intent'
        return (Reason(why=Why.REMOVED, text=text, node=copy.node),)

    def unplaced(self, v: int) -> Unplaced | None:
        """Why a service runs fewer copies than wanted; None when it does not."""
        service = self.problem.world.services[v]
        if not service.enabled:
            return None
        placed = self._present(v).bit_count()
        for layer in self.problem.world.layers.get(v, ()):
            placed += self._present(layer).bit_count()
        wanted = service.replicas
        if wanted is None and placed < len(self.problem.world.node_names):
            wanted = self._possible(v)
        if wanted is None or placed >= wanted:
            return self._unpromoted(v)
        held = tuple(self._held(v))
        elsewhere = tuple(
            reason
            for at in bits(self.problem.world.everywhere & ~self.seats(v))
            if (reason := self._why_not(v, at)) is not None
        )
        distinct: dict[str, Reason] = {}
        for reason in held + elsewhere:
            distinct.setdefault(reason.text, reason)
        reasons = tuple(distinct.values()) or (self._too_few_nodes(v, wanted),)
        return Unplaced(
            service=service.name,
            wanted=wanted,
            placed=placed,
            blocked=any(reason.why in _WAITING for reason in reasons),
            reasons=reasons,
        )

    def _present(self, v: int) -> Mask:
        # A suspect node is late, not gone: what runs there is not missed yet.
        variable = self.problem.variables[v]
        return self.chosen[v] | variable.reliable | (variable.pinned & self.problem.world.suspect)

    def _unpromoted(self, base: int) -> Unplaced | None:
        """Why fewer copies are promoted than wanted, once copies run that could tell their fitness."""
        world = self.problem.world
        v = world.promotion.get(base)
        if v is None or not world.copies[base].running & self.chosen[base]:
            return None
        service, count = world.services[v], self._present(v).bit_count()
        if count >= service.promoted:
            return None
        told = (self._why_not(v, at) for at in bits(self.seats(base) & ~self.seats(v)))
        reasons = {reason.text: reason for reason in told if reason is not None}
        return Unplaced(
            service=service.name,
            wanted=service.promoted,
            placed=count,
            blocked=any(reason.why in _WAITING for reason in reasons.values()),
            reasons=tuple(reasons.values()) or (self._too_few_nodes(v, service.promoted),),
        )

    # One copy -------------------------------------------------------------------------------------

    def _why_restart(self, v: int, at: int) -> Iterator[Reason]:
        world, bit = self.problem.world, 1 << at
        name, node = self._label(v), self._node(at)
        if world.copies[v].failed & bit:
            yield Reason(why=Why.FAILED, text=self._failure(v, at), node=node)
        if world.copies[v].changed & bit:
            yield Reason(
                why=Why.CHANGED,
                text=f"the definition of {name} changed",
                origin=world.services[v].origin,
                node=node,
            )
        for link in self._suppliers(v):
            supplier = self._label(link.other)
            if link.reverse and not link.minimum and not self._relies(link, at):
                yield Reason(
                    why=Why.DEPENDS,
                    text=f"{name} runs only while {supplier} does, which stops or starts",
                    origin=link.origin,
                    node=node,
                )

    def _why_leave(self, v: int, at: int) -> Iterator[Reason]:
        world, variable = self.problem.world, self.problem.variables[v]
        name, node, bit = self._label(v), self._node(at), 1 << at
        ban = first_ban(self.problem.bans[v], at)
        if ban is not None:
            yield ban.reason(world, at)
            return
        blocking = self._why_not(v, at) or self._companion_reason(v, at)
        if blocking is not None:
            yield self._room_for(v, at) or blocking if blocking.why is Why.CAPACITY else blocking
            return
        worth = self._worth(v, at)
        better = [there for there in bits(self.chosen[v]) if self._worth(v, there) > worth]
        if better:
            yield self._preferred(v, at, better[0])
        elif variable.running.bit_count() > self.chosen[v].bit_count():
            text = f"{name} has a copy too many"
            yield Reason(why=Why.EXTRA_COPY, text=text, node=node)
        elif world.copies[v].failed & bit:
            yield Reason(why=Why.FAILED, text=self._failure(v, at), node=node)
        else:
            text = f"{name} makes room on {node} for others"
            yield Reason(why=Why.MAKES_ROOM, text=text, node=node)

    def _why_arrive(self, v: int, at: int) -> Iterator[Reason]:
        world = self.problem.world
        name, node = self._label(v), self._node(at)
        leaving = list(bits(self.drift.leaving(v)))
        if leaving:
            yield from self._why_leave(v, leaving[0])
            return
        lost = [
            copy.node
            for copy in world.found.get(world.services[v].name, ())
            if copy.node in world.node_index
            and world.states[world.node_index[copy.node]].liveness is Liveness.LOST
        ]
        if lost:
            text = f"{lost[0]} is lost, where {name} ran"
            yield Reason(why=Why.NODE_LOST, text=text, node=lost[0])
            return
        running = (world.copies[v].running & self.chosen[v]).bit_count()
        match world.services[v].replicas:
            case _ if world.parts[v].promoted:
                text = f"{name} is wanted, and fit for it there"
            case None:
                text = f"{name} should run on every eligible node"
            case 1:
                text = f"{name} should run, and runs nowhere"
            case wanted:
                text = f"{name} should run {wanted} times, and runs {running}"
        yield Reason(why=Why.WANTED, text=text, origin=world.services[v].origin, node=node)

    def _companion_reason(self, v: int, at: int) -> Reason | None:
        """What must be beside this service, and may not run here."""
        world = self.problem.world
        for link in self.problem.links[v]:
            if link.tie is not Tie.TOGETHER or link.other != v or not self.chosen[link.service]:
                continue
            ban = first_ban(self.problem.bans[link.service], at)
            if ban is not None:
                name, companion = self._label(v), self._label(link.service)
                text = f"{name} goes where {companion} can: {ban.reason(world, at).text}"
                return Reason(why=ban.why, text=text, origin=ban.origin, node=self._node(at))
        return None

    def _room_for(self, v: int, at: int) -> Reason | None:
        """Who takes the room that this service leaves."""
        world, bit = self.problem.world, 1 << at
        coming = [
            f'"{world.services[u.index].name}"'
            for u in self.problem.variables
            if u.demand and self.drift.arriving(u.index) & bit
        ]
        if not coming:
            return None
        name, node = self._label(v), self._node(at)
        text = f"{name} makes room on {node} for {' and '.join(coming[:3])}"
        return Reason(why=Why.MAKES_ROOM, text=text, node=node)

    def _preferred(self, v: int, at: int, there: int) -> Reason:
        name = self.problem.world.services[v].name
        for rule in self.problem.world.intent.locations:
            if rule.service == name and not isinstance(rule.strength, Mandate):
                inside = {self._node(at) in rule.nodes, self._node(there) in rule.nodes}
                if len(inside) > 1:
                    return self._prefer(v, there, rule.origin)
        for link in self._company(v):
            if self._beside(link, v, at) != self._beside(link, v, there):
                return self._prefer(v, there, link.origin)
        return self._prefer(v, there, None)

    def _prefer(self, v: int, there: int, origin: Origin | None) -> Reason:
        node = self._node(there)
        text = f"{self._label(v)} prefers {node} by more than its stickiness"
        return Reason(why=Why.PREFERRED, text=text, origin=origin, node=node)

    # Why not ----------------------------------------------------------------------------------------

    def _held(self, v: int) -> Iterator[Reason]:
        """Copies that stand in the way: on silent nodes, unknown, blocked."""
        world = self.problem.world
        for copy in world.found.get(world.services[v].name, ()):
            if copy.node not in world.node_index:
                continue
            at = world.node_index[copy.node]
            if not world.copies[v].silent >> at & 1:
                continue
            state = world.states[at].liveness
            if state is not Liveness.ALIVE:
                word = "has not been heard" if state is Liveness.UNKNOWN else f"is {state}"
                text = (
                    f'"{copy.service}" ran on {copy.node}, which {word}: no proof that it stopped'
                )
                yield Reason(why=Why.NO_PROOF, text=text, node=copy.node)
            elif copy.blocked is not None:
                yield Reason(why=Why.BLOCKED, text=copy.blocked, node=copy.node)
            elif copy.certainty is not Certainty.OBSERVED:
                text = f'nobody can tell whether "{copy.service}" runs on {copy.node}'
                yield Reason(why=Why.UNKNOWN_STATE, text=text, node=copy.node)
            else:
                yield Reason(why=Why.FAILED, text=self._failure(v, at), node=copy.node)

    def _why_not(self, v: int, at: int) -> Reason | None:
        """What keeps a copy from this node, as everything else is placed."""
        ban = first_ban(self.problem.bans[v], at)
        if ban is not None:
            return ban.reason(self.problem.world, at)
        for link in self.problem.links[v]:
            reason = self.link_reason(link, v, at)
            if reason is not None:
                return reason
        return self.room_reason(v, at)

    def link_reason(self, link: Link, v: int, at: int) -> Reason | None:
        """What one link has against a copy on this node, as everything else is placed."""
        bit, node = 1 << at, self._node(at)
        other = link.other if link.service == v else link.service
        name, with_name = self._label(v), self._label(other)
        match link.tie:
            case Tie.TOGETHER if link.service == v and not link.place(self.seats(other)) & bit:
                place = "on the same node" if not link.zones else "in the same place"
                text = f"{name} needs {with_name} {place}, which does not run on {node}"
                return Reason(why=Why.NEEDS, text=text, origin=link.origin, node=node)
            case Tie.APART if link.place(self.seats(other)) & bit & link.where:
                text = f"{name} may not run beside {with_name}, which runs on {node}"
                return Reason(why=Why.NOT_WITH, text=text, origin=link.origin, node=node)
            case Tie.AFTER if link.service == v and not supplied(
                link, self.problem.variables, self.chosen.__getitem__
            ):
                text = f"{name} runs only while {with_name} does, which runs nowhere"
                return Reason(why=Why.DEPENDS, text=text, origin=link.origin, node=node)
        return None

    def room_reason(self, v: int, at: int) -> Reason | None:
        """What the node lacks room for, beside everything else that is placed there."""
        problem = self.problem
        for resource, amount in problem.variables[v].demand:
            left = problem.room[at][resource] - sum(
                used
                for variable in problem.variables
                if variable.demand and self.chosen[variable.index] >> at & 1 and variable.index != v
                for which, used in variable.demand
                if which == resource
            )
            if left < amount:
                node, name = self._node(at), self._label(v)
                text = (
                    f"{name} needs {amount} {problem.resources[resource]}, "
                    f"{node} has {max(left, 0)} left"
                )
                return Reason(why=Why.CAPACITY, text=text, node=node)
        return None

    def _too_few_nodes(self, v: int, wanted: int) -> Reason:
        service = self.problem.world.services[v]
        text = f'"{service.name}" wants {wanted} copies, one on a node at most'
        return Reason(why=Why.ENOUGH, text=text, origin=service.origin)

    # Facts ----------------------------------------------------------------------------------------

    def _possible(self, v: int) -> int:
        """How many nodes the operators meant by `all`: those that no rule or mode of theirs excludes."""
        allowed = self.problem.world.everywhere
        for ban in self.problem.bans[v]:
            if ban.why in (Why.ONLY_ELSEWHERE, Why.BANNED, Why.STANDBY, Why.MAINTENANCE):
                allowed &= ~ban.mask
        return allowed.bit_count()

    def _suppliers(self, v: int) -> Iterator[Link]:
        return (
            link for link in self.problem.links[v] if link.tie is Tie.AFTER and link.service == v
        )

    def _relies(self, link: Link, at: int) -> bool:
        """Whether a copy here goes on with what it relies on."""
        if link.other in self.drift.migrate:
            return True
        seats, standing = self.chosen[link.other], self.drift.steady[link.other]
        return bool(borne_nodes(self.problem, link, seats, standing) >> at & 1)

    def _worth(self, v: int, at: int) -> int:
        """What a copy here is worth to its own service, wishes for company included."""
        bit = 1 << at
        worth = next((tier for tier, mask in self.problem.variables[v].tiers if mask & bit), 0)
        wishes = sum(link.score for link in self._company(v) if self._beside(link, v, at))
        return worth + wishes * self.problem.scale.preference

    def _company(self, v: int) -> Iterator[Link]:
        return (link for link in self.problem.links[v] if link.tie is Tie.WISH)

    def _beside(self, link: Link, v: int, at: int) -> bool:
        other = link.other if link.service == v else link.service
        return bool(self.seats(other) >> at & 1)

    def _label(self, v: int) -> str:
        part = self.problem.world.parts[v]
        return f'promoted "{part.service.name}"' if part.promoted else f'"{part.service.name}"'

    def _node(self, at: int) -> NodeName:
        return self.problem.world.node_names[at]

    def _failure(self, v: int, at: int) -> str:
        service = self.problem.world.services[v].name
        name, node = self._label(v), self._node(at)
        for failure in self.problem.world.observed.failures:
            if failure.service == service and failure.node == node:
                return f"{name} failed on {node} ({failure.operation}: {failure.reason})"
        return f"{name} failed on {node}"
