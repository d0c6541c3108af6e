"""The placement problem: one variable per part of a service, its value the set of nodes for its copies.

Levels 1 to 3 of a placement's worth are packed into one integer that compares like the tuple of
levels: services still running, services running, copies and promoted copies per priority class, then
preference, then undisturbed copies, then copies that restart where they are rather than elsewhere.
Worth is additive over variables and wishes, except for dependents that restart because what they
need does: the search subtracts those at the end.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.core.eligibility import Bans
from reconciler.core.relations import Link, Relations
from reconciler.core.scale import Scale
from reconciler.core.world import Mask, World

UNLIMITED = 1 << 62
"""Room where nothing is limited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """What the search must know of one part."""

    index: int
    weight: int
    """What one copy adds to the load of its node: promoted copies are copies already."""
    quota: int
    """The first part of those that share a number of copies; -1 when it has a number of its own."""
    want: int
    """Most copies to choose, beyond the pinned ones."""
    candidates: Mask
    pinned: Mask
    reliable: Mask
    running: Mask
    healthy: Mask
    cherished: Mask
    """Healthy copies that could stay undisturbed."""
    tiers: tuple[tuple[int, Mask], ...]
    """Candidates by the worth of a copy there, best first; every mask is disjoint."""
    up: int
    """Worth of having at least one copy."""
    kept: int
    """Further worth of that, when it runs now."""
    stickiness: int
    """Packed worth of leaving one healthy copy undisturbed."""
    demand: tuple[tuple[int, int], ...]
    """Resource index and amount, limited resources only."""

    def best(self, allowed: Mask) -> int:
        """The greatest worth this service alone can have with copies only on these nodes."""
        return self.best_of(allowed, self.want)

    def best_of(self, allowed: Mask, count: int) -> int:
        """The same with at most so many copies."""
        left, worth = count, 0
        for tier, mask in self.tiers:
            here = (mask & allowed).bit_count()
            if here >= left:
                return worth + tier * left + self.up + self.kept if count else 0
            worth += tier * here
            left -= here
        return worth + self.up + self.kept if left < count else 0

    def worth(self, chosen: Mask) -> int:
        """What exactly these copies are worth."""
        if not chosen:
            return 0
        total = self.up + self.kept
        for tier, mask in self.tiers:
            total += tier * (mask & chosen).bit_count()
        return total


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Variables and what ties them together."""

    world: World
    scale: Scale
    relations: Relations
    bans: Bans
    variables: tuple[Variable, ...]
    resources: tuple[str, ...]
    """Names of the resources that some node limits."""
    room: tuple[tuple[int, ...], ...]
    """Per node and resource what the pinned copies leave, or a very large number."""
    links: tuple[tuple[Link, ...], ...]
    """Per service every link that it is an end of (`sequence` apart, which binds nothing)."""
    quotas: Mapping[int, int]
    """Most copies of all parts that share a number, by their first part."""
    suppliers: tuple[tuple[Link, ...], ...]
    """Per service the `after` links to what it needs."""
    dependents: tuple[tuple[int, ...], ...]
    """Per service what needs it, by the same links."""
