"""What `status` says: one look at everything, in words for people and in values for programs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reconciler.core import control
from reconciler.core.transition import Fate
from reconciler.membership import votes
from reconciler.model.diagnostic import Severity
from reconciler.model.ids import Millis, NodeName, ServiceName
from reconciler.model.observed import Certainty, Copy, Liveness, Observed
from reconciler.model.placement import Unplaced
from reconciler.runtime.api import Body, plain

VERSION = 1
_CHANGING = {
    "start": "starting",
    "stop": "stopping",
    "promote": "promoting",
    "demote": "demoting",
    "reload": "reloading",
    "migrate": "migrating",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the controller's shell knows and its brain does not."""

    name: str
    cluster: str
    since: str
    source: str = ""
    source_trouble: str = ""
    store_trouble: str = ""
    heard_ms: Mapping[NodeName, Millis]
    """When each node was last heard."""


def status(state: control.State, now_ms: Millis, about: Surroundings) -> Body:
    """How everything stands."""
    observed = control.observe_state(state, now_ms)
    services = list(_services(state, observed))
    body = {
        "version": VERSION,
        "cluster": about.cluster,
        "controller": {
            "name": about.name,
            "term": {"incarnation": state.incarnation, "epoch": state.epoch},
            "since": about.since,
            "settled": state.settled,
            "trouble": state.outranked or state.broken or about.store_trouble or None,
        },
        "intent": _intent(state, about),
        "quorum": _quorum(state),
        "nodes": list(_nodes(state, now_ms, about)),
        "services": services,
        "transition": _transition(state),
        "blocked": [service["name"] for service in services if service["state"] == "blocked"],
    }
    return plain(body)


def _intent(state: control.State, about: Surroundings) -> Body:
    accepted, candidate = state.accepted, state.candidate
    errors = [
        str(diagnostic)
        for diagnostic in (candidate.diagnostics if candidate else ())
        if diagnostic.severity is Severity.ERROR
    ]
    waits = candidate is not None and (accepted is None or accepted.digest != candidate.digest)
    return {
        "accepted": accepted and {"revision": accepted.revision, "digest": accepted.digest},
        "revision": accepted.revision if accepted else None,
        "digest": accepted.digest if accepted else None,
        "candidate": {
            "revision": candidate.revision,
            "digest": candidate.digest,
            "held": candidate.held,
            "subject": candidate.subject,
            "diagnostics": [str(diagnostic) for diagnostic in candidate.diagnostics],
        }
        if candidate is not None and waits
        else None,
        "source": about.source or None,
        "trouble": about.source_trouble or (errors[0] if errors else None),
    }


def _quorum(state: control.State) -> Body:
    members: tuple[str, ...] = ()
    if state.accepted is not None:
        intent = state.accepted.intent
        members = (*(node.name for node in intent.nodes), *intent.witnesses)
    heard = {str(name): facts.liveness for name, facts in state.nodes.items()}
    counted = votes.count(members, heard)
    return {
        "held": counted.quorate,
        "votes": counted.held,
        "needed": counted.needed,
        "total": counted.total,
    }


def _nodes(state: control.State, now_ms: Millis, about: Surroundings) -> Iterator[Body]:
    listed = {node.name for node in state.accepted.intent.nodes} if state.accepted else set()
    for name in sorted(listed | state.nodes.keys()):
        facts = state.nodes.get(name)
        heard_ms = about.heard_ms.get(name)
        yield {
            "name": name,
            "liveness": facts.liveness if facts else Liveness.UNKNOWN,
            "connected": bool(facts and facts.connected),
            "heard_ago_ms": max(0, now_ms - heard_ms) if heard_ms is not None else None,
            "boot": facts.boot if facts else None,
            "ready": bool(facts and facts.ready and facts.connected),
            "listed": name in listed,
            "fenced": bool(facts and facts.fenced),
            "fence_trouble": state.fence_troubles.get(name),
        }


def _services(state: control.State, observed: Observed) -> Iterator[Body]:
    copies: dict[ServiceName, list[Copy]] = {}
    for copy in observed.copies:
        copies.setdefault(copy.service, []).append(copy)
    placement = state.decision.placement if state.decision else None
    unplaced = {one.service: one for one in placement.unplaced} if placement else {}
    seats: dict[ServiceName, int] = {}
    for seat in placement.seats if placement else ():
        seats[seat.service] = seats.get(seat.service, 0) + 1
    under_way = _under_way(state)
    wanted = {s.name: s for s in state.accepted.intent.services} if state.accepted else {}
    for name in sorted(wanted.keys() | copies.keys()):
        service, left = wanted.get(name), unplaced.get(name)
        enabled = service is not None and service.enabled
        number = service.replicas if service is not None and enabled else 0
        if number is None:
            number = seats.get(name, 0) + (left.wanted - left.placed if left else 0)
        mine = copies.get(name, [])
        shown = [
            {
                "node": copy.node,
                "instance": copy.instance,
                "role": copy.role,
                "state": under_way.get((name, copy.node)) or _copy_state(copy),
            }
            for copy in mine
        ]
        troubles = sorted(
            {state.fence_troubles[copy.node] for copy in mine if copy.node in state.fence_troubles}
        )
        changing = {word for pair, word in under_way.items() if pair[0] == name}
        yield {
            "name": name,
            "state": _service_state(mine, number, left, changing, stuck=bool(troubles)),
            "copies": shown,
            "wanted": number,
            "reasons": [*(reason.text for reason in left.reasons), *troubles] if left else troubles,
        }


def _under_way(state: control.State) -> dict[tuple[ServiceName, NodeName], str]:
    held = state.transition
    if held is None:
        return {}
    asked = held.progress.of(Fate.ASKED)
    return {
        (action.service, action.node): _CHANGING.get(action.kind.value, action.kind.value)
        for action in held.plan.actions
        if action.id in asked and action.service is not None and action.kind != "probe"
    }


def _copy_state(copy: Copy) -> str:
    if copy.blocked is not None:
        return "blocked"
    if copy.certainty is not Certainty.OBSERVED:
        return copy.certainty.value
    if copy.failed:
        return "failed"
    return "degraded" if copy.degraded else "running"


def _service_state(
    copies: list[Copy], wanted: int, left: Unplaced | None, changing: set[str], *, stuck: bool
) -> str:
    """One word for a service; the first that fits. Stuck: a copy's node should be fenced, and is not."""
    running = [c for c in copies if _copy_state(c) in ("running", "degraded")]
    rules = (
        ("starting" in changing, "starting"),
        ("stopping" in changing, "stopping"),
        (any(c.blocked is not None for c in copies), "blocked"),
        (left is not None and left.blocked, "blocked"),
        (stuck and len(running) < wanted, "blocked"),
        (wanted == 0 and not copies, "stopped"),
        (wanted == 0, "stopping"),
        (len(running) >= wanted and any(c.degraded for c in running), "degraded"),
        (len(running) >= wanted, "running"),
        (any(c.failed for c in copies), "failed"),
        (left is not None and bool(running), "degraded"),
        (left is not None, "unplaced"),
        (any(c.certainty is Certainty.UNKNOWN for c in copies), "unknown"),
        (bool(running), "degraded"),
    )
    return next((word for holds, word in rules if holds), "pending")


def _transition(state: control.State) -> Body | None:
    held = state.transition
    if held is None:
        return None
    fates = held.progress.fates
    return {
        "number": held.number,
        "plan": held.saved.id,
        "revision": held.saved.intent_revision,
        "abandoned": held.progress.abandoned,
        "actions": [
            {
                "id": action.id,
                "kind": action.kind,
                "service": action.service,
                "node": action.node,
                "state": fates[action.id].value if action.id in fates else "waiting",
            }
            for action in held.plan.actions
        ],
    }
