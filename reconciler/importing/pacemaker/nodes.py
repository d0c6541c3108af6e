"""How the nodes of a CIB stand: who is a member, who is on the way, and who must be fenced.

Membership, process group and join state are three different witnesses, and what they say together is read
as Pacemaker's scheduler reads it. Node attributes are read here too, since some of them decide.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from reconciler.importing.pacemaker.document import Cib, Element
from reconciler.importing.pacemaker.rules import Context
from reconciler.importing.pacemaker.settings import Options, pairs
from reconciler.importing.pacemaker.words import duration_ms, truth

_REMOTE: Final = "remote"
_SITE: Final = "#site-name"


@dataclass(slots=True, eq=False, kw_only=True)
class Standing:
    """What is known of a node. Mutable: what ran there may yet be a reason to fence it."""

    name: str
    element: Element
    state: Element | None = None
    built_in: dict[str, str] = field(default_factory=dict)
    """What rules know of any node: `#uname` and its kin."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """Permanent and transient ones; of the same name the transient one counts."""
    online: bool = False
    pending: bool = False
    leaving: bool = False
    standby: bool = False
    maintenance: bool = False
    lost: bool = False
    """It was a member, and it is not known to have left in an orderly way."""
    unclean: str = ""
    """Why it must be fenced; empty if it need not."""
    by_stop: bool = False
    """It must be fenced for no more than a stop that failed."""


def read_nodes(cib: Cib, options: Options) -> tuple[Standing, ...]:
    """Read how every configured node stands, in the order of the file; remote nodes are left out."""
    fencing = options.truth("fencing-enabled", default=True)
    unseen = fencing and options.truth("startup-fencing", default=True)
    timeout_s = duration_ms(options.text("node-pending-timeout")) // 1000
    standings: dict[str, Standing] = {}
    for element in cib.section("nodes").all("node"):
        name = element.get("uname", "id")
        if not name or name in standings or element.get("type").lower() == _REMOTE:
            continue
        state = _state_of(element, cib)
        known = _built_in(element, cib, options)
        standing = Standing(
            name=name,
            element=element,
            state=state,
            built_in=known,
            attributes=_attributes(element, state, known, cib),
        )
        if not standing.attributes.get(_SITE):
            sites = (standing.attributes.get("site-name"), known.get("#cluster-name"))
            if site := next((site for site in sites if site), ""):
                standing.built_in[_SITE] = site
        if state is None:
            standing.unclean = "it was never seen, and anything may run there" if unseen else ""
        elif element.get("type").lower() != "ping":
            _judge(standing, state, fencing=fencing, timeout_s=timeout_s, now_s=cib.now_ms // 1000)
        standings[name] = standing
    return tuple(standings.values())


def states(cib: Cib) -> Iterator[Element]:
    """What the status records of nodes, in the order of the file."""
    return cib.status.all("node_state")


def _state_of(element: Element, cib: Cib) -> Element | None:
    found = None
    for state in states(cib):
        if element.id and state.id == element.id:
            return state
        if found is None and state.get("uname").lower() == element.get("uname").lower():
            found = state
    return found


def _built_in(element: Element, cib: Cib, options: Options) -> dict[str, str]:
    """What rules know of any node."""
    decides = bool(element.id) and element.id == cib.root.get("dc-uuid")
    found = {
        "#uname": element.get("uname", "id"),
        "#id": element.id,
        "#kind": "cluster",
        "#is_dc": "true" if decides else "false",
    }
    cluster = options.text("cluster-name")
    return found | {"#cluster-name": cluster} if cluster else found


def _attributes(
    element: Element, state: Element | None, known: dict[str, str], cib: Cib
) -> dict[str, str]:
    found = pairs(element, "instance_attributes", Context(node=known), cib)
    transient = state.first("transient_attributes") if state else None
    if transient is None:
        return found
    return found | pairs(transient, "instance_attributes", Context(node=known | found), cib)


def _judge(
    standing: Standing, state: Element, *, fencing: bool, timeout_s: int, now_s: int
) -> None:
    given = standing.attributes
    standing.standby = truth(given.get("standby", ""), default=False)
    standing.maintenance = truth(given.get("maintenance", ""), default=False)
    standing.leaving = given.get("shutdown", "0") != "0"
    witness = _Witness(
        member_s=_member_s(state, now_s),
        heard_s=_heard_s(state),
        join=state.get("join").lower(),
        expected=state.get("expected").lower(),
    )
    if fencing:
        too_long = 0 < timeout_s <= now_s - witness.member_s and witness.member_s > 0
        _with_fencing(standing, witness, overdue=too_long and witness.heard_s <= 0)
    else:
        _without_fencing(standing, witness)
    expected_up = witness.expected == "member" and not (standing.leaving or standing.pending)
    standing.lost = not standing.online and (bool(standing.unclean) or expected_up)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Witness:
    """Since when it is a member and heard; 0: it is not; below 0: nobody knows."""

    member_s: int
    heard_s: int
    join: str
    expected: str


def _without_fencing(standing: Standing, witness: _Witness) -> None:
    if witness.member_s <= 0:
        return
    if witness.heard_s > 0:
        standing.online = witness.join == "member"
        standing.pending = not standing.online
    elif witness.expected == "member" and not standing.leaving:
        standing.unclean = "it is unexpectedly down"


def _with_fencing(standing: Standing, witness: _Witness, *, overdue: bool) -> None:
    if standing.leaving:
        standing.online = witness.heard_s > 0
        return
    if witness.member_s < 0:
        standing.unclean = "the cluster has not seen it"
        return
    standing.online = witness.member_s > 0
    ended = _asked_to_end(standing.attributes.get("terminate", ""))
    if ended and not standing.online and witness.heard_s <= 0 and witness.join == "down":
        return  # it has been fenced
    joining = witness.expected in {"", "down"} and witness.join != "banned" and not ended
    if joining and not overdue:
        standing.pending = witness.member_s > 0 or witness.heard_s > 0
    elif not joining and _half_way(witness) and not ended:
        standing.pending = True
    else:
        standing.unclean = _why_unclean(witness, ended=ended, overdue=joining)


def _half_way(witness: _Witness) -> bool:
    """Whether it is there, and not yet ready to run anything."""
    there = witness.member_s > 0 and witness.heard_s > 0
    return there and witness.join in {"pending", "down"}


def _why_unclean(witness: _Witness, *, ended: bool, overdue: bool) -> str:
    """Why a node that neither left nor is joining must be fenced; empty if it need not."""
    reasons = (
        (witness.join == "banned", "it was refused by the cluster"),
        (ended, "fencing was asked for"),
        (overdue, "it has been joining for too long"),
        (witness.member_s <= 0, "it is no longer part of the cluster"),
        (witness.heard_s <= 0, "its cluster manager is not heard any more"),
        (witness.join != "member", "it is in an unknown state"),
    )
    return next((why for holds, why in reasons if holds), "")


def _asked_to_end(text: str) -> bool:
    """Whether the attribute `terminate` asks for a fence: it is true, or a time."""
    return truth(text, default=bool(re.fullmatch(r"\s*[1-9][0-9]*\s*", text)))


def _member_s(state: Element, now_s: int) -> int:
    """Since when it is a member: older versions write whether, newer ones when."""
    text = state.attributes.get("in_ccm")
    if text is None:
        return -1
    word = text.strip().lower()
    if word in {"0", "1"} or not word.isdigit():
        if word not in {"0", "1"} and truth(word, default=True) != truth(word, default=False):
            return -1
        return max(now_s, 1) if truth(word, default=False) else 0
    return int(word)


def _heard_s(state: Element) -> int:
    word = state.get("crmd").strip().lower()
    if word == "online":
        return 1
    return int(word) if word.isdigit() else 0
