"""Which healthy copies are left alone, and which restart because what they need stops or starts anew.

A copy runs on undisturbed while a supplier that it relies on does: the supplier's copy on its own node
where there is one, else any copy. Suppliers come from required orderings, groups included. A copy that
moves live counts as running throughout, if all that it relies on does so on both nodes.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from reconciler.core.problem import Problem
from reconciler.core.relations import Link
from reconciler.core.world import Mask


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """Per part the copies that are neither stopped nor restarted, and the parts that move live."""

    steady: Mapping[int, Mask]
    migrating: frozenset[int]


def undisturbed(
    problem: Problem,
    chosen: Mapping[int, Mask],
    among: Collection[int] | None = None,
    immobile: frozenset[int] = frozenset(),
) -> Undisturbed:
    """Find what is left alone, or moves live, under this choice.

    Shape: as many rounds over the orderings as the longest chain of restarts.
    """
    scope = range(len(problem.variables)) if among is None else among
    copies = problem.world.copies
    steady = {v: copies[v].healthy & chosen.get(v, 0) for v in scope}
    migrating = {v for v in scope if moves_alone(problem, v, chosen.get(v, 0))} - immobile
    links: Iterable[Link] = problem.world.compiled.binding
    if among is not None:
        found = (link for v in among for link in problem.suppliers[v])
        links = [link for link in found if link.reverse]

    def standing(index: int) -> Mask:
        held = steady.get(index)
        if held is None:
            return chosen.get(index, 0) & copies[index].healthy
        return held | copies[index].running | chosen[index] if index in migrating else held

    changed = True
    while changed:
        changed = False
        for link in links:
            v = link.service
            if not steady[v] and v not in migrating:
                continue
            if any(standing(i) | problem.variables[i].pinned for i in link.any_of):
                continue
            seats = chosen.get(link.other, 0)
            borne = borne_nodes(problem, link, seats, standing(link.other))
            borne &= _joined(problem, link, chosen, standing)
            if v in migrating and _torn(
                link,
                copies[link.other].running,
                seats,
                standing(link.other),
                copies[v].running,
                chosen[v],
            ):
                migrating.discard(v)
                changed = True
            if steady[v] & ~borne and not link.minimum:
                steady[v] &= borne
                changed = True
    return Undisturbed(steady=steady, migrating=frozenset(migrating))


def moves_alone(problem: Problem, v: int, chosen: Mask) -> bool:
    """Whether this part moves its only copy, a healthy one, and can do so live."""
    part = problem.world.parts[v]
    if not part.service.migratable:
        return False
    copies = problem.world.copies[v]
    return (
        part.base == v
        and v not in problem.world.layers
        and v not in problem.world.promotion
        and not copies.pinned
        and copies.healthy == copies.running
        and not copies.reloadable
        and not copies.leftover
        and part.service.replicas == 1
        and copies.running.bit_count() == 1
        and chosen.bit_count() == 1
        and chosen != copies.running
    )


def _torn(
    link: Link, running: Mask, seats: Mask, standing: Mask, source: Mask, target: Mask
) -> bool:
    """Whether what a live move needs at its target waits for what it relies on at its source to go."""
    stops, starts = running & ~standing, seats & ~standing
    if not link.every:
        stops &= source if running & source else -1
        starts &= target if seats & target else -1
    return bool(stops and starts)


def borne_nodes(problem: Problem, link: Link, seats: Mask, standing: Mask) -> Mask:
    """The nodes where a dependent goes on, with these copies of its supplier wanted and undisturbed."""
    pinned = problem.variables[link.other].pinned
    if link.every:
        return 0 if seats & ~standing else -1
    # Own supplier here: it must be steady. None here: any steady one elsewhere will do.
    borne = standing | pinned
    return borne | ~(seats | pinned) if borne else 0


def _joined(
    problem: Problem, link: Link, chosen: Mapping[int, Mask], standing: Callable[[int], Mask]
) -> Mask:
    """The same with the further copies of a supplier on its nodes: one that starts is one that starts."""
    further = problem.world.layers.get(link.other, ()) if link.every else ()
    return 0 if any(chosen.get(i, 0) & ~standing(i) for i in further) else -1


def restart_cost(
    problem: Problem, chosen: Mapping[int, Mask], among: Collection[int] | None = None
) -> int:
    """Packed worth lost by healthy copies that stay where they are and yet restart."""
    cost, variables = 0, problem.variables
    for v, mask in undisturbed(problem, chosen, among).steady.items():
        if restarted := variables[v].cherished & chosen.get(v, 0) & ~mask:
            cost += variables[v].stickiness * restarted.bit_count()
    return cost


def dependents_of(problem: Problem, services: Iterable[int]) -> frozenset[int]:
    """These parts and all that may restart with them; empty when none of them can."""
    waiting = list(services)
    reached = set(waiting)
    while waiting:
        part = waiting.pop()
        if problem.world.parts[part].layer:
            part = problem.world.parts[part].base
        for dependent in problem.dependents[part]:
            if dependent not in reached:
                reached.add(dependent)
                waiting.append(dependent)
    restartable = any(problem.suppliers[v] and problem.variables[v].cherished for v in reached)
    return frozenset(reached) if restartable else frozenset()
