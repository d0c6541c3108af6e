"""The scale of placements: levels packed into one integer that compares like the tuple of levels."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

_COUNT_BITS = 24
_PREFERENCE_BITS = 64
_PER_CLASS = 4


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Weights of the levels inside a packed worth, the lowest level in the lowest bits."""

    classes: tuple[int, ...]
    """Priorities, highest first."""
    uncritical: bool = False
    """There are services for whose sake nothing moves: they count below everything else."""

    @cached_property
    def home(self) -> int:
        """Weight of a copy that restarts where it is."""
        return 1 << (_PER_CLASS * _COUNT_BITS if self.uncritical else 0)

    @cached_property
    def disturbance(self) -> int:
        """Weight of a copy that is left alone."""
        return self.home << _COUNT_BITS

    @cached_property
    def preference(self) -> int:
        """Weight of one point of a score."""
        return self.disturbance << _COUNT_BITS

    def counts(self, priority: int | None) -> tuple[int, int, int, int]:
        """Weights of: still running, running at all, one copy, one promoted copy, in this class.

        None is the class below all that counts.
        """
        base = 1
        if priority is not None:
            below = len(self.classes) - 1 - self.classes.index(priority)
            base = self.preference << (_PREFERENCE_BITS + below * _PER_CLASS * _COUNT_BITS)
        return (
            base << (3 * _COUNT_BITS),
            base << (2 * _COUNT_BITS),
            base << _COUNT_BITS,
            base,
        )

    def levels(self, worth: int) -> tuple[int, ...]:
        """Unpack a worth, highest first: four per class, the last three, four of what does not count."""
        parts = []
        for width in self._widths():
            part = ((worth + (1 << (width - 1))) & ((1 << width) - 1)) - (1 << (width - 1))
            parts.append(part)
            worth = (worth - part) >> width
        return tuple(reversed(parts))

    def pack(self, levels: Sequence[int]) -> int:
        """The inverse of `levels`."""
        worth = shift = 0
        for level, width in zip(reversed(levels), self._widths(), strict=True):
            worth += level << shift
            shift += width
        return worth

    def _widths(self) -> list[int]:
        """Bits of each level, lowest first."""
        widths = [_COUNT_BITS] * (_PER_CLASS if self.uncritical else 0)
        widths += [_COUNT_BITS, _COUNT_BITS, _PREFERENCE_BITS]
        widths += [_COUNT_BITS] * (_PER_CLASS * len(self.classes))
        return widths
