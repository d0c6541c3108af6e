"""Services in chains and trees of wishes: dynamic programming, exact and linear in their number.

A pair only asks whether both are on one node. So what a subtree is worth, by its parent's node, is the best
of "on that node too" and "anywhere else", and its best and second best node are all that must be known.

Where the pairs make circles, the strongest ones that make none are kept. Then the answer is a start to
better, and the bound says so.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reconciler.core.loads import Loads
from reconciler.core.problem import Problem
from reconciler.core.separable import Separable
from reconciler.core.world import Mask

ROUNDS_MAX = 20
"""Rounds of moving one service at a time, where the pairs make circles."""
OPTIONS_MAX = 1_000_000
"""More pairs of a service and a node than this are not looked at."""

_Nodes = dict[int, int]


@dataclass(frozen=True, slots=True)
class Seated:
    """Seats for a piece, and how much more it could be worth at most."""

    chosen: dict[int, Mask]
    gap: int


def seat_forest(problem: Problem, piece: Separable, loads: Loads) -> Seated | None:
    """Seats for a piece of single copies; None if it has others.

    Law: no choice is worth more than this one and its gap together.
    """
    if any(problem.variables[v].want > 1 for v in piece.order):
        return None
    if sum(map(len, piece.gains.values())) > OPTIONS_MAX:
        return None
    forest = _Forest(piece, loads)
    forest.grow()
    forest.gather()
    forest.seat()
    forest.improve()
    chosen = {v: 0 if at is None else 1 << at for v, at in forest.at.items()}
    return Seated(chosen=chosen, gap=forest.bound - forest.worth())


class _Forest:
    def __init__(self, piece: Separable, loads: Loads) -> None:
        self._piece = piece
        self._load = list(loads.copies)
        self._near: dict[int, dict[int, int | None]] = defaultdict(dict)
        """Neighbours in the forest, with the worth of sharing a node; None: it is forbidden."""
        self._values: dict[int, _Nodes] = {}
        self._parents: list[tuple[int, int | None]] = []
        """Every variable with its parent, parents first."""
        self.at: dict[int, int | None] = {}
        self.bound = 0

    def grow(self) -> None:
        """Keep the pairs that make no circle, the strongest first; others can only be a bonus."""
        pairs = self._piece.pairs
        root = {v: v for v in self._piece.order}

        def find(v: int) -> int:
            while root[v] != v:
                root[v] = v = root[root[v]]
            return v

        strongest = sorted(pairs, key=lambda pair: (-_strength(pairs[pair]), pair))
        for one, other in strongest:
            worth = pairs[one, other]
            if worth == 0:
                continue
            if find(one) != find(other):
                root[find(one)] = find(other)
                self._near[one][other] = self._near[other][one] = worth
            elif worth is not None:
                self.bound += max(0, worth)
        for first in self._piece.order:
            self._root(first)

    def _root(self, first: int) -> None:
        if first in self._values:
            return
        waiting: list[tuple[int, int | None]] = [(first, None)]
        while waiting:
            v, parent = waiting.pop()
            self._values[v] = dict(self._piece.gains[v])
            self._parents.append((v, parent))
            waiting.extend((other, v) for other in self._near[v] if other != parent)

    def gather(self) -> None:
        """From the leaves: what each node is worth to a variable, with all that hangs on it.

        Values are relative to what its children have when it is nowhere near them.
        """
        for v, parent in reversed(self._parents):
            values = self._values[v]
            best, second, where = _two_best(values)
            self.bound += best
            if parent is None:
                continue
            worth, above = self._near[v][parent], self._values[parent]
            for at, value in values.items():
                if at in above:
                    apart = second if at == where else best
                    above[at] += (apart if worth is None else max(apart, value + worth)) - best

    def seat(self) -> None:
        """From the roots: the best node by what the parent has, the least loaded among equals."""
        for v, parent in self._parents:
            beside = None if parent is None else self.at[parent]
            worth = 0 if parent is None else self._near[v][parent]
            options = [
                (value + (worth or 0) * (at == beside), -self._load[at], -at)
                for at, value in self._values[v].items()
                if worth is not None or at != beside
            ]
            value, _, at = max(options, default=(-1, 0, 0))
            self._move(v, -at if value >= 0 else None)

    def improve(self) -> None:
        """With all pairs again: nobody where it may not be, and each in turn where it is best."""
        around: dict[int, list[tuple[int, int | None]]] = defaultdict(list)
        for (one, other), worth in self._piece.pairs.items():
            around[one].append((other, worth))
            around[other].append((one, worth))
        for _ in range(ROUNDS_MAX):
            busy = False
            for v in self._piece.order:
                options = self._beside(v, around[v])
                now = self.at[v]
                had = 0 if now is None else options.get(now, -1)
                best = max(
                    options, key=lambda at: (options[at], -self._load[at], -at), default=None
                )
                if best is not None and options[best] > had:
                    self._move(v, best)
                    busy = True
                elif had < 0:
                    self._move(v, None)
                    busy = True
            if not busy:
                return

    def _beside(self, v: int, around: list[tuple[int, int | None]]) -> Mapping[int, int]:
        options = dict(self._piece.gains[v])
        for other, worth in around:
            at = self.at[other]
            if at is None or at not in options:
                continue
            if worth is None:
                del options[at]
            else:
                options[at] += worth
        return options

    def _move(self, v: int, at: int | None) -> None:
        before = self.at.get(v)
        if before is not None:
            self._load[before] -= 1
        if at is not None:
            self._load[at] += 1
        self.at[v] = at

    def worth(self) -> int:
        """What the seats are worth, as far as the piece goes."""
        return sum(self._worths())

    def _worths(self) -> Iterator[int]:
        for v, at in self.at.items():
            if at is not None:
                yield self._piece.gains[v][at]
        for (one, other), worth in self._piece.pairs.items():
            if worth is not None and self.at[one] is not None and self.at[one] == self.at[other]:
                yield worth


def _strength(worth: int | None) -> int:
    return 1 << 4096 if worth is None else abs(worth)


def _two_best(values: Mapping[int, int]) -> tuple[int, int, int | None]:
    """The best worth, the best on another node, and the best node; nowhere is worth nothing."""
    best = second = 0
    where = None
    for at, value in values.items():
        if value > best:
            best, second, where = value, best, at
        elif value > second:
            second = value
    return best, second, where
