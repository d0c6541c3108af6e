"""The values of a search: what it found, what is left to the undecided, and what to put back."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from reconciler.core.world import Mask


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The best assignment found, its worth, and whether nothing can be worth more."""

    chosen: dict[int, Mask]
    worth: int
    squares: int
    moved: int = 0
    """Running copies that have to go, where balance comes before leaving them."""
    proven: bool = False


@dataclass(slots=True)
class Narrowing:
    """What an undecided variable may still do, given what is decided."""

    allowed: Mask
    must: Mask = 0
    some: int = 0
    """At least so many copies, whichever."""
    bound: int = 0


@dataclass(slots=True)
class Frame:
    """One level of the search, with what to put back when it tries its next option."""

    variable: int
    options: Iterator[Mask]
    chosen: Mask = 0
    narrowed: list[tuple[int, Mask, Mask, int, int]] = field(default_factory=list)
    wishes: list[tuple[int, int]] = field(default_factory=list)
    total: int = 0
