"""Small worlds in a few words, and a refusal of impossible ones."""

from reconciler.model.ids import BootId, Millis, NodeName, ServiceName
from reconciler.model.intent import (
    Colocation,
    Group,
    Intent,
    Kind,
    Location,
    Node,
    Ordering,
    Safety,
    Service,
)
from reconciler.model.observed import Certainty, Copy, Failure, Liveness, NodeState, Observed


def intent(
    nodes: str,
    services: dict[str, dict] | str,
    *,
    groups: dict[str, str] | None = None,
    constraints: tuple = (),
    node: dict[str, dict] | None = None,
    **more,
) -> Intent:
    """`intent("n1 n2", {"db": {"priority": 1}}, groups={"g": "a b"}, constraints=(...))`."""
    if isinstance(services, str):
        services = {name: {} for name in services.split()}
    details = node or {}
    return Intent(
        cluster="test",
        nodes=tuple(
            Node(name=NodeName(name), addresses=(), **details.get(name, {}))
            for name in sorted(nodes.split())
        ),
        services=tuple(service(name, **body) for name, body in sorted(services.items())),
        groups=tuple(
            Group(name=name, members=tuple(members.split()))
            for name, members in sorted((groups or {}).items())
        ),
        colocations=tuple(c for c in constraints if isinstance(c, Colocation)),
        orderings=tuple(c for c in constraints if isinstance(c, Ordering)),
        locations=tuple(c for c in constraints if isinstance(c, Location)),
        **more,
    )


def service(name: str, **body) -> Service:
    if "demand" in body:
        body["demand"] = tuple(sorted(body["demand"].items()))
    body.setdefault("safety", Safety.BEST_EFFORT)
    return Service(name=ServiceName(name), kind=Kind.SCRIPT, **body)


def observed(
    nodes: str,
    running: str = "",
    *,
    services: str | tuple[str, ...] = (),
    lost: str = "",
    failures: dict[str, int] | None = None,
    quorate: bool = True,
    now: int = 0,
    **marks: str,
) -> Observed:
    """`observed("n1 n2", "db@n1 vip@n1", services="db vip web", lost="n2", failed="db@n1")`.

    Marks: failed, changed, blocked, unknown, each with `service@node` words. `suspect`, `unheard` and
    `unprobed` name nodes.
    """
    names = services.split() if isinstance(services, str) else list(services)
    silent = dict.fromkeys(lost.split(), Liveness.LOST)
    silent |= dict.fromkeys(marks.get("suspect", "").split(), Liveness.SUSPECT)
    silent |= dict.fromkeys(marks.get("unheard", "").split(), Liveness.UNKNOWN)
    unheard = marks.get("unheard", "").split()
    unprobed = {*unheard, *marks.get("unprobed", "").split()}
    copies = [_copy(word, silent, marks) for word in running.split()]
    states = tuple(
        NodeState(
            name=NodeName(name),
            liveness=silent.get(name, Liveness.ALIVE),
            boot=None if name in unheard else BootId(f"boot-{name}"),
            probed=frozenset() if name in unprobed else frozenset(map(ServiceName, names)),
        )
        for name in sorted(nodes.split())
    )
    return Observed(
        taken_at_ms=Millis(now),
        nodes=states,
        copies=tuple(sorted(copies, key=lambda c: (c.node, c.service))),
        failures=tuple(
            Failure(
                service=ServiceName(word.split("@")[0]),
                node=NodeName(word.split("@")[1]),
                count=count,
                operation="monitor",
                reason="it broke",
                last_ms=Millis(now),
            )
            for word, count in sorted((failures or {}).items())
        ),
        quorate=quorate,
    )


def _copy(word: str, silent: dict[str, Liveness], marks: dict[str, str]) -> Copy:
    name, node = word.split("@")
    certainty = Certainty.ASSUMED if node in silent else Certainty.OBSERVED
    if word in marks.get("unknown", "").split():
        certainty = Certainty.UNKNOWN
    return Copy(
        service=ServiceName(name),
        node=NodeName(node),
        certainty=certainty,
        failed=word in marks.get("failed", "").split(),
        digest="old" if word in marks.get("changed", "").split() else None,
        blocked="its stop failed" if word in marks.get("blocked", "").split() else None,
    )
