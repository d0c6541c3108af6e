"""Whether a copy runs with the settings that are configured now, by the digests that Pacemaker recorded.

A start is recorded with the MD5 of its parameters, printed as XML in the order of their names, and, where
the agent can reload, with one over those parameters that it cannot reload. What cannot be printed as
Pacemaker would is not compared: an import never restarts a service for want of knowing better.
"""

import hashlib
import re
from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

from reconciler.importing.pacemaker.document import Cib, Element
from reconciler.importing.pacemaker.history import Entry, History, started_after_stop
from reconciler.importing.pacemaker.resources import Primitive, without_instance
from reconciler.importing.pacemaker.rules import Context
from reconciler.importing.pacemaker.settings import pairs

_LEFT_OUT: Final = frozenset(
    {"id", "crm_feature_set", "op-digest", "on_node", "on_node_uuid", "pcmk_external_ip"}
)
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]*")
_PLAIN: Final = re.compile(r"[ -~]*")


class Change(Enum):
    """What a copy needs in order to run with the present settings."""

    NONE = auto()
    RELOAD = auto()
    RESTART = auto()


def change(primitive: Primitive, history: History, cib: Cib) -> Change:
    """Compare what a running copy was started with to what is configured."""
    if _agent_differs(primitive, history.element):
        return Change.RESTART
    found = Change.NONE
    for entry in started_after_stop(history.entries):
        match _of_entry(primitive, entry, cib):
            case Change.RESTART:
                return Change.RESTART
            case Change.RELOAD:
                found = Change.RELOAD
            case Change.NONE:
                pass
    return found


def unreloadable(cib: Cib) -> dict[str, frozenset[str]]:
    """By resource, the parameters that its agent cannot take over with a reload, as it once said.

    A resource that is not here has an agent that reloads nothing.
    """
    found: dict[str, frozenset[str]] = {}
    for element in cib.status.walk("lrm_resource"):
        for entry in element.all("lrm_rsc_op"):
            if "op-restart-digest" in entry.attributes and "op-force-restart" in entry.attributes:
                name = without_instance(element.id)
                kept = frozenset(entry.get("op-force-restart").split())
                found[name] = found.get(name, frozenset()) | kept
    return found


def digest(parameters: Mapping[str, str]) -> frozenset[str]:
    """The digests that any version of Pacemaker may have made of parameters."""
    names = sorted(name for name in parameters if not _left_out(name))
    found = set()
    for apostrophe in ("'", "&apos;"):
        text = "".join(f' {name}="{_escaped(parameters[name], apostrophe)}"' for name in names)
        found.add(hashlib.md5(f" <parameters{text}/>\n".encode()).hexdigest())  # noqa: S324 - theirs
    return frozenset(found)


def _of_entry(primitive: Primitive, entry: Entry, cib: Cib) -> Change:
    if entry.every_ms or entry.operation not in {"monitor", "start", "promote", "migrate_from"}:
        return Change.NONE
    recorded, fixed = entry.element.get("op-digest"), entry.element.get("op-restart-digest")
    own = _own_parameters(primitive, entry, cib)
    wanted = {**own, **primitive.parameters}
    if not recorded or not _printable(wanted):
        return Change.NONE
    if fixed and fixed not in digest(_kept(wanted, entry.element)):
        return Change.RESTART
    if recorded in digest(wanted):
        return Change.NONE
    return Change.RELOAD if fixed and not own else Change.RESTART


def _kept(parameters: Mapping[str, str], element: Element) -> dict[str, str]:
    """The parameters that force a restart, as the agent said when it was started."""
    listed = element.attributes.get("op-force-restart")
    if listed is None:
        return dict(parameters)
    return {name: parameters[name] for name in listed.split() if name in parameters}


def _own_parameters(primitive: Primitive, entry: Entry, cib: Cib) -> dict[str, str]:
    """Parameters that are given to this operation alone."""
    found: dict[str, str] = {}
    for each in primitive.operations:
        if (each.name, each.every_ms) == (entry.operation, entry.every_ms) and each.element:
            context = Context(agent=primitive.agent)
            found |= pairs(each.element, "instance_attributes", context, cib)
    return found


def _agent_differs(primitive: Primitive, element: Element) -> bool:
    agent = primitive.agent
    recorded = (element.get("class").lower(), element.get("provider"), element.get("type"))
    wanted = (agent.standard, agent.provider, agent.type)
    return bool(recorded[2]) and recorded != wanted


def _left_out(name: str) -> bool:
    return name.startswith("CRM_meta_") or name in _LEFT_OUT


def _printable(parameters: Mapping[str, str]) -> bool:
    return all(
        _NAME.fullmatch(name) and _PLAIN.fullmatch(value) for name, value in parameters.items()
    )


def _escaped(text: str, apostrophe: str) -> str:
    for mark, written in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(mark, written)
    return text.replace("'", apostrophe)
