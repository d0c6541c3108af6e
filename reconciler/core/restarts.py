"""Which healthy copies restart because what they need stops, restarts or starts anew.

A copy runs on undisturbed while a supplier that it relies on does: the supplier's copy on its own node
where there is one, else any copy. Suppliers come from required orderings, groups included.
"""

from collections.abc import Collection, Iterable, Mapping

from reconciler.core.problem import Problem
from reconciler.core.world import Mask


def steady_copies(
    problem: Problem, chosen: Mapping[int, Mask], among: Collection[int] | None = None
) -> dict[int, Mask]:
    """Per service the running copies that are neither stopped nor restarted.

    Shape: as many rounds over the orderings as the longest chain of restarts.
    """
    scope = range(len(problem.variables)) if among is None else among
    copies = problem.world.copies
    steady = {v: copies[v].healthy & chosen.get(v, 0) for v in scope}
    links = [link for v in scope for link in problem.suppliers[v]]
    changed = True
    while changed:
        changed = False
        for link in links:
            before = steady[link.service]
            if not before:
                continue
            supplier = problem.variables[link.other]
            supply = steady.get(link.other, chosen.get(link.other, 0) & copies[link.other].healthy)
            seats = chosen.get(link.other, 0)
            # Own supplier here: it must be steady. None here: any steady one elsewhere will do.
            left = before & (supply | supplier.pinned)
            if supply | supplier.pinned:
                left |= before & ~(seats | supplier.pinned)
            if left != before:
                steady[link.service] = left
                changed = True
    return steady


def restart_cost(problem: Problem, chosen: Mapping[int, Mask], among: Collection[int]) -> int:
    """Packed worth lost by healthy copies that stay where they are and yet restart."""
    steady = steady_copies(problem, chosen, among)
    return sum(
        problem.variables[v].stickiness
        * (problem.variables[v].cherished & chosen.get(v, 0) & ~mask).bit_count()
        for v, mask in steady.items()
    )


def dependents_of(problem: Problem, services: Iterable[int]) -> frozenset[int]:
    """These services and all that may restart with them; empty when none of them can."""
    waiting = list(services)
    reached = set(waiting)
    while waiting:
        for dependent in problem.dependents[waiting.pop()]:
            if dependent not in reached:
                reached.add(dependent)
                waiting.append(dependent)
    restartable = any(problem.suppliers[v] and problem.variables[v].cherished for v in reached)
    return frozenset(reached) if restartable else frozenset()
