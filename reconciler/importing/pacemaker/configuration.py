"""The configuration of a CIB as a cluster's file.

Each part is read by a module of its own; here they are put together in the order in which people read a
file. What cannot be carried over is in the notes, and it is for the caller to stop there.
"""

from collections.abc import Iterable, Mapping, Sequence

from reconciler.importing.pacemaker.cluster import (
    cluster_defaults,
    cluster_name,
    note_the_rest,
    quorum_and_health,
    read_node_bodies,
)
from reconciler.importing.pacemaker.colocations import read_colocations
from reconciler.importing.pacemaker.defaults import Body, common, without, worth_writing
from reconciler.importing.pacemaker.document import Cib
from reconciler.importing.pacemaker.fencing import read_fencing
from reconciler.importing.pacemaker.locations import Locations, confined, opted_in, written
from reconciler.importing.pacemaker.nodes import read_nodes
from reconciler.importing.pacemaker.notes import HEADLINE, Notes
from reconciler.importing.pacemaker.orderings import read_orderings
from reconciler.importing.pacemaker.resources import Group, Primitive, Resources
from reconciler.importing.pacemaker.services import Services, cluster_of, copies
from reconciler.importing.pacemaker.settings import Options
from reconciler.importing.pacemaker.targets import Targets
from reconciler.importing.pacemaker.tickets import read_tickets
from reconciler.importing.pacemaker.words import is_name, truth
from reconciler.importing.pacemaker.yaml_text import Value, document


def read_configuration(cib: Cib, resources: Resources, options: Options, notes: Notes) -> str:
    """Read the configuration, and write the cluster's file."""
    reader = _Reader(cib, resources, options, notes)
    sections = reader.sections()
    note_the_rest(cib, notes)
    comments = (
        HEADLINE,
        "Where Pacemaker decides otherwise than is usual here, its way stands under `defaults`.",
    )
    return document(sections, comments)


class _Reader:
    """Reads the configuration part by part."""

    def __init__(self, cib: Cib, resources: Resources, options: Options, notes: Notes) -> None:
        self._cib = cib
        self._resources = resources
        self._options = options
        self._notes = notes
        self._nodes = read_nodes(cib, options)
        if not any(is_name(node.name) for node in self._nodes):
            notes.unsupported(
                "There is no node to run anything on.", cib.origin(cib.section("nodes"))
            )
        self._note_unsupported()

    def sections(self) -> dict[str, Value]:
        bodies = self._services()
        groups = self._groups(bodies)
        demanded = {name for body in bodies.values() for name in _amounts(body)}
        nodes = read_node_bodies(self._cib, self._nodes, frozenset(demanded), self._notes)
        carried = frozenset({*bodies, *groups})
        constraints = self._constraints(carried, nodes)
        _make_safe(bodies, groups, constraints)
        defaults = common(bodies.values())
        fencing = read_fencing(self._cib, self._resources, self._nodes, self._options, self._notes)
        return {
            "version": 1,
            "cluster": cluster_name(self._cib, self._options),
            "nodes": nodes,
            "defaults": {**cluster_defaults(self._options), **worth_writing(defaults)},
            "services": {name: without(body, defaults) for name, body in bodies.items()},
            "groups": groups,
            "constraints": constraints,
            **quorum_and_health(self._options, devices=self._resources.can_fence),
            **fencing,
        }

    def _note_unsupported(self) -> None:
        for element in self._resources.bundles:
            self._unsupported(f'The bundle "{element.id}" is unsupported.', element.line)
        for primitive in self._resources.primitives:
            if primitive.remote:
                self._unsupported(
                    f'The remote node "{primitive.id}" is unsupported.', primitive.element.line
                )
            elif guest := primitive.meta.get("remote-node"):
                self._unsupported(
                    f'The guest node "{guest}", which "{primitive.id}" brings up, is unsupported.',
                    primitive.element.line,
                )
        for element in self._resources.repeated:
            self._notes.ignored(
                f'The name "{element.id}" is taken already; this <{element.tag}> counts for nothing.',
                self._cib.origin(element),
            )
        for clone in self._resources.clones:
            if clone.incapable:
                self._notes.changed(
                    f'The clone "{clone.id}" is to be promotable, and only OCF agents know roles. Its copies '
                    "have none here.",
                    self._cib.origin(clone.element),
                )
        connected = {
            each.id if each.remote else each.meta.get("remote-node")
            for each in self._resources.primitives
        }
        for element in self._cib.section("nodes").all("node"):
            name = element.get("uname", "id")
            if element.get("type").lower() == "remote" and name not in connected:
                self._notes.ignored(
                    f'The remote node "{name}" has no connection any more.',
                    self._cib.origin(element),
                )

    def _unsupported(self, detail: str, line: int) -> None:
        origin = self._cib.origin(self._cib.root)
        self._notes.unsupported(detail, type(origin)(path=origin.path, line=line))

    def _services(self) -> dict[str, Body]:
        devices = self._resources.can_fence
        cluster = cluster_of(self._options, nodes=len(self._nodes), devices=devices)
        reader = Services(self._cib, cluster, self._notes)
        found: dict[str, Body] = {}
        for primitive in self._resources.primitives:
            if not primitive.is_service:
                continue
            if not is_name(primitive.id):
                self._notes.unsupported(
                    f'"{primitive.id}" cannot be the name of a service here (letters, digits, `_`, '
                    "`.`, `-`).",
                    self._cib.origin(primitive.element),
                )
            elif (body := reader.body(primitive)) is not None:
                found[primitive.id] = body
        return found

    def _groups(self, bodies: Mapping[str, Body]) -> dict[str, Value]:
        found: dict[str, Value] = {}
        for group in self._resources.groups:
            inside = self._resources.members(group)
            members: list[Value] = [each.id for each in inside if each.id in bodies]
            if not members:
                continue
            settings: dict[str, Value] = {}
            if not truth(group.meta.get("ordered", ""), default=True):
                settings["ordered"] = False
            if not truth(group.meta.get("collocated", ""), default=True):
                settings["colocated"] = False
            if group.clone is not None:
                settings |= copies(group.clone, len(self._nodes), group.meta)
            found[group.id] = {"members": members, **settings} if settings else members
        return found

    def _constraints(self, carried: frozenset[str], nodes: Mapping[str, Value]) -> list[Value]:
        targets = Targets(self._cib, self._resources, carried, self._notes)
        standings = tuple(node for node in self._nodes if node.name in nodes)
        locations = Locations(self._cib, self._resources, standings, targets, self._notes).read()
        names = [*nodes]
        found: list[Value] = []
        if not self._options.truth("symmetric-cluster", default=True):
            found += opted_in(locations, self._outermost(carried), self._resources, names)
        found += confined(locations, names)
        found += written(locations, _labels(nodes))
        found += read_colocations(self._cib, targets, self._notes)
        inside = {
            each.id: [p.id for p in self._resources.members(each)]
            for each in self._resources.groups
        }
        found += read_orderings(self._cib, targets, self._notes, inside)
        fenced = self._options.truth("fencing-enabled", default=True) and self._resources.can_fence
        found += read_tickets(self._cib, targets, self._notes, fenced=fenced)
        return found

    def _outermost(self, carried: Iterable[str]) -> list[str]:
        """Groups, and the services that are in none."""
        known = frozenset(carried)
        owners: list[Group | Primitive] = [*self._resources.groups]
        owners += [each for each in self._resources.primitives if each.group is None]
        return [each.id for each in owners if each.id in known]


def _labels(nodes: Mapping[str, Value]) -> dict[str, Mapping[str, str]]:
    found: dict[str, Mapping[str, str]] = {}
    for name, body in nodes.items():
        labels = body.get("labels", {}) if isinstance(body, Mapping) else {}
        given = labels.items() if isinstance(labels, Mapping) else ()
        found[name] = {label: text for label, text in given if isinstance(text, str)}
    return found


def _make_safe(
    bodies: Mapping[str, Body], groups: Mapping[str, Value], constraints: Iterable[Value]
) -> None:
    """Make exclusive what must run together with something exclusive, for it cannot be safer than that."""
    inside = {name: _members(group) for name, group in groups.items()}
    together = [each for each in inside.values() if len(each) > 1]
    for entry in constraints:
        if isinstance(entry, Mapping) and "colocation" in entry and "score" not in entry:
            names = _members(entry["colocation"])
            together.append([each for name in names for each in inside.get(name, [name])])
    while mixed := [each for each in together if len({bodies[n]["safety"] for n in each}) > 1]:
        for name in (name for each in mixed for name in each):
            bodies[name]["safety"] = "exclusive"


def _members(value: Value) -> list[str]:
    names = value["members"] if isinstance(value, Mapping) else value
    return [name for name in names if isinstance(name, str)] if isinstance(names, Sequence) else []


def _amounts(body: Body) -> Iterable[str]:
    demand = body.get("demand")
    return demand if isinstance(demand, Mapping) else ()
