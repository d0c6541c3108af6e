"""Services that may not share a node: an assignment problem, solved as one.

A search tries the ways to seat k services on k - 1 nodes one after the other, and there are k! of them. As
an assignment it takes milliseconds, whatever priorities and scores are in it. Copies of one service are the
simplest case: they may not share a node either.

Inside of something larger the same answer is a bound: no better can such services do together, whatever
else is decided.
"""

from collections.abc import Iterable, Mapping, Sequence

from reconciler.core.assignment import assign_rows
from reconciler.core.loads import Loads
from reconciler.core.problem import Problem
from reconciler.core.relations import Tie
from reconciler.core.search import Search
from reconciler.core.separable import Separable
from reconciler.core.world import Mask, bits

SEATS_MAX = 60_000
"""More pairs of a copy and a node than this are not assigned."""
_TIE_BITS = 32


def seat_apart(problem: Problem, piece: Separable, loads: Loads) -> dict[int, Mask] | None:
    """The best seats for a piece of which no two share a node; None if it is another piece.

    Law: no choice is worth more on levels 1 to 3, and among equals none has less load on its nodes.
    """
    size = len(piece.order)
    barred = sum(1 for worth in piece.pairs.values() if worth is None)
    if barred < size * (size - 1) // 2:
        return None
    rows, owners = [], []
    for v in piece.order:
        gains = {
            at: (gain << _TIE_BITS) - 2 * loads.copies[at] - 1
            for at, gain in piece.gains[v].items()
        }
        for number in range(min(problem.variables[v].want, len(gains))):
            less = (piece.first[v] << _TIE_BITS) if number else 0
            rows.append({at: gain - less for at, gain in gains.items()} if less else gains)
            owners.append(v)
    if sum(map(len, rows)) > SEATS_MAX:
        return None
    chosen = dict.fromkeys(piece.order, 0)
    for v, at in zip(owners, assign_rows(rows), strict=True):
        if at is not None:
            chosen[v] |= 1 << at
    return chosen


def apart_bound(problem: Problem, search: Search, order: Sequence[int]) -> int:
    """No choice for these variables is worth more: `search.root`, with those who may not meet seated.

    Law: never below what exists. Each clique is a relaxation of its own, and they do not overlap.
    """
    bound = search.root
    for clique in _cliques(problem, order):
        rows = [row for v in clique for row in _rows(problem, search, v)]
        if sum(map(len, rows)) > SEATS_MAX:
            continue
        seats = assign_rows(rows)
        got = sum(row[at] for row, at in zip(rows, seats, strict=True) if at is not None)
        bound += min(0, got - sum(search.narrowed(v).bound for v in clique))
    return bound


def _rows(problem: Problem, search: Search, v: int) -> Iterable[Mapping[int, int]]:
    variable, narrowed = problem.variables[v], search.narrowed(v)
    alone = variable.up + variable.kept
    gains = {at: tier for tier, mask in variable.tiers for at in bits(mask & narrowed.allowed)}
    for number in range(min(variable.want, len(gains))):
        yield gains if number else {at: gain + alone for at, gain in gains.items()}


def _cliques(problem: Problem, order: Sequence[int]) -> list[list[int]]:
    """Disjoint sets of variables of which no two may share a node, greedily from the first."""
    at = {v: place for place, v in enumerate(order)}
    apart = [0] * len(order)
    for v in order:
        for link in problem.links[v]:
            if link.tie is Tie.APART and link.where == -1 and link.service in at:
                other = at.get(link.other)
                if other is not None:
                    apart[at[link.service]] |= 1 << other
                    apart[other] |= 1 << at[link.service]
    found, left = [], (1 << len(order)) - 1
    for first in range(len(order)):
        if not left >> first & 1:
            continue
        clique, rest = [first], apart[first] & left
        while rest:
            best = max(bits(rest), key=lambda one: ((apart[one] & rest).bit_count(), -one))
            clique.append(best)
            rest &= apart[best]
        if len(clique) > 1:
            left &= ~sum(1 << one for one in clique)
            found.append([order[one] for one in clique])
    return found
