"""Hand-built decisions for the renderers: small, and rich enough that every branch has something to say."""

from reconciler.codec import saved_plan
from reconciler.model.ids import ActionId, BootId, GroupName, Millis, NodeName, ServiceName
from reconciler.model.intent import (
    Colocation,
    Group,
    Intent,
    Kind,
    Location,
    Mandate,
    Node,
    Ordering,
    Origin,
    Role,
    Safety,
    Service,
)
from reconciler.model.observed import Certainty, Copy, Liveness, NodeState, Observed
from reconciler.model.placement import Placement, Reason, Score, Seat, Unplaced, Why
from reconciler.model.plan import Action, ActionKind, Decision, Plan, SavedPlan

ALPHA, BRAVO, CAROL = (NodeName(name) for name in ("alpha", "bravo", "carol"))


def at(line: int) -> Origin:
    return Origin(path="shop.yaml", line=line, column=3)


def service(name: str, **more) -> Service:
    return Service(name=ServiceName(name), kind=more.pop("kind", Kind.SYSTEMD), **more)


def shop() -> Intent:
    return Intent(
        cluster="shop",
        nodes=tuple(
            Node(name=name, addresses=(f"10.0.0.{n}",), labels=(("rack", name[0]),), origin=at(n))
            for n, name in enumerate((ALPHA, BRAVO, CAROL), 1)
        ),
        services=(
            service("backup", enabled=False, origin=at(19)),
            service("data", kind=Kind.OCF, agent="heartbeat:Filesystem", origin=at(11)),
            service("db", agent="postgresql@15-main", priority=10, origin=at(12)),
            service("db-ip", kind=Kind.VIP, safety=Safety.BEST_EFFORT, origin=at(13)),
            service(
                "drbd", kind=Kind.OCF, agent="linbit:drbd", replicas=2, promoted=1, origin=at(10)
            ),
            service("web", agent="nginx", replicas=2, safety=Safety.BEST_EFFORT, origin=at(14)),
        ),
        groups=(
            Group(
                name=GroupName("database"),
                members=(ServiceName("data"), ServiceName("db"), ServiceName("db-ip")),
                origin=at(15),
            ),
        ),
        colocations=(
            Colocation(
                dependent="database", primary="drbd", primary_role=Role.PROMOTED, origin=at(16)
            ),
            Colocation(dependent="web", primary="db", strength=-50, origin=at(18)),
            Colocation(dependent="web", primary="backup", strength=Mandate.FORBIDDEN),
        ),
        orderings=(Ordering(first="drbd", then="database", first_action="promote", origin=at(17)),),
        locations=(
            Location(service="db", nodes=(ALPHA,), strength=50, origin=at(20)),
            Location(service="drbd", nodes=(ALPHA, BRAVO), origin=at(21)),
            Location(service="web", nodes=(CAROL,), strength=Mandate.FORBIDDEN),
        ),
    )


def nodes(lost: NodeName | None = None) -> tuple[NodeState, ...]:
    return tuple(
        NodeState(
            name=name,
            liveness=Liveness.LOST if name == lost else Liveness.ALIVE,
            boot=BootId(f"boot-{name}"),
        )
        for name in (ALPHA, BRAVO, CAROL)
    )


def copy(name: str, node: NodeName, **more) -> Copy:
    return Copy(service=ServiceName(name), node=node, **more)


def action(identity: str, *after: str, reasons: tuple[Reason, ...] = (), **more) -> Action:
    """`start:web@alpha`, or `migrate:vm@alpha>bravo`."""
    kind, _, rest = identity.partition(":")
    name, _, place = rest.rpartition("@")
    node, _, target = place.partition(">")
    return Action(
        id=ActionId(identity),
        kind=ActionKind(kind),
        service=ServiceName(name) if name else None,
        node=NodeName(node),
        target=NodeName(target) if target else None,
        after=tuple(ActionId(each) for each in after),
        reasons=reasons,
        **more,
    )


def because(why: Why, text: str, line: int | None = None, node: NodeName | None = None) -> Reason:
    return Reason(why=why, text=text, origin=at(line) if line else None, node=node)


def failover() -> SavedPlan:
    """Alpha is lost: what is proven moves, web starts a copy, db is blocked, backup is stopped."""
    observed = Observed(
        taken_at_ms=Millis(90_000),
        nodes=nodes(lost=ALPHA),
        copies=(
            copy("backup", CAROL),
            copy("db", ALPHA, certainty=Certainty.ASSUMED),
            copy("db-ip", ALPHA, certainty=Certainty.ASSUMED),
            copy("web", ALPHA, certainty=Certainty.ASSUMED),
            copy("web", BRAVO),
            copy("data", BRAVO),
            copy("drbd", CAROL, role=Role.UNPROMOTED),
        ),
    )
    lost = because(Why.NODE_LOST, "alpha has not been heard for 4.1s")
    room = because(Why.MAKES_ROOM, "db needs the memory that data holds on bravo", 12)
    plan = Plan(
        actions=(
            action("probe:db-ip@carol", reasons=(because(Why.NOT_PROBED, "never asked"),)),
            action(
                "stop:backup@carol", reasons=(because(Why.NOT_WANTED, "backup is disabled", 19),)
            ),
            action("stop:data@bravo", reasons=(room,)),
            action("start:web@carol", reasons=(lost,)),
            action("start:data@carol", "stop:data@bravo", reasons=(room,)),
            action("start:db-ip@carol", "probe:db-ip@carol", "start:data@carol", reasons=(lost,)),
            action("promote:drbd@carol", "start:data@carol", reasons=(lost,)),
        )
    )
    placement = Placement(
        seats=tuple(
            Seat(service=ServiceName(name), node=node, role=role)
            for name, node, role in (
                ("data", CAROL, Role.STARTED),
                ("db-ip", CAROL, Role.STARTED),
                ("drbd", CAROL, Role.PROMOTED),
                ("web", BRAVO, Role.STARTED),
                ("web", CAROL, Role.STARTED),
            )
        ),
        unplaced=(
            Unplaced(
                service=ServiceName("db"),
                wanted=1,
                placed=0,
                blocked=True,
                reasons=(
                    because(Why.NO_PROOF, "db may still run on alpha, which is lost", 12, ALPHA),
                ),
            ),
            Unplaced(
                service=ServiceName("drbd"),
                wanted=2,
                placed=1,
                blocked=False,
                reasons=(
                    because(Why.NODE_LOST, "alpha is lost", None, ALPHA),
                    because(Why.CAPACITY, "bravo has 2GiB of memory left, and it demands 4GiB", 10),
                ),
            ),
        ),
        score=Score(levels=(5, 4, 3)),
        optimal=False,
        bound=Score(levels=(5, 4, 4)),
    )
    return bound(observed, Decision(placement=placement, plan=plan, wake_at_ms=Millis(120_000)))


def calm() -> SavedPlan:
    """Nothing to do."""
    observed = Observed(taken_at_ms=Millis(1), nodes=nodes(), copies=(copy("web", BRAVO),))
    seats = (Seat(service=ServiceName("web"), node=BRAVO),)
    return bound(observed, Decision(placement=Placement(seats=seats), plan=Plan()))


def bound(observed: Observed, decision: Decision) -> SavedPlan:
    return saved_plan.bind(
        decision, intent=shop(), revision="worktree:0123456789ab", observed=observed
    )


def many() -> SavedPlan:
    """Forty services start at once on a node that was never probed: told by their number."""
    names = [f"site-{n:02}" for n in range(40)]
    probes = [action(f"probe:{name}@bravo") for name in names]
    why = (because(Why.WANTED, "1 wanted, 0 running"),)
    starts = [action(f"start:{name}@bravo", f"probe:{name}@bravo", reasons=why) for name in names]
    seats = tuple(Seat(service=ServiceName(name), node=BRAVO) for name in names)
    observed = Observed(taken_at_ms=Millis(5_000), nodes=nodes())
    plan = Plan(actions=(*probes, *starts))
    return bound(observed, Decision(placement=Placement(seats=seats), plan=plan))
