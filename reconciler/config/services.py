"""Services: settings laid over each other - built in, defaults, template, service - and checked by kind.

Each layer overrides key by key, and inside `monitor`, `failures`, `demand` and `parameters` too. A service
that names a kind of its own takes it instead of its template's.
"""

import posixpath
from collections.abc import Iterator
from typing import Any

from reconciler.config import document
from reconciler.config.draft import Draft, Entry
from reconciler.config.problems import Problems, did_you_mean
from reconciler.config.safety import Said
from reconciler.config.shapes import Parameters
from reconciler.config.values import as_json
from reconciler.config.yaml_tree import quoted
from reconciler.model.ids import Millis, ServiceName
from reconciler.model.intent import (
    Group,
    Kind,
    Operation,
    Pairs,
    Safety,
    Service,
)

Settings = dict[str, Any]
"""Settings by name, each as the model has it; `kinds`, and the `holder` that says them."""

BUILT_IN: Settings = {
    "priority": 0,
    "rank": 0,
    "stickiness": 100,
    "safety": None,
    "enabled": True,
    "maintenance": False,
    "survive": None,
    "replicas": 1,
    "promoted": 0,
    "demand": {},
    "parameters": {},
    "start": Operation(timeout_ms=Millis(60_000)),
    "stop": Operation(timeout_ms=Millis(60_000)),
    "monitor": Operation(timeout_ms=Millis(20_000), every_ms=Millis(10_000)),
    "max": 3,
    "forget_after": Millis(600_000),
    "kinds": (),
    "holder": None,
}
"""What holds where nobody says anything."""

_KINDS = {kind.value: kind for kind in Kind}
_MERGED = frozenset({"demand", "parameters"})
_OPERATIONS = frozenset({"start", "stop", "monitor"})


def overlay(base: Settings, body: document.Defaults, holder: Entry[Any] | None = None) -> Settings:
    """Settings with what `body` says laid over them."""
    found = base.copy()
    kinds = []
    for name in body.model_fields_set:
        said = getattr(body, name)
        if name in _MERGED:
            found[name] = {**base[name], **said}
        elif name in _OPERATIONS:
            found[name] = _operation(base[name], said)
        elif name == "failures":
            found |= {inner: getattr(said, inner) for inner in said.model_fields_set}
        elif name in _KINDS:
            kinds.append(_KINDS[name])
        else:
            found[name] = said
    if kinds:
        found |= {"kinds": tuple(sorted(kinds)), "holder": holder}
    return found


def _operation(base: Operation, said: document.Deadline | document.Monitor) -> Operation:
    every = said.every if isinstance(said, document.Monitor) else None
    return Operation(timeout_ms=said.timeout or base.timeout_ms, every_ms=every or base.every_ms)


class Services:
    """Settles what each service of a draft says, and builds it."""

    def __init__(self, draft: Draft, groups: tuple[Group, ...], problems: Problems) -> None:
        self._draft = draft
        self._problems = problems
        self._group_of = {member: draft.groups[g.name].body for g in groups for member in g.members}
        self._group_names = {member: group.name for group in groups for member in group.members}
        self._usual = overlay(BUILT_IN, draft.defaults)
        unsafe = self._usual | {
            "safety": None
        }  # the defaults' word is kept apart: it can be overruled
        self._templates = {
            name: overlay(unsafe, entry.body, entry) for name, entry in draft.templates.items()
        }
        self._settled = [
            (entry, overlay(self._base(entry, unsafe), entry.body, entry))
            for _, entry in sorted(draft.services.items())
        ]

    def said(self) -> Iterator[Said]:
        """What each service says of its safety."""
        usual = self._usual["safety"]
        for entry, settings in self._settled:
            is_vip = settings["kinds"] == (Kind.VIP,)
            yield Said(ServiceName(entry.name), is_vip, settings["safety"], usual, entry)

    def build(self, safety: dict[ServiceName, Safety]) -> Iterator[Service]:
        """Every service that has exactly one kind, sorted by name."""
        for entry, settings in self._settled:
            if len(settings["kinds"]) == 1:
                yield self._service(entry, settings, safety[ServiceName(entry.name)])
            elif ("templates", entry.body.template or "") not in self._draft.broken:
                self._report_kinds(entry, settings["kinds"])

    def _base(self, entry: Entry[document.Service], usual: Settings) -> Settings:
        name = entry.body.template
        if name is None:
            return usual
        if name not in self._templates:
            known = self._draft.names("templates")
            if name not in known:
                hint = did_you_mean(name, known) or " Add it to `templates`, or correct the name."
                detail = f"Service {quoted(entry.name)} takes the unknown template {quoted(name)}."
                self._problems.add("R022", detail + hint, entry.at("template"))
            return usual
        return self._templates[name]

    def _report_kinds(self, entry: Entry[document.Service], kinds: tuple[Kind, ...]) -> None:
        if not kinds and entry.body.template and entry.body.template not in self._templates:
            return  # the kind may well be in the template that is not there
        has = f"has {len(kinds)} ({', '.join(kinds)})" if kinds else "has none"
        self._problems.add(
            "R017",
            f"A service has exactly one of {', '.join(Kind)}; {quoted(entry.name)} {has}. What runs "
            "beside it is a service of its own, joined by a group.",
            entry.origin,
        )

    def _service(
        self, entry: Entry[document.Service], settings: Settings, safety: Safety
    ) -> Service:
        (kind,) = settings["kinds"]
        parameters, secrets = self._parameters(entry, settings, kind)
        replicas = self._replicas(entry, settings["replicas"])
        self._check_promoted(entry, kind, replicas, settings["promoted"])
        holder: document.Template = settings["holder"].body
        return Service(
            name=ServiceName(entry.name),
            kind=kind,
            agent=holder.ocf or holder.systemd or "",
            parameters=parameters,
            secrets=secrets,
            replicas=replicas,
            promoted=settings["promoted"],
            safety=safety,
            priority=settings["priority"],
            rank=settings["rank"],
            stickiness=settings["stickiness"],
            demand=tuple(sorted(settings["demand"].items())),
            enabled=settings["enabled"],
            maintenance=settings["maintenance"],
            survive=settings["survive"],
            start=settings["start"],
            stop=settings["stop"],
            monitor=settings["monitor"],
            failures_max=settings["max"],
            failures_forget_ms=settings["forget_after"],
            origin=entry.origin,
        )

    def _replicas(self, entry: Entry[document.Service], own: int | None) -> int | None:
        group = self._group_of.get(ServiceName(entry.name))
        if group is None or "replicas" not in group.model_fields_set:
            return own
        if "replicas" in entry.body.model_fields_set and own != group.replicas:
            name = self._group_names[ServiceName(entry.name)]
            self._problems.add(
                "R035",
                f"Service {quoted(entry.name)} asks for {_copies(own)}, and its group {quoted(name)} for "
                f"{_copies(group.replicas)}. Every member runs wherever its group does: say it at the group "
                "only.",
                entry.at("replicas"),
            )
        return group.replicas

    def _check_promoted(
        self, entry: Entry[document.Service], kind: Kind, replicas: int | None, promoted: int
    ) -> None:
        if promoted and kind is not Kind.OCF:
            self._problems.add(
                "R018",
                f"Service {quoted(entry.name)} has promoted copies, and only OCF agents know how to "
                f"promote; its kind is {kind}. Remove `promoted`, or use an OCF agent.",
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
        self, entry: Entry[document.Service], settings: Settings, kind: Kind
    ) -> tuple[Pairs, Pairs]:
        if kind is not Kind.OCF and entry.body.parameters:
            self._problems.add(
                "R018",
                f"Service {quoted(entry.name)} has parameters, and the kind {kind} takes none; only OCF "
                "agents do. Remove them.",
                entry.part.exact("services", entry.name, "parameters"),
            )
        holder: Entry[document.Template] = settings["holder"]
        match kind:
            case Kind.OCF:
                return split_parameters(settings["parameters"])
            case Kind.SCRIPT:
                return self._script(holder), ()
            case Kind.VIP:
                return _vip(holder.body.vip), ()
            case Kind.SYSTEMD:
                return (), ()

    def _script(self, holder: Entry[document.Template]) -> Pairs:
        script = holder.body.script
        if script is None:
            return ()
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


def split_parameters(given: Parameters) -> tuple[Pairs, Pairs]:
    """Plain parameters, and the names of the secrets behind the others; both sorted."""
    plain = ((key, value) for key, value in given.items() if isinstance(value, str))
    secret = ((key, value.name) for key, value in given.items() if not isinstance(value, str))
    return tuple(sorted(plain)), tuple(sorted(secret))


def _vip(vip: document.Vip | None) -> Pairs:
    if vip is None:
        return ()
    address, prefix = vip.address
    found = {"address": address, "prefix": str(prefix)}
    if vip.interface is not None:
        found["interface"] = vip.interface
    return tuple(sorted(found.items()))


def _copies(replicas: int | None) -> str:
    if replicas is None:
        return "a copy on every node"
    return "1 copy" if replicas == 1 else f"{replicas} copies"
