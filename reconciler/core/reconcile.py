"""The product in one page: from intent and facts to a decision.

Every stage is a pure function with its own type of result, and none reaches back:

    conditions  locations that ask about attributes or the time become plain ones
    compiled    names become numbers, groups and constraints links between parts; kept for the next time
    world       copies become permissions, silence never becomes "stopped"
    rules       which nodes are banned for which service, and why
    problem     what remains to be chosen, and what each choice is worth
    assignment  the best choice, and whether that is proven
    drift       what must stop and start to get there
    plan        those actions as a graph; `core.verify` checks it independently before it is used

Law: equal inputs give equal decisions, whatever the order of the input; time is an input.
"""

from collections.abc import Iterator

from reconciler.core import conditions
from reconciler.core.drift import find_drift
from reconciler.core.eligibility import holds
from reconciler.core.ordering import make_plan, stuck_moves
from reconciler.core.placement import Assignment, assign
from reconciler.core.pose import pose
from reconciler.core.problem import Problem
from reconciler.core.reasons import Because
from reconciler.core.rules import Rules, read_rules
from reconciler.core.world import Mask, World, bits, read_world
from reconciler.model.ids import Millis
from reconciler.model.intent import Intent, Role
from reconciler.model.observed import Observed
from reconciler.model.placement import Placement, Score, Seat
from reconciler.model.plan import Decision


def reconcile(intent: Intent, observed: Observed, now_ms: Millis) -> Decision:
    """Decide where everything should run, and the fewest actions that get it there."""
    world = read_world(conditions.in_force(intent, observed, now_ms), observed)
    rules = read_rules(world, now_ms)
    problem = pose(world, rules)
    assignment = assign(problem)
    drift = find_drift(problem, assignment.chosen)
    if stuck := stuck_moves(problem, drift):
        drift = find_drift(problem, assignment.chosen, immobile=stuck)
    because = Because(problem=problem, chosen=assignment.chosen, drift=drift)
    return Decision(
        placement=_placement(problem, assignment, because),
        plan=make_plan(problem, drift, because),
        wake_at_ms=_wake_at(world, rules, conditions.wake_at_ms(intent, observed, now_ms)),
    )


def _placement(problem: Problem, assignment: Assignment, because: Because) -> Placement:
    world, scale = problem.world, problem.scale
    unplaced = (because.unplaced(v) for v in range(world.count))
    return Placement(
        seats=tuple(_seats(problem, assignment)),
        unplaced=tuple(one for one in unplaced if one is not None),
        score=Score(levels=scale.levels(assignment.worth)),
        optimal=assignment.proven,
        bound=None if assignment.proven else Score(levels=scale.levels(assignment.bound)),
    )


def _seats(problem: Problem, assignment: Assignment) -> Iterator[Seat]:
    world = problem.world

    def held(part: int) -> Mask:
        return assignment.chosen[part] | problem.variables[part].reliable

    for base in range(world.count):
        service = world.services[base]
        role = world.promotion.get(base)
        promoted = held(role) if role is not None else 0
        number = 0
        for part in (base, *world.layers.get(base, ())):
            for at in bits(held(part)):
                first = part == base and promoted >> at & 1
                word = Role.PROMOTED if first else Role.UNPROMOTED
                yield Seat(
                    service=service.name,
                    node=world.node_names[at],
                    instance=number,
                    role=word if role is not None else Role.STARTED,
                )
                number += 1


def _wake_at(world: World, rules: Rules, turn_ms: Millis | None) -> Millis | None:
    """When the first ban that stands on failures runs out, or the time of a location begins or ends."""
    ends = [
        service.forgets_ms(failure.last_ms)
        for service in world.intent.services
        for failure in rules.failures.get(service.name, ())
        if holds(failure, service, rules.now_ms)
    ]
    return min((end for end in (*ends, turn_ms) if end is not None), default=None)
