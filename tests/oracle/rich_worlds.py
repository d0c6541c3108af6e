"""Random small worlds from a seed that use every semantic: roles, fences, tickets, live moves, and all else.

Each world draws a handful of flavours, so that most of them meet and each failure names few. Orderings
follow the alphabet: there is never a cycle among them.
"""

import random
from dataclasses import dataclass, field, replace

from reconciler.core.definition import definition_digest, fixed_digest
from reconciler.model.ids import BootId
from reconciler.model.intent import (
    Colocation,
    FenceDevice,
    Fencing,
    Group,
    Health,
    HealthStrategy,
    Intent,
    Kind,
    Location,
    Mandate,
    MultipleActive,
    NegativeScores,
    Node,
    OnFail,
    OnLoss,
    Operation,
    Ordering,
    OrderingKind,
    Orphans,
    Packing,
    Requires,
    Role,
    Safety,
    Service,
    TicketRule,
    WhenEqual,
)
from reconciler.model.observed import (
    Certainty,
    Copy,
    Failure,
    Liveness,
    NodeState,
    Observed,
    PromotionScore,
    TicketState,
)

FLAVOURS = (
    "roles",
    "layers",
    "groups",
    "loose-groups",
    "orderings",
    "odd-orderings",
    "interleave",
    "ordered",
    "colocations",
    "zones",
    "locations",
    "tickets",
    "health",
    "quorum",
    "fencing",
    "condemned",
    "down",
    "unheard",
    "lost",
    "standby",
    "maintenance",
    "failures",
    "policies",
    "broken",
    "changed",
    "reloads",
    "live-moves",
    "capacity",
    "exclusive",
    "unknown",
    "blocked",
    "twice",
    "orphans",
    "unprobed",
    "half-way",
    "forbid",
    "spread",
    "disabled",
)
FEWEST_FLAVOURS, MOST_FLAVOURS = 3, 9


def rich_world(seed: int, *, nodes_max: int = 4, services_max: int = 5) -> tuple[Intent, Observed]:
    """A small world of a few flavours."""
    draw = random.Random(seed)
    maker = _Maker(draw, nodes_max, services_max)
    wanted = maker.intent()
    return wanted, maker.observed(wanted)


def flavours(seed: int) -> frozenset[str]:
    """The flavours of a world."""
    return _flavours(random.Random(seed))


def _flavours(draw: random.Random) -> frozenset[str]:
    return frozenset(draw.sample(FLAVOURS, draw.randint(FEWEST_FLAVOURS, MOST_FLAVOURS)))


@dataclass
class _Maker:
    draw: random.Random
    nodes_max: int
    services_max: int
    has: frozenset[str] = field(init=False)
    nodes: list[str] = field(init=False)
    names: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.has = _flavours(self.draw)
        self.nodes = [f"n{i}" for i in range(1, self.draw.randint(2, self.nodes_max) + 1)]
        self.names = list("abcdefgh"[: self.draw.randint(2, self.services_max)])

    def chance(self, flavour: str, odds: float = 0.5) -> bool:
        """Never without the flavour; else as often as the odds say."""
        return flavour in self.has and self.draw.random() < odds

    # Intent -----------------------------------------------------------------------------------------

    def intent(self) -> Intent:
        services = {name: self.service(name) for name in self.names}
        groups = tuple(self.groups(services))
        device = FenceDevice(
            name="ipmi",
            agent="fence_virt",
            nodes=tuple(n for n in self.nodes if self.draw.random() < 0.85),
        )
        return Intent(
            cluster="rich",
            nodes=tuple(map(self.node, self.nodes)),
            services=tuple(services[name] for name in sorted(services)),
            groups=groups,
            colocations=tuple(self.colocations()),
            orderings=tuple(self.orderings(groups)),
            locations=tuple(self.locations()),
            tickets=tuple(self.tickets()),
            when_equal=WhenEqual.SPREAD if "spread" in self.has else WhenEqual.STAY,
            packing=Packing.ROOM if self.chance("capacity", 0.3) else Packing.COUNT,
            negative_scores=(
                NegativeScores.FORBID if "forbid" in self.has else NegativeScores.AVOID
            ),
            orphans=Orphans.KEEP if self.chance("orphans") else Orphans.STOP,
            on_quorum_loss=self.draw.choice(list(OnLoss)),
            health=Health(strategy=self.draw.choice(list(HealthStrategy)), yellow=-20, green=5),
            fencing=Fencing(
                devices=(device,) if self.has & {"fencing", "condemned"} else (),
                unseen=self.chance("fencing"),
                accept_split_brain="fencing" not in self.has,
            ),
        )

    def node(self, name: str) -> Node:
        return Node(
            name=name,
            addresses=(),
            labels=(("rack", self.draw.choice("xy")),) if "zones" in self.has else (),
            capacity=(("cpu", self.draw.randint(2, 5)),) if "capacity" in self.has else (),
            standby=self.chance("standby", 0.25),
            maintenance=self.chance("maintenance", 0.2),
        )

    def service(self, name: str) -> Service:
        draw = self.draw
        promotable = self.chance("roles")
        several = promotable or draw.random() < 0.3
        layers = 2 if self.chance("layers") and not promotable else 1
        return Service(
            name=name,
            kind=Kind.SCRIPT,
            parameters=(("cost", "1"), ("path", "/srv")),
            replicas=draw.choice([2, 2, 3, None]) if several or layers > 1 else 1,
            replicas_per_node=layers,
            promotable=promotable,
            promoted=draw.choice([1, 1, 2]) if promotable else 0,
            interleave=not self.chance("interleave"),
            ordered=self.chance("ordered"),
            safety=Safety.EXCLUSIVE if self.chance("exclusive") else Safety.BEST_EFFORT,
            priority=draw.choice([0, 0, 0, 1, 5]),
            stickiness=draw.choice([0, 1, 10, 100]),
            demand=(("cpu", draw.randint(1, 3)),) if self.chance("capacity", 0.8) else (),
            enabled=not self.chance("disabled", 0.2),
            maintenance=self.chance("maintenance", 0.1),
            managed=not self.chance("maintenance", 0.15),
            multiple_active=(
                draw.choice(list(MultipleActive))
                if "twice" in self.has
                else MultipleActive.STOP_UNEXPECTED
            ),
            migratable=self.chance("live-moves", 0.7) and not promotable,
            reloadable=("cost",) if "reloads" in self.has else (),
            requires=draw.choice(list(Requires)),
            **self.operations(),
        )

    def operations(self) -> dict[str, Operation]:
        if "policies" not in self.has:
            return {}
        any_of = [None, *OnFail]
        of_stop = [None, OnFail.FENCE, OnFail.BLOCK, OnFail.IGNORE]
        without_demote = [None, *(set(OnFail) - {OnFail.DEMOTE})]
        without_demote.sort(key=str)
        return {
            "start": Operation(timeout_ms=1000, on_fail=self.draw.choice(without_demote)),
            "stop": Operation(timeout_ms=1000, on_fail=self.draw.choice(of_stop)),
            "promote": Operation(timeout_ms=1000, on_fail=self.draw.choice(any_of)),
            "demote": Operation(timeout_ms=1000, on_fail=self.draw.choice(without_demote)),
            "monitor": Operation(timeout_ms=1000, on_fail=self.draw.choice(without_demote)),
            "monitor_promoted": Operation(timeout_ms=1000, on_fail=self.draw.choice(any_of)),
        }

    def groups(self, services: dict[str, Service]):
        """Groups of neighbours in the alphabet; what the members must share is that of the first."""
        if not self.has & {"groups", "loose-groups"} or len(self.names) < 2:
            return
        start = self.draw.randrange(len(self.names) - 1)
        members = self.names[start : start + self.draw.choice([2, 2, 3])]
        head = services[members[0]]
        for name in members[1:]:
            services[name] = replace(
                services[name],
                replicas=head.replicas,
                replicas_per_node=head.replicas_per_node,
                promotable=head.promotable,
                promoted=head.promoted,
                interleave=head.interleave,
                migratable=services[name].migratable and not head.promotable,
            )
        yield Group(
            name="grp",
            members=tuple(members),
            ordered=not self.chance("loose-groups"),
            colocated=not self.chance("loose-groups"),
        )

    def strength(self):
        return self.draw.choice(
            [Mandate.REQUIRED, Mandate.FORBIDDEN, self.draw.choice([-100, -20, 5, 20, 150])]
        )

    def role(self, *roles: Role) -> Role | None:
        return self.draw.choice([None, *roles]) if "roles" in self.has else None

    def colocations(self):
        if not self.has & {"colocations", "zones"}:
            return
        for _ in range(self.draw.randint(1, 3)):
            one, other = self.draw.sample(self.names, 2)
            yield Colocation(
                dependent=one,
                primary=other,
                strength=self.strength(),
                dependent_role=self.role(Role.PROMOTED),
                primary_role=self.role(Role.PROMOTED, Role.UNPROMOTED),
                influence=self.draw.random() < 0.7,
                attribute="rack" if self.chance("zones") else "",
            )

    def orderings(self, groups: tuple[Group, ...]):
        if not self.has & {"orderings", "odd-orderings", "interleave"}:
            return
        inside = set(groups[0].members) if groups else set()
        for _ in range(self.draw.randint(1, 3)):
            first, then = sorted(self.draw.sample(self.names, 2))
            if {first, then} <= inside:
                continue
            yield self.ordering(first, then)

    def ordering(self, first: str, then: str) -> Ordering:
        draw = self.draw
        kind = draw.choice([OrderingKind.REQUIRED] * 3 + [OrderingKind.OPTIONAL])
        plain = Ordering(first=first, then=then, kind=kind)
        if "roles" in self.has:
            action = draw.choice(["start", "promote"])
            plain = replace(plain, first_action=action)
        if not self.chance("odd-orderings", 0.8):
            return plain
        others = [name for name in self.names if name < then and name != first]
        match draw.choice(["asymmetrical", "serialize", "minimum", "any-of", "stops", "turn"]):
            case "asymmetrical":
                return replace(plain, symmetrical=False)
            case "serialize":
                return replace(plain, kind=OrderingKind.SERIALIZE)
            case "minimum":
                return replace(plain, minimum=draw.choice([1, 2]))
            case "any-of" if others:
                return replace(plain, any_of=(draw.choice(others),))
            case "stops":
                return Ordering(
                    first=then, then=first, kind=kind, first_action="stop", then_action="stop"
                )
            case "turn":
                return Ordering(
                    first=first,
                    then=then,
                    kind=OrderingKind.OPTIONAL,
                    first_action="stop",
                    symmetrical=False,
                )
        return plain

    def locations(self):
        if not self.has & {"locations", "roles", "forbid"}:
            return
        for _ in range(self.draw.randint(1, 3)):
            some = self.draw.sample(self.nodes, self.draw.randint(1, len(self.nodes)))
            yield Location(
                service=self.draw.choice(self.names),
                nodes=tuple(sorted(some)),
                strength=self.strength(),
                role=self.role(Role.PROMOTED),
            )

    def tickets(self):
        if "tickets" not in self.has:
            return
        for ticket in ("t1", "t2"):
            yield TicketRule(
                ticket=ticket,
                service=self.draw.choice(self.names),
                role=self.role(Role.PROMOTED),
                on_loss=self.draw.choice([OnLoss.STOP, OnLoss.FREEZE, OnLoss.DEMOTE, OnLoss.FENCE]),
            )

    # Observed ---------------------------------------------------------------------------------------

    def observed(self, wanted: Intent) -> Observed:
        states = tuple(map(self.state, self.nodes))
        copies = []
        for service in wanted.services:
            copies += self.copies(service, states)
        if "orphans" in self.has:
            copies += self.orphans(states)
        return Observed(
            taken_at_ms=0,
            nodes=states,
            copies=tuple(sorted(copies, key=lambda c: (c.node, c.service, c.instance))),
            failures=tuple(self.failures()),
            promotion_scores=tuple(self.promotion_scores(wanted)),
            tickets=tuple(self.ticket_states()),
            quorate="quorum" not in self.has,
        )

    def state(self, name: str) -> NodeState:
        liveness, boot = Liveness.ALIVE, BootId(f"boot-{name}")
        for flavour, other in (
            ("lost", Liveness.LOST),
            ("down", Liveness.DOWN),
            ("unheard", Liveness.UNKNOWN),
            ("unknown", Liveness.SUSPECT),
        ):
            if self.chance(flavour, 0.25):
                liveness = other
        if liveness is Liveness.UNKNOWN:
            boot = None
        probed = frozenset(n for n in self.names if not self.chance("unprobed", 0.3))
        return NodeState(
            name=name,
            liveness=liveness,
            boot=boot,
            probed=frozenset() if boot is None else probed,
            attributes=self.attributes(),
            standby=self.chance("standby", 0.15),
            leaving=self.chance("standby", 0.1),
            condemned="an operator said so" if self.chance("condemned", 0.25) else "",
        )

    def attributes(self) -> tuple[tuple[str, str], ...]:
        if "health" not in self.has:
            return ()
        return (("health-disk", self.draw.choice(["red", "yellow", "green", "-5"])),)

    def copies(self, service: Service, states: tuple[NodeState, ...]) -> list[Copy]:
        where = [s for s in states if s.liveness is not Liveness.DOWN and s.boot is not None]
        if not where or self.draw.random() < 0.25:
            return []
        wanted = len(where) if service.replicas is None else service.replicas
        count = max(1, wanted - self.draw.choice([0, 0, 1]))
        if self.chance("twice"):
            count += 1
        at = self.draw.sample(where, min(count, len(where)))
        found = [self.copy(service, state) for state in at]
        if service.replicas_per_node > 1:
            found += [copy for copy in found if self.draw.random() < 0.4]
            found = [replace(copy, instance=i) for i, copy in enumerate(found)]
        return self.promoted(service, found)

    def promoted(self, service: Service, found: list[Copy]) -> list[Copy]:
        if not service.promotable:
            return found
        count = self.draw.randint(0, service.promoted)
        chosen = set(self.draw.sample(range(len(found)), min(count, len(found))))
        return [
            copy
            if copy.role is Role.STOPPED
            else replace(copy, role=Role.PROMOTED if i in chosen else Role.UNPROMOTED)
            for i, copy in enumerate(found)
        ]

    def copy(self, service: Service, state: NodeState) -> Copy:
        certainty = Certainty.OBSERVED
        if state.liveness is not Liveness.ALIVE:
            certainty = Certainty.ASSUMED
        elif self.chance("unknown", 0.2):
            certainty = Certainty.UNKNOWN
        copy = Copy(
            service=service.name,
            node=state.name,
            certainty=certainty,
            digest=definition_digest(service),
            fixed_digest=fixed_digest(service),
        )
        if self.chance("broken", 0.3):
            operations = ["", "monitor", "start", "stop"]
            if service.promotable:
                operations += ["promote", "demote"]
            copy = replace(copy, failed=True, failed_operation=self.draw.choice(operations))
        if self.chance("changed", 0.3):
            copy = replace(copy, digest="old", fixed_digest="old")
        if self.chance("reloads", 0.4):
            copy = replace(copy, digest="old")
        if self.chance("blocked", 0.3):
            copy = replace(copy, blocked="its stop failed", failed=True, failed_operation="stop")
        if self.chance("half-way", 0.3) and certainty is Certainty.OBSERVED:
            copy = replace(copy, role=Role.STOPPED, failed=self.draw.random() < 0.5)
        return copy

    def orphans(self, states: tuple[NodeState, ...]) -> list[Copy]:
        alive = [s for s in states if s.liveness is Liveness.ALIVE]
        some = self.draw.sample(alive, min(len(alive), 2))
        return [Copy(service="zz-removed", node=state.name) for state in some]

    def failures(self):
        if not self.has & {"failures", "broken"}:
            return
        for name in self.names:
            for node in self.nodes:
                if self.draw.random() < 0.2:
                    yield Failure(
                        service=name,
                        node=node,
                        count=self.draw.choice([1, 2, 3, 5, 1_000_000]),
                        operation=self.draw.choice(["monitor", "start", "stop"]),
                        reason="it broke",
                        last_ms=self.draw.choice([0, -700_000]),
                        fatal=self.chance("failures", 0.1),
                    )

    def promotion_scores(self, wanted: Intent):
        for service in wanted.services:
            if not service.promotable:
                continue
            for node in self.nodes:
                if self.draw.random() < 0.7:
                    score = self.draw.choice([-5, 0, 5, 10, 100])
                    yield PromotionScore(service=service.name, node=node, score=score)

    def ticket_states(self):
        for ticket in ("t1", "t2"):
            if self.chance("tickets", 0.7):
                yield TicketState(
                    ticket=ticket,
                    granted=self.draw.random() < 0.5,
                    standby=self.draw.random() < 0.3,
                )
