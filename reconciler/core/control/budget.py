"""How often nodes may be fenced before a person has to look: a controller in error must not fell a cluster.

Within a window no more nodes are fenced than leave a majority standing, and one at least, whatever came of
it. No node is fenced again and again: what three fences within an hour did not cure, a fourth will
not. A fence that fails cures nothing and is tried again, later each time, but not for ever. An operator's own
fence is not bound, and counts.

Law (B14): a fence that is refused here has not been begun.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from reconciler.model.ids import Millis, NodeName

WINDOW_MS = Millis(600_000)
LOOP_MS = Millis(3_600_000)
LOOP_MAX = 3
ATTEMPTS_MAX = 10
"""For one node within that hour: a device may be out of reach for a while."""
KEPT_MAX = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class FenceBegun:
    """A fence, by the controller's clock."""

    node: NodeName
    at_ms: Millis
    confirmed: bool = False


def nodes_max(members: int) -> int:
    """How many nodes may be fenced within a window."""
    return max(1, (members - 1) // 2)


def refusal(fences: Iterable[FenceBegun], node: NodeName, members: int, now_ms: Millis) -> str:
    """Why this node may not be fenced now; empty when it may."""
    recent = [fence for fence in fences if now_ms - fence.at_ms < LOOP_MS]
    times = sum(fence.node == node and fence.confirmed for fence in recent)
    if times >= LOOP_MAX:
        return (
            f"{node} was fenced {times} times within an hour, which did not help; look at it, and fence it "
            "by hand or confirm that it is off"
        )
    if sum(fence.node == node for fence in recent) >= ATTEMPTS_MAX:
        return (
            f"{node} could not be fenced {ATTEMPTS_MAX} times within an hour; look at its fence devices, and "
            "confirm that it is off"
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


def confirmed(fences: tuple[FenceBegun, ...], node: NodeName) -> tuple[FenceBegun, ...]:
    """The last fence of this node has succeeded."""
    places = [place for place, fence in enumerate(fences) if fence.node == node]
    if not places:
        return fences
    last = places[-1]
    return (*fences[:last], replace(fences[last], confirmed=True), *fences[last + 1 :])


def carried_over(fences: tuple[FenceBegun, ...], now_ms: Millis) -> tuple[FenceBegun, ...]:
    """Fences of earlier controllers by this one's clock: none is later than now, none is forgotten."""
    return tuple(replace(fence, at_ms=Millis(min(fence.at_ms, now_ms))) for fence in fences)
