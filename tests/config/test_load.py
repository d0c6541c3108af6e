"""What a well-written file means: every key, every default, every way to say it."""

import json
from pathlib import Path

import pytest

from reconciler.codec import canonical
from reconciler.config.load import Loaded, load_files
from reconciler.model.ids import Millis
from reconciler.model.intent import (
    Colocation,
    Intent,
    Kind,
    Mandate,
    Operation,
    OrderingKind,
    Role,
    Safety,
    Service,
    WhenEqual,
)

NODES = """\
version: 1
cluster: c
nodes:
  alpha: {address: 10.0.0.1, labels: {rack: a, slot: 1}, capacity: {cpu: 8, memory: 32GiB}}
  bravo: {address: [10.0.0.2, bravo.example.org], labels: {rack: b}, standby: true}
  carol: {address: "fd00::3", labels: {rack: b, ssd: true}, maintenance: true}
"""
ACCEPTED = "fencing: none\naccept-split-brain: true\n"


def load(text: str, head: str = NODES + ACCEPTED) -> Loaded:
    return load_files((("c.yaml", (head + text).encode()),), base=Path("/srv/c"))


def intent(text: str, head: str = NODES + ACCEPTED) -> Intent:
    loaded = load(text, head)
    assert loaded.diagnostics == ()
    assert loaded.intent is not None
    return loaded.intent


def service(text: str, rest: str = "") -> Service:
    (found,) = intent(f"services:\n  web: {text}\n{rest}").services
    return found


def test_nodes() -> None:
    alpha, bravo, carol = intent("").nodes
    assert alpha.addresses == ("10.0.0.1",)
    assert alpha.labels == (("rack", "a"), ("slot", "1"))
    assert alpha.capacity == (("cpu", 8), ("memory", 32 * 1024**3))
    assert bravo.addresses == ("10.0.0.2", "bravo.example.org")
    assert (alpha.standby, bravo.standby) == (False, True)
    assert carol.addresses == ("fd00::3",)
    assert carol.labels == (("rack", "b"), ("ssd", "true"))
    assert carol.maintenance


def test_what_holds_where_nothing_is_said() -> None:
    assert service("{systemd: nginx}") == Service(
        name="web", kind=Kind.SYSTEMD, agent="nginx.service", safety=Safety.EXCLUSIVE
    )


@pytest.mark.parametrize(
    ("unit", "full"),
    [
        ("nginx", "nginx.service"),
        ("postgresql@15-main", "postgresql@15-main.service"),
        ("backup.timer", "backup.timer"),
        ("a.b", "a.b.service"),
    ],
)
def test_units_are_whole(unit: str, full: str) -> None:
    assert service(f"{{systemd: {unit}}}").agent == full


def test_parameters_are_the_text_that_was_written() -> None:
    found = service(
        '{ocf: "heartbeat:Filesystem", parameters: {mode: 0777, version: 1.10, on: on, yes: True, '
        'count: 5, text: "05", empty: "", key: {secret: pass}}}'
    )
    assert found.agent == "heartbeat:Filesystem"
    assert found.parameters == (
        ("count", "5"),
        ("empty", ""),
        ("mode", "0777"),
        ("on", "on"),
        ("text", "05"),
        ("version", "1.10"),
        ("yes", "true"),
    )
    assert found.secrets == (("key", "pass"),)


def test_a_script_is_one_program_or_three_commands() -> None:
    one = dict(service("{script: ./bin/web}").parameters)
    assert json.loads(one["start"]) == ["/srv/c/bin/web", "start"]
    assert json.loads(one["stop"]) == ["/srv/c/bin/web", "stop"]
    assert json.loads(one["status"]) == ["/srv/c/bin/web", "status"]
    three = dict(
        service(
            "{script: {start: \"/bin/a 'b c' --x=1\", stop: [/bin/a, $HOME, ';', ./data, 3], "
            "status: ./s, pidfile: web.pid}}"
        ).parameters
    )
    assert json.loads(three["start"]) == ["/bin/a", "b c", "--x=1"]
    assert json.loads(three["stop"]) == ["/bin/a", "$HOME", ";", "/srv/c/data", "3"]
    assert json.loads(three["status"]) == ["/srv/c/s"]
    assert three["pidfile"] == "web.pid"


def test_a_relative_command_needs_a_folder_that_is_known() -> None:
    data = (NODES + ACCEPTED + "services: {web: {script: ./bin/web}}\n").encode()
    loaded = load_files((("sub/c.yaml", data),))
    assert [found.code for found in loaded.diagnostics] == ["R019"]
    loaded = load_files((("sub/c.yaml", data),), base=Path("/srv"))
    assert loaded.intent is not None
    assert '"/srv/sub/bin/web"' in dict(loaded.intent.services[0].parameters)["start"]


def test_a_cluster_says_where_every_node_has_its_scripts() -> None:
    text = NODES + ACCEPTED + "services: {web: {script: ./bin/web}}\n"
    data = (text + "scripts: /opt/shop\n").encode()
    told, here = (load_files((("c.yaml", data),), base=base) for base in (None, Path("/srv")))
    assert told.intent is not None
    assert here.intent is not None
    assert canonical.dump(told.intent) == canonical.dump(
        here.intent
    )  # git and a working tree agree
    assert '"/opt/shop/bin/web"' in dict(told.intent.services[0].parameters)["start"]


@pytest.mark.parametrize("folder", ["bin", "./bin", "/opt/../etc", "3"])
def test_scripts_are_in_an_absolute_folder(folder: str) -> None:
    text = NODES + ACCEPTED + f"services: {{web: {{script: ./bin/web}}}}\nscripts: {folder}\n"
    loaded = load_files((("c.yaml", text.encode()),))
    assert [found.code for found in loaded.diagnostics] == ["R019"]
    assert loaded.intent is None


def test_addresses() -> None:
    short = service("{vip: 10.0.0.100/24}")
    assert short.kind is Kind.VIP
    assert short.parameters == (("address", "10.0.0.100"), ("prefix", "24"))
    long = service('{vip: {address: "2001:DB8::0:1/64", interface: eth0.5}}')
    assert long.parameters == (
        ("address", "2001:db8::1"),
        ("interface", "eth0.5"),
        ("prefix", "64"),
    )


def test_settings() -> None:
    found = service(
        "{systemd: nginx, replicas: all, demand: {cpu: 2, memory: 1.5GiB}, priority: -3, rank: 7, "
        "stickiness: 0, safety: best-effort, monitor: {every: 500ms}, start: {timeout: 1.5h}, "
        "failures: {max: 9, forget-after: 1d}, enabled: false, maintenance: true}"
    )
    assert found.replicas is None
    assert found.demand == (("cpu", 2), ("memory", 3 * 512 * 1024**2))
    assert (found.priority, found.rank, found.stickiness) == (-3, 7, 0)
    assert found.safety is Safety.BEST_EFFORT
    assert found.monitor == Operation(timeout_ms=Millis(20_000), every_ms=Millis(500))
    assert found.start == Operation(timeout_ms=Millis(5_400_000))
    assert found.stop == Operation(timeout_ms=Millis(60_000))
    assert (found.failures_max, found.failures_forget_ms) == (9, 86_400_000)
    assert (found.enabled, found.maintenance) == (False, True)


def test_defaults_then_template_then_service() -> None:
    found = service(
        "{template: t, stickiness: 5, monitor: {timeout: 9s}, demand: {cpu: 4}, parameters: {b: 3}}",
        "defaults: {priority: 1, stickiness: 1}\n"
        'templates:\n  t: {ocf: "a:b", priority: 2, stickiness: 2, monitor: {every: 7s}, '
        "demand: {cpu: 1, memory: 1}, parameters: {a: 1, b: 2}}\n",
    )
    assert (found.kind, found.agent) == (Kind.OCF, "a:b")
    assert (found.priority, found.stickiness) == (2, 5)
    assert found.monitor == Operation(timeout_ms=Millis(9_000), every_ms=Millis(7_000))
    assert found.demand == (("cpu", 4), ("memory", 1))
    assert found.parameters == (("a", "1"), ("b", "3"))


def test_a_service_takes_its_own_kind_before_its_templates() -> None:
    found = service(
        "{template: t, systemd: nginx}", 'templates: {t: {ocf: "a:b", parameters: {a: 1}}}\n'
    )
    assert (found.kind, found.agent, found.parameters) == (Kind.SYSTEMD, "nginx.service", ())


def test_groups_hand_their_replicas_down() -> None:
    text = """
services:
  a: {systemd: a}
  b: {systemd: b}
  c: {systemd: c}
groups:
  pair: {members: [b, a], replicas: 2}
  alone: [c]
"""
    found = intent(text)
    assert [(group.name, group.members) for group in found.groups] == [
        ("alone", ("c",)),
        ("pair", ("b", "a")),
    ]
    assert [one.replicas for one in found.services] == [2, 2, 1]


CONSTRAINED = """
services:
  a: {systemd: a}
  b: {systemd: b}
  c: {systemd: c}
  drbd: {ocf: "linbit:drbd", replicas: 2, promoted: 1}
groups:
  g: [a, b]
constraints:
  - {location: c, nodes: {rack: b}, score: 50}
  - {colocation: [g, drbd], with-role: promoted}
  - {ordering: [drbd, g], first-action: promote}
  - {colocation: [c, g], score: -20}
  - {ordering: [drbd, g, c], kind: optional}
  - {location: drbd, nodes: [bravo, alpha], role: promoted}
  - {location: c, nodes: carol, score: forbidden}
"""


def test_constraints() -> None:
    found = intent(CONSTRAINED)
    assert found.colocations == (
        Colocation(dependent="g", primary="drbd", primary_role=Role.PROMOTED),
        Colocation(dependent="c", primary="g", strength=-20),
    )
    assert [(one.first, one.then, one.kind, one.first_action) for one in found.orderings] == [
        ("drbd", "g", OrderingKind.REQUIRED, "promote"),
        ("drbd", "g", OrderingKind.OPTIONAL, "start"),
        ("g", "c", OrderingKind.OPTIONAL, "start"),
    ]
    assert [(one.service, one.nodes, one.strength, one.role) for one in found.locations] == [
        ("c", ("bravo", "carol"), 50, None),
        ("drbd", ("alpha", "bravo"), Mandate.REQUIRED, Role.PROMOTED),
        ("c", ("carol",), Mandate.FORBIDDEN, None),
    ]


def test_everything_says_where_it_was_written() -> None:
    found = intent(CONSTRAINED)
    head = (NODES + ACCEPTED).count("\n")
    places = [*found.nodes, *found.services, *found.groups, *found.colocations, *found.orderings]
    assert all(one.origin and one.origin.path == "c.yaml" for one in (*places, *found.locations))
    by_name = {one.name: one.origin for one in found.services}
    assert (by_name["b"].line, by_name["b"].column) == (head + 4, 3)
    assert found.locations[0].origin.line == head + 10
    assert found.locations[0].origin.column == 5


def test_safety_is_inherited_along_required_colocation() -> None:
    text = """
services:
  ip-alone: {vip: 10.0.0.101/24}
  ip-led: {vip: 10.0.0.102/24}
  ip-rather: {vip: 10.0.0.103/24}
  ip-grouped: {vip: 10.0.0.104/24}
  ip-ordered: {vip: 10.0.0.105/24}
  ip-of-web: {vip: 10.0.0.106/24, safety: best-effort}
  db: {systemd: db}
  log: {systemd: log, safety: best-effort}
  web: {systemd: web, safety: best-effort}
groups:
  g: [db, ip-grouped]
constraints:
  - {colocation: [ip-led, ip-grouped]}
  - {colocation: [ip-rather, db], score: 100}
  - {ordering: [log, ip-ordered]}
  - {colocation: [ip-of-web, web]}
"""
    found = {one.name: one.safety.value for one in intent(text).services}
    assert found == {
        "ip-alone": "best-effort",
        "ip-led": "exclusive",
        "ip-rather": "best-effort",
        "ip-grouped": "exclusive",
        "ip-ordered": "exclusive",
        "ip-of-web": "best-effort",
        "db": "exclusive",
        "log": "best-effort",
        "web": "best-effort",
    }


def test_a_default_of_best_effort_gives_way_to_what_a_service_must_run_with() -> None:
    text = """
defaults: {safety: best-effort}
services:
  db: {systemd: db, safety: exclusive}
  ip: {vip: 10.0.0.9/24}
  web: {systemd: web}
groups:
  g: [db, ip]
"""
    found = {one.name: one.safety for one in intent(text).services}
    assert found == {
        "db": Safety.EXCLUSIVE,
        "ip": Safety.EXCLUSIVE,
        "web": Safety.BEST_EFFORT,
    }


FENCED = """\
fencing:
  devices:
    pdu: {agent: fence_apc, nodes: [carol, alpha], parameters: {ip: 10.1.0.1, port: 0x0A, key: {secret: k}}}
    ipmi: {agent: fence_ipmilan, nodes: bravo}
"""


def test_fence_devices() -> None:
    found = intent("services: {db: {systemd: db}}\n", NODES + FENCED).fencing
    assert not found.accept_split_brain
    assert [device.name for device in found.devices] == ["ipmi", "pdu"]
    pdu = found.devices[1]
    assert (pdu.agent, pdu.nodes) == ("fence_apc", ("alpha", "carol"))
    assert pdu.parameters == (("ip", "10.1.0.1"), ("port", "0x0A"))
    assert pdu.secrets == (("key", "k"),)


def test_nothing_exclusive_needs_no_fencing() -> None:
    found = intent("services: {ip: {vip: 10.0.0.9/24}}\n", NODES)
    assert found.fencing.devices == ()


@pytest.mark.parametrize(
    ("said", "limits"),
    [
        ("{}", (500, 1500, 3500)),
        ("{every: 100ms}", (100, 300, 400)),
        ("{every: 20ms}", (20, 60, 80)),
        ("{every: 250ms}", (250, 750, 3500)),
        ("{every: 2s}", (2000, 6000, 8000)),
        ("{lost-after: 1s}", (500, 750, 1000)),
        ("{every: 1s, suspect-after: 2s, lost-after: 5s}", (1000, 2000, 5000)),
    ],
)
def test_heartbeat(said: str, limits: tuple[int, int, int]) -> None:
    found = intent(f"heartbeat: {said}\n").heartbeat
    assert (found.every_ms, found.suspect_ms, found.lost_ms) == limits


def test_the_rest() -> None:
    found = intent("defaults: {when-equal: spread}\nwitnesses: [w2, w1]\n")
    assert found.cluster == "c"
    assert found.when_equal is WhenEqual.SPREAD
    assert found.witnesses == ("w1", "w2")
    assert intent("").when_equal is WhenEqual.STAY


def test_the_order_of_names_in_a_file_does_not_matter() -> None:
    one = intent("services:\n  a: {systemd: a}\n  b: {systemd: b}\n")
    other = intent("services:\n  b: {systemd: b}\n  a: {systemd: a}\n")
    assert canonical.intent_digest(one) == canonical.intent_digest(other)
    assert one == other


def test_an_intent_survives_the_way_through_json() -> None:
    found = intent(CONSTRAINED)
    assert canonical.load(canonical.dump(found), Intent) == found


def test_splitting_a_file_changes_nothing() -> None:
    whole = intent(CONSTRAINED)
    services, _, constraints = CONSTRAINED.partition("groups:")
    files = (
        ("a.yaml", (NODES + ACCEPTED).encode()),
        ("b.yaml", ("version: 1" + services).encode()),
        ("c.yaml", ("version: 1\ngroups:" + constraints).encode()),
    )
    assert load_files(files).intent == whole
