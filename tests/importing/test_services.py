"""Resources become services that say what Pacemaker would do with them."""

import pytest

from reconciler.model.intent import Kind, MultipleActive, OnFail, Requires, Safety
from tests.importing.cibs import (
    cib,
    dummy,
    imported,
    intent,
    pairs,
    said,
    service,
    services,
    text,
)


def of(resource: str, **options: object):
    """The service `a` of a cluster with one resource."""
    return service(cib(resource, **options), "a")


def test_pacemakers_own_defaults_are_written_out():
    found = of(dummy("a"))
    assert (found.kind, found.agent) == (Kind.OCF, "pacemaker:Dummy")
    assert (found.stickiness, found.priority, found.replicas) == (0, 0, 1)
    assert (found.interleave, found.multiple_active) == (False, MultipleActive.STOP_START)
    assert (found.failures_max, found.failures_forget_ms) == (1_000_000, None)
    assert found.start.timeout_ms == found.stop.timeout_ms == 20_000
    assert (found.safety, found.requires) == (Safety.EXCLUSIVE, Requires.FENCING)


def test_meta_attributes():
    found = of(
        dummy(
            "a",
            resource_stickiness="INFINITY",
            priority=7,
            migration_threshold=2,
            failure_timeout="1min",
            multiple_active="stop_unexpected",
            allow_migrate="yes",
            critical="off",
            requires="nothing",
            target_role="Stopped",
            is_managed="false",
        )
    )
    assert (found.stickiness, found.priority) == (1_000_000, 7)
    assert (found.failures_max, found.failures_forget_ms) == (2, 60_000)
    assert found.multiple_active is MultipleActive.STOP_UNEXPECTED
    assert (found.migratable, found.critical, found.enabled, found.managed) == (
        True,
        False,
        False,
        False,
    )
    assert found.requires is Requires.NOTHING


def test_a_threshold_of_zero_never_gives_up():
    assert of(dummy("a", migration_threshold=0)).failures_max is None


@pytest.mark.parametrize(
    ("attributes", "kind", "agent"),
    [
        ('class="systemd" type="nginx"', Kind.SYSTEMD, "nginx.service"),
        ('class="service" type="db@15"', Kind.SYSTEMD, "db@15.service"),
        ('class="ocf" type="IPaddr2"', Kind.OCF, "heartbeat:IPaddr2"),
        ('class="lsb" type="old"', Kind.SCRIPT, ""),
        ('class="lsb" type="/opt/old/init"', Kind.SCRIPT, ""),
        ('class="nagios" type="check_tcp"', Kind.SCRIPT, ""),
    ],
)
def test_kinds(attributes, kind, agent):
    found = of(f'<primitive id="a" {attributes}/>')
    assert (found.kind, found.agent) == (kind, agent)


def test_what_no_kind_fits_is_unsupported_and_named_with_its_line():
    data = cib('<primitive id="a" class="lsb" type="../../bin/sh"/>')
    assert imported(data).files == ()
    assert [(code, line) for code, line, _ in said(data)] == [("R071", 7)]
    assert services(intent(data, partial=True)) == []


def test_operations():
    inside = """<operations>
      <op name="start" interval="0" timeout="2min" on-fail="standby"/>
      <op name="stop" interval="0" timeout="90" on-fail="block"/>
      <op name="monitor" interval="60s" timeout="5s"/>
      <op name="monitor" interval="10s" timeout="7s" on-fail="fence"/>
      <op name="monitor" interval="3s" enabled="false"/>
    </operations>"""
    data = cib(dummy("a", inside))
    found = service(data, "a")
    assert (found.start.timeout_ms, found.start.on_fail) == (120_000, OnFail.STANDBY)
    assert (found.stop.timeout_ms, found.stop.on_fail) == (90_000, OnFail.BLOCK)
    assert (found.monitor.every_ms, found.monitor.timeout_ms) == (10_000, 7_000)
    assert found.monitor.on_fail is OnFail.FENCE
    assert [code for code, _, _ in said(data)] == ["R072"]  # the slower monitor


def test_what_makes_no_sense_after_a_failure_is_ignored():
    data = cib(dummy("a", '<operations><op name="stop" interval="0" on-fail="stop"/></operations>'))
    assert service(data, "a").stop.on_fail is None
    assert [code for code, _, _ in said(data)] == ["R074"]


def test_operation_defaults_come_last_and_may_have_rules():
    rule = '<rule id="r"><op_expression id="e" name="monitor"/></rule>'
    more = (
        f"<op_defaults>{pairs('meta_attributes', timeout='33s')}"
        f'<meta_attributes id="m" score="5">{rule}<nvpair id="n" name="timeout" value="44s"/>'
        "</meta_attributes></op_defaults>"
    )
    inside = '<operations><op name="stop" interval="0" timeout="9s"/></operations>'
    found = service(cib(dummy("a", inside), more=more), "a")
    timeouts = found.start.timeout_ms, found.stop.timeout_ms, found.monitor.timeout_ms
    assert timeouts == (33_000, 9_000, 44_000)


def test_templates_are_merged_and_the_primitive_wins():
    template = (
        '<template id="t" class="ocf" provider="pacemaker" type="Dummy">'
        f"{pairs('meta_attributes', priority=3, target_role='Stopped')}"
        '<operations><op name="start" interval="0" timeout="1m"/>'
        '<op name="stop" interval="0" timeout="2m"/></operations></template>'
    )
    primitive = (
        f'<primitive id="a" template="t">{pairs("meta_attributes", target_role="Started")}'
        '<operations><op name="stop" interval="0" timeout="3m"/></operations></primitive>'
    )
    found = of(template + primitive)
    assert (found.enabled, found.priority) == (True, 3)
    assert (found.start.timeout_ms, found.stop.timeout_ms) == (60_000, 180_000)


def test_of_blocks_the_highest_score_wins_and_then_the_last():
    pair = '<nvpair id="p{0}" name="priority" value="{2}"/>'
    block = f'<meta_attributes id="m{{0}}" score="{{1}}">{pair}</meta_attributes>'
    low, high, tie = block.format(1, 1, 10), block.format(2, 9, 20), block.format(3, 9, 30)
    assert of(dummy("a", high + low)).priority == 20
    assert of(dummy("a", high + tie)).priority == 30


def test_members_inherit_from_their_group_and_defaults_come_last():
    more = f"<rsc_defaults>{pairs('meta_attributes', resource_stickiness=5, priority=1)}</rsc_defaults>"
    inside = pairs("meta_attributes", priority=2) + dummy("a") + dummy("b", priority=3)
    group = f'<group id="g">{inside}</group>'
    found = intent(cib(group, more=more))
    assert [(each.name, each.priority, each.stickiness) for each in services(found)] == [
        ("a", 2, 5),
        ("b", 2, 5),  # Pacemaker orders whole groups, by the priority of the group
    ]
    assert found.groups[0].members == ("a", "b")


def clone(inside: str, tag: str = "clone", **meta: object) -> str:
    """A clone."""
    return f'<{tag} id="c">{pairs("meta_attributes", **meta)}{inside}</{tag}>'


@pytest.mark.parametrize(
    ("meta", "replicas", "per_node", "enabled"),
    [
        ({}, None, 1, True),
        ({"clone_max": 2}, 2, 1, True),
        ({"clone_max": 9}, None, 1, True),
        ({"clone_max": 0}, 1, 1, False),
        ({"clone_node_max": 2}, 6, 2, True),
        ({"clone_max": 4, "clone_node_max": 2, "globally_unique": "true"}, 4, 2, True),
        ({"clone_max": 2, "clone_node_max": 2, "globally_unique": "false"}, 2, 1, True),
    ],
)
def test_clones(meta, replicas, per_node, enabled):
    found = of(clone(dummy("a"), **meta))
    assert (found.replicas, found.replicas_per_node, found.enabled) == (replicas, per_node, enabled)
    assert found.stickiness == 1  # what Pacemaker gives a clone that says nothing


@pytest.mark.parametrize(
    ("tag", "meta", "promoted"),
    [
        ("clone", {"promotable": "true"}, 1),
        ("master", {}, 1),
        ("master", {"master_max": 2}, 2),
        ("clone", {"promotable": "true", "promoted_max": 9}, 3),
        ("clone", {"promotable": "true", "target_role": "Slave"}, 0),
        ("clone", {"promotable": "true", "target_role": "Started"}, 1),
    ],
)
def test_promotable_clones(tag, meta, promoted):
    found = of(clone(dummy("a"), tag, **meta))
    assert (found.promotable, found.promoted) == (True, promoted)


def test_clones_of_groups_say_so_on_the_group():
    group = f'<group id="g">{dummy("a")}{dummy("b")}</group>'
    data = cib(clone(group, clone_max=2, interleave="true", ordered="false"))
    found = intent(data)
    assert [(each.replicas, each.interleave) for each in services(found)] == [(2, True)] * 2
    assert not found.groups[0].ordered  # a clone's `ordered` is inherited by its group


def test_what_is_common_is_written_once():
    sticky = "".join(dummy(name, resource_stickiness=9) for name in "abc")
    written = text(cib(sticky + dummy("d"), device="", stonith_enabled="false"))
    assert written.count("stickiness:") == 2
    assert "  stickiness: 9\n" in written
    assert '  d: {ocf: "pacemaker:Dummy", rank: 3, stickiness: 0}\n' in written


def test_secrets_become_references():
    data = cib(dummy("a", pairs("instance_attributes", replication_passwd="hunter2", user="x")))
    assert "hunter2" not in text(data)
    found = service(data, "a")
    assert found.secrets == (("replication_passwd", "a-replication_passwd"),)
    assert found.parameters == (("user", "x"),)
    assert [code for code, _, _ in said(data)] == ["R073"]


def test_hostile_text_stays_text():
    nasty = "a: b}, [x] # y\n*z &amp; &#8232; 'q' &quot;r&quot; yes"
    found = of(
        dummy("a", pairs("instance_attributes", one=nasty, two="no", three="1e3", four="0x10"))
    )
    assert dict(found.parameters)["two"] == "no"
    assert dict(found.parameters)["three"] == "1e3"
    assert "\u2028 'q' \"r\" yes" in dict(found.parameters)["one"]
