"""Resources as services: every setting of each, as explicit as Pacemaker resolves it.

Nothing is left to a default here; what services have in common is taken out by `defaults`. What has no
counterpart is noted with its line.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from reconciler.importing.pacemaker.document import Cib
from reconciler.importing.pacemaker.notes import Notes
from reconciler.importing.pacemaker.operations import Operation
from reconciler.importing.pacemaker.resources import Clone, Primitive
from reconciler.importing.pacemaker.settings import Options
from reconciler.importing.pacemaker.status_digests import unreloadable
from reconciler.importing.pacemaker.words import (
    INFINITY,
    duration_ms,
    integer,
    is_name,
    role,
    score,
    truth,
    written_duration,
)
from reconciler.importing.pacemaker.yaml_text import Value

_MULTIPLE: Final = {
    "stop_only": "stop-only",
    "block": "block",
    "stop_unexpected": "stop-unexpected",
}
_REQUIRES: Final = {
    "nothing": "nothing",
    "quorum": "quorum",
    "fencing": "fencing",
    "unfencing": "fencing",
}
_ON_FAIL: Final = ("restart", "ignore", "block", "stop", "demote", "standby", "fence")
_PROVIDER: Final = "heartbeat"
_FOLDERS: Final = {"lsb": "/etc/init.d", "heartbeat": "/etc/ha.d/resource.d"}
_UNIT = re.compile(r"[A-Za-z0-9:_\\][A-Za-z0-9:_.\\@-]{0,240}")
_PATH = re.compile(r"(/[A-Za-z0-9_@.+-]+)+|[A-Za-z0-9_@.+-]+")
_SECRET = re.compile(r"(^|[_-])(pass|passwd|password|passphrase|secret)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Cluster:
    """What the whole cluster's options mean for each service."""

    fenced: bool
    """Nodes can be fenced, as far as the options say."""
    devices: bool
    requires: str
    """What a start waits for where the resource does not say."""
    stopped: bool
    capacities: bool
    """Utilization counts."""
    nodes: int
    managed: bool
    maintenance: bool
    stickiness: int


def cluster_of(options: Options, *, nodes: int, devices: bool) -> Cluster:
    """Read what bears on every service from the cluster's options."""
    fenced = options.truth("fencing-enabled", default=True)
    ignoring = options.text("no-quorum-policy").lower() == "ignore"
    without = "nothing" if ignoring else "quorum"
    return Cluster(
        fenced=fenced,
        devices=devices,
        requires="fencing" if fenced else without,
        stopped=options.truth("stop-all-resources", default=False),
        capacities=options.text("placement-strategy", "default").lower() != "default",
        nodes=nodes,
        managed=options.truth("is-managed-default", default=True) and (devices or not fenced),
        maintenance=options.truth("maintenance-mode", default=False),
        stickiness=options.score("default-resource-stickiness"),
    )


class Services:
    """Turns primitives into the bodies of services."""

    def __init__(self, cib: Cib, cluster: Cluster, notes: Notes) -> None:
        self._cib = cib
        self._cluster = cluster
        self._notes = notes
        self._unreloadable = unreloadable(cib)

    def body(self, primitive: Primitive) -> dict[str, Value] | None:
        """A service with every setting written; None if no kind of service fits."""
        kind = self._kind(primitive)
        if kind is None:
            return None
        self._note_meta(primitive)
        body: dict[str, Value] = {**kind, **self._copies(primitive)}
        meta = primitive.meta
        body["rank"] = primitive.rank
        whole = primitive.clone or primitive.group or primitive
        body["priority"] = score(whole.meta.get("priority", ""))  # parts have no say in the order
        body["stickiness"] = self._stickiness(primitive)
        mild = primitive.fences or not self._cluster.fenced
        body["safety"] = "best-effort" if mild else "exclusive"
        body |= self._flags(primitive)
        multiple = meta.get("multiple-active", "").lower()
        usual = (
            "stop-unexpected" if primitive.clone else "stop-start"
        )  # instances are not each other
        body["multiple-active"] = _MULTIPLE.get(multiple, usual)
        body["requires"] = self._requires(primitive)
        body |= self._operations(primitive)
        body["failures"] = self._failures(primitive)
        if self._cluster.capacities:
            demand = {name: max(0, integer(text)) for name, text in primitive.utilization.items()}
            body["demand"] = {name: amount for name, amount in demand.items() if is_name(name)}
        return body

    def _note_meta(self, primitive: Primitive) -> None:
        """Name the meta attributes that decide something there and have no counterpart here."""
        said = [name for name in ("container",) if primitive.meta.get(name)]
        if primitive.truth("allow-unhealthy-nodes", default=False):
            said.append("allow-unhealthy-nodes")
        for name in said:
            self._notes.left_out(
                f'"{primitive.id}" has the meta attribute "{name}", which has no counterpart here.',
                self._cib.origin(primitive.element),
            )

    def _kind(self, primitive: Primitive) -> dict[str, Value] | None:
        agent, origin = primitive.agent, self._cib.origin(primitive.element)
        last = agent.type.rpartition("/")[2]
        match agent.standard:
            case "ocf" if is_name(agent.provider or _PROVIDER) and is_name(last):
                if last != agent.type:
                    self._notes.changed(
                        f'The agent of "{primitive.id}" is named by a path, {agent.type}. It became {last}.',
                        origin,
                    )
                return {
                    "ocf": f"{agent.provider or _PROVIDER}:{last}",
                    **self._parameters(primitive),
                }
            case "systemd" | "service" | "upstart" if _UNIT.fullmatch(agent.type):
                return {"systemd": agent.type}
            case "lsb" | "heartbeat" if _is_path(agent.type):
                folder = _FOLDERS[agent.standard]
                return {"script": agent.type if "/" in agent.type else f"{folder}/{agent.type}"}
            case "stonith" | "nagios" if is_name(last):
                return self._watcher(primitive, last)
        self._notes.unsupported(
            f'There is no kind of service for "{primitive.id}", of class "{agent.standard}" and type '
            f'"{agent.type}".',
            origin,
        )
        return None

    def _watcher(self, primitive: Primitive, last: str) -> dict[str, Value] | None:
        """What only looks at something: a fence device, or a program whose start and stop do nothing."""
        if primitive.fences and self._cluster.fenced:
            return {"fence-device": primitive.id} if can_be_written(primitive) else None
        what = "is a fence device, and fencing is off" if primitive.fences else "only looks"
        self._notes.changed(
            f'"{primitive.id}" {what}. It became a script whose start and stop do nothing; its parameters '
            "are to be added to `status`.",
            self._cib.origin(primitive.element),
        )
        nothing = ["/bin/true"]
        plugin = [f"/usr/lib/nagios/plugins/{last}"]
        look = [f"/usr/sbin/{last}", "--action=monitor"] if primitive.fences else plugin
        return {"script": {"start": nothing, "stop": nothing, "status": look}}

    def _parameters(self, primitive: Primitive) -> dict[str, Value]:
        found = parameters(primitive, self._cib, self._notes)
        body: dict[str, Value] = {"parameters": found} if found else {}
        kept = self._unreloadable.get(primitive.id)
        names = sorted(name for name in found if kept is not None and name not in kept)
        return {**body, "reloadable": names} if names else body

    def _copies(self, primitive: Primitive) -> dict[str, Value]:
        """How many copies; those of a group's members are written on the group."""
        clone = primitive.clone
        if clone is None or primitive.group is not None:
            return {}
        return copies(clone, self._cluster.nodes, primitive.meta)

    def _stickiness(self, primitive: Primitive) -> int:
        usual = 1 if primitive.clone else self._cluster.stickiness
        text = primitive.meta.get("resource-stickiness", "default")
        points = usual if text == "default" else score(text)
        if points < 0:
            self._notes.changed(
                f'"{primitive.id}" has a stickiness of {points}. It is never below 0 here, and became 0.',
                self._cib.origin(primitive.element),
            )
        return max(0, points)

    def _flags(self, primitive: Primitive) -> dict[str, Value]:
        clone = primitive.clone
        over = clone.meta if clone else primitive.meta
        wanted = role(primitive.meta.get("target-role", "")) != "stopped"
        none = clone is not None and 0 in {clone.clone_max, clone.node_max}
        return {
            "enabled": wanted and not none and not self._cluster.stopped,
            "managed": self._cluster.managed and self._managed(primitive),
            "maintenance": self._cluster.maintenance
            or primitive.truth("maintenance", default=False),
            "critical": primitive.truth("critical", default=True),
            "migratable": primitive.truth("allow-migrate", default=False),
            "interleave": truth(over.get("interleave", ""), default=False),
            "ordered": clone is not None and truth(over.get("ordered", ""), default=False),
            "notify": clone is not None and truth(over.get("notify", ""), default=False),
        }

    def _managed(self, primitive: Primitive) -> bool:
        return primitive.truth("is-managed", default=True)

    def _requires(self, primitive: Primitive) -> str:
        said = _REQUIRES.get(primitive.meta.get("requires", "").lower(), self._cluster.requires)
        if primitive.fences and primitive.meta.get("requires", "").lower() != "nothing":
            return "quorum"  # a device cannot wait for what it is there for
        return "quorum" if said == "fencing" and not self._cluster.fenced else said

    def _failures(self, primitive: Primitive) -> dict[str, Value]:
        most = score(primitive.meta.get("migration-threshold", "INFINITY"), INFINITY)
        forget_ms = duration_ms(primitive.meta.get("failure-timeout", ""))
        return {
            "max": most if most > 0 else "never",
            "forget-after": written_duration(forget_ms) if forget_ms else "never",
        }

    # Operations ------------------------------------------------------------------------------------

    def _operations(self, primitive: Primitive) -> dict[str, Value]:
        single = {op.name: op for op in reversed(primitive.operations) if not op.every_ms}
        names = ("start", "stop", "promote", "demote")
        found: dict[str, Value] = {
            name: self._deadline(single[name], primitive)
            for name in names
            if primitive.promotable or name in {"start", "stop"}
        }
        looks, promoted = self._looks(primitive)
        if looks is not None:
            found["monitor"] = self._look(looks, primitive)
        else:
            found["monitor"] = {"timeout": written_duration(single["monitor"].timeout_ms)}
        if promoted is not None:
            found["monitor-promoted"] = self._look(promoted, primitive)
        return found

    def _looks(self, primitive: Primitive) -> tuple[Operation | None, Operation | None]:
        """The most frequent monitor of copies that run, and of promoted ones."""
        found: dict[str, Operation] = {}
        every = [op for op in primitive.operations if op.every_ms and op.enabled]
        for op in sorted(every, key=lambda op: op.every_ms):
            which = op.role if op.role in {"promoted", "stopped"} else ""
            if op.name == "monitor" and which != "stopped" and which not in found:
                found[which] = op
            elif op.element is not None:
                where = " where the resource is stopped" if which == "stopped" else ""
                self._notes.left_out(
                    f'"{primitive.id}" has another recurring {op.name}{where}, every '
                    f"{written_duration(op.every_ms)}. One monitor is carried over, and one of promoted "
                    "copies: the most frequent of each.",
                    self._cib.origin(op.element),
                )
        return found.get(""), found.get("promoted") if primitive.promotable else None

    def _look(self, op: Operation, primitive: Primitive) -> dict[str, Value]:
        return {"every": written_duration(op.every_ms), **self._deadline(op, primitive)}

    def _deadline(self, op: Operation, primitive: Primitive) -> dict[str, Value]:
        found: dict[str, Value] = {"timeout": written_duration(op.timeout_ms)}
        on_fail = self._on_fail(op, primitive)
        if on_fail:
            found["on-fail"] = on_fail
        return found

    def _on_fail(self, op: Operation, primitive: Primitive) -> str:
        """What a failure leads to, where that is not what it would lead to anyway."""
        said = op.on_fail
        if not said or said == "restart-container":
            return ""
        promoted_look = op.name == "monitor" and op.role == "promoted" and bool(op.every_ms)
        misplaced = {
            "demote": op.name != "promote" and not promoted_look,
            "standby": op.name == "stop",
            "stop": op.name == "stop",
        }.get(said, False)
        if said not in _ON_FAIL or misplaced:
            if op.element is not None:
                self._notes.ignored(
                    f'on-fail="{said}" makes no sense for {op.name} of "{primitive.id}".',
                    self._cib.origin(op.element),
                )
            return ""
        if said == "fence" and not (self._cluster.fenced and self._cluster.devices):
            return "block" if op.name == "stop" else "stop"
        return "" if said == "restart" and op.name != "stop" else said


def _is_path(text: str) -> bool:
    """Whether a text is an absolute path, or the name of a file."""
    return _PATH.fullmatch(text) is not None and ".." not in text.split("/")


def can_be_written(device: Primitive) -> bool:
    """Whether a fence device and its agent have names here."""
    return is_name(device.id) and is_name(device.agent.type.replace("/", "_"))


def copies(clone: Clone, nodes: int, meta: Mapping[str, str]) -> dict[str, Value]:
    """How many copies a clone wants, of which how many promoted."""
    most = nodes * max(1, clone.node_max)
    wanted = most if clone.clone_max is None else min(max(1, clone.clone_max), most)
    found: dict[str, Value] = {}
    if clone.node_max <= 1 and wanted >= nodes:
        found["replicas"] = "all"
    elif wanted != 1:
        found["replicas"] = wanted
    if clone.node_max > 1:
        found["replicas-per-node"] = clone.node_max
    if clone.promotable:
        found["promotable"] = True
        held_back = role(meta.get("target-role", "")) == "unpromoted" or not clone.promoted_node_max
        promoted = 0 if held_back else min(clone.promoted_max, wanted)
        found["promoted"] = promoted
    return found


def parameters(primitive: Primitive, cib: Cib, notes: Notes) -> dict[str, Value]:
    """An agent's parameters, what is secret among them as a reference."""
    found: dict[str, Value] = {}
    origin = cib.origin(primitive.element)
    for name, text in primitive.parameters.items():
        if not is_name(name):
            notes.left_out(
                f'The parameter "{name}" of "{primitive.id}" has a name that cannot be written.',
                origin,
            )
        elif _SECRET.search(name):
            secret = f"{primitive.id}-{name}"
            found[name] = {"secret": secret}
            notes.changed(
                f'The parameter "{name}" of "{primitive.id}" looks like a secret, and does not belong '
                f'into a file under version control. It became a reference to the secret "{secret}", '
                "which each node has to hold.",
                origin,
            )
        else:
            found[name] = text
    return found
