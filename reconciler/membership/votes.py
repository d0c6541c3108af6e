"""The right to act elsewhere: a strict majority of votes, counted by a controller that stands apart.

Every node of the intent has a vote, every witness has one, and so has the controller itself. Only those heard
well now count: alive. A suspect does not, though it may be fine. When a controller is cut off, all nodes fall
silent together; were suspects counted, it would still hold its majority at the moment it calls the first of
them lost, and act on that. Suspicion comes at least two intervals before loss (`liveness`), so the votes are
gone first. What it costs is a moment without the right to act when half of the nodes are late together, which
is when acting would be most unwise.

Law: without quorum nothing is fenced, and nothing starts or is promoted on another node. The votes that are
missing here are never a majority elsewhere. The electorate is what the intent says, never what happens to be
heard. This is about one controller with one vote; that a second one, started by mistake, is not obeyed too,
is a matter of terms and not of votes.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from reconciler.model.observed import Liveness


@dataclass(frozen=True, slots=True, kw_only=True)
class Votes:
    """A count of votes."""

    held: int
    total: int

    @property
    def needed(self) -> int:
        """The smallest strict majority."""
        return self.total // 2 + 1

    @property
    def quorate(self) -> bool:
        """Whether whoever counted may act elsewhere."""
        return self.held >= self.needed


def count(members: Collection[str], heard: Mapping[str, Liveness]) -> Votes:
    """Count the votes of these members, and the controller's own.

    `members` are the nodes and the witnesses of the accepted intent; what is heard of others is ignored.
    """
    electorate = set(members)
    alive = sum(heard.get(member) is Liveness.ALIVE for member in electorate)
    return Votes(held=alive + 1, total=len(electorate) + 1)
