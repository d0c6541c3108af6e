"""What links between parts mean for a choice of nodes: which copies they forbid, and what they are worth.

`seats` says which nodes a part has besides its pinned copies. Pinned copies are excused: nobody can
move them, whatever they break.
"""

from collections.abc import Callable, Sequence

from reconciler.core.problem import Variable
from reconciler.core.relations import Link, Tie
from reconciler.core.world import Mask

Seats = Callable[[int], Mask]


def relying(link: Link, variables: Sequence[Variable], chosen: Mask) -> Mask:
    """The copies of the link's service that may not be without a supplier.

    What runs may go on while nobody knows whether its supplier still does; what runs well, also where
    the ordering says nothing of stops.
    """
    if any(variables[i].pinned for i in (link.other, *link.any_of)):
        return chosen & ~variables[link.service].running
    return chosen if link.reverse else chosen & ~variables[link.service].healthy


def supplied(link: Link, variables: Sequence[Variable], seats: Seats) -> bool:
    """Whether enough copies of what the link's service needs run."""
    count = sum((seats(i) | variables[i].reliable).bit_count() for i in (link.other, *link.any_of))
    return count >= link.least


def forbidden(link: Link, variables: Sequence[Variable], mine: Mask, other: Mask) -> Mask:
    """The copies of the link's service that are where the other's keep them from being."""
    this, that = variables[link.service], variables[link.other]
    match link.tie:
        case Tie.TOGETHER:
            return mine & ~link.place(other | that.pinned)
        case Tie.APART:
            pinned = this.pinned & link.place(that.pinned)
            return (mine | this.pinned) & link.place(other | that.pinned) & ~pinned & link.where
    return 0


def broken(link: Link, variables: Sequence[Variable], seats: Seats) -> Mask:
    """The copies of the link's service that may not be as everything is seated."""
    mine = seats(link.service)
    if link.tie is Tie.AFTER:
        lone = relying(link, variables, mine)
        return lone if lone and not supplied(link, variables, seats) else 0
    return forbidden(link, variables, mine, seats(link.other))


def shared(link: Link, mine: Mask, other: Mask) -> int:
    """How many copies of the link's service are beside one of the other's."""
    return (mine & link.place(other) & link.where).bit_count()
