"""What each copy is worth on each node, where that is all there is to say of it.

Some pieces have a shape that needs no search: nothing in them is required to be together or in order,
only apart or rather so. Then the worth of a choice is a sum over copies, and over pairs on one node.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from reconciler.core.loads import Loads
from reconciler.core.problem import Problem
from reconciler.core.relations import Link, Tie
from reconciler.core.search import Search
from reconciler.core.world import Mask, bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Separable:
    """A piece whose copies are worth something by node, but for pairs that share one."""

    order: tuple[int, ...]
    gains: Mapping[int, Mapping[int, int]]
    """Per variable the worth of its only copy on each node that it may use; further copies lack `first`."""
    first: Mapping[int, int]
    """The part of it that having a copy at all is worth."""
    pairs: Mapping[tuple[int, int], int | None]
    """Worth of sharing a node, by pair (lesser first); None: they may not."""


def separate(
    problem: Problem, search: Search, order: Sequence[int], fixed: Mapping[int, Mask], loads: Loads
) -> Separable | None:
    """See a piece as gains and pairs; None where that would leave something out.

    Room is heeded as `loads` has it, so two that share a node must not both ask for some.
    """
    inside = set(order)
    if search.restarts:
        return None
    pairs: dict[tuple[int, int], int | None] = {}
    for v in order:
        narrowed = search.narrowed(v)
        if narrowed.must or narrowed.some or problem.variables[v].quota >= 0:
            return None
        for link in problem.links[v]:
            other = link.other if link.service == v else link.service
            if not _plain(link, within=other in inside):
                return None
            if other in inside and link.service == v:
                _join(pairs, link, problem.scale.preference)
    gains = {v: _gains(problem, search, v, inside, fixed, loads) for v in order}
    first = {v: problem.variables[v].up + problem.variables[v].kept for v in order}
    return Separable(order=tuple(order), gains=gains, first=first, pairs=pairs)


def _plain(link: Link, *, within: bool) -> bool:
    if link.zones or link.any_of:
        return False
    return not within or link.tie is Tie.WISH or (link.tie is Tie.APART and link.where == -1)


def _join(pairs: dict[tuple[int, int], int | None], link: Link, preference: int) -> None:
    pair = min(link.service, link.other), max(link.service, link.other)
    known = pairs.get(pair, 0)
    if link.tie is Tie.APART:
        pairs[pair] = None
    elif known is not None:
        pairs[pair] = known + link.score * preference


def _gains(
    problem: Problem,
    search: Search,
    v: int,
    inside: set[int],
    fixed: Mapping[int, Mask],
    loads: Loads,
) -> dict[int, int]:
    variable = problem.variables[v]
    allowed = loads.fits(variable, search.narrowed(v).allowed) if variable.want else 0
    alone = variable.up + variable.kept
    gains = {at: tier + alone for tier, mask in variable.tiers for at in bits(mask & allowed)}
    for worth, seats in _company(problem, v, inside, fixed):
        for at in bits(seats & allowed):
            gains[at] += worth
    return dict(sorted(gains.items()))


def _company(
    problem: Problem, v: int, inside: set[int], fixed: Mapping[int, Mask]
) -> Iterator[tuple[int, Mask]]:
    """Wishes about copies that are settled: the pinned ones, and all of what is outside."""
    for link in problem.links[v]:
        if link.tie is Tie.WISH:
            other = link.other if link.service == v else link.service
            seats = problem.variables[other].pinned
            if other not in inside:
                seats |= fixed.get(other, 0)
            yield link.score * problem.scale.preference, seats
