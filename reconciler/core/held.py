"""What an untouchable copy relies on is not touched either.

A copy that nobody may stop (blocked, unmanaged, in maintenance) keeps its suppliers running: they could
only be stopped after it. On a silent node nothing is known to rely on anything.
"""

from dataclasses import replace

from reconciler.core.relations import Relations
from reconciler.core.world import Copies, Mask, World


def hold_suppliers(world: World, relations: Relations) -> World:
    """Pin every running copy that a pinned copy of an alive node relies on.

    Shape: as many rounds over the orderings as the longest chain of suppliers.
    """
    copies = list(world.copies)
    links = [link for link in relations.after if link.reverse]
    changed = True
    while changed:
        changed = False
        for link in links:
            leaning = copies[link.service].pinned & world.alive & ~copies[link.other].pinned
            if not leaning or not copies[link.other].running:
                continue
            mask = copies[link.other].running & leaning
            if not mask and not copies[link.other].pinned:
                mask = copies[link.other].running  # it relies on copies elsewhere
            if mask:
                for part in (link.other, *world.layers.get(link.other, ())):
                    copies[part] = _pin(copies[part], mask & copies[part].running)
                changed = True
    return replace(world, copies=tuple(copies))


def _pin(copies: Copies, mask: Mask) -> Copies:
    doubtful = (copies.failed | copies.changed) & mask
    return Copies(
        running=copies.running & ~mask,
        failed=copies.failed & ~mask,
        changed=copies.changed & ~mask,
        reloadable=copies.reloadable & ~mask,
        starting=copies.starting & ~mask,
        leftover=copies.leftover,
        pinned=copies.pinned | mask,
        silent=copies.silent | doubtful,
    )
