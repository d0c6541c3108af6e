"""Explain: why a service is where it is, or why not on that node.

First the filters, node by node, with the line or the fact that bans each; then the scores by source; then
what would have to change. The last is no guess: each answer is a set of causes that was taken away, all of
it and all but each one, and decided anew (`counterfactual`). It is worked out from the same inputs as the
decision, on demand: a decision over thousands of services does not carry it along.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from reconciler.core.drift import find_drift
from reconciler.core.explain.answer import TRIES_MAX, Answer, Case, answer
from reconciler.core.explain.cause import Cause, CauseKind
from reconciler.core.explain.nodes import NodeExplanation, Points, node_explanation
from reconciler.core.explain.question import Ask, Question, Result, result_of
from reconciler.core.explain.removal import remove
from reconciler.core.reasons import Because
from reconciler.core.rules import read_rules
from reconciler.model.ids import Millis, NodeName, ServiceName
from reconciler.model.intent import Intent, Role
from reconciler.model.observed import Observed
from reconciler.model.placement import Unplaced

__all__ = [
    "TRIES_MAX",
    "Answer",
    "Ask",
    "Cause",
    "CauseKind",
    "Explanation",
    "NodeExplanation",
    "Points",
    "Question",
    "Result",
    "explain",
    "questions",
    "remove",
    "result_of",
]

_MOVES_MAX = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Everything that decided where one service runs."""

    service: ServiceName
    placed: tuple[NodeName, ...]
    """Every node that is to have a copy, asked about or not."""
    nodes: tuple[NodeExplanation, ...]
    unplaced: Unplaced | None
    answers: tuple[Answer, ...]
    """What would have to change, question by question."""


def explain(
    intent: Intent,
    observed: Observed,
    now_ms: Millis,
    service: ServiceName,
    node: NodeName | None = None,
    *,
    tries_max: int = TRIES_MAX,
) -> Explanation:
    """Explain one service, on every node or on one.

    Errors: KeyError when the intent names no such service.
    """
    case = Case.read(intent, observed, now_ms)
    problem, chosen = case.problem, case.chosen
    world = problem.world
    because = Because(problem=problem, chosen=chosen, drift=find_drift(problem, chosen))
    rules = read_rules(world, now_ms)
    v = world.service_index[service]
    unplaced = because.unplaced(v)
    return Explanation(
        service=service,
        placed=tuple(case.result(service).copies),
        nodes=tuple(
            node_explanation(because, rules, v, at)
            for at, name in enumerate(world.node_names)
            if node is None or name == node
        ),
        unplaced=unplaced,
        answers=tuple(
            answer(case, question, tries_max=tries_max)
            for question in questions(case, service, node, unplaced)
        ),
    )


def questions(
    case: Case, service: ServiceName, node: NodeName | None, unplaced: Unplaced | None
) -> tuple[Question, ...]:
    """What people want to know of a service, from what becomes of it."""
    if node is not None:
        return tuple(_of_node(case, service, node))
    found = (*_lacking(case, service, unplaced), *_gone(case, service))
    return found or tuple(_settled(case, service))


def _of_node(case: Case, name: ServiceName, node: NodeName) -> Iterator[Question]:
    here, service = case.result(name), case.service(name)
    if node not in here.copies:
        yield Question(ask=Ask.NOT_THERE, service=name, node=node)
    elif not service.promotable:
        yield Question(ask=Ask.THERE, service=name, node=node)
    else:
        ask = Ask.THERE if node in here.promoted else Ask.NOT_THERE
        yield Question(ask=ask, service=name, node=node, promoted=True)


def _lacking(case: Case, name: ServiceName, unplaced: Unplaced | None) -> Iterator[Question]:
    """What it has too few of: copies, promoted copies, or both."""
    here, service = case.result(name), case.service(name)
    copies, promoted = sum(here.copies.values()), len(here.promoted)
    if not service.enabled:
        yield Question(ask=Ask.TOO_FEW, service=name)
    elif unplaced is not None:
        lacking = promoted < service.promoted
        if not lacking or copies < (service.replicas or 1):
            yield Question(ask=Ask.TOO_FEW, service=name)
        if lacking:
            yield Question(ask=Ask.TOO_FEW, service=name, promoted=True)


def _gone(case: Case, name: ServiceName) -> Iterator[Question]:
    """Where it ran, and is not to run any more; where it was promoted, likewise."""
    here = case.result(name)
    copies = [copy for copy in case.observed.copies if copy.service == name]
    known = set(case.problem.world.node_names)
    left = dict.fromkeys(
        c.node
        for c in copies
        if c.node in known and c.node not in here.copies and c.role is not Role.STOPPED
    )
    for node in tuple(left)[:_MOVES_MAX]:
        yield Question(ask=Ask.NOT_THERE, service=name, node=node)
    demoted = dict.fromkeys(
        c.node
        for c in copies
        if c.role is Role.PROMOTED and c.node in here.copies and c.node not in here.promoted
    )
    for node in tuple(demoted)[:_MOVES_MAX]:
        yield Question(ask=Ask.NOT_THERE, service=name, node=node, promoted=True)


def _settled(case: Case, name: ServiceName) -> Iterator[Question]:
    here = case.result(name)
    for node in sorted(here.promoted or here.copies)[:1]:
        promoted = node in here.promoted
        yield Question(ask=Ask.THERE, service=name, node=node, promoted=promoted)
