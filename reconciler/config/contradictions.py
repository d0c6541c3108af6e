"""What no placement could ever satisfy: together and apart, no eligible node, not enough room.

Works on the assembled intent. Each check explains itself with the names and lines that contradict each
other. Nothing here endangers what runs, so these are warnings: the plan does what can be done.
"""

from itertools import pairwise, product

from reconciler.config.problems import Problems, listed
from reconciler.config.yaml_tree import quoted
from reconciler.model.ids import NodeName, ServiceName
from reconciler.model.intent import (
    Amounts,
    Colocation,
    Intent,
    Location,
    Mandate,
    Origin,
    Role,
    Service,
)

_WORK_MAX = 300_000


def members_of(intent: Intent) -> dict[str, tuple[ServiceName, ...]]:
    """The services behind each name of a constraint: a group's members, or the service alone."""
    found: dict[str, tuple[ServiceName, ...]] = {
        service.name: (service.name,) for service in intent.services
    }
    known = set(found)
    for group in intent.groups:
        found[group.name] = tuple(name for name in group.members if name in known)
    return found


# Together and apart --------------------------------------------------------------------------------

Point = tuple[str, Role | None]
"""Copies of a service, or those of its copies in one role."""


class Together:
    """What a copy's node must also run, along required colocations and groups."""

    def __init__(self, intent: Intent) -> None:
        self.needs: dict[Point, dict[Point, Origin | None]] = {}
        self.needed_by: dict[Point, set[Point]] = {}
        self.spent = 0
        """Work done so far, in points looked at."""
        members = members_of(intent)
        for group in intent.groups:
            for first, then in pairwise(group.members) if group.colocated else ():
                self._add((then, None), (first, None), group.origin)
        for colocation in intent.colocations:
            if colocation.strength is Mandate.REQUIRED and not colocation.attribute:
                self._add_colocation(colocation, members)

    def _add_colocation(
        self, colocation: Colocation, members: dict[str, tuple[ServiceName, ...]]
    ) -> None:
        dependents, primaries = members[colocation.dependent], members[colocation.primary]
        if not dependents or not primaries:
            return
        dependent = (dependents[0], _role(colocation.dependent_role))
        primary = (primaries[-1], _role(colocation.primary_role))
        self._add(dependent, primary, colocation.origin)

    def _add(self, dependent: Point, primary: Point, line: Origin | None) -> None:
        self.needs.setdefault(dependent, {}).setdefault(primary, line)
        self.needed_by.setdefault(primary, set()).add(dependent)
        for point in (dependent, primary):
            if point[1] is not None:  # a promoted copy is a copy
                self.needs.setdefault(point, {}).setdefault((point[0], None), None)
                self.needed_by.setdefault((point[0], None), set()).add(point)

    def alone(self, point: Point) -> bool:
        """Whether such a copy needs nothing on its node, and nothing needs it there."""
        return point not in self.needs and point not in self.needed_by

    def reach(self, point: Point) -> dict[Point, Origin | None]:
        """Everything that must be on the node of such a copy, itself included, and a line for each."""
        found: dict[Point, Origin | None] = {point: None}
        queue = [point]
        while queue:
            for needed, line in self.needs.get(queue.pop(), {}).items():
                if needed not in found:
                    found[needed] = line
                    queue.append(needed)
        self.spent += len(found)
        return found

    def followers(self, point: Point) -> set[Point]:
        """Everything that needs such a copy on its node, itself included."""
        found = {point}
        queue = [point]
        while queue:
            fresh = self.needed_by.get(queue.pop(), set()) - found
            found |= fresh
            queue.extend(fresh)
        self.spent += len(found)
        return found


def _role(role: Role | None) -> Role | None:
    return None if role is Role.STARTED else role


def check_together(intent: Intent, together: Together, problems: Problems) -> None:
    """Report services that must share a node and must not.

    Shape: stops at a limit of work, so that thousands of members kept apart cost no more than a second; the
    plan says of each service why it does not run.
    """
    members = members_of(intent)
    single: set[Point] = {
        (service.name, role)
        for service in intent.services
        for role, count in ((None, service.replicas), (Role.PROMOTED, service.promoted))
        if count == 1
    }
    for colocation in intent.colocations:
        if colocation.strength is not Mandate.FORBIDDEN or colocation.attribute:
            continue
        for dependent, primary in product(
            members[colocation.dependent], members[colocation.primary]
        ):
            if together.spent > _WORK_MAX:
                return
            one = (dependent, _role(colocation.dependent_role))
            other = (primary, _role(colocation.primary_role))
            why = _why_together(one, other, together, single)
            if why:
                problems.add(
                    "R031",
                    f"{quoted(dependent)} and {quoted(primary)} may never share a node, and {why}. "
                    "Remove one of the constraints, or give one of them a score.",
                    colocation.origin,
                )


def _why_together(one: Point, other: Point, together: Together, single: set[Point]) -> str | None:
    together.spent += 1
    if together.alone(one) or together.alone(other):
        return None
    common = together.followers(one) & together.followers(other)
    if common:
        name = min(point[0] for point in common)
        lines = _lines(
            together.reach(min(common, key=lambda point: (point[0], point[1] or ""))), {one, other}
        )
        what = "one needs the other" if name in {one[0], other[0]} else f"{quoted(name)} needs both"
        return f"{what} on its node{lines}"
    here, there = together.reach(one), together.reach(other)
    shared = sorted((point for point in here.keys() & there.keys() & single), key=lambda p: p[0])
    if shared:
        lines = _lines(here | there, {shared[0]})
        return f"both must run with the one copy of {quoted(shared[0][0])}{lines}"
    return None


def _lines(reach: dict[Point, Origin | None], points: set[Point]) -> str:
    names = {name for name, _ in points}
    lines = sorted(
        {line for point, line in reach.items() if point[0] in names and line}, key=_place
    )
    return f" ({', '.join(str(line) for line in lines)})" if lines else ""


def _place(origin: Origin) -> tuple[str, int, int]:
    return origin.path, origin.line, origin.column


# Eligible nodes ------------------------------------------------------------------------------------


class Eligibility:
    """Which nodes may ever run each service, by mandates of location, alone or along colocations.

    Shape: sets of nodes are bits of one integer; M services cost M and the locations that name them.
    """

    def __init__(self, intent: Intent, together: Together) -> None:
        self._bits = {node.name: 1 << number for number, node in enumerate(intent.nodes)}
        self._every = (1 << len(intent.nodes)) - 1
        self._together = together
        self.lines: dict[str, list[Origin]] = {}
        self._alone: dict[str, int] = {}
        members = members_of(intent)
        for location in intent.locations:
            always = location.role is None and not location.conditional
            if always and isinstance(location.strength, Mandate):
                for name in members[location.service]:
                    self._restrict(name, location)
        self._spread()
        self._sets: dict[int, frozenset[NodeName]] = {}

    def _restrict(self, name: ServiceName, location: Location) -> None:
        allowed = sum(self._bits[node] for node in location.nodes)
        if location.strength is Mandate.FORBIDDEN:
            allowed = self._every & ~allowed
        self._alone[name] = self._alone.get(name, self._every) & allowed
        if location.origin:
            self.lines.setdefault(name, []).append(location.origin)

    def needed(self, name: str) -> list[str]:
        """The service and what must be on its node; itself alone where that is too much to look through."""
        if self._together.spent > _WORK_MAX or self._together.alone((name, None)):
            return [name]
        return [point[0] for point in self._together.reach((name, None))]

    def mask(self, name: str) -> int:
        """Eligible nodes as bits."""
        return self._masks.get((name, None), self._every)

    def _spread(self) -> None:
        """Hand each restriction on to what must be on the same node, until nothing changes."""
        self._masks: dict[Point, int] = {(name, None): mask for name, mask in self._alone.items()}
        queue = list(self._masks)
        while queue:
            point = queue.pop()
            mask = self._masks[point]
            for follower in self._together.needed_by.get(point, ()):
                before = self._masks.get(follower, self._every)
                if before & ~mask:
                    self._masks[follower] = before & mask
                    queue.append(follower)

    def nodes(self, name: str) -> frozenset[NodeName]:
        """Eligible nodes by name."""
        mask = self.mask(name)
        if mask not in self._sets:
            self._sets[mask] = frozenset(node for node, bit in self._bits.items() if mask & bit)
        return self._sets[mask]


def check_eligible(intent: Intent, eligibility: Eligibility, problems: Problems) -> None:
    """Report services that no node may run, or fewer nodes than they want copies."""
    for service in intent.services:
        count = eligibility.mask(service.name).bit_count()
        if count == 0:
            names = eligibility.needed(service.name)
            lines = [line for name in names for line in eligibility.lines.get(name, [])]
            said = ", ".join(str(line) for line in sorted(set(lines), key=_place))
            chain = f", with {listed(names[1:])} which it needs" if len(names) > 1 else ""
            problems.add(
                "R032",
                f"The locations of {quoted(service.name)}{chain} leave no node ({said}). Let them share at "
                "least one.",
                service.origin,
            )
        elif service.replicas is not None and service.replicas > count * service.replicas_per_node:
            problems.add(
                "R036",
                f"Service {quoted(service.name)} wants {service.replicas} copies, at most "
                f"{service.replicas_per_node} on a node, and may run on {count} of the nodes only. Lower "
                "`replicas`, or write `all`.",
                service.origin,
            )


# Room ----------------------------------------------------------------------------------------------


def check_room(intent: Intent, eligibility: Eligibility, problems: Problems) -> None:
    """Report services too large for every node that may run them, and demands that nothing limits."""
    capacities = {node.name: dict(node.capacity) for node in intent.nodes}
    limited = {resource for capacity in capacities.values() for resource in capacity}
    seen: set[tuple[Amounts, int]] = set()
    for service in intent.services:
        mask = eligibility.mask(service.name)
        if not service.demand or not mask or (service.demand, mask) in seen:
            continue
        nodes = eligibility.nodes(service.name)
        if not any(_fits(service.demand, capacities[node]) for node in nodes):
            problems.add("R033", _too_large(service, nodes, capacities), service.origin)
        else:
            seen.add((service.demand, mask))
        for resource, _ in service.demand:
            if resource not in limited:
                problems.add(
                    "R051",
                    f"Services demand {quoted(resource)}, and no node has a capacity of that name, so it "
                    "limits nothing. Add it to the nodes' `capacity`, or correct the name.",
                    service.origin,
                )
                limited.add(resource)


def _fits(demand: Amounts, capacity: dict[str, int]) -> bool:
    return all(amount <= capacity.get(resource, amount) for resource, amount in demand)


def _readable(amount: int) -> str:
    """An amount as people write it: exact, in the largest binary unit that it is whole in."""
    for unit, size in (("TiB", 1024**4), ("GiB", 1024**3), ("MiB", 1024**2)):
        if amount and amount % size == 0:
            return f"{amount // size}{unit}"
    return str(amount)


def _too_large(
    service: Service, nodes: frozenset[NodeName], capacities: dict[NodeName, dict[str, int]]
) -> str:
    short = []
    for resource, amount in service.demand:
        most = max(capacities[node].get(resource, amount) for node in nodes)
        if most < amount:
            short.append(
                f"{_readable(amount)} of {quoted(resource)} where the largest node has {_readable(most)}"
            )
    needs = " and ".join(short) or "more than any one node has of everything at once"
    return (
        f"A copy of {quoted(service.name)} needs {needs}. It can never run; lower its `demand`, or add a "
        "node that is large enough."
    )
