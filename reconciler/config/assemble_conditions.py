"""The time of a location, settled: moments on the clocks of its zone, and whether it ever comes."""

from typing import Final

from reconciler.config import document
from reconciler.config.draft import AnyConstraint, Entry
from reconciler.config.problems import Problems
from reconciler.model.conditions import UTC, During

_LENGTHS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
"""Most days that each month ever has."""


def read_during(
    entry: Entry[AnyConstraint], body: document.During | None, problems: Problems
) -> During | None:
    """The time at which a location counts; None: always. One that never comes is reported."""
    if body is None:
        return None
    zone = body.zone or UTC
    found = During(
        from_ms=body.from_.at_ms(zone) if body.from_ else None,
        until_ms=body.until.at_ms(zone) if body.until else None,
        months=body.months,
        days=body.days,
        weekdays=body.weekdays,
        hours=body.hours,
        zone=zone,
    )
    if found.from_ms is not None and found.until_ms is not None and found.until_ms <= found.from_ms:
        problems.add(
            "R013",
            "`until` is not after `from`, so this time never comes. Write the later moment in `until`.",
            entry.at("during", "until"),
        )
    if found.days and not any(
        found.days[0] <= _LENGTHS[month - 1] for month in found.months or range(1, 13)
    ):
        problems.add(
            "R052",
            "None of these months has any of these days, so the location never counts. Correct one of the "
            "two, or remove the location.",
            entry.at("during", "days"),
        )
    return None if found == During(zone=zone) else found
