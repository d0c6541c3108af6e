"""Every kind of cause with its words: one function each, which says how things stand, not what to do."""

from collections.abc import Iterable

from reconciler.core.explain.cause import Cause, CauseKind
from reconciler.core.explain.question import Question
from reconciler.core.scores import HEALTH
from reconciler.model.ids import NodeName, ServiceName
from reconciler.model.intent import (
    Amounts,
    Group,
    Intent,
    Mandate,
    Node,
    Role,
    Service,
    Strength,
)
from reconciler.model.observed import Copy, Failure, Liveness, NodeState

_MEBI = 1 << 20


# Constraints ----------------------------------------------------------------------------------------


def location(intent: Intent, place: int) -> Cause:
    """A location rule."""
    rule = intent.locations[place]
    verb = "be promoted" if rule.role is Role.PROMOTED else "run"
    nodes = _either(rule.nodes) or "no node"
    match rule.strength:
        case Mandate.REQUIRED:
            text = f'"{rule.service}" must {verb} on {nodes}'
        case Mandate.FORBIDDEN:
            text = f'"{rule.service}" may not {verb} on {nodes}'
        case int(points):
            rather = "rather" if points >= 0 else "rather not"
            text = f'"{rule.service}" should {rather} {verb} on {nodes} ({points:+d})'
    return Cause(kind=CauseKind.LOCATION, place=place, text=text, origin=rule.origin)


def colocation(intent: Intent, place: int) -> Cause:
    """A colocation."""
    rule = intent.colocations[place]
    one = _in_role(rule.dependent, rule.dependent_role)
    other = _in_role(rule.primary, rule.primary_role)
    spot = f"in the same {rule.attribute} as" if rule.attribute else "where"
    there = other if rule.attribute else f"{other} is"
    text = f"{one} {_how(rule.strength)} be {spot} {there}{_points(rule.strength)}"
    return Cause(kind=CauseKind.COLOCATION, place=place, text=text, origin=rule.origin)


def ordering(intent: Intent, place: int) -> Cause:
    """A required ordering."""
    rule = intent.orderings[place]
    firsts = " or ".join(f'"{name}"' for name in (rule.first, *rule.any_of))
    text = f'"{rule.then}" runs only while {firsts} does'
    if rule.first_action != "start" or rule.then_action != "start":
        text = f'{rule.first_action} {firsts} before {rule.then_action} "{rule.then}"'
    return Cause(kind=CauseKind.ORDERING, place=place, text=text, origin=rule.origin)


def member(group: Group, service: ServiceName) -> Cause:
    """That a service belongs to a group."""
    at = group.members.index(service)
    before = f', after "{group.members[at - 1]}"' if at else ", as its first"
    text = f'"{service}" belongs to the group "{group.name}"{before}'
    return Cause(
        kind=CauseKind.GROUP, service=service, name=str(group.name), text=text, origin=group.origin
    )


def ticket(intent: Intent, place: int) -> Cause:
    """A ticket that a service needs."""
    rule = intent.tickets[place]
    text = f'"{rule.service}" needs the ticket "{rule.ticket}", which is not held here'
    return Cause(kind=CauseKind.TICKET, place=place, text=text, origin=rule.origin)


# Services -------------------------------------------------------------------------------------------


def not_enabled(service: Service) -> Cause:
    """It is switched off."""
    return _of_service(CauseKind.NOT_ENABLED, service, f'"{service.name}" is not enabled')


def unmanaged(service: Service) -> Cause:
    """Nothing is done to it."""
    word = "is in maintenance" if service.maintenance else "is not managed"
    return _of_service(CauseKind.UNMANAGED, service, f'"{service.name}" {word}')


def wanted(service: Service) -> Cause:
    """That it should run at all, so many times."""
    count = "a copy on every node" if service.replicas is None else _copies(service.replicas)
    return _of_service(CauseKind.WANTED, service, f'"{service.name}" wants {count}')


def replicas(service: Service) -> Cause:
    """How many copies it wants."""
    text = f'"{service.name}" wants {_copies(service.replicas or 0)}'
    return _of_service(CauseKind.REPLICAS, service, text)


def promoted(service: Service) -> Cause:
    """How many promoted copies it wants."""
    text = f'"{service.name}" wants {_copies(service.promoted, "promoted ")}'
    return _of_service(CauseKind.PROMOTED, service, text)


def per_node(service: Service) -> Cause:
    """How many copies one node may have."""
    most = _copies(service.replicas_per_node)
    return _of_service(
        CauseKind.PER_NODE, service, f'"{service.name}" has {most} on a node at most'
    )


def stickiness(service: Service) -> Cause:
    """What it costs to move it."""
    text = f'to disturb a healthy copy of "{service.name}" costs {service.stickiness}'
    if service.promoted_stickiness is not None:
        text += f" ({service.promoted_stickiness} while promoted)"
    return _of_service(CauseKind.STICKINESS, service, text)


def demand(service: Service) -> Cause:
    """What it takes of its node."""
    return _of_service(
        CauseKind.DEMAND, service, f'"{service.name}" demands {_amounts(service.demand)}'
    )


# Nodes ----------------------------------------------------------------------------------------------


def capacity(node: Node) -> Cause:
    """What a node can hold."""
    return _of_node(CauseKind.CAPACITY, node, f"{node.name} holds {_amounts(node.capacity)}")


def node_standby(node: Node) -> Cause:
    """The intent has it in standby."""
    return _of_node(CauseKind.NODE_STANDBY, node, f"{node.name} is in standby")


def node_maintenance(node: Node) -> Cause:
    """The intent has it in maintenance."""
    return _of_node(CauseKind.NODE_MAINTENANCE, node, f"{node.name} is in maintenance")


def standby_order(node: NodeName) -> Cause:
    """An operator's override."""
    text = f"an operator has put {node} in standby"
    return Cause(kind=CauseKind.STANDBY_ORDER, node=node, text=text)


def leaving(node: NodeName) -> Cause:
    """It shuts down."""
    return Cause(kind=CauseKind.LEAVING, node=node, text=f"{node} is shutting down")


def absent(state: NodeState) -> Cause:
    """It is not there, or may not stay."""
    words = {
        Liveness.LOST: "is lost",
        Liveness.DOWN: "is down",
        Liveness.SUSPECT: "is suspect",
        Liveness.UNKNOWN: "has not been heard",
        Liveness.ALIVE: f"must be fenced ({_one_line(state.condemned)})",
    }
    text = f"{state.name} {words[state.liveness]}"
    return Cause(kind=CauseKind.ABSENT, node=state.name, text=text)


def no_fence_device(node: NodeName) -> Cause:
    """Nothing can prove that it does not act."""
    text = f"no fence device covers {node}"
    return Cause(kind=CauseKind.NO_FENCE_DEVICE, node=node, text=text)


def health(state: NodeState) -> Cause:
    """What it says of its health."""
    told = ", ".join(f"{n} {v}" for n, v in state.attributes if n.startswith(HEALTH))
    text = f"the health of {state.name}: {_one_line(told)}"
    return Cause(kind=CauseKind.HEALTH, node=state.name, text=text)


def health_rule(intent: Intent) -> Cause:
    """That health counts at all."""
    text = f"health counts, by the strategy {intent.health.strategy}"
    return Cause(kind=CauseKind.HEALTH_RULE, text=text)


def no_quorum() -> Cause:
    """A minority decides."""
    return Cause(kind=CauseKind.NO_QUORUM, text="this side has no majority")


# Copies ---------------------------------------------------------------------------------------------


def failed(
    service: ServiceName, node: NodeName, copy: Copy | None, failure: Failure | None
) -> Cause:
    """Its failures on a node, and the broken copy that they left."""
    text = f'"{service}" is broken on {node}'
    if copy is not None and copy.failed_operation:
        text = f'"{service}" failed on {node} ({copy.failed_operation})'
    if failure is not None:
        times = "once" if failure.count == 1 else f"{failure.count} times"
        last = f"{failure.operation}: {_one_line(failure.reason)}"
        text = f'"{service}" failed {times} on {node} (last {last})'
        if failure.fatal:
            text = f'"{service}" failed on {node} as it would everywhere ({last})'
    return Cause(kind=CauseKind.FAILED, service=service, node=node, text=text)


def stuck(copy: Copy) -> Cause:
    """A copy that nobody may touch, or knows of."""
    text = f'nobody knows whether "{copy.service}" runs on {copy.node}'
    if copy.blocked:
        text = f'"{copy.service}" on {copy.node} may not be touched ({_one_line(copy.blocked)})'
    return Cause(kind=CauseKind.STUCK, service=copy.service, node=copy.node, text=text)


def runs(copy: Copy) -> Cause:
    """A copy is there already."""
    text = f'"{copy.service}" is on {copy.node} already'
    return Cause(kind=CauseKind.RUNS, service=copy.service, node=copy.node, text=text)


def unfit(service: ServiceName, node: NodeName, score: int | None) -> Cause:
    """Nobody asks for a promotion there."""
    text = f'nothing says that "{service}" on {node} is fit to be promoted'
    if score is not None:
        text = f'the promotion score of "{service}" on {node} is {score}'
    return Cause(kind=CauseKind.UNFIT, service=service, node=node, text=text)


def fitter(service: ServiceName, node: NodeName, score: int) -> Cause:
    """Somebody asks for a promotion elsewhere."""
    text = f'the promotion score of "{service}" on {node} is {score}'
    return Cause(kind=CauseKind.FITTER, service=service, node=node, text=text)


def even(question: Question, nodes: tuple[NodeName, ...]) -> Cause:
    """Nothing speaks for those nodes, so the order among equals decides."""
    text = f'no score asks for "{question.service}" on {_either(nodes)}'
    return Cause(kind=CauseKind.EVEN, service=question.service, nodes=nodes, text=text)


# Words ----------------------------------------------------------------------------------------------


def _of_service(kind: CauseKind, service: Service, text: str) -> Cause:
    return Cause(kind=kind, service=service.name, text=text, origin=service.origin)


def _of_node(kind: CauseKind, node: Node, text: str) -> Cause:
    return Cause(kind=kind, node=node.name, text=text, origin=node.origin)


def _how(strength: Strength) -> str:
    match strength:
        case Mandate.REQUIRED:
            return "must"
        case Mandate.FORBIDDEN:
            return "may not"
        case int(points):
            return "should rather" if points >= 0 else "should rather not"


def _points(strength: Strength) -> str:
    return "" if isinstance(strength, Mandate) else f" ({strength:+d})"


def _in_role(name: str, role: Role | None) -> str:
    return f'"{name}"' if role in (None, Role.STARTED) else f'{role} "{name}"'


def _copies(count: int, word: str = "") -> str:
    return f"one {word}copy" if count == 1 else f"{count} {word}copies"


_NAMES_MAX = 4


def _either(names: Iterable[str]) -> str:
    listed = list(names)
    if len(listed) > _NAMES_MAX:
        return f"one of {len(listed)} nodes"
    return " or ".join(listed)


def _amounts(amounts: Amounts) -> str:
    return ", ".join(f"{_amount(amount)} {name}" for name, amount in amounts) or "nothing limited"


def _amount(number: int) -> str:
    if number >= _MEBI:
        for unit, factor in (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", _MEBI)):
            if number >= factor:
                return f"{number / factor:.1f}".removesuffix(".0") + unit
    return str(number)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200]
