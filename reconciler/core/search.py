"""Exact search over a few variables: depth first, best bound first, with forward checking.

A node of the search decides one variable: the set of nodes for its copies. Deciding it narrows what its
neighbours may still do; the bound is the best worth that each undecided variable could have alone, plus
the best that each wish could bring. A branch is cut when its bound is no better than the best known.

The result says whether the search was exhaustive. Only then is it an optimum: a search that ran out of
its budget, or that left out subsets because there were too many, claims nothing. The budget counts
links looked at, never seconds, so that equal input gives equal output.
"""

from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cmp_to_key, reduce
from itertools import combinations, islice
from operator import or_

from reconciler.core.bonds import broken, relying, shared
from reconciler.core.found import Found, Frame, Narrowing
from reconciler.core.loads import Loads
from reconciler.core.problem import Problem, Variable
from reconciler.core.relations import Link, Tie
from reconciler.core.restarts import dependents_of, restart_cost
from reconciler.core.world import Mask, bits
from reconciler.model.intent import Packing

SUBSETS_MAX = 2_000
"""More ways than this to choose as many nodes for one service are not enumerated."""
STEP = 4
"""What a decision costs of the budget, besides its links."""
DESCENT = 3
"""How much of its budget more than once a search may spend until it has an answer at all."""


class Search:
    """One search over the variables of `order`, given what all others have chosen.

    Law: never chooses what breaks `together`, `apart`, `after`, eligibility, capacity or a replica
    count.
    """

    def __init__(
        self,
        problem: Problem,
        order: Sequence[int],
        fixed: Mapping[int, Mask],
        loads: Loads,
        *,
        budget: int,
        capacity: bool = True,
        balance: bool = False,
    ) -> None:
        self._problem = problem
        self._order = list(order)
        self._fixed = fixed
        self._loads = loads
        self._budget = budget
        self.spent = 0
        self._capacity = capacity
        self._balance = balance
        self._best: Found | None = None
        self._complete = True
        self._chosen: dict[int, Mask] = {}
        self._used: dict[int, int] = dict.fromkeys(problem.quotas, 0)
        self._open = {v: Narrowing(allowed=problem.variables[v].candidates) for v in order}
        self._restarting = dependents_of(problem, order)
        self._links = {v: problem.links[v] for v in order}
        self._wish_links = {
            v: tuple(link for link in self._links[v] if link.tie is Tie.WISH) for v in order
        }
        self._wishes = {id(link): link for v in order for link in self._wish_links[v]}
        self._guarded = [
            link
            for link in {id(link): link for v in order for link in problem.links[v]}.values()
            if link.zones or link.any_of
        ]
        for base, layers in problem.world.layers.items():
            for part in (base, *layers):
                if part not in self._open:
                    self._used[base] += self._fixed.get(part, 0).bit_count()
        for v in self._order:
            for link in self._links[v]:
                self._heed_fixed(v, link)
        self._wish_bounds: dict[int, int] = {}
        for v in self._order:
            self._open[v].bound = problem.variables[v].best(self._open[v].allowed)
        for key, link in self._wishes.items():
            self._wish_bounds[key] = self._wish_bound(link)
        self._total = sum(narrowing.bound for narrowing in self._open.values())
        self._total += sum(self._wish_bounds.values())
        self.root = self._total
        self._due = 0
        self._grounds = reduce(or_, (problem.variables[v].candidates for v in order), 0)

    def run(self, incumbent: Found | None = None, *, patient: bool = True) -> Found | None:
        """Search until nothing better can exist, or until the budget is spent.

        A patient search goes on for a while until it has an answer of its own at all.

        Returns None when what is fixed leaves these variables no way at all.
        """
        self._best = incumbent
        self._due = sum(self._loads.copies) + self._weigh(incumbent)
        reached = not patient
        stack = [self._frame(0)]
        while stack:
            frame = stack[-1]
            self._take_back(frame)
            chosen = next(frame.options, None)
            if chosen is None:
                stack.pop()
                continue
            if self.spent >= self._budget * (1 if reached else DESCENT):
                self._complete = False
                break
            self._decide(frame, chosen)
            if not self._promising(self._total):
                continue
            if len(stack) < len(self._order):
                stack.append(self._frame(len(stack)))
                continue
            reached = True
            self._keep_if_better()
            if self._best and self._best.worth >= self.root and not self._balance:
                break
        while stack:
            self._take_back(stack.pop())
        return self._result()

    def _weigh(self, found: Found | None) -> int:
        variables = self._problem.variables
        chosen = found.chosen if found is not None else {}
        return sum(variables[v].weight * mask.bit_count() for v, mask in chosen.items())

    def dive(self) -> Found | None:
        """A choice without looking back, each in turn where it is best; None where that leads nowhere."""
        stack: list[Frame] = []
        self._best = None
        for v in self._order:
            variable, must = self._problem.variables[v], self._open[v].must
            allowed = self._open[v].allowed
            if self._capacity:
                allowed = self._loads.fits(variable, allowed)
            most = self._most(variable)
            size = min(most - must.bit_count(), (allowed & ~must).bit_count())
            if must & ~allowed or size < 0:
                break
            stack.append(Frame(variable=v, options=iter(())))
            self._decide(stack[-1], must | self._pick(variable, allowed & ~must, size))
        else:
            self._keep_if_better()
        while stack:
            self._take_back(stack.pop())
        return self._best

    def _most(self, variable: Variable) -> int:
        if variable.quota < 0:
            return variable.want
        left = self._problem.quotas[variable.quota] - self._used[variable.quota]
        return max(0, min(variable.want, left))

    def _result(self) -> Found | None:
        if self._best is None:
            return None
        return replace(self._best, proven=self._complete or self._best.worth >= self.root)

    def narrowed(self, v: int) -> Narrowing:
        """What a variable may do, given what all others outside of this search have chosen."""
        return self._open[v]

    @property
    def restarts(self) -> bool:
        """Whether a choice can make healthy copies restart where they are."""
        return bool(self._restarting)

    # Bounds ---------------------------------------------------------------------------------------

    def _promising(self, bound: int) -> bool:
        best = self._best
        if best is None or bound < best.worth:
            return best is None
        if not self._balance:
            return bound > best.worth
        # What is evened out is worth what it can be; as much worth means as many copies. Those to come
        # are spread as evenly as can be.
        squares = self._loads.least_squares(self._due - sum(self._loads.copies), self._grounds)
        return squares < best.squares or (
            squares == best.squares and best.moved > 0 and self._moved() < best.moved
        )

    def _wish_bound(self, link: Link) -> int:
        service, other = self._reach(link.service), self._reach(link.other)
        scored = link.score * self._problem.scale.preference
        if link.score < 0:
            return scored * shared(link, service[1], other[1])
        most = service[2] if link.zones else min(service[2], other[2])
        return scored * min(shared(link, service[0], other[0]), most)

    def _reach(self, index: int) -> tuple[Mask, Mask, int]:
        """Where copies may be in the end, where they surely are, and how many at most."""
        variable = self._problem.variables[index]
        if index in self._open and index not in self._chosen:
            narrowing = self._open[index]
            most = variable.want + variable.pinned.bit_count()
            return narrowing.allowed | variable.pinned, narrowing.must | variable.pinned, most
        seats = self._seats(index)
        return seats, seats, seats.bit_count()

    def _seats(self, index: int) -> Mask:
        chosen = self._chosen.get(index)
        if chosen is None:
            chosen = self._fixed.get(index, 0)
        return chosen | self._problem.variables[index].pinned

    # Options --------------------------------------------------------------------------------------

    def _frame(self, depth: int) -> Frame:
        v = self._order[depth]
        return Frame(variable=v, options=self._options(v))

    def _options(self, v: int) -> Iterator[Mask]:
        """Ways to choose the nodes of one variable: most copies first, then best bound, load, name."""
        variable, narrowing = self._problem.variables[v], self._open[v]
        must, allowed = narrowing.must, narrowing.allowed
        if self._capacity:
            allowed = self._loads.fits(variable, allowed)
        want = self._most(variable)
        if must & ~allowed or must.bit_count() > want:
            return
        others = self._total - narrowing.bound
        free = allowed & ~must
        most = min(want - must.bit_count(), free.bit_count())
        alone = self._alone(variable)
        for size in range(most, -1, -1):
            count = size + must.bit_count()
            if count + variable.reliable.bit_count() < narrowing.some:
                return
            # Fewer copies are worth less to the service itself; what others gain is in their bounds.
            if not self._promising(others + variable.best_of(allowed, count)):
                return
            if alone:
                yield must | self._pick(variable, free, size)
                return
            yield from self._ranked(v, must, self._subsets(variable, free, size))

    def _subsets(self, variable: Variable, free: Mask, size: int) -> Iterator[Mask]:
        every = combinations(self._by_rank(variable, free), size)
        for extra in islice(every, SUBSETS_MAX):
            yield sum(1 << at for at in extra)
        if next(every, None) is not None:
            self._complete = False

    def _ranked(self, v: int, must: Mask, subsets: Iterable[Mask]) -> Iterator[Mask]:
        """Best bound first, then least load, then name; what turns out hopeless is left out."""
        frame = Frame(variable=v, options=iter(()))
        before, ranked = self._total, []
        for place, extra in enumerate(subsets):
            self._decide(frame, must | extra)
            bound, possible = self._total, self._possible(v)
            load = sum(self._loads.copies[at] for at in bits(extra))
            self._take_back(frame)
            if possible and bound == before:
                # Nothing is lost by it, and the subsets come least load first: no need to rank.
                yield must | extra
            elif possible and self._promising(bound):
                ranked.append((-bound, load, place, must | extra))
        for bound, _, _, chosen in sorted(ranked):
            if self._promising(-bound):
                yield chosen

    def _possible(self, v: int) -> bool:
        """Whether every undecided neighbour can still do what it now must."""
        for link in self._links[v]:
            other = link.other if link.service == v else link.service
            if other in self._open and other not in self._chosen:
                narrowing = self._open[other]
                if narrowing.must & ~narrowing.allowed:
                    return False
        return True

    def _by_rank(self, variable: Variable, free: Mask) -> list[int]:
        """Nodes by the worth of a copy there as far as it is settled, then load, then name."""
        wishes = [
            (link.score * self._problem.scale.preference, link.place(self._seats(other)))
            for link in self._wish_links[variable.index]
            if self._settled(other := self._other_end(link, variable.index))
        ]
        tiers = [(tier, mask & free) for tier, mask in variable.tiers if mask & free]
        for worth, seats in wishes:
            tiers = [
                (tier + worth * inside, part)
                for tier, mask in tiers
                for inside, part in ((1, mask & seats), (0, mask & ~seats))
                if part
            ]
        tiers.sort(key=lambda tier: -tier[0])
        merged: dict[int, Mask] = {}
        for tier, mask in tiers:
            merged[tier] = merged.get(tier, 0) | mask
        return [at for mask in merged.values() for at in self._emptiest_first(variable, mask)]

    def _emptiest_first(self, variable: Variable, mask: Mask) -> list[int]:
        """Nodes of equal worth in the order in which they are taken, by the packing."""
        load = self._loads.copies

        def gone(at: int) -> int:
            return ~variable.running >> at & 1

        match self._problem.world.intent.packing:
            case Packing.FEWEST_NODES:
                return sorted(bits(mask), key=lambda at: (gone(at), not load[at], at))
            case Packing.ROOM:
                key = cmp_to_key(self._loads.roomier)
                return sorted(sorted(bits(mask), key=lambda at: (load[at], gone(at), at)), key=key)
            case _:
                return sorted(bits(mask), key=lambda at: (load[at], gone(at), at))

    def _pick(self, variable: Variable, free: Mask, size: int) -> Mask:
        return sum(1 << at for at in self._by_rank(variable, free)[:size])

    @staticmethod
    def _other_end(link: Link, v: int) -> int:
        return link.other if link.service == v else link.service

    def _alone(self, variable: Variable) -> bool:
        """Whether nothing else turns on where this one goes: then its best nodes are the best choice."""
        if self._balance or (variable.demand and self._capacity) or variable.quota >= 0:
            return False
        if len(self._restarting) > 1 and variable.cherished:
            return False
        for link in self._links[variable.index]:
            # A second copy in one place may be worth nothing more; any of several is told at the leaves.
            if link.any_of or (link.zones and link.other == variable.index):
                return False
        return all(
            self._settled(end)
            for link in self._links[variable.index]
            for end in (link.service, link.other, *link.any_of)
            if end != variable.index
        )

    def _settled(self, index: int) -> bool:
        return index in self._chosen or index not in self._open

    # Deciding -------------------------------------------------------------------------------------

    def _decide(self, frame: Frame, chosen: Mask) -> None:
        v = frame.variable
        self.spent += STEP + len(self._links[v])
        frame.chosen, frame.total = chosen, self._total
        frame.narrowed, frame.wishes = [], []
        variable = self._problem.variables[v]
        self._chosen[v] = chosen
        self._loads.add(variable, chosen)
        if variable.quota >= 0:
            self._used[variable.quota] += chosen.bit_count()
        self._total += variable.worth(chosen) - self._open[v].bound
        touched = {v}
        for link, other in self._ends(v):
            if self._settled(other):
                continue
            narrowing = self._open[other]
            before = (narrowing.allowed, narrowing.must, narrowing.some, narrowing.bound)
            self._narrow(link, v, chosen, other)
            if before[:3] != (narrowing.allowed, narrowing.must, narrowing.some):
                frame.narrowed.append((other, *before))
                touched.add(other)
                narrowing.bound = self._problem.variables[other].best(narrowing.allowed)
                self._total += narrowing.bound - before[3]
        for index in sorted(touched):
            for link in self._wish_links[index]:
                self._renew_wish(frame, link)

    def _renew_wish(self, frame: Frame, link: Link) -> None:
        before = self._wish_bounds[id(link)]
        now = self._wish_bound(link)
        if now != before:
            frame.wishes.append((id(link), before))
            self._wish_bounds[id(link)] = now
            self._total += now - before

    def _take_back(self, frame: Frame) -> None:
        if self._chosen.get(frame.variable) is None:
            return
        variable = self._problem.variables[frame.variable]
        self._loads.add(variable, frame.chosen, -1)
        if variable.quota >= 0:
            self._used[variable.quota] -= frame.chosen.bit_count()
        del self._chosen[frame.variable]
        for key, before in reversed(frame.wishes):
            self._wish_bounds[key] = before
        for other, allowed, must, some, bound in reversed(frame.narrowed):
            narrowing = self._open[other]
            narrowing.allowed, narrowing.must = allowed, must
            narrowing.some, narrowing.bound = some, bound
        self._total = frame.total

    def _ends(self, v: int) -> Iterator[tuple[Link, int]]:
        for link in self._links[v]:
            for end in (link.service, link.other, *link.any_of):
                if end != v:
                    yield link, end

    def _narrow(self, link: Link, v: int, chosen: Mask, other: int) -> None:
        """What `other` may still do once `v` has chosen."""
        variables = self._problem.variables
        this, that = variables[v], variables[other]
        narrowing = self._open[other]
        dependent = link.service == v
        match link.tie:
            case Tie.TOGETHER if not dependent:
                narrowing.allowed &= link.place(chosen | this.pinned)
            case Tie.TOGETHER if not link.zones:
                narrowing.must |= chosen & ~that.pinned
            case Tie.TOGETHER if that.want == 1 and not that.pinned and chosen:
                narrowing.allowed &= link.place(chosen)
            case Tie.APART if dependent:
                narrowing.allowed &= ~link.place((chosen | this.pinned) & link.where)
            case Tie.APART:
                narrowing.allowed &= ~(link.place(chosen | this.pinned) & link.where)
            case Tie.AFTER:
                self._narrow_after(link, v, chosen, narrowing)

    def _narrow_after(self, link: Link, v: int, chosen: Mask, narrowing: Narrowing) -> None:
        variables = self._problem.variables
        if link.any_of:
            return  # told apart at the leaves: any of several will do
        if link.service == v:
            if relying(link, variables, chosen):
                narrowing.some = max(narrowing.some, link.least)
        elif (chosen | variables[v].reliable).bit_count() < link.least:
            narrowing.allowed &= ~relying(link, variables, narrowing.allowed)

    def _heed_fixed(self, v: int, link: Link) -> None:
        for end in (link.service, link.other, *link.any_of):
            if end == v or end in self._open:
                continue
            self._narrow(link, end, self._fixed.get(end, 0), v)
        if link.tie is Tie.APART:
            # Pinned copies bind from the start, whatever their service chooses besides.
            other = link.other if link.service == v else link.service
            pinned = self._problem.variables[other].pinned
            if link.service == v:
                self._open[v].allowed &= ~(link.place(pinned) & link.where)
            else:
                self._open[v].allowed &= ~link.place(pinned & link.where)

    # Leaves ---------------------------------------------------------------------------------------

    def _keep_if_better(self) -> None:
        if any(
            broken(link, self._problem.variables, self._chosen_or_fixed) for link in self._guarded
        ):
            return
        worth, squares, best = self.worth(self._chosen), self._loads.squares(), self._best
        moved = self._moved() if self._balance else 0
        if best is not None:
            if worth < best.worth:
                return
            even = (squares, moved) < (best.squares, best.moved)
            if worth == best.worth and not (self._balance and even):
                return
        self._best = Found(chosen=dict(self._chosen), worth=worth, squares=squares, moved=moved)

    def _moved(self) -> int:
        variables = self._problem.variables
        return sum((variables[v].running & ~mask).bit_count() for v, mask in self._chosen.items())

    def _chosen_or_fixed(self, index: int) -> Mask:
        chosen = self._chosen.get(index)
        return self._fixed.get(index, 0) if chosen is None else chosen

    def worth(self, chosen: dict[int, Mask]) -> int:
        """Levels 1 to 3 of a complete choice for these variables, packed."""
        variables = self._problem.variables
        seats = ChainMap(chosen, self._fixed)  # type: ignore[arg-type]  # it is only read
        total = sum(variables[v].worth(mask) for v, mask in chosen.items())
        for link in self._wishes.values():
            service = seats.get(link.service, 0) | variables[link.service].pinned
            other = seats.get(link.other, 0) | variables[link.other].pinned
            scored = link.score * self._problem.scale.preference
            total += scored * shared(link, service, other)
        if self._restarting:
            total -= restart_cost(self._problem, seats, self._restarting)
        return total
