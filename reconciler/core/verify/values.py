"""The judge's own words: violations, places, tracks.

A service is one track, its copies; a promotable one is a second track, its promoted copies. On every
track copies begin (start, promote, arrive) and end (stop, demote, depart) at places. All laws about
order are said of tracks.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from reconciler.model.intent import Service
from reconciler.model.observed import Copy
from reconciler.model.plan import Action, ActionKind

Place = tuple[str, int]
"""A node, and which copy there; the number is 0 where a node has one copy at most."""

Key = tuple[str, bool]
"""A track: the name of a service, and whether only its promoted copies are meant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A law that a plan breaks."""

    law: str
    detail: str


@dataclass(slots=True)
class Track:
    """The copies of one service, or its promoted ones: what runs, and what the plan does."""

    name: str
    promoted: bool
    service: Service | None
    """None: the intent does not name it."""
    free: dict[Place, Copy] = field(default_factory=dict)
    """Copies that run and may be touched."""
    rising: set[Place] = field(default_factory=set)
    """The free ones that are on their way up: they are started again, without a stop."""
    held: dict[Place, Copy] = field(default_factory=dict)
    """Copies that nobody may touch, and that run or may run."""
    doomed: dict[Place, Copy] = field(default_factory=dict)
    """Copies that run or may run until the plan has fenced their node."""
    begins: dict[Place, Action] = field(default_factory=dict)
    ends: dict[Place, Action] = field(default_factory=dict)
    seats: dict[str, int] = field(default_factory=dict)
    """Copies by node, as the placement has them."""

    def standing(self) -> Iterator[Place]:
        """Places where a copy runs throughout; one that moves live stands where it ends up."""
        ends = self.ends
        for place in self.free:
            if place not in ends and place not in self.rising:
                yield place
        for place, copy in self.held.items():
            if reliable(copy):
                yield place
        for place, action in self.begins.items():
            if action.kind is ActionKind.MIGRATE:
                yield place

    def begins_on(self, node: str) -> Iterator[Action]:
        """What makes a copy begin on that node."""
        return (action for place, action in self.begins.items() if place[0] == node)

    def held_on(self, node: str) -> bool:
        """Whether a copy that nobody may touch is on that node."""
        return any(place[0] == node for place in self.held)

    def runs_on(self, node: str) -> bool:
        """Whether a copy that may be touched runs on that node when the plan begins."""
        return any(place[0] == node for place in self.free)

    @property
    def acts(self) -> list[Action]:
        """Every action on this track, each once."""
        found = {action.id: action for action in (*self.begins.values(), *self.ends.values())}
        return list(found.values())

    def __str__(self) -> str:
        return f"{self.name} (promoted)" if self.promoted else self.name


def reliable(copy: Copy) -> bool:
    """Whether others may count on a copy that nobody may touch."""
    return copy.certainty == "observed" and not copy.failed and copy.blocked is None
