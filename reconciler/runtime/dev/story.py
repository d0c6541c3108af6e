"""What happened in a cluster between two looks at its status, as lines for people. Pure.

The status is the body of the controller's `status` answer; what an older or newer controller leaves out
of it is passed over in silence.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Status = Mapping[str, Any]


def told(before: Status, now: Status) -> tuple[str, ...]:
    """Say what changed: nodes first, then services, then what the operators' files say."""
    return (*_nodes(before, now), *_services(before, now), *_intent(before, now))


def _nodes(before: Status, now: Status) -> list[str]:
    old = {node["name"]: node for node in _rows(before, "nodes")}
    lines = []
    for node in _rows(now, "nodes"):
        was = old.get(node["name"], {})
        if before and not was and node["liveness"] == "unknown":
            lines.append(f"{node['name']} is new; it gets a machine when dev is started anew")
        elif was.get("liveness", "unknown") != node["liveness"]:
            lines.append(f"{node['name']} is {node['liveness']}{_silence(node)}")
        elif was.get("boot") and was["boot"] != node.get("boot"):
            lines.append(f"{node['name']} has booted anew")
    return lines


def _silence(node: Mapping[str, Any]) -> str:
    heard_ago_ms = node.get("heard_ago_ms")
    if node["liveness"] not in {"suspect", "lost"} or heard_ago_ms is None:
        return ""
    return f", not heard for {heard_ago_ms / 1000:.1f} s"


def _services(before: Status, now: Status) -> list[str]:
    old = {service["name"]: service for service in _rows(before, "services")}
    lines = []
    for service in _rows(now, "services"):
        name = service["name"]
        was = old.get(name, {})
        had = {copy["node"]: _state(copy) for copy in _rows(was, "copies")}
        has = {copy["node"]: _state(copy) for copy in _rows(service, "copies")}
        lines += [
            f"{name} {state} on {node}" for node, state in has.items() if had.get(node) != state
        ]
        lines += [f"{name} is gone from {node}" for node in had if node not in has]
        if service["state"] == "blocked" and was.get("state") != "blocked":
            lines += [f"{name} is blocked: {_words(service.get('reasons', ()))}"]
    return lines


def _state(copy: Mapping[str, Any]) -> str:
    """How a copy is, as a verb."""
    state, role = copy["state"], copy["role"]
    match state:
        case "observed" | "running" | "started" | "ok":
            return "runs" if role == "started" else f"runs {role}"
        case "assumed":
            return "may still run"
        case _:
            return f"is {state}"


def _intent(before: Status, now: Status) -> list[str]:
    old, new = before.get("intent") or {}, now.get("intent") or {}
    lines = []
    accepted, candidate = new.get("accepted") or {}, new.get("candidate") or {}
    if accepted and accepted.get("digest") != (old.get("accepted") or {}).get("digest"):
        lines.append(f"{_revision(accepted)} is accepted, and in force")
    waits = candidate and candidate.get("digest") != accepted.get("digest")
    if waits and candidate.get("digest") != (old.get("candidate") or {}).get("digest"):
        lines.append(f"{_revision(candidate)} waits to be applied: see `reconcile plan`")
    if new.get("trouble") and new.get("trouble") != old.get("trouble"):
        lines.append(f"the files cannot be used: {new['trouble']}")
    return lines


def _revision(intent: Mapping[str, Any]) -> str:
    kind, colon, name = str(intent["revision"]).rpartition(":")
    return f"{kind}{colon}{name[:12]}" + (
        f" ({intent['subject']})" if intent.get("subject") else ""
    )


def _words(reasons: Sequence[object]) -> str:
    texts = (reason.get("text") if isinstance(reason, Mapping) else reason for reason in reasons)
    return "; ".join(str(text) for text in texts) or "no reason given"


def _rows(body: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    return body.get(name) or ()
