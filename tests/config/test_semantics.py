"""What the keys for roles, failures, tickets, health, quorum and fencing levels mean."""

from pathlib import Path

import pytest

from reconciler.config.cycles import find_cycles
from reconciler.config.load import load_files
from reconciler.model.diagnostic import Severity
from reconciler.model.ids import Millis
from reconciler.model.intent import (
    Colocation,
    FenceLevel,
    Fencing,
    Health,
    HealthStrategy,
    Intent,
    Mandate,
    MultipleActive,
    NegativeScores,
    OnFail,
    OnLoss,
    Operation,
    Ordering,
    OrderingKind,
    Orphans,
    Packing,
    Requires,
    Role,
    Service,
    TicketRule,
)

NODES = """\
version: 1
cluster: c
nodes:
  alpha: {address: 10.0.0.1, labels: {rack: a}}
  bravo: {address: 10.0.0.2, labels: {rack: b}}
"""
ACCEPTED = "fencing: none\naccept-split-brain: true\n"
THREE = 'services: {a: {systemd: a}, b: {systemd: b}, c: {ocf: "x:c", promoted: 1}}\n'


def intent(text: str, head: str = NODES + ACCEPTED) -> Intent:
    loaded = load_files((("c.yaml", (head + text).encode()),), base=Path("/srv/c"))
    assert loaded.diagnostics == ()
    assert loaded.intent is not None
    return loaded.intent


def service(text: str, rest: str = "") -> Service:
    return intent(f"services:\n  a: {text}\n{rest}").services[0]


def test_every_setting_of_a_service() -> None:
    found = service(
        '{ocf: "x:a", replicas: 4, replicas-per-node: 2, promotable: true, interleave: false, '
        "ordered: true, notify: true, managed: false, critical: false, multiple-active: stop-only, "
        "migratable: true, reloadable: [speed, level], requires: quorum, survive: 1, "
        "promoted-stickiness: 7}"
    )
    assert (found.replicas, found.replicas_per_node) == (4, 2)
    assert (found.promotable, found.promoted) == (True, 0)
    assert (found.interleave, found.ordered, found.notify) == (False, True, True)
    assert (found.managed, found.critical, found.migratable) == (False, False, True)
    assert found.multiple_active is MultipleActive.STOP_ONLY
    assert found.reloadable == ("level", "speed")
    assert found.requires is Requires.QUORUM
    assert (found.survive, found.promoted_stickiness) == (1, 7)


def test_what_is_not_said_is_as_in_the_model() -> None:
    found = service("{systemd: a}")
    usual = Service(name=found.name, kind=found.kind, agent=found.agent)
    assert found == usual
    assert intent("") == Intent(
        cluster="c", nodes=intent("").nodes, fencing=Fencing(accept_split_brain=True)
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("promoted: 1", (True, 1)),
        ("promotable: true", (True, 0)),
        ("promotable: true, promoted: 1", (True, 1)),
        ("promotable: false", (False, 0)),
        ("promoted: 0", (False, 0)),
    ],
)
def test_promoted_copies_imply_roles(text: str, expected: tuple[bool, int]) -> None:
    found = service(f'{{ocf: "x:a", replicas: 2, {text}}}')
    assert (found.promotable, found.promoted) == expected


def test_each_operation_has_its_own_end() -> None:
    found = service(
        '{ocf: "x:a", promoted: 1, start: {on-fail: stop}, stop: {timeout: 5s, on-fail: block}, '
        "promote: {on-fail: demote}, demote: {timeout: 7s}, monitor: {every: 30s, on-fail: standby}}"
    )
    minute = Millis(60_000)
    assert found.start == Operation(timeout_ms=minute, on_fail=OnFail.STOP)
    assert found.stop == Operation(timeout_ms=Millis(5_000), on_fail=OnFail.BLOCK)
    assert found.promote == Operation(timeout_ms=minute, on_fail=OnFail.DEMOTE)
    assert found.demote == Operation(timeout_ms=Millis(7_000))
    assert found.monitor.on_fail is OnFail.STANDBY
    assert found.monitor_promoted is None


def test_what_the_look_at_promoted_copies_leaves_out_is_as_in_monitor() -> None:
    found = service(
        '{template: t, ocf: "x:a", monitor: {timeout: 9s, on-fail: block}, '
        "monitor-promoted: {every: 5s}}",
        "templates: {t: {promoted: 1, monitor: {every: 1m}, monitor-promoted: {on-fail: demote}}}\n",
    )
    assert found.monitor == Operation(
        timeout_ms=Millis(9_000), every_ms=Millis(60_000), on_fail=OnFail.BLOCK
    )
    assert found.monitor_promoted == Operation(
        timeout_ms=Millis(9_000), every_ms=Millis(5_000), on_fail=OnFail.DEMOTE
    )


def test_operations_merge_key_by_key() -> None:
    found = service(
        "{template: t, systemd: a, stop: {timeout: 5s}}",
        "templates: {t: {stop: {on-fail: ignore}}}\n"
        "defaults: {stop: {timeout: 9s, on-fail: block}, critical: false, failures: {max: never}}\n",
    )
    assert found.stop == Operation(timeout_ms=Millis(5_000), on_fail=OnFail.IGNORE)
    assert not found.critical


def test_failures_may_never_count_and_never_be_forgotten() -> None:
    found = service("{systemd: a, failures: {max: never, forget-after: never}}")
    assert (found.failures_max, found.failures_forget_ms) == (None, None)
    assert not found.gives_up(1_000_000)
    assert found.forgets_ms(Millis(5)) is None


def test_what_a_group_says_of_copies_holds_for_every_member() -> None:
    found = intent(
        'services: {a: {ocf: "x:a"}, b: {template: t, ocf: "x:b"}}\n'
        "templates: {t: {replicas: 5, notify: false}}\n"
        "groups: {g: {members: [a, b], ordered: false, colocated: false, replicas: 4, promoted: 2, "
        "replicas-per-node: 2, interleave: false, notify: true}}\n"
        "constraints: [{location: g, nodes: alpha, score: 5, role: promoted}]\n"
    )
    for member in found.services:
        assert (member.replicas, member.replicas_per_node) == (4, 2)
        assert (member.promotable, member.promoted) == (True, 2)
        assert (member.interleave, member.notify) == (False, True)
    (group,) = found.groups
    assert (group.ordered, group.colocated) == (False, False)


def test_a_group_without_order_and_place_ties_nothing() -> None:
    head = "groups: {g: {members: [ip, web], ordered: false, colocated: false}}\n"
    found = intent(
        head + "services: {ip: {vip: 10.9.0.1/24}, web: {systemd: web}}\n"
        "constraints: [{colocation: [ip, web], score: forbidden}, {ordering: [web, ip], kind: optional}]\n"
    )
    assert [service.safety.value for service in found.services] == ["best-effort", "exclusive"]


def test_colocations() -> None:
    found = intent(
        THREE + "constraints: [{colocation: [a, c], with-role: promoted, influence: false}, "
        "{colocation: [b, a], attribute: rack, score: -5}]\n"
    )
    assert found.colocations == (
        Colocation(dependent="a", primary="c", primary_role=Role.PROMOTED, influence=False),
        Colocation(dependent="b", primary="a", strength=-5, attribute="rack"),
    )


def test_orderings() -> None:
    found = intent(
        THREE + "constraints:\n"
        "  - {ordering: [c, a], first-action: promote, symmetrical: false, minimum: 1}\n"
        "  - {ordering: [c, b], any-of: a}\n"
        "  - {ordering: [a, b], kind: serialize}\n"
    )
    assert found.orderings == (
        Ordering(first="c", then="a", first_action="promote", symmetrical=False, minimum=1),
        Ordering(first="c", then="b", any_of=("a",)),
        Ordering(first="a", then="b", kind=OrderingKind.SERIALIZE, symmetrical=False),
    )


def test_spread_is_a_colocation_of_every_pair() -> None:
    found = intent(
        THREE + "constraints: [{spread: [a, b, c]}, {spread: [a, b], score: -7, attribute: rack}]\n"
    )
    apart = [("b", "a"), ("c", "a"), ("c", "b")]
    assert found.colocations == (
        *(Colocation(dependent=d, primary=p, strength=Mandate.FORBIDDEN) for d, p in apart),
        Colocation(dependent="b", primary="a", strength=-7, attribute="rack"),
    )


def test_needs_is_a_colocation_and_an_ordering() -> None:
    short = intent(THREE + "constraints: [{needs: [a, b]}]\n")
    long = intent(THREE + "constraints: [{colocation: [a, b]}, {ordering: [b, a]}]\n")
    assert short == long


def test_tickets() -> None:
    found = intent(
        THREE + "constraints: [{ticket: T, service: a}, "
        "{ticket: T, service: c, role: promoted, on-loss: demote}]\n"
    )
    assert found.tickets == (
        TicketRule(ticket="T", service="a", on_loss=OnLoss.STOP),
        TicketRule(ticket="T", service="c", role=Role.PROMOTED, on_loss=OnLoss.DEMOTE),
    )


def test_what_concerns_the_whole_cluster() -> None:
    found = intent(
        "defaults: {packing: room, negative-scores: forbid, orphans: keep}\n"
        "quorum: {on-loss: stop}\n"
        "health: {strategy: progressive, base: 5, yellow: -10, red: forbidden}\n"
    )
    assert found.packing is Packing.ROOM
    assert found.negative_scores is NegativeScores.FORBID
    assert found.orphans is Orphans.KEEP
    assert found.on_quorum_loss is OnLoss.STOP
    assert found.health == Health(
        strategy=HealthStrategy.PROGRESSIVE, base=5, yellow=-10, red=-1_000_000
    )


def test_fencing() -> None:
    fencing = intent(
        "fencing:\n"
        "  devices: {x: {agent: f, nodes: [alpha, bravo]}, y: {agent: f, nodes: alpha}}\n"
        "  levels:\n"
        "    - {nodes: [bravo, alpha], level: 2, devices: x}\n"
        "    - {nodes: alpha, level: 1, devices: [y, x]}\n"
        "  action: off\n"
        "  unseen: true\n"
        "  priority-delay: 5s\n",
        NODES,
    ).fencing
    assert fencing.levels == (
        FenceLevel(nodes=("alpha", "bravo"), level=2, devices=("x",)),  # type: ignore[arg-type]
        FenceLevel(nodes=("alpha",), level=1, devices=("y", "x")),  # type: ignore[arg-type]
    )
    assert (fencing.action, fencing.unseen, fencing.priority_delay_ms) == ("off", True, 5_000)


def ordering(first: str, then: str, kind: OrderingKind = OrderingKind.REQUIRED) -> Ordering:
    return Ordering(first=first, then=then, kind=kind)


def test_a_circle_is_required_only_if_all_of_it_is() -> None:
    required = (ordering("a", "b"), ordering("b", "a"))
    (cycle,) = find_cycles(required, ())
    assert cycle.required
    assert cycle.names == ("a", "b", "a")
    (cycle,) = find_cycles((ordering("a", "b"), ordering("b", "a", OrderingKind.OPTIONAL)), ())
    assert not cycle.required
    assert find_cycles((ordering("a", "b"), ordering("b", "a", OrderingKind.SERIALIZE)), ()) == ()


def test_an_optional_ordering_beside_a_required_one_does_not_weaken_it() -> None:
    both = (ordering("a", "b", OrderingKind.OPTIONAL), ordering("a", "b"), ordering("b", "a"))
    assert [cycle.required for cycle in find_cycles(both, ())] == [True]


@pytest.mark.parametrize(
    "text",
    [
        "{location: a, nodes: alpha}, {location: a, nodes: alpha, score: forbidden}",
        "{colocation: [a, b]}, {colocation: [a, b], score: forbidden}",
        "{ordering: [a, b]}, {ordering: [b, a], kind: optional}",
    ],
)
def test_what_endangers_nothing_is_a_warning(text: str) -> None:
    data = f"{NODES}{ACCEPTED}{THREE}constraints: [{text}]\n".encode()
    loaded = load_files((("c.yaml", data),))
    assert loaded.intent is not None
    assert {found.severity for found in loaded.diagnostics} == {Severity.WARNING}
