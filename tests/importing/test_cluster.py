"""What holds for the whole cluster: nodes, options, fencing."""

import pytest

from reconciler.model.intent import (
    HealthStrategy,
    Kind,
    NegativeScores,
    OnLoss,
    Orphans,
    Packing,
    Requires,
    Safety,
    WhenEqual,
)
from tests.importing.cibs import cib, dummy, imported, intent, pairs, said, service


def test_pacemakers_ways_of_choosing_are_written_out():
    found = intent(cib())
    assert (found.when_equal, found.negative_scores) == (WhenEqual.SPREAD, NegativeScores.FORBID)
    assert (found.packing, found.orphans) == (Packing.COUNT, Orphans.STOP)
    assert found.on_quorum_loss is OnLoss.STOP


@pytest.mark.parametrize(
    ("policy", "fencing", "on_loss"),
    [
        ("ignore", "true", OnLoss.IGNORE),
        ("freeze", "true", OnLoss.FREEZE),
        ("demote", "true", OnLoss.DEMOTE),
        ("suicide", "true", OnLoss.FENCE),
        ("fence", "true", OnLoss.FENCE),
        ("fence", "false", OnLoss.STOP),
        ("nonsense", "true", OnLoss.STOP),
    ],
)
def test_quorum(policy, fencing, on_loss):
    data = cib(no_quorum_policy=policy, fencing_enabled=fencing)
    assert intent(data).on_quorum_loss is on_loss


def test_nodes_keep_attributes_and_modes():
    attributes = pairs("instance_attributes", rack="a", standby="on", maintenance="true")
    node = f'<node id="1" uname="n1">{attributes}</node><node id="2" uname="n2"/>'
    one, other = intent(cib(nodes=node)).nodes
    assert (one.labels, one.standby, one.maintenance) == ((("rack", "a"),), True, True)
    assert (other.labels, other.standby, other.maintenance) == ((), False, False)


@pytest.mark.parametrize(
    ("strategy", "packing"),
    [
        ("utilization", Packing.COUNT),
        ("balanced", Packing.ROOM),
        ("minimal", Packing.FEWEST_NODES),
    ],
)
def test_utilization_counts_where_the_strategy_says_so(strategy, packing):
    node = f'<node id="1" uname="n1">{pairs("utilization", cpu=4)}</node><node id="2" uname="n2"/>'
    resources = dummy("a", pairs("utilization", cpu=2))
    found = intent(cib(resources, nodes=node, placement_strategy=strategy))
    assert found.packing is packing
    assert found.services[0].demand == (("cpu", 2),)
    assert [each.capacity for each in found.nodes] == [(("cpu", 4),), (("cpu", 0),)]
    ignored = intent(cib(resources, nodes=node))
    assert not ignored.services[0].demand
    assert not ignored.nodes[0].capacity


def test_without_fencing_everything_is_taken_over_on_suspicion():
    for name in ("stonith_enabled", "fencing_enabled"):
        found = intent(cib(dummy("a"), **{name: "false"}))
        assert found.fencing.accept_split_brain
        assert found.services[0].safety is Safety.BEST_EFFORT
        assert found.services[0].requires is Requires.QUORUM


def test_fencing_without_a_device_touches_nothing():
    data = cib(dummy("a"), device="")
    assert not service(data, "a").managed
    assert [code for code, _, _ in said(data)] == ["R073"]


def device(name: str, **parameters: object) -> str:
    """A fence device."""
    return (
        f'<primitive id="{name}" class="stonith" type="fence_x">'
        f"{pairs('instance_attributes', **parameters)}</primitive>"
    )


def test_a_device_is_watched_by_a_service_of_its_name():
    tied = '<rsc_colocation id="c" rsc="tied" with-rsc="a" score="INFINITY"/>'
    found = {
        each.name: each
        for each in intent(cib(dummy("a"), tied, device=device("free") + device("tied"))).services
    }
    assert (found["free"].kind, found["free"].agent) == (Kind.FENCE_DEVICE, "free")
    assert (found["free"].safety, found["free"].requires) == (Safety.BEST_EFFORT, Requires.QUORUM)
    assert found["tied"].safety is Safety.EXCLUSIVE  # what it must run with never runs twice
    assert [found[name].rank for name in ("free", "tied", "a")] == [0, 1, 2]


def test_a_device_in_a_cluster_that_never_fences_is_a_script_that_looks():
    data = cib(device=device("idle"), stonith_enabled="false")
    (found,) = intent(data).services
    assert (found.kind, dict(found.parameters)["status"]) == (
        Kind.SCRIPT,
        '["/usr/sbin/fence_x","--action=monitor"]',
    )
    assert [code for code, _, _ in said(data)] == ["R073"]


def test_a_master_of_something_that_knows_no_roles_has_copies_without():
    data = cib('<master id="m"><primitive id="a" class="lsb" type="a"/></master>')
    found = service(data, "a")
    assert (found.promotable, found.replicas) == (False, None)
    assert [code for code, _, _ in said(data)] == ["R073"]


def test_devices_and_levels():
    devices = (
        f"{device('one', pcmk_host_list='n1,n3 ghost', password='secret')}{device('two')}"
        '<primitive id="three" class="stonith" type="fence_x"><instance_attributes id="i">'
        '<nvpair id="m" name="pcmk_host_map" value="n2:5;n3:6"/></instance_attributes></primitive>'
    )
    levels = (
        '<fencing-topology><fencing-level id="l" target="n1" index="1" devices="one,two"/>'
        '<fencing-level id="m" target-pattern="n[23]" index="2" devices="two"/>'
        '<fencing-level id="o" target="ghost" index="1" devices="two"/></fencing-topology>'
    )
    options = {"fencing_action": "off", "startup_fencing": "false", "priority_fencing_delay": "5s"}
    data = cib(device=devices, more=levels, **options)
    fencing = intent(data).fencing
    assert {each.name: each.nodes for each in fencing.devices} == {
        "one": ("n1", "n3"),
        "two": ("n1", "n2", "n3"),
        "three": ("n2", "n3"),
    }
    assert fencing.devices[0].secrets == (("password", "one-password"),)
    assert [(each.nodes, each.level, each.devices) for each in fencing.levels] == [
        (("n1",), 1, ("one", "two")),
        (("n2", "n3"), 2, ("two",)),
    ]
    assert (fencing.action, fencing.unseen, fencing.priority_delay_ms) == ("off", False, 5_000)
    assert {code for code, _, _ in said(data)} == {"R073", "R074"}


def test_modes_of_the_whole_cluster():
    assert service(cib(dummy("a"), maintenance_mode="true"), "a").maintenance
    assert not service(cib(dummy("a"), stop_all_resources="true"), "a").enabled
    assert not service(cib(dummy("a"), is_managed_default="false"), "a").managed
    assert intent(cib(stop_orphan_resources="false")).orphans is Orphans.KEEP


def test_health():
    found = intent(
        cib(
            node_health_strategy="progressive",
            node_health_yellow="-10",
            node_health_red="-INFINITY",
        )
    ).health
    assert (found.strategy, found.yellow, found.red) == (
        HealthStrategy.PROGRESSIVE,
        -10,
        -1_000_000,
    )


def test_what_has_no_counterpart_is_named_with_its_line():
    more = '<acls><acl_role id="r"/></acls>\n<alerts>\n<alert id="mail" path="/x"/></alerts>\n'
    data = cib(more=more, batch_limit="5", dc_version="2.1.5")
    assert [(code, line) for code, line, _ in said(data)] == [
        ("R072", 3),
        ("R072", 12),
        ("R072", 14),
    ]


REMOTE = '<primitive id="far" class="ocf" provider="pacemaker" type="remote"/>'
GUEST = dummy("vm", remote_node="guest")
BUNDLE = '<bundle id="b"><podman image="x"/><primitive id="in" class="ocf" type="x"/></bundle>'


@pytest.mark.parametrize("resource", [REMOTE, GUEST, BUNDLE])
def test_what_is_unsupported_stops_the_import_unless_it_is_partial(resource):
    data = cib(dummy("a") + "\n" + resource)
    assert imported(data).files == ()
    found = [(line, detail) for code, line, detail in said(data) if code == "R071"]
    assert found[0][0] == 8
    assert "unsupported" in found[0][1]
    names = [each.name for each in intent(data, partial=True).services]
    assert "a" in names
    assert "in" not in names
    assert "far" not in names
