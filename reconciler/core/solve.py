"""Solving one piece: a short search, then whatever the piece's shape allows, then a long search.

Most pieces are small, and a few hundred steps prove their answer. Some are not small but simple: those have
ways of their own, which are exact. The rest is searched within a budget and ends with a bound.

Law: `bound` is never below what exists, so an answer that meets it is proven.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reconciler.core.bonds import broken
from reconciler.core.cliques import apart_bound, seat_apart
from reconciler.core.forest import seat_forest
from reconciler.core.found import Found
from reconciler.core.loads import Loads
from reconciler.core.pool import repack
from reconciler.core.problem import Problem
from reconciler.core.search import Search
from reconciler.core.separable import separate
from reconciler.core.solver import CELLS_MAX, relax
from reconciler.core.world import Mask, bits

TRIAL = 10_000
"""Work of a first search: enough for all that is small."""
BUDGET = 100_000
"""Work of one search, in links looked at."""
TOUCHED_MAX = 200
"""Pairs of a copy and a node that the solver takes of something larger: where it proves little."""
SEARCHED_MAX = 24
"""With more variables than this that compete for room, a search gets nowhere."""


@dataclass(slots=True)
class Work:
    """What is left to spend on all pieces together."""

    left: int = 4 * BUDGET

    def spend(self, amount: int) -> None:
        """Take from it; there is always a little left, for an answer of sorts."""
        self.left = max(TRIAL, self.left - amount)


@dataclass(frozen=True, slots=True)
class Solved:
    """The best choice found for a piece, and what no choice can exceed."""

    found: Found | None
    bound: int

    @property
    def proven(self) -> bool:
        """Whether nothing is worth more."""
        return self.found is not None and self.found.worth >= self.bound


def solve(
    problem: Problem,
    order: Sequence[int],
    fixed: Mapping[int, Mask],
    loads: Loads,
    work: Work,
    before: dict[int, Mask] | None = None,
) -> Solved:
    """Choose for the variables of `order`, given what all others have; `before` is a choice to better."""
    search = Search(problem, order, fixed, loads, budget=min(TRIAL, work.left))
    found = _known(search, before)
    crowded = before is not None and any(problem.variables[v].demand for v in order)
    searched = not crowded or len(order) <= SEARCHED_MAX
    if searched:
        found = _run(search, work, found)
        if found is not None and found.proven:
            return Solved(found, found.worth)
        found = found or _dive(problem, search, fixed)
    found, bound = _by_shape(problem, order, fixed, loads, search, found)
    if crowded and found is not None and found.worth < bound:
        repacked = repack(problem, order, fixed, loads, found.chosen)
        found = _better(problem, search, fixed, found, repacked)
        if before is not None and found.worth < bound:
            found, bound = _solver(problem, search, loads, fixed, before, (found, bound))
    if not searched or (found is not None and found.worth >= bound):
        return Solved(found, bound)
    longer = Search(problem, order, fixed, loads, budget=min(BUDGET, work.left))
    found = _run(longer, work, found, patient=found is None)
    return Solved(found, found.worth if found is not None and found.proven else bound)


def _solver(
    problem: Problem,
    search: Search,
    loads: Loads,
    fixed: Mapping[int, Mask],
    before: Mapping[int, Mask],
    known: tuple[Found, int],
) -> tuple[Found, int]:
    """A better choice and a lower bound from the real solver, if it has any."""
    found, bound = known
    order = tuple(before)
    every = problem.world.everywhere
    nodes = every
    if sum(search.narrowed(v).allowed.bit_count() for v in order) > CELLS_MAX:
        nodes = _touched(order, before, found.chosen)
    near = [v for v in order if nodes == every or found.chosen[v] & nodes or not found.chosen[v]]
    relaxed = relax(problem, search, near, loads, found.chosen, nodes)
    if relaxed is None:
        return found, bound
    if nodes == every:
        bound = min(bound, relaxed.bound)
    return _better(problem, search, fixed, found, {**found.chosen, **relaxed.chosen}), bound


def _touched(order: Sequence[int], before: Mapping[int, Mask], after: Mapping[int, Mask]) -> Mask:
    """The nodes where something came or went, no more than the solver can take."""
    nodes, cells = 0, 0
    moved = 0
    for v in order:
        moved |= before[v] ^ after[v]
    for at in bits(moved):
        wider = nodes | 1 << at
        cells = wider.bit_count() * sum(1 for v in order if after[v] & wider or not after[v])
        if cells > TOUCHED_MAX:
            break
        nodes = wider
    return nodes


def _dive(problem: Problem, search: Search, fixed: Mapping[int, Mask]) -> Found | None:
    found = search.dive()
    if found is None:
        return None
    chosen = dict(found.chosen)
    retreat(problem, chosen, fixed)
    return Found(chosen=chosen, worth=search.worth(chosen), squares=0)


def retreat(problem: Problem, chosen: dict[int, Mask], others: Mapping[int, Mask]) -> None:
    """Give up copies until nothing is broken: a start that any search can only improve."""

    def seats(index: int) -> Mask:
        return chosen.get(index, others.get(index, 0))

    busy = True
    while busy:
        busy = False
        for v in chosen:
            for link in problem.links[v]:
                lost = broken(link, problem.variables, seats)
                for end in (link.service, link.other):
                    gone = lost if end == link.service else link.place(lost)
                    if lost and chosen.get(end, 0) & gone:
                        chosen[end] &= ~gone
                        lost, busy = 0, True


def _better(
    problem: Problem,
    search: Search,
    fixed: Mapping[int, Mask],
    found: Found,
    chosen: dict[int, Mask],
) -> Found:
    """The better of what was found and another choice, once that is made to break nothing."""
    retreat(problem, chosen, fixed)
    worth = search.worth(chosen)
    return Found(chosen=chosen, worth=worth, squares=0) if worth > found.worth else found


def _known(search: Search, before: dict[int, Mask] | None) -> Found | None:
    return None if before is None else Found(chosen=before, worth=search.worth(before), squares=0)


def _run(search: Search, work: Work, known: Found | None, *, patient: bool = True) -> Found | None:
    found = search.run(known, patient=patient)
    work.spend(search.spent)
    return found


def _by_shape(
    problem: Problem,
    order: Sequence[int],
    fixed: Mapping[int, Mask],
    loads: Loads,
    search: Search,
    found: Found | None,
) -> tuple[Found | None, int]:
    """What the shape of the piece tells: the best choice known by now, and a bound."""
    piece = separate(problem, search, order, fixed, loads)
    if piece is None:
        return found, apart_bound(problem, search, order)
    chosen = seat_apart(problem, piece, loads)
    if chosen is not None:
        worth = search.worth(chosen)
        return Found(chosen=chosen, worth=worth, squares=0), worth
    bound = apart_bound(problem, search, order)
    lonely = not any(problem.variables[v].demand for v in order)
    seated = seat_forest(problem, piece, loads) if lonely else None
    if seated is None:
        return found, bound
    worth = search.worth(seated.chosen)
    if found is None or worth > found.worth:
        found = Found(chosen=seated.chosen, worth=worth, squares=0)
    return found, min(bound, worth + seated.gap)
