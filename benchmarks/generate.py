"""Clusters of any size as Pacemaker writes them down, and as the import makes them ours.

    .venv/bin/python benchmarks/generate.py NODES SERVICES --into DIR
                     [--capacity FILL] [--lost N] [--seed N]

Writes DIR/cib.xml, and what `reconcile import pacemaker` makes of it: DIR/cluster.yaml and DIR/observed.json.

The cluster: two clones that run everywhere, promotable clones with a group that follows the promoted
copy, clones of two or three copies, groups of three, and singles; every fourth group comes after the
first clone and runs where it runs. Singles are tied in pairs: required together and in order, kept apart,
rather together, rather apart, or in an optional order. A third of all has a location. Homes are drawn
first and constraints around them, so that a cluster without a loss is settled: neither program has
anything to do.

Fencing is on, with one device for all. A lost node has left without a word (its `node_state` is that of a
member that is offline), so it has to be fenced, and what ran there has to be recovered.

The history is the light one: a start and a recurring monitor where something runs, nothing where it does not;
`enable-startup-probes` is off, so that Pacemaker does not look everywhere first.
"""

import argparse
import hashlib
import random
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import quoteattr

ROOT = Path(__file__).parents[1]
STICKINESS = 100
RACKS = 8
NOW_S = 1_760_000_000
"""When the CIB was looked at; any moment does, as long as it is always the same."""
INFINITY, NEVER = "INFINITY", "-INFINITY"


def main() -> None:
    reader = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    reader.add_argument("nodes", type=int)
    reader.add_argument("services", type=int)
    reader.add_argument("--into", type=Path, required=True)
    reader.add_argument("--capacity", type=float, help="share of what one loss leaves, up to 0.85")
    reader.add_argument("--lost", type=int, default=1)
    reader.add_argument("--seed", type=int, default=1)
    given = reader.parse_args()
    write(
        given.into,
        cib(given.nodes, given.services, fill=given.capacity, lost=given.lost, seed=given.seed),
    )


def write(folder: Path, data: bytes) -> None:
    """Write a CIB and what the import makes of it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "cib.xml"
    path.write_bytes(data)
    command = Path(sys.executable).with_name("reconcile")
    words = ["import", "pacemaker", str(path), "--into", str(folder)]
    done = subprocess.run([command, *words], capture_output=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr.decode())


def cib(
    nodes: int, services: int, *, fill: float | None = None, lost: int = 1, seed: int = 1
) -> bytes:
    """Make a cluster; the same arguments give the same bytes, and `lost` changes nothing but the status."""
    if fill is not None and not 0 < fill <= 0.85:
        raise SystemExit("--capacity is more than 0 and at most 0.85")
    cluster = _Cluster(count=nodes, chance=random.Random(f"{seed} {nodes} {services} {fill}"))
    _fill(cluster, services)
    _tie(cluster)
    gone = {(at + 1) * nodes // (lost + 1) for at in range(lost)}
    head = (
        '<cib crm_feature_set="3.16.1" validate-with="pacemaker-3.8" epoch="1" num_updates="0" '
        f'admin_epoch="0" have-quorum="1" dc-uuid="{_other(gone, nodes) + 1}" '
        f'execution-date="{NOW_S}">'
    )
    lines = [
        head,
        "<configuration>",
        *_options(balanced=fill is not None),
        *_nodes(cluster, fill),
        "<resources>",
        *(line for unit in cluster.units for line in _resource(unit, full=fill is not None)),
        *_fence_device(cluster),
        "</resources>",
        "<constraints>",
        *(f'<{kind} id="c{at}" {rest}' for at, (kind, rest) in enumerate(cluster.constraints)),
        "</constraints>",
        "</configuration>",
        "<status>",
        *_status(cluster, gone),
        "</status>",
        "</cib>",
    ]
    return ("\n".join(lines) + "\n").encode()


# What is drawn --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unit:
    """A resource at the top level: a primitive, a group, or a clone of a primitive.

    Promotable units run promoted on the first of their homes.
    """

    name: str
    members: tuple[str, ...]
    homes: tuple[int, ...]
    demand: int = 0
    clone: bool = False
    promotable: bool = False

    @property
    def id(self) -> str:
        return f"{self.name}-clone" if self.clone else self.name


@dataclass(slots=True, kw_only=True)
class _Cluster:
    count: int
    chance: random.Random
    units: list[_Unit] = field(default_factory=list)
    constraints: list[tuple[str, str]] = field(default_factory=list)
    load: dict[int, int] = field(default_factory=dict)

    def home(self, *, but: Iterable[int] = ()) -> int:
        """The least loaded node, except some."""
        taken = set(but)
        free = (at for at in range(self.count) if at not in taken)
        return min(free, key=lambda at: (self.load.get(at, 0), at))

    def add(self, unit: _Unit) -> _Unit:
        for at in unit.homes:
            self.load[at] = self.load.get(at, 0) + unit.demand * len(unit.members)
        self.units.append(unit)
        return unit


def _fill(cluster: _Cluster, services: int) -> None:
    """Draw as many services as wanted, and their homes."""
    everywhere = tuple(range(cluster.count))
    for name in ("base", "watch")[:services]:
        cluster.add(_Unit(name=name, members=(name,), homes=everywhere, clone=True))
    left = services - 2
    promotables, clones, groups = services * 4 // 100, services * 8 // 100, services * 15 // 100
    for at in range(promotables):
        _promotable(cluster, at)
    for at in range(clones):
        _clone(cluster, f"copies-{at:04}", copies=2 + at % 2)
    for at in range(groups):
        name = f"group-{at:04}"
        _placed(cluster, name, [f"{name}-{part}" for part in ("disk", "data", "app")])
    for at in range(left - 3 * promotables - clones - 3 * groups):
        name = f"single-{at:04}"
        _placed(cluster, name, [name])


def _promotable(cluster: _Cluster, at: int) -> None:
    name, follower = f"replica-{at:04}", f"master-{at:04}"
    unit = _clone(cluster, name, copies=2, promotable=True)
    members = (f"{follower}-fs", f"{follower}-db")
    demand = cluster.chance.randint(1, 4)
    cluster.add(_Unit(name=follower, members=members, homes=unit.homes[:1], demand=demand))
    cluster.constraints += [
        _colocation(follower, unit.id, INFINITY, 'with-rsc-role="Promoted"'),
        _ordering(unit.id, follower, "Mandatory", 'first-action="promote"'),
    ]


def _clone(cluster: _Cluster, name: str, *, copies: int, promotable: bool = False) -> _Unit:
    homes: list[int] = []
    for _ in range(min(copies, cluster.count)):
        homes.append(cluster.home(but=homes))
    demand = cluster.chance.randint(1, 4)
    return cluster.add(
        _Unit(
            name=name,
            members=(name,),
            homes=tuple(homes),
            demand=demand,
            clone=True,
            promotable=promotable,
        )
    )


def _placed(cluster: _Cluster, name: str, members: list[str]) -> None:
    demand = cluster.chance.randint(1, 4)
    home = cluster.home()
    cluster.add(_Unit(name=name, members=tuple(members), homes=(home,), demand=demand))


def _tie(cluster: _Cluster) -> None:
    """Draw constraints that hold as everything stands, and wishes too weak to move anything."""
    by_home: dict[int, list[_Unit]] = {}
    for number, unit in enumerate(cluster.units):
        if unit.name.startswith("group") and number % 4 == 0:
            cluster.constraints += [
                _colocation(unit.id, "base-clone", INFINITY),
                _ordering("base-clone", unit.id, "Mandatory"),
            ]
        if unit.name.startswith("single"):
            by_home.setdefault(unit.homes[0], []).append(unit)
        if not unit.clone:
            _locate(cluster, unit)
    singles = [by_home[at] for at in sorted(by_home)]
    for at, here in enumerate(singles):
        there = singles[(at + 1) % len(singles)]
        # Halves, so that each single is in one pair at most.
        for number, (one, two) in enumerate(zip(here[:-1:4], here[1::4], strict=False)):
            _pair_here(cluster, number, one, two)
        for number, (one, two) in enumerate(zip(here[2::4], there[3::4], strict=False)):
            if one.homes != two.homes:
                _pair_apart(cluster, number, one, two)


def _pair_here(cluster: _Cluster, number: int, one: _Unit, two: _Unit) -> None:
    if number % 2:
        cluster.constraints.append(_colocation(one.id, two.id, "40"))
    else:
        cluster.constraints += [
            _colocation(one.id, two.id, INFINITY),
            _ordering(two.id, one.id, "Mandatory"),
        ]


def _pair_apart(cluster: _Cluster, number: int, one: _Unit, two: _Unit) -> None:
    match number % 3:
        case 0:
            cluster.constraints.append(_colocation(one.id, two.id, NEVER))
        case 1:
            cluster.constraints.append(_colocation(one.id, two.id, "-40"))
        case _:
            cluster.constraints.append(_ordering(two.id, one.id, "Optional"))


def _locate(cluster: _Cluster, unit: _Unit) -> None:
    """Now and then: a wish for home, for a rack, or to be anywhere but on one node."""
    home = unit.homes[0]
    other = (home + cluster.chance.randint(1, cluster.count - 1)) % cluster.count
    follows = unit.name.startswith("master")
    match cluster.chance.randrange(12):
        case 0 | 1:
            body = f'rsc="{unit.id}" node="{_name(home)}" score="50"/>'
        case 2:
            body = f'rsc="{unit.id}" node="{_name(other)}" score="30"/>'
        case 3 if not follows:
            body = f'rsc="{unit.id}" node="{_name(other)}" score="{NEVER}"/>'
        case 4:
            where = f'attribute="rack" operation="eq" value="r{home % RACKS}"'
            body = (
                f'rsc="{unit.id}"><rule id="{unit.id}-rack" score="30">'
                f'<expression id="{unit.id}-rack-is" {where}/></rule></rsc_location>'
            )
        case _:
            return
    cluster.constraints.append(("rsc_location", body))


def _colocation(one: str, other: str, score: str, rest: str = "") -> tuple[str, str]:
    return "rsc_colocation", f'rsc="{one}" with-rsc="{other}" score="{score}" {rest}/>'


def _ordering(first: str, then: str, kind: str, rest: str = "") -> tuple[str, str]:
    return "rsc_order", f'first="{first}" then="{then}" kind="{kind}" {rest}/>'


# How it is written ----------------------------------------------------------------------------------


def _name(at: int) -> str:
    return f"node-{at:03}"


def _other(gone: set[int], count: int) -> int:
    return next(at for at in range(count) if at not in gone)


def _pairs(what: str, owner: str, values: dict[str, str]) -> Iterator[str]:
    yield f'<{what} id="{owner}-{what}">'
    for name, value in values.items():
        yield f'<nvpair id="{owner}-{name}" name="{name}" value={quoteattr(value)}/>'
    yield f"</{what}>"


def _options(*, balanced: bool) -> Iterator[str]:
    yield "<crm_config>"
    values = {
        "cluster-name": "benchmark",
        "have-watchdog": "false",
        "stonith-enabled": "true",
        "enable-startup-probes": "false",
    }
    if balanced:
        values["placement-strategy"] = "balanced"
    yield from _pairs("cluster_property_set", "options", values)
    yield "</crm_config>"
    yield "<rsc_defaults>"
    yield from _pairs("meta_attributes", "rsc", {"resource-stickiness": str(STICKINESS)})
    yield "</rsc_defaults>"


def _nodes(cluster: _Cluster, fill: float | None) -> Iterator[str]:
    yield "<nodes>"
    room = 0
    if fill is not None:
        room = round(sum(cluster.load.values()) / (cluster.count - 1) / fill)
    for at in range(cluster.count):
        yield f'<node id="{at + 1}" uname="{_name(at)}">'
        yield from _pairs("instance_attributes", f"node-{at}", {"rack": f"r{at % RACKS}"})
        if room:
            yield from _pairs("utilization", f"node-{at}", {"cpu": str(room)})
        yield "</node>"
    yield "</nodes>"


def _resource(unit: _Unit, *, full: bool) -> Iterator[str]:
    if unit.clone:
        yield f'<clone id="{unit.id}">'
        yield from _pairs("meta_attributes", unit.id, _copies(unit))
    if len(unit.members) > 1:
        yield f'<group id="{unit.id}">'
    for member in unit.members:
        yield f'<primitive id="{member}" class="ocf" provider="pacemaker" type="{_agent(unit)}">'
        yield from _pairs("instance_attributes", member, _parameters(member))
        if full and unit.demand:
            yield from _pairs("utilization", member, {"cpu": str(unit.demand)})
        yield "<operations>"
        for interval_s, role in _monitors(unit):
            role_is = f' role="{role}"' if role else ""
            name = f'id="{member}-monitor-{interval_s}s" name="monitor"'
            yield f'<op {name} interval="{interval_s}s" timeout="20s"{role_is}/>'
        yield "</operations>"
        yield "</primitive>"
    if len(unit.members) > 1:
        yield "</group>"
    if unit.clone:
        yield "</clone>"


def _copies(unit: _Unit) -> dict[str, str]:
    values = {"clone-max": str(len(unit.homes)), "interleave": "true"}
    return values | ({"promotable": "true", "promoted-max": "1"} if unit.promotable else {})


def _agent(unit: _Unit) -> str:
    return "Stateful" if unit.promotable else "Dummy"


def _monitors(unit: _Unit) -> tuple[tuple[int, str], ...]:
    return ((10, "Promoted"), (11, "Unpromoted")) if unit.promotable else ((10, ""),)


def _fence_device(cluster: _Cluster) -> Iterator[str]:
    yield '<primitive id="fence" class="stonith" type="fence_ipmilan">'
    yield from _pairs("instance_attributes", "fence", _fence_parameters(cluster))
    yield "</primitive>"


def _fence_parameters(cluster: _Cluster) -> dict[str, str]:
    return {"pcmk_host_list": " ".join(_name(at) for at in range(cluster.count))}


def _parameters(member: str) -> dict[str, str]:
    return {"state": f"/run/{member}.state"}


def _status(cluster: _Cluster, gone: set[int]) -> Iterator[str]:
    here: dict[int, list[tuple[_Unit, str]]] = {at: [] for at in range(cluster.count)}
    for unit in cluster.units:
        for at in unit.homes:
            here[at] += [(unit, member) for member in unit.members]
    for at in range(cluster.count):
        stands = (
            'in_ccm="false" crmd="offline" join="down"'
            if at in gone
            else 'in_ccm="true" crmd="online" join="member"'
        )
        yield f'<node_state id="{at + 1}" uname="{_name(at)}" {stands} expected="member">'
        scores = {
            f"master-{unit.name}": "10" if unit.homes[0] == at else "5"
            for unit, _ in here[at]
            if unit.promotable
        }
        yield f'<transient_attributes id="{at + 1}">'
        yield from _pairs("instance_attributes", f"status-{at + 1}", scores)
        yield "</transient_attributes>"
        yield f'<lrm id="{at + 1}"><lrm_resources>'
        for call, (unit, member) in enumerate(here[at]):
            yield from _history(unit, member, node=at, call=4 * call + 1)
        if at == _other(gone, cluster.count):
            yield '<lrm_resource id="fence" class="stonith" type="fence_ipmilan">'
            given = _fence_parameters(cluster)
            yield _operation("fence", "start", given, node=at, call=99_999)
            yield "</lrm_resource>"
        yield "</lrm_resources></lrm></node_state>"


def _history(unit: _Unit, member: str, *, node: int, call: int) -> Iterator[str]:
    promoted = unit.promotable and unit.homes[0] == node
    kind = f'class="ocf" provider="pacemaker" type="{_agent(unit)}"'
    yield f'<lrm_resource id="{member}" {kind}>'
    given = _parameters(member)
    yield _operation(member, "start", given, node=node, call=call)
    if promoted:
        yield _operation(member, "promote", given, node=node, call=call + 1)
    every_ms = 11_000 if unit.promotable and not promoted else 10_000
    status = 8 if promoted else 0
    yield _operation(member, "monitor", given, every_ms, node=node, call=call + 2, status=status)
    yield "</lrm_resource>"


def _operation(
    member: str,
    what: str,
    given: dict[str, str],
    every_ms: int = 0,
    *,
    node: int,
    call: int,
    status: int = 0,
) -> str:
    key = f"1:1:{status}:00000000-0000-4000-8000-000000000000"
    digest = _digest(given | ({"CRM_meta_timeout": "20000"} if every_ms else {}))
    return (
        f'<lrm_rsc_op id="{member}_{what}_{every_ms}" operation="{what}" '
        f'operation_key="{member}_{what}_{every_ms}" crm_feature_set="3.16.1" '
        f'transition-key="{key}" transition-magic="0:{status};{key}" on_node="{_name(node)}" '
        f'call-id="{call}" rc-code="{status}" op-status="0" interval="{every_ms}" '
        f'last-rc-change="{NOW_S - 86400}" exec-time="20" queue-time="0" op-digest="{digest}"/>'
    )


def _digest(parameters: dict[str, str]) -> str:
    """What Pacemaker notes of the parameters that it started something with."""
    text = "".join(f' {name}="{parameters[name]}"' for name in sorted(parameters))
    return hashlib.md5(f" <parameters{text}/>\n".encode()).hexdigest()


if __name__ == "__main__":
    main()
