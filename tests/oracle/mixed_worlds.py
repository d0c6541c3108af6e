"""Random small worlds from a seed, of every semantic that placement heeds: a few of them in each world.

Each world has a situation (cold, node lost, service added, node drained, something failed, as it was) and
a handful of features; everything is drawn from one generator, so a seed is a world. No copy is pinned:
whatever ran on a lost node is best-effort, or its node can be fenced.
"""

import random
from collections.abc import Iterator

from reconciler.model.ids import BootId, Millis, NodeName, ServiceName
from reconciler.model.intent import (
    Colocation,
    FenceDevice,
    Fencing,
    Group,
    Intent,
    Kind,
    Location,
    Mandate,
    NegativeScores,
    Node,
    OnFail,
    OnLoss,
    Operation,
    Ordering,
    OrderingKind,
    Role,
    Safety,
    Service,
    TicketRule,
    WhenEqual,
)
from reconciler.model.observed import (
    Copy,
    Failure,
    Liveness,
    NodeState,
    Observed,
    PromotionScore,
    TicketState,
)

FEATURES = (
    "capacity",
    "priorities",
    "replicas",
    "several-per-node",
    "roles",
    "group",
    "loose-group",
    "whole",
    "zones",
    "spread",
    "forbid",
    "live",
    "fencing",
    "tickets",
    "failures",
    "policies",
    "orderings",
    "odd-orderings",
    "disabled",
)
SITUATIONS = ("cold", "lost", "added", "drained", "broken", "settled", "messy")
PREFERENCES = (-150, -100, -20, -5, 5, 20, 50, 100, 150)


def mixed_world(seed: int, *, nodes_max: int = 5, services_max: int = 7) -> tuple[Intent, Observed]:
    """The world of this seed."""
    return _Drawing(random.Random(seed), nodes_max, services_max).world()


class _Drawing:
    def __init__(self, draw: random.Random, nodes_max: int, services_max: int) -> None:
        self.draw = draw
        self.nodes = [f"n{i}" for i in range(1, draw.randint(2, nodes_max) + 1)]
        self.names = list("abcdefghi"[: draw.randint(2, services_max)])
        draw.shuffle(self.names)
        self.has = {name for name in FEATURES if draw.random() < 0.25}
        self.situation = draw.choice(SITUATIONS)
        self.gone = draw.choice(self.nodes)
        self.groups: dict[str, list[str]] = {}
        self.promotable: set[str] = set()
        self.wished: set[str] = set()

    def world(self) -> tuple[Intent, Observed]:
        groups = tuple(self._groups())
        self.promotable |= self._promotable()
        services = {name: self._service(name) for name in self.names}
        constraints = list(self._constraints())
        tickets = tuple(self._tickets())
        intent = Intent(
            cluster="test",
            nodes=tuple(self._node(name) for name in self.nodes),
            services=tuple(services[name] for name in sorted(services)),
            groups=groups,
            colocations=tuple(c for c in constraints if isinstance(c, Colocation)),
            orderings=tuple(c for c in constraints if isinstance(c, Ordering)),
            locations=tuple(c for c in constraints if isinstance(c, Location)),
            tickets=tickets,
            when_equal=WhenEqual.SPREAD if "spread" in self.has else WhenEqual.STAY,
            negative_scores=(
                NegativeScores.FORBID if "forbid" in self.has else NegativeScores.AVOID
            ),
            fencing=self._fencing(),
        )
        return intent, self._observed(services)

    # Intent -----------------------------------------------------------------------------------------

    def _groups(self) -> Iterator[Group]:
        """One or two groups of services that stand in the order of their names' list."""
        left = list(self.names)
        for feature, name in (("group", "grp"), ("loose-group", "loose")):
            if feature not in self.has or len(left) < 2:
                continue
            chosen = sorted(
                self.draw.sample(left, self.draw.randint(2, min(3, len(left)))),
                key=self.names.index,
            )
            left = [other for other in left if other not in chosen]
            self.groups[name] = chosen
            loose = feature == "loose-group"
            ordered = not loose or self.draw.random() < 0.5
            yield Group(
                name=name,
                members=tuple(map(ServiceName, chosen)),
                ordered=ordered,
                colocated=not loose or not ordered or self.draw.random() < 0.3,
            )

    def _promotable(self) -> set[str]:
        if "roles" not in self.has:
            return set()
        chosen = set(self.draw.sample(self.names, self.draw.choice([1, 1, 2])))
        for members in self.groups.values():
            if chosen & set(members):
                chosen |= set(members)
        return chosen

    def _node(self, name: str) -> Node:
        labels = {}
        if "zones" in self.has and self.draw.random() < 0.9:
            labels["rack"] = self.draw.choice("xy")
        return Node(
            name=NodeName(name),
            addresses=(),
            labels=tuple(labels.items()),
            capacity=(("cpu", self.draw.randint(1, 5)),) if "capacity" in self.has else (),
            standby=self.situation == "drained" and name == self.gone,
        )

    def _service(self, name: str) -> Service:
        draw, has = self.draw, self.has
        promotable = name in self.promotable
        replicas = 1
        if "replicas" in has or promotable:
            replicas = draw.choice([1, 1, 2, 2, 3, None])
        several = 1
        crowded = "several-per-node" in has and "forbid" not in has and not promotable
        if crowded and draw.random() < 0.5:
            several, replicas = 2, draw.choice([2, 2, 3])
        exclusive = draw.random() < 0.3 and (self.situation != "lost" or "fencing" in has)
        policies = _POLICIES if "fencing" in has else _POLICIES[:-1]
        policy = draw.choice(policies) if "policies" in has else None
        return Service(
            name=ServiceName(name),
            kind=Kind.SCRIPT,
            replicas=replicas,
            replicas_per_node=several,
            promotable=promotable,
            promoted=draw.choice([0, 1, 1, 1, 2]) if promotable else 0,
            interleave="whole" not in has or draw.random() < 0.4,
            safety=Safety.EXCLUSIVE if exclusive else Safety.BEST_EFFORT,
            priority=draw.choice([0, 0, 1, 5]) if "priorities" in has else 0,
            stickiness=draw.choice([0, 1, 10, 100]),
            promoted_stickiness=(
                draw.choice([None, 0, 30]) if promotable and "forbid" not in has else None
            ),
            demand=(
                (("cpu", draw.randint(1, 3)),) if "capacity" in has and draw.random() < 0.8 else ()
            ),
            enabled="disabled" not in has or draw.random() > 0.15,
            migratable="live" in has and draw.random() < 0.6,
            monitor=Operation(timeout_ms=Millis(20_000), every_ms=Millis(10_000), on_fail=policy),
            monitor_promoted=(
                Operation(timeout_ms=Millis(20_000), on_fail=OnFail.DEMOTE)
                if promotable and draw.random() < 0.5
                else None
            ),
        )

    def _fencing(self) -> Fencing:
        if "fencing" not in self.has:
            return Fencing(accept_split_brain=True)
        nodes = tuple(map(NodeName, self.nodes))
        return Fencing(devices=(FenceDevice(name="power", agent="fence_test", nodes=nodes),))

    # Constraints ------------------------------------------------------------------------------------

    def _constraints(self) -> Iterator[Colocation | Ordering | Location]:
        draw = self.draw
        for _ in range(draw.randint(0, 5)):
            match draw.choice(["colocation", "colocation", "ordering", "location", "location"]):
                case "colocation":
                    yield from self._colocation()
                case "ordering":
                    yield from self._ordering()
                case _:
                    yield self._location(draw.choice([*self.names, *self.groups]))
        for name in sorted(self.promotable):
            if draw.random() < 0.3:
                yield self._location(name, role=Role.PROMOTED)

    def _strength(self) -> int | Mandate:
        points = self.draw.choice(PREFERENCES)
        return self.draw.choice([Mandate.REQUIRED, Mandate.FORBIDDEN, points, points])

    def _location(self, name: str, role: Role | None = None) -> Location:
        some = self.draw.sample(self.nodes, self.draw.randint(1, len(self.nodes)))
        return Location(
            service=name,
            nodes=tuple(sorted(map(NodeName, some))),
            strength=self._strength(),
            role=role,
        )

    def _colocation(self) -> Iterator[Colocation]:
        draw = self.draw
        one, other = draw.sample([*self.names, *self.groups], 2)
        strength = self._strength()
        mine = {*self._members(one)} & {*self._members(other)}
        loose = {one, other} & {"loose"}
        if mine or (loose and strength is not Mandate.FORBIDDEN):
            return
        if "forbid" in self.has and isinstance(strength, int):
            if self._members(one)[0] in self.wished:
                return  # how several add up is for the importer's tests to say
            self.wished.add(self._members(one)[0])
        yield Colocation(
            dependent=one,
            primary=other,
            strength=strength,
            dependent_role=self._role(one),
            primary_role=self._role(other),
            attribute="rack" if "zones" in self.has and draw.random() < 0.6 else "",
        )

    def _role(self, name: str) -> Role | None:
        promotable = self.promotable.issuperset(self._members(name))
        return Role.PROMOTED if promotable and self.draw.random() < 0.6 else None

    def _members(self, name: str) -> list[str]:
        return self.groups.get(name, [name])

    def _ordering(self) -> Iterator[Ordering]:
        """Earlier names before later ones, groups as wholes: so there is no circle."""
        draw, place = self.draw, self.names.index
        one, other = draw.sample([*self.names, *self.groups], 2)
        if place(self._members(one)[0]) > place(self._members(other)[0]):
            one, other = other, one
        if place(self._members(one)[-1]) >= place(self._members(other)[0]):
            return
        kind = draw.choice([*[OrderingKind.REQUIRED] * 6, *OrderingKind])
        first_action, then_action = "start", "start"
        if self._role(one):
            first_action = "promote"
        if self._role(other):
            then_action = "promote"
        odd = "odd-orderings" in self.has
        if odd and draw.random() < 0.15:
            swap = {"start": "stop", "promote": "demote"}
            one, other = other, one
            first_action, then_action = swap[then_action], swap[first_action]
        elif odd and draw.random() < 0.1:
            first_action = "stop"
        minimum = draw.choice([1, 2, 2, 3]) if odd and draw.random() < 0.3 else None
        some = [
            name
            for name in self.names
            if place(name) < place(self._members(other)[0])
            and name not in self._members(one)
            and (first_action == "start" or name in self.promotable)
        ]
        others = draw.sample(some, 1) if odd and some and draw.random() < 0.4 else []
        yield Ordering(
            first=one,
            then=other,
            kind=kind,
            first_action=first_action,
            then_action=then_action,
            symmetrical=not odd or draw.random() < 0.7,
            minimum=minimum,
            any_of=tuple(others) if first_action in ("start", "promote") else (),
        )

    def _tickets(self) -> Iterator[TicketRule]:
        if "tickets" not in self.has:
            return
        for _ in range(self.draw.choice([1, 1, 2])):
            name = self.draw.choice([*self.names, *self.groups])
            ways: list[tuple[Role | None, OnLoss]] = [(None, OnLoss.STOP)]
            if "fencing" in self.has:
                ways.append((None, OnLoss.FENCE))
            if self._role(name):
                ways = [(Role.PROMOTED, OnLoss.DEMOTE)]
            role, on_loss = self.draw.choice(ways)
            ticket = self.draw.choice(["east", "west"])
            yield TicketRule(ticket=ticket, service=name, role=role, on_loss=on_loss)

    # Facts ------------------------------------------------------------------------------------------

    def _observed(self, services: dict[str, Service]) -> Observed:
        draw = self.draw
        copies = [] if self.situation == "cold" else list(self._copies(services))
        names = frozenset(map(ServiceName, self.names))
        return Observed(
            taken_at_ms=Millis(0),
            nodes=tuple(self._state(name, names) for name in self.nodes),
            copies=tuple(sorted(copies, key=lambda c: (c.node, c.service, c.instance))),
            failures=tuple(self._failures()),
            promotion_scores=tuple(
                PromotionScore(
                    service=ServiceName(name),
                    node=NodeName(node),
                    score=draw.choice([-5, 0, 5, 10, 100]),
                )
                for name in sorted(self.promotable)
                for node in self.nodes
                if draw.random() < 0.7
            ),
            tickets=tuple(
                TicketState(ticket=ticket, granted=draw.random() < 0.5, standby=draw.random() < 0.2)
                for ticket in ("east", "west")
                if "tickets" in self.has
            ),
        )

    def _state(self, name: str, probed: frozenset[ServiceName]) -> NodeState:
        lost = self.situation == "lost" and name == self.gone
        odd = "fencing" in self.has and self.draw.random() < 0.05
        return NodeState(
            name=NodeName(name),
            liveness=Liveness.LOST if lost else Liveness.ALIVE,
            boot=BootId(f"boot-{name}"),
            probed=probed,
            leaving=self.situation == "messy" and self.draw.random() < 0.1,
            condemned="its clock is wrong" if odd else "",
        )

    def _failures(self) -> Iterator[Failure]:
        if "failures" not in self.has:
            return
        for name in sorted(self.names):
            for node in self.nodes:
                if self.draw.random() < 0.15:
                    yield Failure(
                        service=ServiceName(name),
                        node=NodeName(node),
                        count=self.draw.choice([1, 3, 5]),
                        operation="monitor",
                        reason="it broke",
                        last_ms=Millis(0),
                        fatal=self.draw.random() < 0.1,
                    )

    def _copies(self, services: dict[str, Service]) -> Iterator[Copy]:
        """What runs: mostly as many copies as wanted, members of a group mostly together."""
        draw = self.draw
        added = draw.choice(self.names) if self.situation == "added" else ""
        homes: dict[str, list[str]] = {}
        for name in self.names:
            service = services[name]
            if name == added or (self.situation != "settled" and draw.random() < 0.15):
                continue
            count = len(self.nodes) if service.replicas is None else service.replicas
            count += (self.situation == "messy") * draw.choice([-1, 0, 0, 1])
            spots = self.nodes * service.replicas_per_node
            nodes = draw.sample(spots, max(0, min(count, len(spots))))
            group = next((key for key, names in self.groups.items() if name in names), "")
            if group and draw.random() < 0.8:
                shared = homes.setdefault(group, nodes)
                nodes = shared if len(shared) == len(nodes) else nodes
            yield from self._copies_of(service, nodes)

    def _copies_of(self, service: Service, nodes: list[str]) -> Iterator[Copy]:
        draw = self.draw
        seen: dict[str, int] = {}
        broken = 0.3 if self.situation in ("broken", "messy") else 0.03
        for number, node in enumerate(sorted(nodes)):
            if seen.get(node, 0) >= service.replicas_per_node:
                continue
            seen[node] = seen.get(node, 0) + 1
            role = Role.STARTED
            if service.promotable:
                role = Role.UNPROMOTED
                if number < service.promoted or draw.random() < 0.1:
                    role = Role.PROMOTED
            failed = draw.random() < broken
            yield Copy(
                service=service.name,
                node=NodeName(node),
                instance=number,
                role=role,
                failed=failed,
                failed_operation="monitor" if failed else "",
                digest="old" if not failed and draw.random() < broken / 2 else None,
            )


_POLICIES = (None, None, OnFail.IGNORE, OnFail.STOP, OnFail.STANDBY, OnFail.FENCE)
"""The last of them needs devices: without, a failed copy is left where it is."""
