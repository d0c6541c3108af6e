"""The state of a cluster on one screen: who decides, what is wanted, what runs, what does not and why."""

from collections import defaultdict
from collections.abc import Iterator

from reconciler.render.ink import BLANK, Line, Span, Tone, line
from reconciler.render.status import NodePart, ServicePart, Status
from reconciler.render.words import amount, duration, listing, short

_ALIVE = {"alive": Tone.GOOD, "suspect": Tone.CHANGE, "lost": Tone.LOUD_BAD, "unknown": Tone.FAINT}
_WELL = frozenset({"running", "started", "promoted"})
_QUIET = frozenset({"stopped", "disabled"})
_SERVICES_MOST = 200


def render(status: Status) -> list[Line]:
    """Everything that `reconcile status` says."""
    return [
        *_head(status),
        *_troubles(status),
        BLANK,
        *_nodes(status),
        BLANK,
        *_services(status),
        *_under_way(status),
        *_candidate(status),
    ]


def _head(status: Status) -> Iterator[Line]:
    quorum = status.quorum
    votes = f"{amount(quorum.votes, 'vote')}, {quorum.needed} needed"
    held = (
        Span(f"quorum held ({votes})", Tone.GOOD)
        if quorum.held
        else Span(f"no quorum ({votes}): nothing is started elsewhere", Tone.LOUD_BAD)
    )
    yield line(Span(status.cluster or "no cluster yet", Tone.STRONG), "  ", held)
    controller = status.controller
    term = (
        f", term {controller.term.incarnation}.{controller.term.epoch}" if controller.term else ""
    )
    since = f", since {_at(controller.since)}" if controller.since else ""
    yield line(Span(f"controller {controller.name}{term}{since}", Tone.FAINT))
    accepted = status.intent.accepted
    if accepted is None:
        yield line(Span("no intent accepted yet: ", Tone.CHANGE), body="`reconcile apply CLUSTER`")
    else:
        source = f" from {status.intent.source}" if status.intent.source else ""
        yield line(Span(f"intent {short(accepted.revision)} accepted{source}", Tone.FAINT))


def _at(time: str) -> str:
    """A time to the second: nobody reads more of it."""
    return time.partition(".")[0].replace("T", " ") + "Z" if time.endswith("Z") else time


def _troubles(status: Status) -> Iterator[Line]:
    if not status.controller.settled:
        yield line(
            body="only just started: it acts once every node has been heard", tone=Tone.CHANGE
        )
    if status.controller.trouble:
        yield line(Span("controller: ", Tone.LOUD_BAD), body=status.controller.trouble)
    if status.intent.trouble:
        yield line(Span("intent source: ", Tone.BAD), body=status.intent.trouble)


def _nodes(status: Status) -> Iterator[Line]:
    copies: defaultdict[str, int] = defaultdict(int)
    for service in status.services:
        for copy in service.copies:
            copies[copy.node] += 1
    width = max((len(node.name) for node in status.nodes), default=0)
    yield line("  ", Span("Nodes", Tone.STRONG))
    for node in status.nodes:
        yield _node(node, width, copies[node.name], intended=status.intent.accepted is not None)


def _node(node: NodePart, width: int, copies: int, *, intended: bool) -> Line:
    tone = _ALIVE.get(node.liveness, Tone.FAINT)
    mark = "●" if node.liveness == "alive" else "○"
    notes = [f"heard {duration(node.heard_ago_ms)} ago"] if node.heard_ago_ms is not None else []
    if node.liveness == "alive":
        notes += ["not connected"] if not node.connected else []
        notes += ["still being probed"] if node.connected and not node.ready else []
    notes += ["not in the intent"] if intended and not node.listed else []
    return line(
        "    ",
        Span(f"{mark} {node.name:<{width}}  ", tone),
        Span(f"{node.liveness:<8}", tone),
        f"{amount(copies, 'copy'):<11}",
        body=", ".join(notes),
        tone=Tone.FAINT,
    )


def _services(status: Status) -> Iterator[Line]:
    yield line("  ", Span("Services", Tone.STRONG), "" if status.services else "  none yet")
    troubled = [one for one in status.services if one.state not in _WELL | _QUIET]
    calm = [one for one in status.services if one.state in _WELL | _QUIET]
    width = max((len(service.name) for service in status.services), default=0)
    for service in [*troubled, *calm][:_SERVICES_MOST]:
        yield from _service(service, width)
    if len(status.services) > _SERVICES_MOST:
        more = len(status.services) - _SERVICES_MOST
        rest = "all as wanted" if len(troubled) <= _SERVICES_MOST else "not all as wanted"
        words = f"… {more} more, {rest}; `reconcile status --format json` lists every one"
        yield line("    ", Span(words, Tone.FAINT))


def _service(service: ServicePart, width: int) -> Iterator[Line]:
    mark, tone = _mark(service.state)
    number = f"{len(service.copies)} of {service.wanted}" if service.wanted not in {None, 1} else ""
    where = listing((_copy(service, index) for index in range(len(service.copies))), most=8)
    yield line(
        "    ",
        Span(f"{mark} {service.name:<{width}}  ", tone),
        Span(f"{service.state:<10}", tone),
        body="  ".join(part for part in (number, where) if part),
    )
    for reason in service.reasons[:4]:
        yield line(" " * 8, body=reason, tone=Tone.FAINT)


def _copy(service: ServicePart, index: int) -> str:
    copy = service.copies[index]
    extra = [copy.role] if copy.role not in {"started", "stopped"} else []
    extra += [copy.state] if copy.state not in {"running", service.state} else []
    return f"{copy.node} ({', '.join(extra)})" if extra else copy.node


def _mark(state: str) -> tuple[str, Tone]:
    if state in _WELL:
        return "●", Tone.GOOD
    if state in _QUIET:
        return "○", Tone.FAINT
    if state in {"blocked", "failed", "unplaced", "unknown"}:
        return "✗", Tone.LOUD_BAD
    return "◐", Tone.CHANGE


def _under_way(status: Status) -> Iterator[Line]:
    held = status.transition
    if held is None:
        return
    done = sum(action.state == "done" for action in held.actions)
    running = [action.id for action in held.actions if action.state == "asked"]
    failed = [action.id for action in held.actions if action.state == "failed"]
    parts = [f"{done} of {amount(len(held.actions), 'action')} done"]
    parts += [f"now {listing(running)}"] if running else []
    parts += [f"failed {listing(failed)}"] if failed else []
    parts += [f"the rest is dropped, since {held.abandoned}"] if held.abandoned else []
    yield BLANK
    yield line("  ", Span(f"Transition {held.number}: ", Tone.CHANGE), body="; ".join(parts))


def _candidate(status: Status) -> Iterator[Line]:
    candidate, accepted = status.intent.candidate, status.intent.accepted
    if candidate is None or (accepted and candidate.digest == accepted.digest):
        return
    yield BLANK
    subject = f' "{candidate.subject}"' if candidate.subject else ""
    yield line(
        "  ", Span(f"{short(candidate.revision)}{subject} is not in force: ", Tone.CHANGE),
        body=candidate.held or "it waits for `reconcile apply`",
    )  # fmt: skip
