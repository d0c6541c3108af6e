"""Tickets: what may run only while this site holds one.

Pacemaker looks at the role of a rule only where the ticket's loss demotes, freezes or fences: a stop befalls
every copy, and so does the demotion of copies that are not narrowed to promoted ones. What is written
here says what happens.
"""

from collections.abc import Iterator

from reconciler.importing.pacemaker.document import Cib, Element
from reconciler.importing.pacemaker.notes import Notes
from reconciler.importing.pacemaker.targets import Target, Targets
from reconciler.importing.pacemaker.words import is_name, role
from reconciler.importing.pacemaker.yaml_text import Value

_POLICIES = ("fence", "freeze", "demote", "stop")


def read_tickets(
    cib: Cib, targets: Targets, notes: Notes, *, fenced: bool
) -> Iterator[dict[str, Value]]:
    """Every ticket rule of a CIB, as it stands in the file.

    Of several rules of one resource and one ticket, what the later ones say of its loss is left out.
    """
    known: set[tuple[str, str, str]] = set()
    for element in cib.section("constraints").all("rsc_ticket"):
        ticket, origin = element.get("ticket"), cib.origin(element)
        if not is_name(ticket):
            notes.unsupported(f'"{ticket}" cannot be the name of a ticket here.', origin)
            continue
        found = [(each.members, each.role) for each in targets.sets(element)]
        if name := element.get("rsc"):
            found.append((targets.named(name, element), role(element.get("rsc-role"))))
        for target, needed_role in ((t, said) for members, said in found for t in members):
            settings = _settings(target, _policy(element, needed_role, fenced=fenced), needed_role)
            if settings is None:
                notes.ignored(
                    f'The ticket rule "{element.id}" is about promoted copies, which "{target.name}" '
                    "never has.",
                    origin,
                )
            elif (ticket, target.name, narrowed := str(settings.get("role"))) in known:
                notes.left_out(
                    f'"{target.name}" needs the ticket "{ticket}" already. What the rule "{element.id}" says '
                    "of its loss is left out.",
                    origin,
                )
            else:
                known.add((ticket, target.name, narrowed))
                yield {"ticket": ticket, "service": target.name, **settings}


def _policy(element: Element, needed_role: str, *, fenced: bool) -> str:
    """What losing the ticket leads to; without a word of it, promoted copies are demoted."""
    said = element.get("loss-policy").lower()
    if said == "fence" and not fenced:
        return "stop"
    if said in _POLICIES:
        return said
    return "demote" if needed_role == "promoted" else "stop"


def _settings(target: Target, policy: str, needed_role: str) -> dict[str, Value] | None:
    """Role and policy as they come out; None if the rule never says anything."""
    if policy == "stop" or (policy == "demote" and needed_role != "promoted"):
        return {}
    if needed_role == "promoted" and not target.promotable:
        return None
    if needed_role == "unpromoted" and not target.promotable:
        return {"on-loss": "freeze"}  # such a role is never seen there: what runs goes on
    narrowed: dict[str, Value] = (
        {"role": needed_role} if needed_role in {"promoted", "unpromoted"} else {}
    )
    return {**narrowed, "on-loss": policy}
