"""The resources of a CIB, resolved: templates merged, defaults and rules applied, parents known.

This is the one view of them that both halves of an import share. What a resource means here (a service,
a fence device) is for others to say.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.importing.pacemaker.document import Cib, Element
from reconciler.importing.pacemaker.operations import Operation, read_operations
from reconciler.importing.pacemaker.rules import Agent, Context
from reconciler.importing.pacemaker.settings import pairs
from reconciler.importing.pacemaker.words import integer, truth

_RESOURCES = frozenset({"primitive", "group", "clone", "master", "bundle"})


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Group:
    """A `group` element; its members are the primitives that name it."""

    id: str
    element: Element
    meta: Mapping[str, str]
    clone: "Clone | None" = None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Clone:
    """A `clone` (or `master`) element."""

    id: str
    element: Element
    meta: Mapping[str, str]
    promotable: bool
    incapable: bool
    """It was to be promotable, and an agent in it knows no roles."""
    unique: bool
    """Its instances are distinct things, not copies of one."""
    clone_max: int | None
    """How many instances; None: one for each node."""
    node_max: int
    promoted_max: int
    promoted_node_max: int


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Primitive:
    """A `primitive` with everything that bears on it."""

    id: str
    element: Element
    agent: Agent
    meta: Mapping[str, str]
    """Meta attributes, its parents' and the defaults among them."""
    parameters: Mapping[str, str]
    utilization: Mapping[str, str]
    operations: tuple[Operation, ...]
    rank: int
    """Its place among the primitives of the file."""
    group: Group | None = None
    clone: Clone | None = None
    """The clone of it or of its group."""
    in_bundle: bool = False

    @property
    def fences(self) -> bool:
        """Whether it is a fence device, and the service that watches it."""
        return self.agent.standard == "stonith"

    @property
    def remote(self) -> bool:
        """Whether it is the connection to a remote node."""
        return (self.agent.provider, self.agent.type) == ("pacemaker", "remote")

    @property
    def is_service(self) -> bool:
        """Whether it becomes a service: no connection, and not inside a bundle."""
        return not (self.remote or self.in_bundle)

    @property
    def promotable(self) -> bool:
        """Whether its copies have roles."""
        return self.clone is not None and self.clone.promotable

    def truth(self, name: str, *, default: bool) -> bool:
        """A meta attribute that is true or false."""
        return truth(self.meta.get(name, ""), default=default)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Resources:
    """Every resource of a CIB in the order of the file."""

    primitives: tuple[Primitive, ...]
    groups: tuple[Group, ...]
    clones: tuple[Clone, ...]
    bundles: tuple[Element, ...]
    repeated: tuple[Element, ...] = ()
    """Elements whose name another one has already; they count for nothing."""
    by_id: Mapping[str, "Primitive | Group | Clone"] = field(default_factory=dict)

    @property
    def can_fence(self) -> bool:
        """Whether there is a fence device."""
        return any(primitive.fences for primitive in self.primitives)

    def primitive(self, name: str) -> Primitive | None:
        """The primitive of this name; one with an instance number (`db:1`) names the same."""
        found = self.by_id.get(name) or self.by_id.get(without_instance(name))
        return found if isinstance(found, Primitive) else None

    def members(self, parent: Group | Clone) -> tuple[Primitive, ...]:
        """The primitives of a group or a clone, in order."""
        return tuple(p for p in self.primitives if parent in (p.group, p.clone))


def without_instance(name: str) -> str:
    """A resource's name without the number of a clone's instance."""
    stem, colon, number = name.rpartition(":")
    return stem if colon and number.isdigit() else name


def read_resources(cib: Cib) -> Resources:
    """Resolve every resource of a CIB."""
    reader = _Reader(cib)
    for element in cib.section("resources").children:
        reader.top(element)
    return reader.result()


class _Reader:
    """Walks the resources once, from the outside in."""

    def __init__(self, cib: Cib) -> None:
        self._cib = cib
        self._defaults = cib.section("rsc_defaults")
        self._templates = {each.id: each for each in cib.section("resources").all("template")}
        self._primitives: list[Primitive] = []
        self._groups: list[Group] = []
        self._clones: list[Clone] = []
        self._bundles: list[Element] = []
        self._known: set[str] = set()
        self._repeated: list[Element] = []

    def top(self, element: Element) -> None:
        if self._is_known(element):
            return
        match element.tag:
            case "primitive":
                self._primitive(element, group=None, clone=None)
            case "group":
                self._group(element, clone=None)
            case "clone" | "master":
                self._clone(element)
            case "bundle":
                self._bundle(element)

    def _is_known(self, element: Element) -> bool:
        """Whether the name of a resource is taken; else it is from now on."""
        if element.tag not in _RESOURCES or element.id not in self._known:
            self._known.add(element.id)
            return False
        self._repeated.append(element)
        return True

    def result(self) -> Resources:
        every: list[Primitive | Group | Clone] = [
            *self._primitives,
            *self._groups,
            *self._clones,
        ]
        return Resources(
            primitives=tuple(self._primitives),
            groups=tuple(self._groups),
            clones=tuple(self._clones),
            bundles=tuple(self._bundles),
            repeated=tuple(self._repeated),
            by_id={each.id: each for each in every},
        )

    def _bundle(self, element: Element) -> None:
        self._bundles.append(element)
        for inner in element.all("primitive"):
            self._primitive(inner, group=None, clone=None, in_bundle=True)

    def _clone(self, element: Element) -> None:
        meta = self._meta((element,), Agent(), {})
        clone = _clone_of(element, meta, capable=self._knows_roles(element))
        self._clones.append(clone)
        for inner in element.children:
            if self._is_known(inner):
                continue
            match inner.tag:
                case "primitive":
                    self._primitive(inner, group=None, clone=clone)
                case "group":
                    self._group(inner, clone=clone)

    def _knows_roles(self, clone: Element) -> bool:
        """Whether every agent inside can tell roles apart: OCF agents can."""
        agents = (_agent(self._layers(inner)) for inner in clone.walk("primitive"))
        return all(agent.standard == "ocf" for agent in agents)

    def _layers(self, primitive: Element) -> tuple[Element, ...]:
        template = self._templates.get(primitive.get("template"))
        return (template, primitive) if template else (primitive,)

    def _group(self, element: Element, clone: Clone | None) -> None:
        meta = self._meta((element,), Agent(), clone.meta if clone else {})
        group = Group(id=element.id, element=element, meta=meta, clone=clone)
        self._groups.append(group)
        for inner in element.all("primitive"):
            if not self._is_known(inner):
                self._primitive(inner, group=group, clone=clone)

    def _primitive(
        self, element: Element, *, group: Group | None, clone: Clone | None, in_bundle: bool = False
    ) -> None:
        layers = self._layers(element)
        agent = _agent(layers)
        parent = group or clone
        meta = self._meta(layers, agent, parent.meta if parent else {})
        context = Context(agent=agent)
        self._primitives.append(
            Primitive(
                id=element.id,
                element=element,
                agent=agent,
                meta=meta,
                parameters=self._parameters(layers, context, group, clone),
                utilization=pairs(layers, "utilization", context, self._cib),
                operations=read_operations(layers, agent, self._cib),
                rank=len(self._primitives),
                group=group,
                clone=clone,
                in_bundle=in_bundle,
            )
        )

    def _meta(
        self, layers: tuple[Element, ...], agent: Agent, inherited: Mapping[str, str]
    ) -> dict[str, str]:
        """Own attributes of the element first, then its blocks, its parent's and the defaults."""
        context = Context(agent=agent)
        own: dict[str, str] = {}
        for layer in reversed(layers):
            own = {**layer.attributes, **own}
        blocks = pairs(layers, "meta_attributes", context, self._cib)
        defaults = pairs(self._defaults, "meta_attributes", context, self._cib)
        return {**defaults, **inherited, **blocks, **own}

    def _parameters(
        self,
        layers: tuple[Element, ...],
        context: Context,
        group: Group | None,
        clone: Clone | None,
    ) -> dict[str, str]:
        found = pairs(self._defaults, "instance_attributes", context, self._cib)
        for parent in (clone, group):
            if parent is not None:
                found |= pairs(parent.element, "instance_attributes", context, self._cib)
        return found | pairs(layers, "instance_attributes", context, self._cib)


def _agent(layers: tuple[Element, ...]) -> Agent:
    def attribute(name: str) -> str:
        return next((each.get(name) for each in layers if each.get(name)), "")

    return Agent(
        standard=attribute("class").lower(), provider=attribute("provider"), type=attribute("type")
    )


def _clone_of(element: Element, meta: Mapping[str, str], *, capable: bool) -> Clone:
    def number(*names: str, default: int) -> int:
        text = next((meta[name] for name in names if name in meta), "")
        return max(0, integer(text, default))

    wanted = element.tag == "master" or truth(meta.get("promotable", ""), default=False)
    promotable = wanted and capable
    node_max = number("clone-node-max", "clone_node_max", default=1)
    unique = truth(
        meta.get("globally-unique", meta.get("globally_unique", "")), default=node_max > 1
    )
    clone_max = meta.get("clone-max", meta.get("clone_max"))
    return Clone(
        id=element.id,
        element=element,
        meta=meta,
        promotable=promotable,
        incapable=wanted and not capable,
        unique=unique,
        clone_max=None if clone_max is None else max(0, integer(clone_max, 0)),
        node_max=node_max if unique else min(node_max, 1),
        promoted_max=number("promoted-max", "master-max", default=1) if promotable else 0,
        promoted_node_max=number("promoted-node-max", "master-node-max", default=1),
    )
