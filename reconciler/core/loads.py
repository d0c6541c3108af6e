"""What is on each node while a placement is made: copies, and the room they leave."""

from dataclasses import dataclass
from heapq import heapify, heapreplace

from reconciler.core.problem import Variable
from reconciler.core.world import Mask, bits


@dataclass(slots=True)
class Loads:
    """What is on each node so far: copies, and room that is left of each limited resource."""

    copies: list[int]
    room: list[list[int]]

    def add(self, variable: Variable, chosen: Mask, sign: int = 1) -> None:
        """Put the chosen copies of a variable on their nodes, or take them off again."""
        copies, weight, demand = self.copies, sign * variable.weight, variable.demand
        while chosen:
            low = chosen & -chosen
            chosen ^= low
            at = low.bit_length() - 1
            copies[at] += weight
            for resource, amount in demand:
                self.room[at][resource] -= sign * amount

    def fits(self, variable: Variable, allowed: Mask) -> Mask:
        """The nodes among these that have room for one copy."""
        for at in bits(allowed if variable.demand else 0):
            if any(self.room[at][resource] < amount for resource, amount in variable.demand):
                allowed &= ~(1 << at)
        return allowed

    def roomier(self, one: int, other: int) -> int:
        """Negative where more resources have more room on the one node than on the other."""
        rooms = zip(self.room[one], self.room[other], strict=True)
        return sum((left < right) - (left > right) for left, right in rooms)

    def squares(self) -> int:
        """Level 4 of a placement: the less, the better balanced."""
        return sum(load * load for load in self.copies)

    def least_squares(self, more: int, nodes: Mask) -> int:
        """What level 4 comes to at least with so many copies more on these nodes."""
        squares = self.squares()
        even = [self.copies[at] for at in bits(nodes)]
        heapify(even)
        for _ in range(more if even else 0):
            squares += 2 * even[0] + 1
            heapreplace(even, even[0] + 1)
        return squares
