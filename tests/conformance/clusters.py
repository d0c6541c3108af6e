"""Random small Pacemaker clusters: a seed makes one CIB, always the same.

Each cluster is drawn with a few features, so that a difference points at them. What is drawn is what
Pacemaker itself would write: a status that some history could have left behind.
"""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET

FEATURES: Final = (
    "group",
    "clone",
    "promotable",
    "colocation",
    "apart",
    "ordering",
    "location",
    "stickiness",
    "priority",
    "failure",
    "standby",
    "lost",
    "fencing",
    "ticket",
    "utilization",
    "unmanaged",
    "opt-in",
    "set",
    "migration",
    "quorum",
)

_INFINITY: Final = "INFINITY"
_NO_PARAMETERS: Final = "f2317cad3d54cec5d7d7aa7d0bf35cf8"
"""The digest that Pacemaker makes of no parameters at all."""
_TIMEOUT_ONLY: Final = hashlib.md5(b' <parameters CRM_meta_timeout="20000"/>\n').hexdigest()
"""The one of a recurring monitor without any, which counts its timeout."""
_KEY: Final = "1:1:0:00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A CIB, and what was drawn into it."""

    features: tuple[str, ...]
    root: ET.Element


def draw(seed: int) -> Cluster:
    """The cluster of a seed."""
    rng = random.Random(seed)
    features = tuple(sorted(rng.sample(FEATURES, rng.randint(1, 4))))
    return Cluster(features=features, root=_Drawing(rng, frozenset(features)).root())


class _Drawing:
    """One drawing; every choice comes from the same source of chance, in a fixed order."""

    def __init__(self, rng: random.Random, features: frozenset[str]) -> None:
        self._rng = rng
        self._features = features
        self._nodes = [f"n{number}" for number in range(1, rng.randint(2, 5) + 1)]
        self._primitives: list[str] = []
        self._outer: list[tuple[str, str]] = []
        """Outermost resources: kind and id."""
        self._copied: dict[str, str] = {}
        """Primitives of clones: the kind of their clone."""
        self._number = 0

    def root(self) -> ET.Element:
        said = {"execution-date": "1700000000", "have-quorum": "1", "validate-with": "none"}
        root = ET.Element("cib", {**said, "crm_feature_set": "3.0.14"})
        if "quorum" in self._features and self._rng.random() < 0.5:
            root.set("have-quorum", "0")
        configuration = _under(root, "configuration")
        self._options(_under(configuration, "crm_config"))
        nodes = _under(configuration, "nodes")
        self._resources(_under(configuration, "resources"))
        self._constraints(_under(configuration, "constraints"))
        self._defaults(_under(configuration, "rsc_defaults"))
        for number, name in enumerate(self._nodes, 1):
            self._node(nodes, number, name)
        self._status(_under(root, "status"))
        return root

    def _may(self, feature: str, chance: float = 0.7) -> bool:
        return feature in self._features and self._rng.random() < chance

    def _id(self, stem: str) -> str:
        self._number += 1
        return f"{stem}-{self._number}"

    # Configuration -----------------------------------------------------------------------------------

    def _options(self, parent: ET.Element) -> None:
        said = {"stonith-enabled": "true" if "fencing" in self._features else "false"}
        if "utilization" in self._features:
            said["placement-strategy"] = self._rng.choice(("utilization", "balanced", "minimal"))
        if "opt-in" in self._features:
            said["symmetric-cluster"] = "false"
        if "quorum" in self._features:
            said["no-quorum-policy"] = self._rng.choice(("stop", "freeze", "ignore", "demote"))
        self._pairs(parent, "cluster_property_set", said)

    def _defaults(self, parent: ET.Element) -> None:
        if self._may("stickiness"):
            self._pairs(parent, "meta_attributes", {"resource-stickiness": self._points(1)})

    def _node(self, parent: ET.Element, number: int, name: str) -> None:
        node = _under(parent, "node", id=str(number), uname=name)
        if self._may("standby", 0.4):
            self._pairs(node, "instance_attributes", {"standby": "on"})
        if "utilization" in self._features:
            self._pairs(node, "utilization", {"cpu": str(self._rng.randint(1, 6))})

    def _resources(self, parent: ET.Element) -> None:
        if "fencing" in self._features:
            _under(parent, "primitive", {"class": "stonith", "type": "fence_dummy"}, id="fencer")
            self._primitives.append("fencer")
        for _ in range(self._rng.randint(2, 5)):
            kinds = [kind for kind in ("group", "clone", "promotable") if self._may(kind, 0.5)]
            match self._rng.choice(kinds or ["primitive"]):
                case "group":
                    self._group(parent, "")
                case "clone" | "promotable" as kind:
                    self._clone(parent, kind)
                case _:
                    self._primitive(parent, "", outer=True)

    def _group(self, parent: ET.Element, copied: str) -> None:
        group = _under(parent, "group", id=self._id("g"))
        if not copied:
            self._outer.append(("group", group.get("id", "")))
        for _ in range(self._rng.randint(2, 3)):
            self._primitive(group, copied, outer=False)

    def _clone(self, parent: ET.Element, kind: str) -> None:
        clone = _under(parent, "clone", id=self._id("c"))
        self._outer.append((kind, clone.get("id", "")))
        said = {}
        if kind == "promotable":
            said["promotable"] = "true"
            if self._rng.random() < 0.2:
                said["promoted-max"] = "2"
        if self._rng.random() < 0.3:
            said["clone-max"] = str(self._rng.randint(1, 3))
        if self._rng.random() < 0.4:
            said["interleave"] = "true"
        if said:
            self._pairs(clone, "meta_attributes", said)
        if self._may("group", 0.4):
            self._group(clone, kind)
        else:
            self._primitive(clone, kind, outer=False)

    def _primitive(self, parent: ET.Element, copied: str, *, outer: bool) -> None:
        kind = "Stateful" if copied == "promotable" else "Dummy"
        agent = {"class": "ocf", "provider": "pacemaker", "type": kind}
        primitive = _under(parent, "primitive", agent, id=self._id("r"))
        name = primitive.get("id", "")
        self._primitives.append(name)
        if copied:
            self._copied[name] = copied
        if outer:
            self._outer.append(("primitive", name))
        said = self._meta()
        if said:
            self._pairs(primitive, "meta_attributes", said)
        if self._may("utilization"):
            self._pairs(primitive, "utilization", {"cpu": str(self._rng.randint(1, 4))})
        operations = _under(primitive, "operations")
        role = {"role": "Promoted"} if copied == "promotable" else {}
        _under(operations, "op", {"name": "monitor", "interval": "10s"}, id=self._id("op"))
        if role:
            look = {"name": "monitor", "interval": "11s", **role}
            _under(operations, "op", look, id=self._id("op"))

    def _meta(self) -> dict[str, str]:
        said = {}
        if self._may("stickiness", 0.4):
            said["resource-stickiness"] = self._points(1)
        if self._may("priority", 0.5):
            said["priority"] = str(self._rng.randint(1, 20))
        if self._may("failure", 0.5):
            said["migration-threshold"] = str(self._rng.randint(1, 3))
        if self._may("unmanaged", 0.3):
            said["is-managed"] = "false"
        if self._may("migration"):
            said["allow-migrate"] = "true"
        return said

    # Constraints -------------------------------------------------------------------------------------

    def _constraints(self, parent: ET.Element) -> None:
        for feature, add in (
            ("colocation", self._colocation),
            ("apart", self._apart),
            ("ordering", self._order),
            ("location", self._location),
            ("ticket", self._ticket),
            ("set", self._set),
        ):
            if feature in self._features:
                for _ in range(self._rng.randint(1, 3)):
                    add(parent)
        if "opt-in" in self._features:
            for _, name in self._outer:
                for node in self._nodes:
                    if self._rng.random() < 0.7:
                        self._place(parent, name, node, str(self._rng.randint(0, 3)))

    def _two(self) -> list[tuple[str, str]]:
        """Two outermost resources, the earlier one first: so no circle can come about."""
        chosen = self._rng.sample(range(len(self._outer)), min(2, len(self._outer)))
        return [self._outer[index] for index in sorted(chosen)]

    def _colocation(self, parent: ET.Element) -> None:
        self._colocate(parent, self._rng.choice((_INFINITY, _INFINITY, self._points(1))))

    def _apart(self, parent: ET.Element) -> None:
        points = f"-{self._points(1)}"
        self._colocate(parent, self._rng.choice((f"-{_INFINITY}", f"-{_INFINITY}", points)))

    def _colocate(self, parent: ET.Element, points: str) -> None:
        match self._two():
            case [(kind, one), (_, other)]:
                said = {"rsc": other, "with-rsc": one, "score": points}
                if kind == "promotable" and self._rng.random() < 0.6:
                    said["with-rsc-role"] = "Promoted"
                _under(parent, "rsc_colocation", said, id=self._id("col"))

    def _order(self, parent: ET.Element) -> None:
        match self._two():
            case [(kind, one), (_, other)]:
                said = {"first": one, "then": other}
                if self._rng.random() < 0.4:
                    said["kind"] = self._rng.choice(("Optional", "Serialize"))
                if kind == "promotable" and self._rng.random() < 0.6:
                    said |= {"first-action": "promote", "then-action": "start"}
                if self._rng.random() < 0.15:
                    said["symmetrical"] = "false"
                _under(parent, "rsc_order", said, id=self._id("ord"))

    def _location(self, parent: ET.Element) -> None:
        kind, name = self._rng.choice(self._outer)
        points = self._rng.choice(
            (f"-{_INFINITY}", _INFINITY, self._points(1), f"-{self._points(1)}")
        )
        place = self._place(parent, name, self._rng.choice(self._nodes), points)
        if kind == "promotable" and self._rng.random() < 0.3:
            place.set("role", "Promoted")

    def _place(self, parent: ET.Element, name: str, node: str, points: str) -> ET.Element:
        said = {"rsc": name, "node": node, "score": points}
        return _under(parent, "rsc_location", said, id=self._id("loc"))

    def _ticket(self, parent: ET.Element) -> None:
        kind, name = self._rng.choice(self._outer)
        loss = self._rng.choice(("stop", "demote", "freeze", "fence"))
        said = {"rsc": name, "ticket": "T", "loss-policy": loss}
        if kind == "promotable" and self._rng.random() < 0.5:
            said["rsc-role"] = "Promoted"
        _under(parent, "rsc_ticket", said, id=self._id("tic"))

    def _set(self, parent: ET.Element) -> None:
        chosen = self._rng.sample(range(len(self._outer)), self._rng.randint(2, len(self._outer)))
        names = [self._outer[index][1] for index in sorted(chosen)]
        tag = self._rng.choice(("rsc_order", "rsc_colocation"))
        constraint = _under(parent, tag, id=self._id("set"))
        if tag == "rsc_colocation":
            constraint.set("score", self._rng.choice((_INFINITY, self._points(1))))
        inner = _under(constraint, "resource_set", id=self._id("rs"))
        if self._rng.random() < 0.3:
            inner.set("sequential", "false")
        for name in names:
            _under(inner, "resource_ref", id=name)

    # Status ------------------------------------------------------------------------------------------

    def _status(self, parent: ET.Element) -> None:
        states = dict(self._states(parent))
        if "ticket" in self._features:
            tickets = _under(parent, "tickets")
            granted = self._rng.choice(("true", "false"))
            _under(tickets, "ticket_state", id="T", granted=granted)
        alive = [name for name, (_, kind) in states.items() if kind != "away"]
        homes: dict[str, str] = {}
        for name in self._primitives:
            for node in self._running(name, alive, homes):
                lost = states[node][1] == "lost"
                self._history(
                    states[node][0], name, node, promoted=self._promotes(name, homes), lost=lost
                )
            for node, (state, kind) in states.items():
                if kind == "alive" and node not in homes.get(name, "").split():
                    self._look(state, name)

    def _states(self, parent: ET.Element) -> Iterator[tuple[str, tuple[ET.Element, str]]]:
        for number, name in enumerate(self._nodes, 1):
            kind = "alive"
            if number > 1 and self._may("lost", 0.5):
                kind = self._rng.choice(("lost", "away"))
            up = {"in_ccm": "true", "crmd": "online", "join": "member", "expected": "member"}
            down = {"in_ccm": "false", "crmd": "offline", "join": "down"}
            expected = {"expected": "member" if kind == "lost" else "down"}
            said = up if kind == "alive" else {**down, **expected}
            state = _under(parent, "node_state", said, id=str(number), uname=name)
            transient = _under(state, "transient_attributes", id=str(number))
            _under(transient, "instance_attributes", id=f"status-{number}")
            _under(_under(state, "lrm", id=str(number)), "lrm_resources")
            yield name, (state, kind)

    def _running(self, name: str, alive: list[str], homes: dict[str, str]) -> list[str]:
        """The nodes that a primitive runs on, most of the time as one would have it."""
        if self._rng.random() < 0.3 or not alive:
            return []
        if name in self._copied:
            chosen = [node for node in alive if self._rng.random() < 0.7]
        else:
            chosen = [self._rng.choice(alive)]
        homes[name] = " ".join(chosen)
        return chosen

    def _promotes(self, name: str, homes: dict[str, str]) -> bool:
        """Whether this copy is promoted: the first one may be."""
        if self._copied.get(name) != "promotable" or f"{name}!" in homes:
            return False
        homes[f"{name}!"] = ""
        return self._rng.random() < 0.7

    def _history(
        self, state: ET.Element, name: str, node: str, *, promoted: bool, lost: bool
    ) -> None:
        lrm = self._recorded(state, name)
        self._entry(lrm, name, "start", 1, 0)
        if promoted:
            self._entry(lrm, name, "promote", 2, 0)
        interval = "11000" if promoted else "10000"
        code = 8 if promoted else 0
        if name != "fencer":
            self._entry(lrm, name, "monitor", 3, code, interval=interval)
            if not lost and self._may("failure", 0.4):
                self._fail(state, lrm, name, interval)
        if name in self._copied and self._copied[name] == "promotable":
            block = state.find("transient_attributes/instance_attributes")
            assert block is not None
            points = {f"master-{name}": str(self._rng.choice((5, 10, 10, 100)))}
            self._into(block, points)

    def _fail(self, state: ET.Element, lrm: ET.Element, name: str, interval: str) -> None:
        entry = self._entry(lrm, name, "monitor", 4, 7, interval=interval, expected=0)
        entry.set("id", f"{name}_last_failure_0")
        block = state.find("transient_attributes/instance_attributes")
        assert block is not None
        count = str(self._rng.randint(1, 3))
        stem = f"{name}#monitor_{interval}"
        self._into(block, {f"fail-count-{stem}": count, f"last-failure-{stem}": "1699999000"})

    def _look(self, state: ET.Element, name: str) -> None:
        self._entry(self._recorded(state, name), name, "monitor", 1, 7, expected=7)

    def _recorded(self, state: ET.Element, name: str) -> ET.Element:
        parent = state.find("lrm/lrm_resources")
        assert parent is not None
        agent = {"class": "ocf", "provider": "pacemaker", "type": "Dummy"}
        if self._copied.get(name) == "promotable":
            agent["type"] = "Stateful"
        if name == "fencer":
            agent = {"class": "stonith", "type": "fence_dummy"}
        return _under(parent, "lrm_resource", agent, id=name)

    def _entry(
        self,
        parent: ET.Element,
        name: str,
        operation: str,
        call: int,
        code: int,
        *,
        interval: str = "0",
        expected: int | None = None,
    ) -> ET.Element:
        wanted = code if expected is None else expected
        stem = _KEY.replace(":0:", f":{wanted}:", 1)
        said = {
            "operation": operation,
            "operation_key": f"{name}_{operation}_{interval}",
            "transition-key": stem,
            "transition-magic": f"0:{code};{stem}",
            "call-id": str(call),
            "rc-code": str(code),
            "op-status": "0",
            "interval": interval,
            "last-rc-change": "1699999000",
            "crm_feature_set": "3.0.14",
            "op-digest": _NO_PARAMETERS if interval == "0" else _TIMEOUT_ONLY,
        }
        return _under(parent, "lrm_rsc_op", said, id=f"{name}_{operation}_{interval}")

    # Parts -------------------------------------------------------------------------------------------

    def _points(self, least: int) -> str:
        return str(self._rng.choice((least, 5, 10, 50, 100, 200)))

    def _pairs(self, parent: ET.Element, tag: str, said: dict[str, str]) -> None:
        self._into(_under(parent, tag, id=self._id("set")), said)

    def _into(self, block: ET.Element, said: dict[str, str]) -> None:
        for name, value in said.items():
            _under(block, "nvpair", {"name": name, "value": value}, id=self._id("nv"))


def _under(
    parent: ET.Element, tag: str, attributes: dict[str, str] | None = None, **more: str
) -> ET.Element:
    return ET.SubElement(parent, tag, {**more, **(attributes or {})})
