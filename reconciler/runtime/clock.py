"""The only place where time is read; everything else gets it as an argument.

Three clocks for three purposes. Decisions use `monotonic_ms`, which no operator and no time server can
turn back, and which goes on counting while the machine is suspended: an order that was read after a long
sleep has to look as old as it is. People get `stamp`. Certificates use `utc`, and so do rules on hours and
days, by `ahead_ms`.
"""

import time
from datetime import UTC, datetime

from reconciler.model.ids import Millis


def monotonic_ms() -> Millis:
    """Milliseconds since the machine booted, suspended time included; never goes back."""
    return Millis(time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000)


def monotonic_us() -> int:
    """Microseconds of the same clock, for numbers that must never be used twice within one boot."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000


def utc() -> datetime:
    """Wall-clock time, for the validity of certificates."""
    return datetime.now(tz=UTC)  # noqa: TID251 - this is the clock


def ahead_ms() -> Millis:
    """How far wall-clock time since 1970 is ahead of `monotonic_ms`; changes when the clock is set."""
    return Millis(time.clock_gettime_ns(time.CLOCK_REALTIME) // 1_000_000 - monotonic_ms())


def stamp() -> str:
    """Wall-clock time for people and logs, such as `2025-03-01T12:00:00.123Z`. Never compared."""
    return utc().isoformat(timespec="milliseconds").replace("+00:00", "Z")
