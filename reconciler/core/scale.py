"""The scale of placements: levels packed into one integer that compares like the tuple of levels."""

from dataclasses import dataclass

_COUNT_BITS = 24
_PREFERENCE_BITS = 64
_PER_CLASS = 4


@dataclass(frozen=True, slots=True)
class Scale:
    """Weights of the levels inside a packed worth, the lowest level in the lowest bits."""

    classes: tuple[int, ...]
    """Priorities, highest first."""
    disturbance: int = 1 << _COUNT_BITS
    home: int = 1
    preference: int = 1 << (2 * _COUNT_BITS)

    def counts(self, priority: int) -> tuple[int, int, int, int]:
        """Weights of: still running, running at all, one copy, one promoted copy, in this class."""
        below = len(self.classes) - 1 - self.classes.index(priority)
        base = 2 * _COUNT_BITS + _PREFERENCE_BITS + below * _PER_CLASS * _COUNT_BITS
        return (
            1 << (base + 3 * _COUNT_BITS),
            1 << (base + 2 * _COUNT_BITS),
            1 << (base + _COUNT_BITS),
            1 << base,
        )

    def levels(self, worth: int) -> tuple[int, ...]:
        """Unpack a worth into its levels, highest first (four per class, then the last three)."""
        shifts = [_COUNT_BITS, _COUNT_BITS, _PREFERENCE_BITS]
        shifts += [_COUNT_BITS] * (_PER_CLASS * len(self.classes))
        parts = []
        for width in shifts:
            part = ((worth + (1 << (width - 1))) & ((1 << width) - 1)) - (1 << (width - 1))
            parts.append(part)
            worth = (worth - part) >> width
        return tuple(reversed(parts))
