"""An independent judge of plans: nothing missing, nothing needless, safe in every order the graph allows.

It shares no code with the planner. It reads the intent and the facts in their own words, works out from
them what may be touched and what must hold, and holds the plan and its placement against that. Every
plan passes here before it is shown or carried out; a violation is a bug of the planner.

    present      which locations count at that time, and where
    facts        what failures, tickets and majorities demand, and what may be touched
    case         the facts as tracks, with the plan's actions laid over them
    links        what services have to do with one another
    the laws     shape, permits, seats, disturbance, order, steps

"Safe in every order" is decided by ancestors: what must be over before an action is what the graph puts
before it, and nothing else may be assumed.
"""

from collections.abc import Iterator

from reconciler.core.verify.case import Case
from reconciler.core.verify.disturbance import nothing_is_needless
from reconciler.core.verify.order import needs_are_met, nothing_meets, turns_are_kept
from reconciler.core.verify.permits import Permits, starts_are_allowed
from reconciler.core.verify.present import at_present
from reconciler.core.verify.seats import (
    company_is_allowed,
    ends_at_the_placement,
    roles_are_those_of_the_service,
    seats_are_allowed,
)
from reconciler.core.verify.shape import action_laws, demoted_first, fence_laws, graph_laws
from reconciler.core.verify.steps import capacity_holds, live_moves, one_holder, probed_first
from reconciler.core.verify.values import Violation
from reconciler.model.ids import Millis
from reconciler.model.intent import Intent
from reconciler.model.observed import Observed
from reconciler.model.placement import Placement
from reconciler.model.plan import Plan

__all__ = ["Violation", "verify"]


def verify(
    plan: Plan,
    intent: Intent,
    observed: Observed,
    placement: Placement,
    now_ms: Millis | None = None,
) -> tuple[Violation, ...]:
    """Every law that the plan breaks; empty for a plan that may be used.

    `now_ms` is when it was planned; when the facts were taken, if not given.
    """
    graph = tuple(graph_laws(plan))
    if graph:
        return graph
    now = observed.taken_at_ms if now_ms is None else now_ms
    case = Case(plan, at_present(intent, observed, now), observed, placement, now)
    permits = Permits(case)
    return tuple(dict.fromkeys(_laws(case, permits)))


def _laws(case: Case, permits: Permits) -> Iterator[Violation]:
    yield from action_laws(case)
    yield from demoted_first(case)
    yield from fence_laws(case)
    yield from starts_are_allowed(case, permits)
    yield from seats_are_allowed(case, permits)
    yield from roles_are_those_of_the_service(case)
    yield from company_is_allowed(case)
    yield from ends_at_the_placement(case)
    yield from nothing_is_needless(case)
    yield from one_holder(case, permits)
    yield from needs_are_met(case)
    yield from turns_are_kept(case)
    yield from nothing_meets(case)
    yield from probed_first(case)
    yield from live_moves(case)
    yield from capacity_holds(case)
