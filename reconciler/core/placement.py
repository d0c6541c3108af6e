"""Placement: the best seat for every copy, by the order of DESIGN section 5.

Everything that is content stays: it could not be worth more elsewhere. Only the rest is free, piece by
piece, and each piece is searched exactly. Where a piece falls short of what its services could have
alone, it is searched again with all that it is tied to; where room is what is missing, with all that
competes for it. The answer is proven when it meets a bound, or when a search left nothing out.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from reconciler.core.bonds import broken, shared
from reconciler.core.found import Found
from reconciler.core.loads import Loads
from reconciler.core.problem import Problem, Variable
from reconciler.core.relations import Link, Tie
from reconciler.core.restarts import restart_cost, undisturbed
from reconciler.core.search import Search
from reconciler.core.solve import Work, retreat, solve
from reconciler.core.world import Mask, bits
from reconciler.model.intent import Packing

BALANCE_BUDGET = 50_000
BALANCE_WAYS_MAX = 20_000
"""Balance is settled exactly when the free services have no more ways than this; else greedily."""
BALANCE_NODES_MAX = 6
BALANCE_WAYS_FEW = 10**10
"""The same on so few nodes, where an even spread is soon met, and nothing is left to look for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """The chosen nodes of every service (without its pinned copies), and how good that is."""

    chosen: tuple[Mask, ...]
    worth: int
    bound: int

    @property
    def proven(self) -> bool:
        """Whether nothing is worth more, on levels 1 to 3."""
        return self.worth >= self.bound


@dataclass(slots=True)
class _State:
    problem: Problem
    chosen: dict[int, Mask]
    loads: Loads
    free: set[int] = field(default_factory=set)
    settled: set[int] = field(default_factory=set)
    """What a widened search has decided already, for several pieces at once."""
    work: Work = field(default_factory=Work)
    gap: int = 0
    """How much more all that is not proven could be worth at most."""


def assign(problem: Problem) -> Assignment:
    """Choose the nodes of every service.

    Shape: M services, F of them free on N nodes: O(M + F x N) when nothing is contested; the contested
    pieces have a budget of search nodes each.
    """
    state = _start(problem)
    for piece in _pieces(problem, state.free):
        if not state.settled.issuperset(piece):
            _settle(state, piece)
    _balance(state)
    worth = total_worth(problem, state.chosen)
    chosen = tuple(state.chosen[v] for v in range(len(problem.variables)))
    return Assignment(chosen=chosen, worth=worth, bound=worth + state.gap)


def total_worth(problem: Problem, chosen: dict[int, Mask]) -> int:
    """Levels 1 to 3 of a whole assignment, packed."""
    variables = problem.variables
    total = sum(variable.worth(chosen[variable.index]) for variable in variables)
    for link in problem.relations.wishes:
        mine = chosen[link.service] | variables[link.service].pinned
        other = chosen[link.other] | variables[link.other].pinned
        total += link.score * problem.scale.preference * shared(link, mine, other)
    return total - restart_cost(problem, chosen)


# What is content ------------------------------------------------------------------------------------


def _start(problem: Problem) -> _State:
    """Keep everything in its place, and free what may not stay or could have it better."""
    kept = {v.index: _keep(v) for v in problem.variables}
    free = {v.index for v in problem.variables if not _content(problem, v, kept)}
    loads = _loads(problem, kept)
    crowded = sum(1 << at for at, room in enumerate(loads.room) if any(left < 0 for left in room))
    if crowded:
        free |= {v.index for v in problem.variables if v.demand and kept[v.index] & crowded}
    free |= _restless(problem, kept)
    free |= _too_many(problem, kept)
    for v in free:
        loads.add(problem.variables[v], kept[v], -1)
        kept[v] = 0
    return _State(problem=problem, chosen=kept, loads=loads, free=free)


def _too_many(problem: Problem, kept: dict[int, Mask]) -> set[int]:
    """Parts that share a number of copies, and run more of them."""
    found: set[int] = set()
    for base, most in problem.quotas.items():
        parts = (base, *problem.world.layers[base])
        if sum(kept[v].bit_count() for v in parts) > most:
            found.update(parts)
    return found


def _keep(variable: Variable) -> Mask:
    """The running copies that may stay, the best of them when there are too many."""
    staying = variable.running & variable.candidates
    if staying.bit_count() <= variable.want:
        return staying
    kept = 0
    for _, mask in variable.tiers:
        for at in bits(mask & staying):
            if kept.bit_count() < variable.want:
                kept |= 1 << at
    return kept


def _content(problem: Problem, variable: Variable, kept: dict[int, Mask]) -> bool:
    mine = kept[variable.index]
    if variable.worth(mine) < variable.best(variable.candidates):
        return False
    if any(mask & mine and mask & ~mine for _, mask in variable.tiers):
        # As good elsewhere: balance may have a say.
        return False
    return all(_kept_well(problem, link, kept) for link in problem.links[variable.index])


def _kept_well(problem: Problem, link: Link, kept: dict[int, Mask]) -> bool:
    """Whether a link holds, or is worth the most it can be, with everything in its place."""
    if link.tie is not Tie.WISH:
        return not broken(link, problem.variables, kept.__getitem__)
    this, that = problem.variables[link.service], problem.variables[link.other]
    service = kept[link.service] | this.pinned
    beside = shared(link, service, kept[link.other] | that.pinned)
    return beside == (service.bit_count() if link.score > 0 else 0)


def _restless(problem: Problem, kept: dict[int, Mask]) -> set[int]:
    """Services that would restart where they are, though they need not, and what they depend on."""
    steady = undisturbed(problem, kept).steady
    reached = {v.index for v in problem.variables if v.cherished & kept[v.index] & ~steady[v.index]}
    waiting = list(reached)
    while waiting:
        v = waiting.pop()
        for link in problem.links[v]:
            if link.tie is Tie.AFTER and link.service == v and link.other not in reached:
                reached.add(link.other)
                waiting.append(link.other)
    return reached


def _loads(problem: Problem, chosen: dict[int, Mask]) -> Loads:
    copies = [0] * len(problem.world.node_names)
    loads = Loads(copies=copies, room=[list(row) for row in problem.room])
    for variable in problem.variables:
        for at in bits(variable.pinned):
            copies[at] += variable.weight
        if mask := chosen.get(variable.index, 0):
            loads.add(variable, mask)
    return loads


# Pieces ---------------------------------------------------------------------------------------------


def _pieces(problem: Problem, free: Iterable[int]) -> list[list[int]]:
    """Free services in groups that are tied to one another, in the order of the most important."""
    left, pieces = set(free), []
    for first in sorted(left):
        if first not in left:
            continue
        piece, waiting = {first}, [first]
        while waiting:
            for neighbour in _neighbours(problem, waiting.pop()):
                if neighbour in left and neighbour not in piece:
                    piece.add(neighbour)
                    waiting.append(neighbour)
        left -= piece
        pieces.append(_visiting_order(problem, piece))
    return pieces


def _neighbours(problem: Problem, v: int) -> set[int]:
    near = {end for link in problem.links[v] for end in (link.service, link.other, *link.any_of)}
    quota = problem.variables[v].quota
    if quota >= 0:
        near |= {quota, *problem.world.layers[quota]}
    return near - {v}


def _visiting_order(problem: Problem, piece: set[int]) -> list[int]:
    """By priority, rank and name, but whatever others need comes before them."""
    order: list[int] = []
    seen: set[int] = set()
    for first in sorted(piece):
        stack = [(first, False)]
        while stack:
            v, ready = stack.pop()
            if ready:
                order.append(v)
            elif v not in seen:
                seen.add(v)
                stack.append((v, True))
                needs = {
                    link.other
                    for link in problem.links[v]
                    if link.service == v and link.tie in (Tie.TOGETHER, Tie.AFTER)
                }
                stack.extend((other, False) for other in sorted(needs & piece, reverse=True))
    return order


def _settle(state: _State, piece: list[int]) -> None:
    """Search one piece; widen it until a bound or an exhaustive search proves the answer."""
    solved = solve(state.problem, piece, state.chosen, state.loads, state.work)
    found = solved.found
    if found is not None:
        _take(state, piece, found)
        if _relaxed(state, piece) <= found.worth:
            return
    wide = _component(state.problem, piece)
    if found is not None and wide == set(piece) and not _contested(state.problem, wide):
        state.gap += max(0, solved.bound - found.worth)
        return
    if _contested(state.problem, wide):
        wide |= {v.index for v in state.problem.variables if v.demand}
        wide = set().union(*(_component(state.problem, [v]) for v in wide))
    _search_wide(state, wide)


def _search_wide(state: _State, wide: set[int]) -> None:
    problem = state.problem
    order = _visiting_order(problem, wide)
    before = {v: state.chosen[v] for v in order}
    for v, mask in before.items():
        state.loads.add(problem.variables[v], mask, -1)
        state.chosen[v] = 0
    # Pieces that come later have nothing yet, which what is content may not bear.
    retreat(problem, before, state.chosen)
    solved = solve(problem, order, state.chosen, state.loads, state.work, before)
    better = solved.found or Found(chosen=before, worth=0, squares=0)
    _take(state, order, better)
    state.settled |= wide
    state.gap += max(0, solved.bound - better.worth)


def _relaxed(state: _State, piece: list[int]) -> int:
    """What the piece could be worth if nothing stood in its way."""
    problem = state.problem
    total = sum(problem.variables[v].best(problem.variables[v].candidates) for v in piece)
    wishes = {id(link): link for v in piece for link in problem.links[v] if link.tie is Tie.WISH}
    for link in wishes.values():
        if link.score > 0:
            ends = problem.variables[link.service], problem.variables[link.other]
            most = min(end.want + end.pinned.bit_count() for end in ends[: 1 if link.zones else 2])
            total += link.score * problem.scale.preference * most
    return total


def _component(problem: Problem, piece: Iterable[int]) -> set[int]:
    reached = set(piece)
    waiting = list(reached)
    while waiting:
        for neighbour in _neighbours(problem, waiting.pop()):
            if neighbour not in reached:
                reached.add(neighbour)
                waiting.append(neighbour)
    return reached


def _contested(problem: Problem, piece: Iterable[int]) -> bool:
    return any(problem.variables[v].demand for v in piece)


def _take(state: _State, piece: Iterable[int], found: Found) -> None:
    for v in piece:
        state.loads.add(state.problem.variables[v], state.chosen[v], -1)
        state.chosen[v] = found.chosen.get(v, 0)
        state.loads.add(state.problem.variables[v], state.chosen[v])


# Balance --------------------------------------------------------------------------------------------


def _balance(state: _State) -> None:
    """Even out the free services, exactly where they have few ways; levels 1 to 3 stay as they are."""
    problem = state.problem
    if problem.world.intent.packing is not Packing.COUNT:
        return
    order = [v for piece in _pieces(problem, state.free | state.settled) for v in piece]
    few = len(problem.world.node_names) <= BALANCE_NODES_MAX
    ways = 1
    for v in order:
        ways *= problem.variables[v].candidates.bit_count() + 1
        if ways > (BALANCE_WAYS_FEW if few else BALANCE_WAYS_MAX):
            return
    if not order:
        return
    before = {v: state.chosen[v] for v in order}
    squares = state.loads.squares()
    for v in order:
        state.loads.add(problem.variables[v], before[v], -1)
        state.chosen[v] = 0
    search = Search(problem, order, state.chosen, state.loads, budget=BALANCE_BUDGET, balance=True)
    incumbent = Found(chosen=before, worth=search.worth(before), squares=squares)
    _take(state, order, search.run(incumbent) or incumbent)
