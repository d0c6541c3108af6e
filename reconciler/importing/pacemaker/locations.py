"""Locations: where resources may run, and would rather run.

Rules are judged for every node now, so that what is written names nodes, or a label that says the same. In a
cluster that is not symmetric a resource runs only where some location lets it, which becomes one required
location. A score of +INFINITY is one million, for here `required` means nowhere else.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from reconciler.importing.pacemaker.document import Cib, Element
from reconciler.importing.pacemaker.nodes import Standing
from reconciler.importing.pacemaker.notes import Notes
from reconciler.importing.pacemaker.resources import Group, Primitive, Resources
from reconciler.importing.pacemaker.rules import Context, holds, substituted, uses_time
from reconciler.importing.pacemaker.targets import Target, Targets
from reconciler.importing.pacemaker.words import INFINITY, role, score
from reconciler.importing.pacemaker.yaml_text import Value

_NEGATED = "!"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """What one location says of one resource: a score for each of some nodes."""

    name: str
    owner: str
    """The resource itself, which may be a member of what is named."""
    scores: Mapping[str, int]
    role: str
    exclusive: bool
    line: int
    label: tuple[str, str] | None = None


class Locations:
    """Reads every location of a CIB."""

    def __init__(
        self,
        cib: Cib,
        resources: Resources,
        nodes: tuple[Standing, ...],
        targets: Targets,
        notes: Notes,
    ) -> None:
        self._cib = cib
        self._resources = resources
        self._nodes = {node.name: node for node in nodes}
        self._targets = targets
        self._notes = notes

    def read(self) -> list[Preference]:
        """What every location says, in the order of the file."""
        found: list[Preference] = []
        for element in self._cib.section("constraints").all("rsc_location"):
            for target, role_text, score_text, captured in self._named(element):
                found += self._preferences(element, target, role_text, score_text, captured)
        return found

    def _named(self, element: Element) -> Iterator[tuple[Target, str, str, tuple[str, ...]]]:
        role_text, score_text = element.get("role"), element.get("score")
        for found in self._targets.sets(element):
            for target in found.members:
                own_score = found.element.get("score") or score_text
                yield target, found.element.get("role") or role_text, own_score, ()
        pattern = element.get("rsc-pattern")
        if pattern:
            for target, captured in self._matching(pattern, element):
                yield target, role_text, score_text, captured
        elif name := element.get("rsc"):
            for target in self._targets.named(name, element):
                yield target, role_text, score_text, ()

    def _matching(self, pattern: str, element: Element) -> Iterator[tuple[Target, tuple[str, ...]]]:
        """Top-level resources whose names a POSIX pattern finds, or does not find with `!`."""
        negated = pattern.startswith(_NEGATED)
        try:
            compiled = re.compile(pattern.removeprefix(_NEGATED))
        except re.error as trouble:
            self._notes.ignored(
                f'The pattern of the location "{element.id}" cannot be read: {trouble}.',
                self._cib.origin(element),
            )
            return
        for name in _top_level(self._resources):
            found = compiled.search(name)
            if (found is None) is not negated:
                continue
            captured = () if found is None else (found[0], *(part or "" for part in found.groups()))
            for target in self._targets.named(name, element):
                yield target, captured

    def _preferences(
        self,
        element: Element,
        target: Target,
        role_text: str,
        score_text: str,
        captured: tuple[str, ...],
    ) -> Iterator[Preference]:
        discovery = element.get("resource-discovery").lower()
        if discovery == "never":
            self._notes.left_out(
                f'The location "{element.id}" keeps resources from being looked for on some nodes. '
                "They are looked for everywhere here.",
                self._cib.origin(element),
            )
        rules = [self._cib.resolved(rule) for rule in element.all("rule")]
        if name := element.get("node"):
            if name not in self._nodes:
                self._notes.ignored(
                    f'The location "{element.id}" names the node "{name}", which is not listed.',
                    self._cib.origin(element),
                )
                return
            said: list[tuple[dict[str, int], str, tuple[str, str] | None]] = (
                [({name: score(score_text)}, role_text, None)] if score_text else []
            )
        else:
            said = [
                (self._judged(rule, target, captured), rule.get("role"), _label(rule))
                for rule in rules
            ]
        for scores, own_role, label in said:
            if role(own_role) == "promoted" and not target.promotable:
                self._notes.ignored(
                    f'The location "{element.id}" is about promoted copies, which "{target.name}" never has.',
                    self._cib.origin(element),
                )
                continue
            yield Preference(
                name=target.name,
                owner=target.owner.id,
                scores=scores,
                role="promoted" if role(own_role) == "promoted" else "",
                exclusive=discovery == "exclusive",
                line=element.line,
                label=label,
            )

    def _judged(self, rule: Element, target: Target, captured: tuple[str, ...]) -> dict[str, int]:
        """The score that a rule gives to each node that it holds for."""
        if uses_time(rule):
            moment = datetime.fromtimestamp(self._cib.now_ms // 1000, UTC)
            self._notes.changed(
                f'The rule "{rule.id}" depends on the time. It was judged once, at '
                f"{moment:%Y-%m-%d %H:%M:%S} UTC, and what it said then is written.",
                self._cib.origin(rule),
            )
        owner = target.owner
        parameters = owner.parameters if isinstance(owner, Primitive) else {}
        found = {}
        for name, node in self._nodes.items():
            context = Context(
                node={**node.built_in, **node.attributes},
                parameters=parameters,
                meta=owner.meta,
                captured=captured,
            )
            if holds(rule, context, self._cib):
                found[name] = _score(rule, node.attributes, captured)
        return found


def _score(rule: Element, attributes: Mapping[str, str], captured: tuple[str, ...]) -> int:
    text = rule.attributes.get("score")
    if text is not None:
        return score(text)
    name = substituted(rule.get("score-attribute"), captured)
    return score(attributes[name]) if name in attributes else (-INFINITY if name else 0)


def _label(rule: Element) -> tuple[str, str] | None:
    """The attribute and its value, where a rule asks for nothing else."""
    match rule.children:
        case [Element(tag="expression") as only] if only.get("operation").lower() == "eq":
            plain = only.get("type", default="string") == "string" and not only.get("value-source")
            return (only.get("attribute"), only.get("value")) if plain else None
        case _:
            return None


def _top_level(resources: Resources) -> Iterator[str]:
    """Names of resources that are in no other, in the order of the file."""
    seen: set[str] = set()
    for primitive in resources.primitives:
        outermost = primitive.clone or primitive.group or primitive
        if outermost.id not in seen:
            seen.add(outermost.id)
            yield outermost.id


def written(
    preferences: Iterable[Preference], labels: Mapping[str, Mapping[str, str]]
) -> Iterator[dict[str, Value]]:
    """Preferences as they stand in the file, those that say the same of other nodes in one.

    `labels` are those written for each node.
    """
    last: dict[str, Value] | None = None
    for entry in _entries(preferences, labels):
        joined = _joined(last, entry) if last is not None else None
        if last is not None and joined is None:
            yield last
        last = joined or entry
    if last is not None:
        yield last


def _joined(one: dict[str, Value], other: dict[str, Value]) -> dict[str, Value] | None:
    """Both in one, if they differ in their nodes only and share none."""
    here, there = one["nodes"], other["nodes"]
    if not (isinstance(here, list) and isinstance(there, list)) or {*one} != {*other}:
        return None
    differing = {key for key in one if one[key] != other[key]}
    if differing != {"nodes"} or any(node in here for node in there):
        return None
    return {**one, "nodes": [*here, *there]}


def _entries(
    preferences: Iterable[Preference], labels: Mapping[str, Mapping[str, str]]
) -> Iterator[dict[str, Value]]:
    for said in preferences:
        for points in sorted(set(said.scores.values()), reverse=True):
            if not points and not said.role:
                continue
            nodes = [name for name, each in said.scores.items() if each == points]
            entry: dict[str, Value] = {
                "location": said.name,
                "nodes": _where(nodes, said.label, labels),
                "score": "forbidden" if points <= -INFINITY else points,
            }
            if said.role:
                entry["role"] = said.role
            yield entry


def _where(
    nodes: list[str],
    label: tuple[str, str] | None,
    labels: Mapping[str, Mapping[str, str]],
) -> Value:
    """A label that exactly these nodes have, if the rule asked for one, else their names."""
    if label is not None:
        name, value = label
        if {node for node, has in labels.items() if has.get(name) == value} == set(nodes):
            return {name: value}
    return nodes


def opted_in(
    preferences: list[Preference], names: list[str], resources: Resources, nodes: list[str]
) -> Iterator[dict[str, Value]]:
    """For a cluster that is not symmetric: the nodes that some location lets each resource run on."""
    for name in names:
        owner = resources.by_id[name]
        members = [owner] if isinstance(owner, Primitive) else resources.members(owner)
        allowed = [_allowed(preferences, member, nodes) for member in members]
        if isinstance(owner, Group) and any(each != allowed[0] for each in allowed):
            pairs = [(member.id, each) for member, each in zip(members, allowed, strict=True)]
        else:
            pairs = [(name, allowed[0])]
        for each, where in pairs:
            if where:
                yield {"location": each, "nodes": list(where)}
            else:
                yield {"location": each, "nodes": nodes, "score": "forbidden"}


def _allowed(preferences: list[Preference], member: Primitive, nodes: list[str]) -> list[str]:
    owners = {each.id for each in (member, member.group, member.clone) if each}
    scored = {
        node
        for said in preferences
        if said.owner in owners and not said.role
        for node, points in said.scores.items()
        if points > -INFINITY
    }
    return [node for node in nodes if node in scored]


def confined(preferences: list[Preference], nodes: list[str]) -> Iterator[dict[str, Value]]:
    """Nodes that no location with exclusive discovery names: what it is about never runs there."""
    within: dict[str, set[str]] = {}
    for said in preferences:
        if said.exclusive:
            within.setdefault(said.name, set()).update(said.scores)
    for name, known in within.items():
        if others := [node for node in nodes if node not in known]:
            yield {"location": name, "nodes": others, "score": "forbidden"}
