"""Services: settled from all that the files say of each, and checked by kind.

What the copies of a group are like - how many, promoted or not - is said at the group and holds for every
member.
"""

import posixpath
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from reconciler.config import document
from reconciler.config.draft import Draft, Entry
from reconciler.config.problems import Problems
from reconciler.config.safety import Said
from reconciler.config.settings import BUILT_IN, Settings, monitor_promoted, overlay
from reconciler.config.shapes import Parameters
from reconciler.config.started import as_json
from reconciler.config.yaml_tree import quoted
from reconciler.model.ids import ServiceName
from reconciler.model.intent import Group, Kind, Pairs, Safety, Service

_OF_COPIES = frozenset(
    {"replicas", "replicas_per_node", "promotable", "promoted", "interleave", "notify"}
)
"""What a group says for all its members."""

_OF_ROLES = frozenset({"promote", "demote", "monitor_promoted", "promoted_stickiness"})
"""What only copies with roles make use of."""


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
            mild = settings["kinds"] in ((Kind.VIP,), (Kind.FENCE_DEVICE,))
            yield Said(ServiceName(entry.name), mild, settings["safety"], usual, entry)

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
                hint = (
                    self._problems.did_you_mean(name, known)
                    or " Add it to `templates`, or correct the name."
                )
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
        settings = self._with_group(entry, settings)
        parameters, secrets = self._parameters(entry, settings, kind)
        roles = settings["promotable"]
        holder: document.Template = settings["holder"].body
        service = Service(
            name=ServiceName(entry.name),
            kind=kind,
            agent=holder.ocf or holder.systemd or holder.fence_device or "",
            parameters=parameters,
            secrets=secrets,
            replicas=settings["replicas"],
            replicas_per_node=settings["replicas_per_node"],
            promotable=settings["promoted"] > 0 if roles is None else roles,
            promoted=settings["promoted"],
            interleave=settings["interleave"],
            ordered=settings["ordered"],
            notify=settings["notify"],
            safety=safety,
            priority=settings["priority"],
            rank=settings["rank"],
            stickiness=settings["stickiness"],
            promoted_stickiness=settings["promoted_stickiness"],
            demand=tuple(sorted(settings["demand"].items())),
            enabled=settings["enabled"],
            maintenance=settings["maintenance"],
            survive=settings["survive"],
            managed=settings["managed"],
            critical=settings["critical"],
            multiple_active=settings["multiple_active"],
            migratable=settings["migratable"],
            reloadable=tuple(sorted(settings["reloadable"])),
            requires=settings["requires"],
            start=settings["start"],
            stop=settings["stop"],
            promote=settings["promote"],
            demote=settings["demote"],
            monitor=settings["monitor"],
            monitor_promoted=monitor_promoted(settings),
            failures_max=settings["max"],
            failures_forget_ms=settings["forget_after"],
            origin=entry.origin,
        )
        return self._checked(entry, service)

    def _with_group(self, entry: Entry[document.Service], settings: Settings) -> Settings:
        """Settings with what the service's group says of the copies of all its members."""
        group = self._group_of.get(ServiceName(entry.name))
        if group is None:
            return settings
        said = {name: getattr(group, name) for name in _OF_COPIES & group.model_fields_set}
        for name in sorted(said.keys() & entry.body.model_fields_set):
            if settings[name] != said[name]:
                key = name.replace("_", "-")
                self._problems.add(
                    "R035",
                    f"Service {quoted(entry.name)} says `{key}: {_word(settings[name])}`, and its group "
                    f"{quoted(self._group_names[ServiceName(entry.name)])} `{key}: {_word(said[name])}`. "
                    "Every member has its copies wherever its group does: say it at the group only.",
                    entry.at(key),
                )
        return settings | said

    def _checked(self, entry: Entry[document.Service], service: Service) -> Service:
        """The service, once its copies and roles have been found to make sense together."""
        ocf = service.kind is Kind.OCF
        if (service.promotable or service.promoted) and not ocf:
            what = "promoted" if service.promoted else "promotable"
            self._problems.add(
                "R018",
                f"Service {quoted(entry.name)} has {what} copies, and only OCF agents know how to "
                f"promote; its kind is {service.kind}. Remove `{what}`, or use an OCF agent.",
                entry.at(what),
            )
        elif service.promoted and not service.promotable:
            self._problems.add(
                "R028",
                f"Service {quoted(entry.name)} wants {service.promoted} promoted, and says that its copies "
                "have no roles. Remove `promotable: false`, or `promoted`.",
                entry.at("promotable"),
            )
        if not ocf:
            self._check_ocf_only(entry, service)
        if not service.promotable:
            self._check_roles_only(entry)
        most = service.replicas
        if most is not None and service.promoted > most:
            self._problems.add(
                "R034",
                f"Service {quoted(entry.name)} wants {service.promoted} promoted of {_copies(most)}, so all "
                "of them are promoted and no more. Raise `replicas`, or lower `promoted`.",
                entry.at("promoted"),
            )
            service = replace(service, promoted=most)
        if service.replicas_per_node > (most or 1):
            self._problems.add(
                "R052",
                f"Service {quoted(entry.name)} may have {service.replicas_per_node} copies on a node, and "
                f"wants {'one on every node' if most is None else _copies(most)}. Remove "
                "`replicas-per-node`, or write more `replicas`.",
                entry.at("replicas-per-node"),
            )
        return service

    def _check_ocf_only(self, entry: Entry[document.Service], service: Service) -> None:
        kind = service.kind
        if entry.body.reloadable:
            self._problems.add(
                "R018",
                f"Service {quoted(entry.name)} has reloadable parameters, and the kind {kind} takes none; "
                "only OCF agents do. Remove `reloadable`.",
                entry.at("reloadable"),
            )
        if entry.body.migratable:
            self._problems.add(
                "R018",
                f"Service {quoted(entry.name)} is migratable, and only OCF agents know how to move live; its "
                f"kind is {kind}. Remove `migratable`, or use an OCF agent.",
                entry.at("migratable"),
                harmless=True,
            )

    def _check_roles_only(self, entry: Entry[document.Service]) -> None:
        for name in sorted(_OF_ROLES & entry.body.model_fields_set):
            key = name.replace("_", "-")
            self._problems.add(
                "R052",
                f"Service {quoted(entry.name)} has no promoted copies, so its `{key}` is never used. Remove "
                "it, or give the service `promoted: 1`.",
                entry.part.exact(*entry.section, entry.name, key),
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
            case Kind.FENCE_DEVICE:
                self._check_device(holder)
                return (), ()

    def _check_device(self, holder: Entry[document.Template]) -> None:
        name, known = holder.body.fence_device or "", self._draft.names("devices")
        if name not in known and not self._draft.is_broken("fencing"):
            hint = (
                self._problems.did_you_mean(name, known) or " Add it to `fencing`, or correct it."
            )
            detail = f"{quoted(holder.name)} watches the unknown fence device {quoted(name)}."
            self._problems.add("R029", detail + hint, holder.at("fence-device"))

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
        """`./x` becomes a path below `scripts`, or else below the folder of the file that says it."""
        if not word.startswith("./"):
            return word
        scripts = self._draft.scripts
        folder = scripts.body if scripts is not None else holder.part.file.folder
        if folder is None and self._draft.is_broken("scripts"):
            return word  # it was said, and is reported already
        if folder is None:
            self._problems.add(
                "R019",
                f"{quoted(word)} is meant relative to the folder of this file, and this file was not read "
                "from a folder that the nodes have. Say with `scripts: /a/folder` where every node has the "
                "files, or write an absolute path.",
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


def _word(value: bool | int | None) -> str:
    """A setting as it is written."""
    match value:
        case None:
            return "all"
        case bool():
            return "true" if value else "false"
        case _:
            return str(value)


def _copies(replicas: int) -> str:
    return "1 copy" if replicas == 1 else f"{replicas} copies"
