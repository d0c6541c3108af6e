"""Names and numbers that must not be mixed up.

Each is a distinct type to the checker and a plain `str` or `int` at run time. A name matches
`[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}`; `config` and `codec` check that at the border, nobody else does.
"""

from typing import NewType

NodeName = NewType("NodeName", str)
ServiceName = NewType("ServiceName", str)
GroupName = NewType("GroupName", str)

ActionId = NewType("ActionId", str)
"""Identifies an action inside one plan, readable by people: `start:web@alpha`."""

PlanId = NewType("PlanId", str)
"""Digest of a plan with the intent and the facts that it was made from."""

Digest = NewType("Digest", str)
"""Lower-case hexadecimal SHA-256 over canonical JSON."""

BootId = NewType("BootId", str)
"""Fresh random text for every boot of a node: what was proven of one boot says nothing of the next."""

Epoch = NewType("Epoch", int)
"""Number of the deciding term; an agent obeys only the highest that it has durably stored."""

Incarnation = NewType("Incarnation", int)
"""Number of the store's life; grows when a store is made anew or restored from a backup."""

Millis = NewType("Millis", int)
"""A time or a duration in milliseconds. Times are the controller's, since an arbitrary start."""
