"""A draft to an `Intent`: names resolved, defaults and templates merged, everything sorted.

What is wrong is reported and left out; the intent that results is sound but perhaps not whole, and is
handed on only to find more problems in it. `load` gives it to nobody if there was any error.
"""

import posixpath
from collections.abc import Callable, Iterator
from typing import Any

from reconciler.config import document
from reconciler.config.draft import AnyConstraint, Draft, Entry
from reconciler.config.problems import Problems, did_you_mean, listed
from reconciler.config.references import References, subject
from reconciler.config.safety import Bonds, settle
from reconciler.config.values import ActionWord, as_json
from reconciler.config.yaml_tree import quoted
from reconciler.model.ids import GroupName, Millis, NodeName, ServiceName
from reconciler.model.intent import (
    Amounts,
    Colocation,
    FenceDevice,
    Fencing,
    Group,
    Heartbeat,
    Intent,
    Kind,
    Location,
    Mandate,
    Node,
    Operation,
    Ordering,
    Origin,
    Pairs,
    Role,
    Safety,
    Service,
    WhenEqual,
)

_START = Operation(timeout_ms=Millis(60_000))
_STOP = Operation(timeout_ms=Millis(60_000))
_MONITOR = Operation(timeout_ms=Millis(20_000), every_ms=Millis(10_000))
_EVERY = Millis(500)
_EVERY_LEAST_MS = 20
_LOST = Millis(3_500)
_FAST_MS = 250


def assemble(draft: Draft, problems: Problems) -> Intent:
    """Resolve a draft into an intent, reporting what cannot be."""
    references = References(draft, problems)
    groups = tuple(_groups(draft, references, problems))
    colocations, orderings, locations = _constraints(draft, references, problems)
    services = _Services(draft, groups, problems)
    bonds = Bonds(groups=groups, colocations=colocations, orderings=orderings)
    safety = settle(services.said(), bonds, problems)
    return Intent(
        cluster=draft.cluster,
        nodes=tuple(_node(draft.nodes[name]) for name in sorted(draft.nodes)),
        services=tuple(services.build(safety)),
        groups=groups,
        colocations=colocations,
        orderings=orderings,
        locations=locations,
        when_equal=draft.defaults.when_equal or WhenEqual.STAY,
        fencing=_fencing(draft, references, problems),
        heartbeat=_heartbeat(draft, problems),
        witnesses=tuple(sorted({entry.body for entry in draft.witnesses})),
    )


def _node(entry: Entry[document.Node]) -> Node:
    body = entry.body
    return Node(
        name=NodeName(entry.name),
        addresses=body.address,
        labels=tuple(sorted(body.labels.items())),
        capacity=tuple(sorted(body.capacity.items())),
        standby=body.standby,
        maintenance=body.maintenance,
        origin=entry.origin,
    )


# Services ------------------------------------------------------------------------------------------

_KINDS = tuple(Kind)
_NO_TEMPLATE = document.Template()


class _Services:
    """Builds services: each setting from the service, else its template, else the defaults."""

    def __init__(self, draft: Draft, groups: tuple[Group, ...], problems: Problems) -> None:
        self._draft = draft
        self._problems = problems
        self._chains = {name: self._chain(draft.services[name]) for name in sorted(draft.services)}
        self._group_of = {member: group for group in groups for member in group.members}

    def _chain(self, entry: Entry[document.Service]) -> tuple[document.Defaults, ...]:
        name = entry.body.template
        if name is None:
            return entry.body, self._draft.defaults
        template = self._draft.templates.get(name)
        if template is None:
            known = self._draft.names("templates")
            if name not in known:
                hint = did_you_mean(name, known) or " Add it to `templates`, or correct the name."
                detail = f"Service {quoted(entry.name)} takes the template {quoted(name)}, which is not there."
                self._problems.add("R022", detail + hint, entry.at("template"))
            return entry.body, self._draft.defaults
        return entry.body, template.body, self._draft.defaults

    def said(self) -> Iterator[tuple[ServiceName, bool, Safety | None, Safety | None, Origin]]:
        """Of each service: is it a `vip`, its own word on safety, the defaults' word, and its place."""
        for name, chain in self._chains.items():
            own = next((part.safety for part in chain[:-1] if part.safety), None)
            is_vip = _kind(chain) is Kind.VIP
            yield (
                ServiceName(name),
                is_vip,
                own,
                chain[-1].safety,
                self._draft.services[name].origin,
            )

    def build(self, safety: dict[ServiceName, Safety]) -> Iterator[Service]:
        """Every service that has exactly one kind, sorted by name."""
        for name, chain in self._chains.items():
            entry = self._draft.services[name]
            kind = _kind(chain)
            if kind is None or self._kinds_of_own(entry) > 1:
                self._report_kind(entry, chain)
                continue
            yield self._service(entry, chain, kind, safety[ServiceName(name)])

    def _kinds_of_own(self, entry: Entry[document.Service]) -> int:
        return sum(getattr(entry.body, kind) is not None for kind in _KINDS)

    def _report_kind(
        self, entry: Entry[document.Service], chain: tuple[document.Defaults, ...]
    ) -> None:
        if ("templates", entry.body.template or "") in self._draft.broken:
            return
        found = [
            kind for kind in _KINDS if any(getattr(part, kind, None) is not None for part in chain)
        ]
        has = f"has {len(found)} ({', '.join(found)})" if found else "has none"
        self._problems.add(
            "R017",
            f"A service has exactly one of {', '.join(_KINDS)}; {quoted(entry.name)} {has}. What runs "
            "beside it is a service of its own, joined by a group.",
            entry.origin,
        )

    def _service(
        self,
        entry: Entry[document.Service],
        chain: tuple[document.Defaults, ...],
        kind: Kind,
        safety: Safety,
    ) -> Service:
        parameters, secrets = self._parameters(entry, chain, kind)
        replicas = self._replicas(entry, chain)
        promoted = _said(chain, "promoted", 0)
        self._check_promoted(entry, kind, replicas, promoted)
        return Service(
            name=ServiceName(entry.name),
            kind=kind,
            agent=_said(chain, kind, "") if kind in {Kind.OCF, Kind.SYSTEMD} else "",
            parameters=parameters,
            secrets=secrets,
            replicas=replicas,
            promoted=promoted,
            safety=safety,
            priority=_said(chain, "priority", 0),
            rank=_said(chain, "rank", 0),
            stickiness=_said(chain, "stickiness", 100),
            demand=_merged_demand(chain),
            enabled=_said(chain, "enabled", default=True),
            maintenance=_said(chain, "maintenance", default=False),
            start=_deadline(chain, "start", _START),
            stop=_deadline(chain, "stop", _STOP),
            monitor=_monitor(chain),
            failures_max=_inner(chain, "failures", "max", 3),
            failures_forget_ms=_inner(chain, "failures", "forget_after", Millis(600_000)),
            origin=entry.origin,
        )

    def _replicas(
        self, entry: Entry[document.Service], chain: tuple[document.Defaults, ...]
    ) -> int | None:
        own: int | None = _said(chain, "replicas", 1)
        group = self._group_of.get(ServiceName(entry.name))
        body = self._draft.groups[group.name].body if group else None
        if group is None or body is None or "replicas" not in body.model_fields_set:
            return own
        if any("replicas" in part.model_fields_set for part in chain) and own != body.replicas:
            self._problems.add(
                "R035",
                f"Service {quoted(entry.name)} asks for {_copies(own)}, and its group {quoted(group.name)} for "
                f"{_copies(body.replicas)}. Every member runs wherever its group does: say it at the "
                "group only.",
                entry.at("replicas"),
            )
        return body.replicas

    def _check_promoted(
        self, entry: Entry[document.Service], kind: Kind, replicas: int | None, promoted: int
    ) -> None:
        if promoted and kind is not Kind.OCF:
            self._problems.add(
                "R018",
                f"Service {quoted(entry.name)} has promoted copies, and only OCF agents know how to promote; "
                f"this is a {kind}. Remove `promoted`, or use an OCF agent.",
                entry.at("promoted"),
            )
        elif replicas is not None and promoted > replicas:
            self._problems.add(
                "R034",
                f"Service {quoted(entry.name)} wants {promoted} promoted of {_copies(replicas)}. Raise "
                "`replicas`, or lower `promoted`.",
                entry.at("promoted"),
            )

    def _parameters(
        self, entry: Entry[document.Service], chain: tuple[document.Defaults, ...], kind: Kind
    ) -> tuple[Pairs, Pairs]:
        given = entry.body.parameters
        if kind is not Kind.OCF and given:
            self._problems.add(
                "R018",
                f"Service {quoted(entry.name)} has parameters, and a {kind} takes none; only OCF agents do. "
                "Remove them.",
                entry.part.exact("services", entry.name, "parameters"),
            )
        match kind:
            case Kind.OCF:
                merged = (
                    dict(chain[1].parameters) if isinstance(chain[1], document.Template) else {}
                )
                merged.update(given)
                return split_parameters(merged)
            case Kind.SCRIPT:
                return self._script(entry, chain), ()
            case Kind.VIP:
                return _vip(_said(chain, kind, None)), ()
            case Kind.SYSTEMD:
                return (), ()

    def _script(
        self, entry: Entry[document.Service], chain: tuple[document.Defaults, ...]
    ) -> Pairs:
        holder: Entry[Any] = entry
        if entry.body.script is None:
            holder = self._draft.templates[entry.body.template or ""]
        script: document.Script = holder.body.script
        found: dict[str, str] = {}
        for verb in ("start", "stop", "status"):
            words = tuple(self._located(word, holder) for word in getattr(script, verb))
            found[verb] = as_json(words)
        if script.pidfile is not None:
            found["pidfile"] = script.pidfile
        return tuple(sorted(found.items()))

    def _located(self, word: str, holder: Entry[Any]) -> str:
        """`./x` becomes a path below the folder of the file that says it."""
        if not word.startswith("./"):
            return word
        folder = holder.part.file.folder
        if folder is None:
            self._problems.add(
                "R019",
                f"{quoted(word)} is meant relative to the folder of this file, and this file was not read "
                "from a folder that the nodes have. Write an absolute path.",
                holder.at("script"),
            )
            return word
        return posixpath.normpath(posixpath.join(folder, word))


def _kind(chain: tuple[document.Defaults, ...]) -> Kind | None:
    """The one kind; what the service says itself comes before its template. None: none, or several."""
    for part in chain:
        found = [kind for kind in _KINDS if getattr(part, kind, None) is not None]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def _said(chain: tuple[document.Defaults, ...], name: str, default: Any) -> Any:  # noqa: ANN401 - any setting
    """What the first of the chain that speaks of a setting says."""
    for part in chain:
        if name in part.model_fields_set:
            return getattr(part, name)
    return default


def _inner(chain: tuple[document.Defaults, ...], name: str, inner: str, default: Any) -> Any:  # noqa: ANN401
    """The same for a key inside a setting: each key is inherited on its own."""
    for part in chain:
        body = getattr(part, name)
        if body is not None and inner in body.model_fields_set:
            return getattr(body, inner)
    return default


def _deadline(chain: tuple[document.Defaults, ...], name: str, default: Operation) -> Operation:
    timeout = _inner(chain, name, "timeout", None)
    return default if timeout is None else Operation(timeout_ms=timeout)


def _monitor(chain: tuple[document.Defaults, ...]) -> Operation:
    every = _inner(chain, "monitor", "every", _MONITOR.every_ms)
    timeout = _inner(chain, "monitor", "timeout", _MONITOR.timeout_ms)
    return Operation(timeout_ms=timeout, every_ms=every)


def _merged_demand(chain: tuple[document.Defaults, ...]) -> Amounts:
    merged: dict[str, int] = {}
    for part in reversed(chain):
        merged.update(part.demand)
    return tuple(sorted(merged.items()))


def split_parameters(given: document.Parameters) -> tuple[Pairs, Pairs]:
    """Plain parameters, and the names of the secrets behind the others; both sorted."""
    plain = ((key, value) for key, value in given.items() if isinstance(value, str))
    secret = ((key, value.name) for key, value in given.items() if not isinstance(value, str))
    return tuple(sorted(plain)), tuple(sorted(secret))


def _vip(vip: document.Vip) -> Pairs:
    address, prefix = vip.address
    found = {"address": address, "prefix": str(prefix)}
    if vip.interface is not None:
        found["interface"] = vip.interface
    return tuple(sorted(found.items()))


def _copies(replicas: int | None) -> str:
    if replicas is None:
        return "a copy on every node"
    return "1 copy" if replicas == 1 else f"{replicas} copies"


# Groups and constraints ----------------------------------------------------------------------------


def _groups(draft: Draft, references: References, problems: Problems) -> Iterator[Group]:
    owner: dict[str, str] = {}
    for name in sorted(draft.groups):
        entry = draft.groups[name]
        members = []
        for number, member in enumerate(entry.body.members):
            at = _member_place(entry, number)
            if not references.usable_member(member, entry, at):
                continue
            if member in owner:
                problems.add(
                    "R025",
                    f"Service {quoted(member)} is in group {quoted(owner[member])} already. It can start "
                    "after the members of one group only; join the groups, or use an ordering and a "
                    "colocation.",
                    at(),
                )
                continue
            owner[member] = name
            members.append(ServiceName(member))
        if members:
            yield Group(name=GroupName(name), members=tuple(members), origin=entry.origin)


def _member_place(entry: Entry[document.Group], number: int) -> Callable[[], Origin]:
    """A group is a list, or a mapping with the list in it: the member stands in one of two places."""

    def at() -> Origin:
        inside = entry.at("members", number)
        return entry.at(number) if inside == entry.at() else inside

    return at


Constraints = tuple[tuple[Colocation, ...], tuple[Ordering, ...], tuple[Location, ...]]


def _constraints(draft: Draft, references: References, problems: Problems) -> Constraints:
    colocations: list[Colocation] = []
    orderings: list[Ordering] = []
    locations: list[Location] = []
    for entry in draft.constraints:
        match entry.body:
            case document.Colocation() as body:
                colocations += _colocation(entry, body, draft, references, problems)
            case document.Ordering() as body:
                orderings += _ordering(entry, body, draft, references, problems)
            case document.Location() as body:
                locations += _location(entry, body, references)
    return tuple(colocations), tuple(orderings), tuple(locations)


def _colocation(
    entry: Entry[AnyConstraint],
    body: document.Colocation,
    draft: Draft,
    references: References,
    problems: Problems,
) -> Iterator[Colocation]:
    dependent, primary = body.colocation
    if not _all_usable(entry, "colocation", body.colocation, references):
        return
    if _overlap(entry, body.colocation, draft, problems):
        return
    references.role(body.role, dependent, lambda: entry.at("role"))
    references.role(body.with_role, primary, lambda: entry.at("with-role"))
    yield Colocation(
        dependent=dependent,
        primary=primary,
        strength=Mandate.REQUIRED if body.score is None else body.score,
        dependent_role=body.role,
        primary_role=body.with_role,
        origin=entry.origin,
    )


def _ordering(
    entry: Entry[AnyConstraint],
    body: document.Ordering,
    draft: Draft,
    references: References,
    problems: Problems,
) -> Iterator[Ordering]:
    if not _all_usable(entry, "ordering", body.ordering, references):
        return
    if _overlap(entry, body.ordering, draft, problems):
        return
    actions = (body.first_action, body.then_action)
    if len(body.ordering) > 2 and any(actions):  # noqa: PLR2004 - first and then
        problems.add(
            "R013",
            "first-action and then-action speak of two services, and this ordering lists "
            f"{len(body.ordering)}. Write an ordering for each pair.",
            entry.at(),
        )
        return
    for action, name, key in zip(
        actions, body.ordering, ("first-action", "then-action"), strict=False
    ):
        if action in {ActionWord.PROMOTE, ActionWord.DEMOTE}:
            references.role(Role.PROMOTED, name, lambda key=key: entry.at(key))  # type: ignore[misc]
    for first, then in zip(body.ordering, body.ordering[1:], strict=False):
        yield Ordering(
            first=first,
            then=then,
            kind=body.kind,
            first_action=(body.first_action or ActionWord.START).value,
            then_action=(body.then_action or ActionWord.START).value,
            origin=entry.origin,
        )


def _location(
    entry: Entry[AnyConstraint], body: document.Location, references: References
) -> Iterator[Location]:
    used_by = f"The location of {quoted(body.location)}"
    usable = references.usable(body.location, subject(entry), lambda: entry.at("location"))
    if isinstance(body.nodes, dict):
        nodes = references.labelled(body.nodes, used_by, lambda: entry.at("nodes"))
    else:
        nodes = references.nodes(body.nodes, used_by, lambda number: entry.at("nodes", number))
    if not usable or not nodes:
        return
    references.role(body.role, body.location, lambda: entry.at("role"))
    yield Location(
        service=body.location,
        nodes=nodes,
        strength=Mandate.REQUIRED if body.score is None else body.score,
        role=body.role,
        origin=entry.origin,
    )


def _all_usable(
    entry: Entry[AnyConstraint], key: str, names: tuple[str, ...], references: References
) -> bool:
    used_by = subject(entry)
    return all(
        [
            references.usable(name, used_by, lambda number=number: entry.at(key, number))  # type: ignore[misc]
            for number, name in enumerate(names)
        ]
    )


def _overlap(
    entry: Entry[AnyConstraint], names: tuple[str, ...], draft: Draft, problems: Problems
) -> bool:
    """Report a constraint between a group and its own member."""
    groups = [name for name in names if name in draft.groups]
    for group in groups:
        inside = [name for name in names if name in draft.groups[group].body.members]
        if inside:
            problems.add(
                "R027",
                f"{subject(entry)} names {quoted(group)} and {listed(inside)}, a member of it. A group "
                "already keeps its members together and in order.",
                entry.at(),
            )
            return True
    return False


# Fencing and heartbeat -----------------------------------------------------------------------------


def _fencing(draft: Draft, references: References, problems: Problems) -> Fencing:
    accept = draft.accept_split_brain
    none = draft.fencing is not None and draft.fencing.body is None
    if accept is not None and accept.body and not none:
        problems.add(
            "R041",
            "accept-split-brain has a meaning only together with `fencing: none`; it is ignored. Remove it, "
            "or write `fencing: none`.",
            accept.origin,
        )
    devices = []
    for name in sorted(draft.devices):
        entry = draft.devices[name]
        used_by = f"Fence device {quoted(name)}"
        nodes = references.nodes(
            entry.body.nodes, used_by, lambda number, e=entry: e.at("nodes", number)
        )  # type: ignore[misc]
        parameters, secrets = split_parameters(entry.body.parameters)
        devices.append(
            FenceDevice(
                name=name,
                agent=entry.body.agent,
                nodes=nodes,
                parameters=parameters,
                secrets=secrets,
                origin=entry.origin,
            )
        )
    accepted = none and accept is not None and accept.body
    return Fencing(devices=tuple(devices), accept_split_brain=accepted)


def _heartbeat(draft: Draft, problems: Problems) -> Heartbeat:
    body = draft.heartbeat.body if draft.heartbeat else document.Heartbeat()
    every = body.every or _EVERY
    usual = 4 * every if every < _FAST_MS else max(_LOST, 4 * every)
    lost = body.lost_after or Millis(usual)
    suspect = body.suspect_after or Millis(3 * every if 3 * every < lost else (every + lost) // 2)
    if draft.heartbeat and not _EVERY_LEAST_MS <= every < suspect < lost:
        problems.add(
            "R043",
            f"Heartbeats come every {every}ms, a node is suspect after {suspect}ms and lost after {lost}ms. "
            f"They must grow in this order, from {_EVERY_LEAST_MS}ms on.",
            draft.heartbeat.origin,
        )
        return Heartbeat()
    return Heartbeat(every_ms=every, suspect_ms=suspect, lost_ms=lost)
