"""The shape of a service's operations in the file: how long each may take, and what its failure leads to.

One model per operation, because not every failure can lead to everything: a failed stop cannot be
answered by a stop, and only promoted copies can be demoted.
"""

from pydantic import Field

from reconciler.config.shapes import Maybe, Strict
from reconciler.config.values import Duration, Limit, Patience
from reconciler.config.words import (
    OnFailDemote,
    OnFailMonitor,
    OnFailPromote,
    OnFailPromoted,
    OnFailStart,
    OnFailStop,
)


class Deadline(Strict):
    """How long an operation may take."""

    timeout: Maybe[Duration] = Field(
        default=None, description="An operation that takes longer is killed and has failed."
    )


class Start(Deadline):
    """How long a start may take, and what its failure leads to."""

    on_fail: Maybe[OnFailStart] = Field(
        default=None, description="What a failed start leads to. Default restart."
    )


class Stop(Deadline):
    """How long a stop may take, and what its failure leads to."""

    on_fail: Maybe[OnFailStop] = Field(
        default=None,
        description="What a failed stop leads to. Default `fence` where a device can, else `block`.",
    )


class Promote(Deadline):
    """How long a promotion may take, and what its failure leads to."""

    on_fail: Maybe[OnFailPromote] = Field(
        default=None, description="What a failed promotion leads to. Default restart."
    )


class Demote(Deadline):
    """How long a demotion may take, and what its failure leads to."""

    on_fail: Maybe[OnFailDemote] = Field(
        default=None, description="What a failed demotion leads to. Default restart."
    )


class Look(Deadline):
    """How often a copy is looked at."""

    every: Maybe[Duration] = Field(default=None, description="Time between two looks.")
    timeout: Maybe[Duration] = Field(
        default=None, description="A look that takes longer has failed."
    )


class Monitor(Look):
    """How a running copy is looked at."""

    on_fail: Maybe[OnFailMonitor] = Field(
        default=None, description="What a copy found broken leads to. Default restart."
    )


class MonitorPromoted(Look):
    """How a promoted copy is looked at, where it differs from `monitor`."""

    on_fail: Maybe[OnFailPromoted] = Field(
        default=None, description="What a promoted copy found broken leads to. Default restart."
    )


class Failures(Strict):
    """When a node is given up for a service."""

    max: Maybe[Limit] = Field(
        default=None,
        description="Failures on one node after which it is left for another, or `never`.",
    )
    forget_after: Maybe[Patience] = Field(
        default=None,
        description="Failures are forgotten after this long without another, or `never`.",
    )
