"""Names: that each one used exists, means one thing, and can be meant where it stands.

What refers to nothing is reported and left out, so that later checks see only names that exist.
"""

from collections.abc import Callable, Iterable

from reconciler.config import document
from reconciler.config.draft import AnyConstraint, Draft, Entry
from reconciler.config.problems import Problems, listed
from reconciler.config.yaml_tree import quoted
from reconciler.model.ids import NodeName
from reconciler.model.intent import Origin, Role


class References:
    """Looks names up in a draft, and reports those that are not there."""

    def __init__(self, draft: Draft, problems: Problems) -> None:
        self._draft = draft
        self._problems = problems
        self._nodes = draft.names("nodes")
        self._services = draft.names("services")
        self._groups = draft.names("groups")
        self._known = self._services | self._groups
        self._group_of = {
            member: entry.body for entry in draft.groups.values() for member in entry.body.members
        }
        self._labels: dict[tuple[str, str], set[str]] = {}
        for name, entry in draft.nodes.items():
            for pair in entry.body.labels.items():
                self._labels.setdefault(pair, set()).add(name)

    def usable(self, name: str, used_by: str, at: Callable[[], Origin]) -> bool:
        """Whether a service or group can be used; an unknown name is reported."""
        if name in self._draft.services or name in self._draft.groups:
            return True
        if name not in self._known:
            detail = f"{used_by} names {quoted(name)}, which this cluster does not list."
            hint = (
                self._problems.did_you_mean(name, self._known)
                or " Add it to `services`, or correct the name."
            )
            self._problems.add("R021", detail + hint, at())
        return False

    def usable_member(
        self, name: str, group: Entry[document.Group], at: Callable[[], Origin]
    ) -> bool:
        """Whether a name can be a member of a group: services only."""
        if name in self._draft.services:
            return True
        if name in self._groups and name not in self._services:
            detail = (
                f"Group {quoted(group.name)} names the group {quoted(name)}. Members are services."
            )
            self._problems.add("R021", detail, at())
        elif name not in self._services:
            detail = (
                f"Group {quoted(group.name)} names {quoted(name)}, which is not a service here."
            )
            hint = (
                self._problems.did_you_mean(name, self._services)
                or " Add it to `services`, or correct the name."
            )
            self._problems.add("R021", detail + hint, at())
        return False

    def nodes(
        self, names: Iterable[str], used_by: str, at: Callable[[int], Origin]
    ) -> tuple[NodeName, ...]:
        """The nodes of a list that can be used, sorted; unknown ones are reported."""
        for number, name in enumerate(names):
            if name not in self._nodes:
                detail = f"{used_by} names node {quoted(name)}, which this cluster does not list."
                hint = (
                    self._problems.did_you_mean(name, self._nodes)
                    or " Add it to `nodes`, or correct the name."
                )
                self._problems.add("R020", detail + hint, at(number))
        return tuple(sorted(NodeName(name) for name in names if name in self._draft.nodes))

    def labelled(
        self, labels: dict[str, str], used_by: str, at: Callable[[], Origin]
    ) -> tuple[NodeName, ...]:
        """The nodes that have all of these labels, sorted; none is a problem."""
        found = set(self._draft.nodes)
        for pair in labels.items():
            found &= self._labels.get(pair, set())
        if not found and not self._draft.is_broken("nodes"):
            wanted = ", ".join(f"{key}: {value}" for key, value in labels.items())
            detail = f"{used_by} asks for nodes with {quoted(wanted)}, and no node has that."
            self._problems.add("R023", detail + self._label_hint(labels), at())
        return tuple(sorted(NodeName(name) for name in found))

    def attribute(self, label: str | None, used_by: str, at: Callable[[], Origin]) -> str:
        """A label that nodes share or do not; one that no node has is a problem."""
        if label is None:
            return ""
        known = {key for key, _ in self._labels}
        if label not in known and not self._draft.is_broken("nodes"):
            hint = (
                self._problems.did_you_mean(label, known) or " Add it to the `labels` of the nodes."
            )
            self._problems.add(
                "R023",
                f"{used_by} compares nodes by the label {quoted(label)}, and no node has it.{hint}",
                at(),
            )
        return label

    def devices(
        self, names: Iterable[str], used_by: str, at: Callable[[int], Origin]
    ) -> tuple[str, ...]:
        """The fence devices of a list that exist, in its order; unknown ones are reported."""
        known = self._draft.devices
        for number, name in enumerate(names):
            if name not in known:
                hint = (
                    self._problems.did_you_mean(name, known)
                    or " Add it to `devices`, or correct the name."
                )
                self._problems.add(
                    "R029",
                    f"{used_by} names the device {quoted(name)}, which is not there.{hint}",
                    at(number),
                )
        return tuple(name for name in names if name in known)

    def _label_hint(self, labels: dict[str, str]) -> str:
        for key, value in labels.items():
            values = {known for label, known in self._labels if label == key}
            if not values:
                keys = {label for label, _ in self._labels}
                hint = self._problems.did_you_mean(key, keys)
                return f" No node has a label {quoted(key)}.{hint}"
            if value not in values:
                return (
                    self._problems.did_you_mean(value, values)
                    or f" Values of {quoted(key)}: {listed(sorted(values))}."
                )
        return " Each label is known, but no node has all of them."

    def role(self, role: Role | None, name: str, at: Callable[[], Origin]) -> None:
        """Report a role asked of a service that has none."""
        if role in {Role.PROMOTED, Role.UNPROMOTED} and not self._has_roles(name):
            self._problems.add(
                "R028",
                f"The constraint speaks of copies of {quoted(name)} that are {role}, and it has no promoted "
                "copies. Give the service `promoted: 1` (OCF agents only), or remove the role.",
                at(),
            )

    def _has_roles(self, name: str) -> bool:
        group = self._draft.groups.get(name)
        members = group.body.members if group else (name,)
        return any(self._promotable(member) for member in members)

    def _promotable(self, name: str) -> bool:
        service = self._draft.services.get(name)
        if service is None:
            return True  # broken: nothing is known of it, so nothing is claimed
        template = self._draft.templates.get(service.body.template or "")
        if service.body.template and template is None:
            return True
        said = [self._group_of.get(name), service.body, template.body if template else None]
        roles = _first(said, "promotable")
        return bool(_first(said, "promoted") if roles is None else roles)


def _first(bodies: Iterable[document.Group | document.Template | None], name: str) -> object:
    """What the first of these says of a setting; None if none of them does."""
    for body in bodies:
        if body is not None and name in body.model_fields_set:
            found: object = getattr(body, name)
            return found
    return None


def check_names(draft: Draft, problems: Problems) -> None:
    """Names that mean two things, and names that nothing uses."""
    for name in sorted(draft.services.keys() & draft.groups.keys()):
        first = draft.services[name].origin
        problems.add(
            "R024",
            f"{quoted(name)} is a group here and a service at {first}:{first.column}. Constraints could mean "
            "either; rename one.",
            draft.groups[name].origin,
        )
    seen: set[str] = set()
    for witness in draft.witnesses:
        if witness.body in draft.nodes or witness.body in seen:
            problems.add(
                "R024",
                f"The witness {quoted(witness.body)} is already a node or a witness. Every voter needs a "
                "name of its own.",
                witness.at(),
            )
        seen.add(witness.body)
    used = {entry.body.template for entry in draft.services.values()}
    for name, template in draft.templates.items():
        if name not in used and not draft.is_broken("services"):
            detail = f"No service names the template {quoted(name)}. Remove it, or use it."
            problems.add("R050", detail, template.origin)


def check_addresses(draft: Draft, problems: Problems) -> None:
    """An address belongs to one node, or to one `vip`."""
    owners: dict[str, tuple[str, Origin]] = {}

    def claim(address: str, owner: str, at: Origin) -> None:
        if address in owners:
            before, first = owners[address]
            problems.add(
                "R026",
                f"The address {address} belongs to {owner} and to {before} ({first}:{first.column}). Two "
                "machines that answer to one address cut each other off; give one of them another.",
                at,
            )
        else:
            owners[address] = (owner, at)

    for name, entry in draft.nodes.items():
        for address in entry.body.address:
            claim(address, f"node {quoted(name)}", entry.origin)
    for name, service in draft.services.items():
        if service.body.vip is not None:
            claim(service.body.vip.address[0], f"service {quoted(name)}", service.origin)


def subject(entry: Entry[AnyConstraint]) -> str:
    """What a message calls a constraint."""
    match entry.body:
        case document.Colocation():
            return "The colocation"
        case document.Ordering():
            return "The ordering"
        case document.Location():
            return "The location"
        case document.Ticket():
            return "The ticket"
        case document.Spread():
            return "The spread"
        case document.Needs():
            return "The need"
