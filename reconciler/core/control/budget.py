"""How often nodes may be fenced before a person has to look: a controller in error must not fell a cluster.

Two bounds, both over what was begun, whatever came of it. Within a window no more nodes are fenced than leave
a majority standing, and one at least. And no node is fenced again and again: what three confirmed or failed
fences within an hour did not cure, a fourth will not. An operator's own fence is not bound, and counts.

Law (B14): a fence that is refused here has not been begun.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from reconciler.model.ids import Millis, NodeName

WINDOW_MS = Millis(600_000)
LOOP_MS = Millis(3_600_000)
LOOP_MAX = 3
KEPT_MAX = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FenceBegun:
    """A fence, by the controller's clock."""

    node: NodeName
    at_ms: Millis


def nodes_max(members: int) -> int:
    """How many nodes may be fenced within a window."""
    return max(1, (members - 1) // 2)


def refusal(fences: Iterable[FenceBegun], node: NodeName, members: int, now_ms: Millis) -> str:
    """Why this node may not be fenced now; empty when it may."""
    recent = [fence for fence in fences if now_ms - fence.at_ms < LOOP_MS]
    times = sum(fence.node == node for fence in recent)
    if times >= LOOP_MAX:
        return (
            f"{node} was fenced {times} times within an hour, which did not help; look at it, and fence it "
            "by hand or confirm that it is off"
        )
    others = {f.node for f in recent if now_ms - f.at_ms < WINDOW_MS and f.node != node}
    most = nodes_max(members)
    if len(others) >= most:
        names = ", ".join(sorted(others))
        return (
            f"{node} is not fenced: {names} were within ten minutes, and {most} of {members} nodes is "
            "all that may be; fence it by hand or confirm that it is off"
        )
    return ""


def noted(fences: tuple[FenceBegun, ...], node: NodeName, now_ms: Millis) -> tuple[FenceBegun, ...]:
    """The fences that still count, and this one."""
    recent = tuple(fence for fence in fences if now_ms - fence.at_ms < LOOP_MS)
    return (*recent, FenceBegun(node=node, at_ms=now_ms))[-KEPT_MAX:]


def carried_over(fences: tuple[FenceBegun, ...], now_ms: Millis) -> tuple[FenceBegun, ...]:
    """Fences of earlier controllers by this one's clock: none is later than now, none is forgotten."""
    return tuple(
        FenceBegun(node=fence.node, at_ms=Millis(min(fence.at_ms, now_ms))) for fence in fences
    )
