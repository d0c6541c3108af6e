"""What operators may ask of a controller, as answers made from its state.

The closed list of methods, with the keys of their bodies:

    observe   {}                     everything known, as facts to plan from
    status    {}                     how things stand, for people
    apply     {intent, revision, saved_plan, expect, confirm_shrink}    a stream of events
    clear     {service}              forget failures
    fence     {node, confirm}        fence a node, or confirm that it is off
    history   {last}                 what was decided, and what came of it

Bodies are plain JSON types. Whatever arrives here comes from a certified operator and may still be
nonsense: it is refused in words.
"""

import re
from typing import Any

import msgspec

from reconciler.codec import canonical, saved_plan
from reconciler.core import control
from reconciler.model.errors import Corrupt, Refused
from reconciler.model.ids import Digest, Millis, NodeName, ServiceName
from reconciler.model.intent import Intent

VERSION = 1
HISTORY_MAX = 1_000
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")

Body = dict[str, Any]


def observe(state: control.State, now_ms: Millis) -> Body:
    """Every fact, the intent in force, and the commit that waits."""
    accepted, candidate = state.accepted, state.candidate
    body = {
        "observed": control.observe_state(state, now_ms),
        "accepted": accepted
        and {
            "intent": accepted.intent,
            "revision": accepted.revision,
            "digest": accepted.digest,
        },
        "candidate": candidate
        and {
            "revision": candidate.revision,
            "digest": candidate.digest,
            "diagnostics": candidate.diagnostics,
            "held": candidate.held,
        },
        "term": {"incarnation": state.incarnation, "epoch": state.epoch},
        "now_ms": now_ms,
    }
    return plain(body)


def read_apply(request: int, body: Body, cluster: str) -> control.ApplyRequested:
    """Read an order to accept an intent.

    Errors: `Refused` when it makes no sense, or is for another cluster.
    """
    try:
        intent = msgspec.convert(body.get("intent"), Intent)
        saved = body.get("saved_plan")
        plan = saved_plan.read(msgspec.json.encode(saved)) if saved is not None else None
        expect = body.get("expect")
        revision = str(body.get("revision") or "")[:200]
    except (msgspec.ValidationError, Corrupt) as trouble:
        raise Refused(f"this apply is not understood: {trouble}") from trouble
    _check(intent, cluster)
    return control.ApplyRequested(
        request=request,
        intent=intent,
        digest=canonical.intent_digest(intent),
        revision=revision or "unnamed",
        saved=plan,
        expect=Digest(str(expect)) if expect is not None else None,
        confirm_shrink=body.get("confirm_shrink") is True,
    )


def read_clear(request: int, body: Body) -> control.ClearRequested:
    """Read an order to forget failures.

    Errors: `Refused` when it names something that cannot be a service.
    """
    service = body.get("service")
    if service is not None and not (isinstance(service, str) and _NAME.fullmatch(service)):
        raise Refused(f"{service!r} is not the name of a service")
    return control.ClearRequested(
        request=request, service=ServiceName(service) if service is not None else None
    )


def read_fence(request: int, body: Body) -> control.FenceRequested | control.ConfirmFence:
    """Read an order to fence a node, or an operator's word that it is off.

    Errors: `Refused` when it names something that cannot be a node.
    """
    node = body.get("node")
    if not (isinstance(node, str) and _NAME.fullmatch(node)):
        raise Refused(f"{node!r} is not the name of a node")
    if body.get("confirm") is True:
        return control.ConfirmFence(request=request, node=NodeName(node))
    return control.FenceRequested(request=request, node=NodeName(node))


def read_last(body: Body) -> int:
    """How many records of the history are wanted.

    Errors: `Refused` when that is not a number.
    """
    last = body.get("last", 20)
    if not isinstance(last, int) or isinstance(last, bool) or last < 0:
        raise Refused("`last` is a number of records")
    return min(last, HISTORY_MAX)


def _check(intent: Intent, cluster: str) -> None:
    if intent.cluster != cluster:
        raise Refused(f'this intent is for cluster "{intent.cluster}"; this is "{cluster}"')
    names = [node.name for node in intent.nodes] + [service.name for service in intent.services]
    for name in names:
        if not _NAME.fullmatch(name):
            raise Refused(f"{name!r} is not a name")
    if len(set(names)) != len(names):
        raise Refused("a name is used twice")


def plain(value: object) -> Body:
    """A value as JSON types."""
    body: Body = msgspec.to_builtins(value, order="deterministic")
    return body
