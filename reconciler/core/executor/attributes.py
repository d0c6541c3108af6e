"""What the agents of services say of this node: attributes, and how fit their copies are to be promoted.

A score counts at once. An attribute may ask for a time to settle, so that the values of several nodes can
come in before anything moves; a value that keeps changing counts all the same after `BOUND` such times, or
one flapping link could hide the truth for ever (capabilities.md G12.12).
"""

from collections.abc import Iterable
from dataclasses import replace
from types import MappingProxyType

from reconciler.core.executor.events import AttributesSeen, SeenAttribute, SetTimer
from reconciler.core.executor.memory import Attribute, AttributeKept, ScoreKept
from reconciler.core.executor.state import Settling
from reconciler.core.executor.turn import Turn
from reconciler.model.ids import Millis

BOUND = 4
"""A value settles after at most so many times its own settle time."""


def seen(turn: Turn, event: AttributesSeen) -> None:
    """Take in what the agents say now."""
    scores = {name: score for name, score in event.scores if name in turn.services}
    for service in sorted(scores.keys() | turn.memory.scores.keys()):
        if scores.get(service) != turn.memory.scores.get(service):
            turn.record(ScoreKept(service=service, score=scores.get(service)))
    found = {attribute.name: attribute for attribute in event.attributes}
    settling = dict(turn.state.settling)
    for name in sorted(found.keys() | turn.memory.attributes.keys() | settling.keys()):
        waits = _weigh(turn, name, found.get(name), settling.pop(name, None))
        if waits is not None:
            settling[name] = waits
    _wait(turn, settling)


def due(turn: Turn) -> None:
    """Let count what has settled by now."""
    left = {}
    for name, waits in turn.state.settling.items():
        if waits.due_ms <= turn.now_ms:
            _keep(turn, name, waits.attribute)
        else:
            left[name] = waits
    _wait(turn, left, again=True)


def _weigh(
    turn: Turn, name: str, found: SeenAttribute | None, earlier: Settling | None
) -> Settling | None:
    """Let a value count at once, or say until when it has to wait."""
    counts = turn.memory.attributes.get(name)
    if found is None:
        if counts is not None:
            _keep(turn, name, None)
        return None
    attribute = Attribute(value=found.value, forever=found.forever)
    if attribute == counts:
        return None
    if found.settle_ms <= 0:
        _keep(turn, name, attribute)
        return None
    if earlier is not None and earlier.attribute == attribute:
        return earlier
    began_ms = earlier.began_ms if earlier is not None else turn.now_ms
    due_ms = min(turn.now_ms + found.settle_ms, began_ms + BOUND * found.settle_ms)
    return Settling(attribute=attribute, began_ms=began_ms, due_ms=Millis(due_ms))


def _keep(turn: Turn, name: str, attribute: Attribute | None) -> None:
    turn.record(AttributeKept(name=name, attribute=attribute))
    if turn.state.ready:
        turn.report()


def _wait(turn: Turn, settling: dict[str, Settling], *, again: bool = False) -> None:
    before = _first(turn.state.settling.values())
    turn.state = replace(turn.state, settling=MappingProxyType(settling))
    at_ms = _first(settling.values())
    if again or at_ms != before:
        turn.do(SetTimer(service=None, at_ms=at_ms))


def _first(settling: Iterable[Settling]) -> Millis | None:
    return min((waits.due_ms for waits in settling), default=None)
