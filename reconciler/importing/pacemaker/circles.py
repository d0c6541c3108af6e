"""Circles of required orderings, which Pacemaker takes and no cluster's file may have.

A step is an action of a service; a service starts before it is promoted, and a group's members follow one
another.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

_Step = tuple[str, str]


class Circles:
    """Takes orderings one by one, and refuses the one that would close a circle."""

    def __init__(self, groups: Mapping[str, Sequence[str]]) -> None:
        self._groups = groups
        self._after: dict[_Step, set[_Step]] = defaultdict(set)
        for members in groups.values():
            for first, then in pairwise(members):
                for action in ("start", "promote"):
                    self._after[first, action].add((then, action))

    def take(self, firsts: Iterable[str], then: str, actions: tuple[str, str]) -> bool:
        """Remember an ordering; False if it closes a circle, and is not remembered."""
        first_action, then_action = actions
        if {first_action, then_action} - {"start", "promote"}:
            return True  # what waits for a stop waits for no start
        begins = [(name, first_action) for first in firsts for name in self._names(first)]
        ends = [(name, then_action) for name in self._names(then)]
        if self._reached(ends) & {*begins}:
            return False
        for begin in begins:
            self._after[begin].update(ends)
        return True

    def _names(self, name: str) -> Sequence[str]:
        return self._groups.get(name, (name,))

    def _reached(self, steps: Iterable[_Step]) -> set[_Step]:
        """Every step that comes after these, and these."""
        found, waiting = set(steps), [*steps]
        while waiting:
            name, action = step = waiting.pop()
            following = self._after.get(step, set()) | (
                {(name, "promote")} if action == "start" else set()
            )
            waiting += following - found
            found |= following
        return found
