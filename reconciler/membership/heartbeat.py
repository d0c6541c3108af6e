"""What a node says with each heartbeat: that it lives, since when, and how its agent is.

A heartbeat is spoken by a process of its own, so it tells two things apart that look the same from outside: a
node that is gone (silence), and a node that lives while its agent does not (`agent_down`, or a `tick` that
stands still). State itself never travels here; only enough to see that the last report is the latest one.
`codec.datagram` writes it to the wire. Nothing here proves anything: a lost node may well be running.
"""

from dataclasses import dataclass

from reconciler.model.ids import BootId, Digest, Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """One heartbeat of one node."""

    boot: BootId
    sent_ms: Millis
    """By the node's own clock; comparable with other beats of the same boot only."""
    tick: int
    """Grows while the agent's executor works; standing still means that it hangs."""
    report: int = 0
    """Sequence of the last report that the agent sent on its stream; 0 before the first."""
    state: Digest | None = None
    """Digest of the state in that report."""
    agent_down: bool = False
    """The agent has ended; only the process that speaks heartbeats is left, and not for long."""
    stalled: bool = False
    """This process itself was late: the node is short of processor time."""
    alone: bool = False
    """The agent works and has heard no controller for as long as makes a node lost. Said to peers only."""
