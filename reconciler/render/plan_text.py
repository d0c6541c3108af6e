"""A plan as a careful colleague would tell it: what, where, why, what it disturbs, what stays behind.

Everything is in the order in which it will happen. Long lists are told by their number, and the names
follow only as far as anyone would read.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from reconciler.model.ids import ServiceName
from reconciler.model.intent import Intent, Service
from reconciler.model.observed import Observed
from reconciler.model.placement import Reason, Unplaced
from reconciler.model.plan import Action, ActionKind, SavedPlan
from reconciler.render import story
from reconciler.render.ink import BLANK, Line, Span, Tone, line
from reconciler.render.story import Change, Story
from reconciler.render.words import GLYPHS, TONES, advice, amount, duration, listing, short

_REASONS_MOST = 6
_PROBES_MOST = 6


def render(saved: SavedPlan, *, explain: bool = False, hints: tuple[str, ...] = ()) -> list[Line]:
    """Tell a plan.

    With `explain`: every reason on a line of its own, where everything will be, and the settings in
    force that nobody wrote down. `hints` are the commands that come next.
    """
    told = story.tell(saved.observed, saved.decision)
    lines = [*_title(saved), BLANK, _summary(told), BLANK]
    lines += _waves(told, explain=explain)
    lines += _disturbed(told)
    lines += waiting("Blocked", told.blocked, Tone.BAD)
    lines += waiting("Unplaced", told.impossible, Tone.CHANGE)
    if explain:
        lines += _whereabouts(saved)
        lines += _settings(saved.intent)
    lines += _footnotes(saved)
    lines += _next(told, hints)
    while lines and lines[-1] == BLANK:
        lines.pop()
    return lines


def waiting(title: str, items: Iterable[Unplaced], tone: Tone) -> Iterator[Line]:
    """A section of services that run fewer copies than wanted, each with its reasons."""
    listed = list(items)
    if not listed:
        return
    yield line("  ", Span(title, tone))
    for item in listed:
        yield line(
            "    ", Span(item.service, Tone.STRONG), body=f": {item.placed} of {item.wanted} run",
        )  # fmt: skip
        yield from _limited(item.reasons, item.service)
    yield BLANK


def because(reason: Reason) -> str:
    """A reason with the line of intent that it comes from."""
    return f"{reason.text} ({reason.origin})" if reason.origin else reason.text


def _title(saved: SavedPlan) -> Iterator[Line]:
    made_from = f"intent {short(saved.intent_revision)}, {_seen(saved.observed)}"
    yield line(
        Span(f"Plan for {saved.intent.cluster}", Tone.STRONG), "  ", body=made_from, tone=Tone.FAINT
    )


def _seen(observed: Observed) -> str:
    if observed.taken_at_ms == 0 and not observed.copies:
        return "as if nothing ran anywhere"
    quorum = "" if observed.quorate else ", without quorum"
    copies = amount(len(observed.copies), "copy")
    return f"{copies} seen on {amount(len(observed.nodes), 'node')}{quorum}"


def _summary(told: Story) -> Line:
    if not told.waves and not told.blocked and not told.impossible:
        return line(
            "  ", Span("Nothing to do. ", Tone.LOUD_GOOD),
            body=f"Everything is where it should be ({amount(told.untouched, 'healthy copy')}).",
        )  # fmt: skip
    return line("  ", body=story.headline(told) + ".", tone=Tone.STRONG)


def _waves(told: Story, *, explain: bool) -> Iterator[Line]:
    actions = [action for wave in told.waves for action in wave]
    widths = (
        max((len(action.service or "") for action in actions), default=0),
        max((len(_place(action)) for action in actions), default=0),
    )
    for number, wave in enumerate(told.waves, 1):
        title = "First" if number == 1 else "Then"
        yield line(
            "  ", Span(title, Tone.STRONG), Span(f"  {number} of {len(told.waves)}", Tone.FAINT)
        )
        probes = [action for action in wave if action.kind is ActionKind.PROBE]
        gathered = len(probes) > _PROBES_MOST and not explain
        if gathered:
            yield from _gathered(probes)
        for action in wave:
            if not (gathered and action.kind is ActionKind.PROBE):
                yield from _action(action, widths, explain=explain)
        yield BLANK


def _action(action: Action, widths: tuple[int, int], *, explain: bool) -> Iterator[Line]:
    lead = (
        "    ",
        Span(f"{GLYPHS[action.kind]} {action.kind:<8}", TONES[action.kind]),
        Span(f"{action.service or '':<{widths[0]}}", Tone.STRONG),
        f"{' on ' if action.service else '    '}{_place(action):<{widths[1]}}  ",
    )
    if not explain:
        yield line(*lead, body="; ".join(because(each) for each in action.reasons), tone=Tone.FAINT)
        return
    yield line(*lead)
    for reason in action.reasons:
        yield line("        ", Span(f"{reason.why:<17}", Tone.FAINT), body=because(reason))


def _gathered(probes: list[Action]) -> Iterator[Line]:
    by_node: defaultdict[str, list[str]] = defaultdict(list)
    for action in probes:
        by_node[action.node].append(action.service or "")
    glyph = Span(f"{GLYPHS[ActionKind.PROBE]} {ActionKind.PROBE:<8}", TONES[ActionKind.PROBE])
    what = f"{amount(len({action.service for action in probes}), 'service')} on "
    yield line(
        "    ", glyph, what, listing(by_node) + "  ",
        body="what runs there is not known yet", tone=Tone.FAINT,
    )  # fmt: skip


def _place(action: Action) -> str:
    return f"{action.node} → {action.target}" if action.target else action.node


def _disturbed(told: Story) -> Iterator[Line]:
    if not told.disturbed:
        return
    yield line("  ", Span("Disturbs  ", Tone.CHANGE), body=_left_alone(told), tone=Tone.FAINT)
    for change in told.disturbed:
        why = change.actions[0].reasons
        yield line(
            "    ", Span(f"{change.service} ", Tone.STRONG),
            body=f"{_happens(change)}{': ' + because(why[0]) if why else ''}",
        )  # fmt: skip
    yield BLANK


def _left_alone(told: Story) -> str:
    if told.untouched == 0:
        return ""
    return f"and leaves {amount(told.untouched, 'healthy copy')} alone"


def _happens(change: Change) -> str:
    match change.verb:
        case "move":
            return f"stops on {change.node} and starts on {change.target}"
        case "restart":
            return f"restarts on {change.node}"
        case "demote":
            return f"is demoted on {change.node}"
        case _:
            return f"stops on {change.node}"


def _limited(reasons: tuple[Reason, ...], service: ServiceName) -> Iterator[Line]:
    for reason in reasons[:_REASONS_MOST]:
        yield line("      ", Span(f"{reason.why:<17}", Tone.FAINT), body=because(reason))
    if len(reasons) > _REASONS_MOST:
        more = f"… {len(reasons) - _REASONS_MOST} more: reconcile explain {service}"
        yield line("      ", Span(more, Tone.FAINT))


def _whereabouts(saved: SavedPlan) -> Iterator[Line]:
    yield line("  ", Span("Where everything will be", Tone.STRONG))
    seats: defaultdict[str, list[str]] = defaultdict(list)
    for seat in saved.decision.placement.seats:
        role = "" if seat.role == "started" else f" ({seat.role})"
        seats[seat.node].append(f"{seat.service}{role}")
    width = max((len(node.name) for node in saved.intent.nodes), default=0)
    for node in saved.intent.nodes:
        held = listing(seats[node.name], most=40) or "nothing"
        yield line("    ", Span(f"{node.name:<{width}}  ", Tone.NAME), body=held)
    yield BLANK


def _settings(intent: Intent) -> Iterator[Line]:
    """What most services have in common, once; then only what sets the others apart."""
    if not intent.services:
        return
    settings = {service.name: _setting(service) for service in intent.services}
    common = [
        Counter(values).most_common(1)[0][0] for values in zip(*settings.values(), strict=True)
    ]
    yield line(
        "  ", Span("Settings in force", Tone.STRONG), Span("  unless said below", Tone.FAINT)
    )
    yield line("    ", body=", ".join(common))
    apart: defaultdict[str, list[str]] = defaultdict(list)
    for name, values in settings.items():
        own = [value for value, usual in zip(values, common, strict=True) if value != usual]
        if own:
            apart[", ".join(own)].append(name)
    for differences, names in apart.items():
        yield line("    ", Span(f"{listing(names)}: ", Tone.STRONG), body=differences)
    yield BLANK


def _setting(service: Service) -> tuple[str, ...]:
    monitor = service.monitor
    return (
        "one copy on every eligible node"
        if service.replicas is None
        else amount(service.replicas, "copy"),
        service.safety.value,
        f"stickiness {service.stickiness}",
        f"priority {service.priority}",
        f"looked at every {duration(monitor.every_ms)}" if monitor.every_ms else "not looked at",
        f"a look takes at most {duration(monitor.timeout_ms)}",
        f"a start at most {duration(service.start.timeout_ms)}",
        f"a stop at most {duration(service.stop.timeout_ms)}",
        "failures never ban a node"
        if service.failures_max is None
        else f"a node is banned after {amount(service.failures_max, 'failure')}",
        "failures are forgotten only when cleared"
        if service.failures_forget_ms is None
        else f"failures are forgotten after {duration(service.failures_forget_ms)}",
    )


def _footnotes(saved: SavedPlan) -> Iterator[Line]:
    decision = saved.decision
    if not decision.placement.optimal:
        yield line(
            "  ", Span("Not proven optimal: ", Tone.CHANGE),
            body="it is safe and complete, but a placement that disturbs less may exist.",
        )  # fmt: skip
        yield BLANK
    if decision.wake_at_ms is not None and decision.wake_at_ms > saved.observed.taken_at_ms:
        wait = duration(decision.wake_at_ms - saved.observed.taken_at_ms)
        yield line("  ", Span(f"Time alone changes this plan in {wait}.", Tone.FAINT))
        yield BLANK


def _next(told: Story, hints: tuple[str, ...]) -> Iterator[Line]:
    steps = [
        text for item in (*told.blocked, *told.impossible)
        for text in advice(item.reasons, item.service)
    ]  # fmt: skip
    listed = [*hints, *dict.fromkeys(steps)]
    if not listed:
        return
    yield line("  ", Span("Next", Tone.STRONG))
    for text in listed[:8]:
        yield line("    ", body=text)
