"""Questions about one service, and whether a result answers them differently.

A question is always asked of a result that is so: it is not there, too few run, it is there. "Otherwise" is
the opposite of that.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from reconciler.core.conditions import in_force
from reconciler.core.placement import assign
from reconciler.core.pose import pose
from reconciler.core.problem import Problem
from reconciler.core.rules import read_rules
from reconciler.core.world import read_world
from reconciler.model.ids import Millis, NodeName, ServiceName
from reconciler.model.intent import Intent, Role
from reconciler.model.observed import Observed
from reconciler.model.placement import Seat


class Ask(StrEnum):
    """What is asked. Closed."""

    NOT_THERE = "not-there"
    """Why is no copy on that node?"""
    THERE = "there"
    """Why is a copy on that node?"""
    TOO_FEW = "too-few"
    """Why do no more copies run?"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question about the copies of a service, or about its promoted copies."""

    ask: Ask
    service: ServiceName
    node: NodeName | None = None
    """Not for TOO_FEW."""
    promoted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Where the copies of one service are to be, as a decision says."""

    copies: Mapping[NodeName, int]
    promoted: frozenset[NodeName]

    def answers(self, question: Question, before: "Result") -> bool:
        """Whether the question, true of the result before, is no longer true of this one."""
        here = self.count(promoted=question.promoted)
        match question.ask:
            case Ask.NOT_THERE:
                return question.node in here
            case Ask.THERE:
                return question.node not in here
            case Ask.TOO_FEW:
                return sum(here.values()) > sum(before.count(promoted=question.promoted).values())

    def count(self, *, promoted: bool) -> Mapping[NodeName, int]:
        """How many copies, or promoted ones, each node has; none where it is not named."""
        return dict.fromkeys(self.promoted, 1) if promoted else self.copies


def place(intent: Intent, observed: Observed, now_ms: Millis) -> tuple[Problem, tuple[int, ...]]:
    """The problem that a decision poses and the nodes it chooses, without the plan to get there."""
    world = read_world(in_force(intent, observed, now_ms), observed)
    problem = pose(world, read_rules(world, now_ms))
    return problem, assign(problem).chosen


def result(service: ServiceName, problem: Problem, chosen: tuple[int, ...]) -> Result:
    """What such a choice means for one service; copies that may or may not run do not count."""
    world = problem.world
    base = world.service_index[service]

    def names(part: int) -> tuple[NodeName, ...]:
        return world.names(chosen[part] | problem.variables[part].reliable)

    copies: dict[NodeName, int] = {}
    for part in (base, *world.layers.get(base, ())):
        for name in names(part):
            copies[name] = copies.get(name, 0) + 1
    role = world.promotion.get(base)
    return Result(
        copies=copies, promoted=frozenset(names(role)) if role is not None else frozenset()
    )


def result_of(service: ServiceName, seats: tuple[Seat, ...]) -> Result:
    """The same from a decision's seats."""
    mine = [seat for seat in seats if seat.service == service]
    copies: dict[NodeName, int] = {}
    for seat in mine:
        copies[seat.node] = copies.get(seat.node, 0) + 1
    return Result(
        copies=copies, promoted=frozenset(s.node for s in mine if s.role is Role.PROMOTED)
    )
