"""Fence devices and levels.

A device without a list of its nodes is asked for it at run time by Pacemaker, so it counts as able to fence
any. Whether a device is started says nothing: Pacemaker uses stopped ones too. What Pacemaker calls the
running device is a service of its own here, which watches it.
"""

import re
from collections.abc import Iterator, Mapping

from reconciler.importing.pacemaker.document import Cib, Element
from reconciler.importing.pacemaker.nodes import Standing
from reconciler.importing.pacemaker.notes import Notes
from reconciler.importing.pacemaker.resources import Primitive, Resources
from reconciler.importing.pacemaker.services import can_be_written, parameters
from reconciler.importing.pacemaker.settings import Options
from reconciler.importing.pacemaker.words import (
    duration_ms,
    integer,
    role,
    written_duration,
)
from reconciler.importing.pacemaker.yaml_text import Value

_LEVELS = range(1, 10)


def read_fencing(
    cib: Cib, resources: Resources, nodes: tuple[Standing, ...], options: Options, notes: Notes
) -> dict[str, Value]:
    """The sections `fencing` and `accept-split-brain`."""
    if not options.truth("fencing-enabled", default=True):
        return {"fencing": "none", "accept-split-brain": True}
    reader = _Reader(cib, nodes, notes)
    devices = reader.devices(resources)
    if not devices:
        notes.changed(
            "Fencing is on and there is no fence device, so Pacemaker starts and stops nothing. Every "
            "service is written as not managed; add devices under `fencing`, and remove `managed: false`.",
            cib.origin(cib.section("resources")),
        )
        return {"fencing": "none", "accept-split-brain": True}
    reader.reach_all(devices, resources)
    fencing: dict[str, Value] = {"devices": devices}
    if levels := [*reader.levels(devices)]:
        fencing["levels"] = levels
    if options.text("fencing-action").lower() in {"off", "poweroff"}:
        fencing["action"] = "off"
    if options.truth("startup-fencing", default=True):
        fencing["unseen"] = True
    if delay_ms := duration_ms(options.text("priority-fencing-delay")):
        fencing["priority-delay"] = written_duration(delay_ms)
    return {"fencing": fencing}


class _Reader:
    def __init__(self, cib: Cib, nodes: tuple[Standing, ...], notes: Notes) -> None:
        self._cib = cib
        self._nodes = {node.name: node.attributes for node in nodes}
        self._notes = notes

    def devices(self, resources: Resources) -> dict[str, Value]:
        found: dict[str, Value] = {}
        for primitive in resources.primitives:
            if not primitive.fences:
                continue
            agent = primitive.agent.type.replace("/", "_")
            if not can_be_written(primitive):
                self._notes.unsupported(
                    f'The fence device "{primitive.id}" has a name or an agent that cannot be written.',
                    self._cib.origin(primitive.element),
                )
                continue
            if role(primitive.meta.get("target-role", "")) == "stopped":
                self._notes.changed(
                    f'The fence device "{primitive.id}" is disabled by its target-role. There are no '
                    "disabled devices here; remove it if it must not be used.",
                    self._cib.origin(primitive.element),
                )
            body: dict[str, Value] = {"agent": agent, "nodes": self._reach(primitive)}
            if given := parameters(primitive, self._cib, self._notes):
                body["parameters"] = given
            found[primitive.id] = body
        return found

    def reach_all(self, devices: dict[str, Value], resources: Resources) -> None:
        """Let the first device reach what none does: Pacemaker would want to fence it all the same."""
        bodies = [body for body in devices.values() if isinstance(body, dict)]
        reached = {name for body in bodies for name in body["nodes"]}
        missing = [name for name in self._nodes if name not in reached]
        if missing:
            name, body = next(iter(devices)), bodies[0]
            body["nodes"] = [*body["nodes"], *missing]
            primitive = resources.primitive(name)
            self._notes.changed(
                f"No fence device reaches {', '.join(missing)}, which Pacemaker would try to fence all the "
                f'same. "{name}" was said to; correct it, or add a device.',
                self._cib.origin(primitive.element if primitive else self._cib.root),
            )

    def _reach(self, primitive: Primitive) -> list[str]:
        """The nodes that a device says it can fence; all of them if it does not say."""
        listed = re.split(r"[,; \t\n]+", primitive.parameters.get("pcmk_host_list", ""))
        mapped = re.split(r"[,; \t\n]+", primitive.parameters.get("pcmk_host_map", ""))
        names = {*listed, *(re.split("[:=]", pair)[0] for pair in mapped)}
        return [name for name in self._nodes if name in names] or [*self._nodes]

    def levels(self, devices: Mapping[str, Value]) -> Iterator[dict[str, Value]]:
        for element in self._cib.section("fencing-topology").all("fencing-level"):
            level = integer(element.get("index"))
            names = [name.strip() for name in element.get("devices").split(",")]
            unknown = [name for name in names if name and name not in devices]
            nodes = self._targets(element)
            if level not in _LEVELS or unknown or not nodes:
                what = (
                    f"names {', '.join(unknown)}" if unknown else "is for no node of this cluster"
                )
                self._notes.ignored(
                    f'The fencing level "{element.id}" {what}.', self._cib.origin(element)
                )
                continue
            yield {"nodes": nodes, "level": level, "devices": [name for name in names if name]}

    def _targets(self, element: Element) -> list[str]:
        if target := element.get("target"):
            return [target] if target in self._nodes else []
        if pattern := element.get("target-pattern"):
            try:
                compiled = re.compile(pattern)
            except re.error:
                return []
            return [name for name in self._nodes if compiled.search(name)]
        name, value = element.get("target-attribute"), element.get("target-value")
        return [node for node, has in self._nodes.items() if name and has.get(name) == value]
