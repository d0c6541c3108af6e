"""A mixed-integer solver for hard packing: one solve per level, the levels before as constraints.

The model is a relaxation: it leaves out what it cannot say (restarts of dependents, racks, any-of), so what
it proves is a bound for the real thing, and its seats are weighed by our own count before anybody uses them.
It is proven only where both agree.

The solver is imported when it is needed. It runs on one thread with a fixed seed, and its limits count
nodes and never seconds: equal input gives equal output. It reads and writes nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import floor, gcd, isfinite
from typing import Any

from reconciler.core.loads import Loads
from reconciler.core.problem import Problem
from reconciler.core.relations import Link, Tie
from reconciler.core.search import Search
from reconciler.core.world import Mask, bits

CELLS_MAX = 600
"""More pairs of a copy and a node than this are too much for it."""
NODES_MAX = 5
"""Nodes of its tree, for one level."""
ITERATIONS_MAX = 20_000
COEFFICIENT_MAX = 1_000_000
"""Greater scores are not safe in its arithmetic."""
_HALF = 0.5
_SLACK = 1e-4

Cell = tuple[int, int]
"""A variable and a node; node -1 stands for having a copy at all."""


@dataclass(frozen=True, slots=True)
class Relaxed:
    """What the solver found: seats to be weighed, and what no choice can exceed."""

    chosen: dict[int, Mask]
    bound: int


def relax(
    problem: Problem,
    search: Search,
    order: Sequence[int],
    loads: Loads,
    start: Mapping[int, Mask],
    nodes: Mask,
) -> Relaxed | None:
    """Seat these variables as well as can be while nothing moves but on these nodes.

    Copies on other nodes stay as `start` has them. The bound is for the given nodes only, and holds for
    all where they are all. None: too large, or beyond its arithmetic.
    """
    model = _Model(problem, search, order, loads, start, nodes)
    if not model.cells or len(model.cells) > CELLS_MAX:
        return None
    return model.solve()


class _Model:
    def __init__(
        self,
        problem: Problem,
        search: Search,
        order: Sequence[int],
        loads: Loads,
        start: Mapping[int, Mask],
        nodes: Mask,
    ) -> None:
        self._problem = problem
        self._loads = loads
        self._start = start
        self._nodes = nodes
        self._order = order
        self._wishes = search.root - sum(search.narrowed(v).bound for v in order)
        """What wishes could bring at most: the model does not know them."""
        self._allowed = {v: search.narrowed(v).allowed & nodes for v in order}
        self.cells: dict[Cell, int] = {}
        for v in order:
            for at in bits(self._allowed[v]):
                self.cells[v, at] = len(self.cells)
            self.cells[v, -1] = len(self.cells)
        self._worths = [0] * len(self.cells)
        for v in order:
            variable = problem.variables[v]
            self._worths[self.cells[v, -1]] += variable.up + variable.kept
            for tier, mask in variable.tiers:
                for at in bits(mask & self._allowed[v]):
                    self._worths[self.cells[v, at]] += tier

    def solve(self) -> Relaxed | None:
        """Level by level, most important first."""
        scale = self._problem.scale
        levels = [scale.levels(worth) for worth in self._worths]
        depth = len(levels[0])
        rows = list(self._rows())
        values = self._known()
        reached: list[int] = []
        bounds: list[int] = []
        for level in range(depth):
            costs = [worth[level] for worth in levels]
            if max(map(abs, costs)) > COEFFICIENT_MAX:
                return None
            most = self._most(levels, level)
            now = round(sum(cost * value for cost, value in zip(costs, values, strict=True)))
            bound = most
            if now < most and bounds == reached:
                values, bound = _run(costs, rows, values)
                now = round(sum(cost * value for cost, value in zip(costs, values, strict=True)))
            reached.append(now)
            bounds.append(max(now, bound))
            row = {at: cost for at, cost in enumerate(costs) if cost}
            if row:
                rows.append((now - _HALF, float("inf"), row))
        return Relaxed(chosen=self._chosen(values), bound=scale.pack(bounds) + self._wishes)

    def _known(self) -> list[float]:
        return [
            float(bool(self._start[v]) if at < 0 else self._start[v] >> at & 1)
            for v, at in self.cells
        ]

    def _most(self, levels: Sequence[tuple[int, ...]], level: int) -> int:
        """What nobody can exceed: each variable the best that this level has for it."""
        total = 0
        for v in self._order:
            here = [levels[self.cells[v, at]][level] for at in bits(self._allowed[v])]
            outside = (self._start[v] & ~self._nodes).bit_count()
            want = max(0, self._problem.variables[v].want - outside)
            total += sum(sorted((one for one in here if one > 0), reverse=True)[:want])
            total += max(0, levels[self.cells[v, -1]][level])
        return total

    def _chosen(self, values: Sequence[float]) -> dict[int, Mask]:
        chosen = {v: self._start[v] & ~self._nodes for v in self._order}
        for (v, at), place in self.cells.items():
            if at >= 0 and values[place] > _HALF:
                chosen[v] |= 1 << at
        return chosen

    # Rows -----------------------------------------------------------------------------------------

    def _rows(self) -> Iterator[tuple[float, float, dict[int, int]]]:
        """Copies, room and links, each as least, most and coefficients."""
        for v in self._order:
            outside = (self._start[v] & ~self._nodes).bit_count()
            seats = {self.cells[v, at]: 1 for at in bits(self._allowed[v])}
            yield 0, max(0, self._problem.variables[v].want - outside), seats
            yield -outside, float("inf"), {**seats, self.cells[v, -1]: -1}
        yield from self._quotas()
        for at in bits(self._nodes):
            for resource in range(len(self._problem.resources)):
                row = {
                    self.cells[v, at]: amount
                    for v in self._order
                    if self._allowed[v] >> at & 1
                    for which, amount in self._problem.variables[v].demand
                    if which == resource
                }
                if row:
                    yield 0, self._loads.room[at][resource], row
        inside = set(self._order)
        for v in self._order:
            for link in self._problem.links[v]:
                if link.service == v and link.other in inside and not link.zones:
                    yield from self._link(link)

    def _quotas(self) -> Iterator[tuple[float, float, dict[int, int]]]:
        """First and further copies on a node share one number."""
        for base, most in self._problem.quotas.items():
            parts = (base, *self._problem.world.layers[base])
            inside = [v for v in parts if v in self._allowed]
            outside = sum((self._start[v] & ~self._nodes).bit_count() for v in inside)
            seats = {self.cells[v, at]: 1 for v in inside for at in bits(self._allowed[v])}
            if seats:
                yield 0, max(0, most - outside), seats

    def _link(self, link: Link) -> Iterator[tuple[float, float, dict[int, int]]]:
        pinned = self._problem.variables[link.other].pinned
        for at in bits(self._allowed[link.service]):
            mine, its = self.cells[link.service, at], self.cells.get((link.other, at))
            if link.tie is Tie.APART and its is not None and link.where >> at & 1:
                yield 0, 1, {mine: 1, its: 1}
            if link.tie is Tie.TOGETHER and not pinned >> at & 1:
                yield -1, 0, {mine: 1} if its is None else {mine: 1, its: -1}


def _run(
    costs: Sequence[int],
    rows: Sequence[tuple[float, float, dict[int, int]]],
    start: Sequence[float],
) -> tuple[list[float], int]:
    """Maximise over the rows; the values, and what it proves that nothing can exceed."""
    import highspy

    unit = gcd(*costs)
    solver: Any = highspy.Highs()  # type: ignore[no-untyped-call]  # it has no types
    for option, value in (
        ("output_flag", False),
        ("threads", 1),
        ("random_seed", 1),
        ("mip_rel_gap", 0.0),
        ("mip_abs_gap", 1 - _SLACK),
        ("mip_max_nodes", NODES_MAX),
        ("mip_heuristic_effort", 0.0),
        ("mip_allow_restart", False),
        ("simplex_iteration_limit", ITERATIONS_MAX),
    ):
        solver.setOptionValue(option, value)
    for cost in costs:
        solver.addCol(cost / unit, 0.0, 1.0, 0, [], [])
    places = list(range(len(costs)))
    solver.changeColsIntegrality(len(costs), places, [highspy.HighsVarType.kInteger] * len(costs))
    for least, most, row in rows:
        solver.addRow(
            float(least), float(most), len(row), list(row), list(map(float, row.values()))
        )
    solver.changeObjectiveSense(highspy.ObjSense.kMaximize)
    known = highspy.HighsSolution()
    known.col_value = list(start)
    solver.setSolution(known)
    solver.run()
    info = solver.getInfo()
    values = list(solver.getSolution().col_value)
    limit = float(info.mip_dual_bound)
    if not values or not isfinite(limit):
        return list(start), sum(cost for cost in costs if cost > 0)
    return values, unit * floor(limit + _SLACK)
