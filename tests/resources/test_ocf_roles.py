"""OCF agents with roles: the distribution's Stateful, unchanged, and our puppet for everything else.

What agents say of their node goes through Pacemaker's own programs, of which ours stand in.
"""

import asyncio
import dataclasses
import os
import subprocess
from pathlib import Path

import pytest

from reconciler.model.ids import Millis, NodeName
from reconciler.model.intent import Operation
from reconciler.model.operation import Outcome, Verdict
from reconciler.ports import RoleAgent
from reconciler.resources import attributes, lookup
from reconciler.resources.ocf import OcfHand
from tests.resources import scripts
from tests.resources.test_ocf import Puppet, ocf

DESCRIBES = '<resource-agent name="puppet"><actions><action name="{}"/></actions></resource-agent>'


@pytest.fixture
def puppet(tmp_path) -> Puppet:
    if os.geteuid() != 0:
        pytest.skip("agents belong to root")
    made = Puppet(tmp_path)
    made.service = dataclasses.replace(made.service, promotable=True, promoted=1, replicas=2)
    return made


def test_the_hand_knows_roles():
    assert isinstance(OcfHand(), RoleAgent)


@pytest.mark.parametrize(
    ("operation", "monitor", "verdict"),
    [
        ("promote", 8, Verdict.PROMOTED),
        ("promote", 191, Verdict.PROMOTED),
        ("promote", 0, Verdict.FAILED),
        ("promote", 9, Verdict.FAILED),
        ("promote", 77, Verdict.UNKNOWN),
        ("demote", 0, Verdict.RUNNING),
        ("demote", 8, Verdict.FAILED),
        ("demote", 7, Verdict.FAILED),
        ("migrate_from", 0, Verdict.RUNNING),
        ("migrate_from", 7, Verdict.FAILED),
    ],
)
def test_a_change_counts_only_if_a_monitor_agrees(puppet, operation, monitor, verdict):
    outcome = puppet.told(monitor=monitor).carry_out(operation)
    assert outcome.verdict is verdict
    assert outcome.promoted == (monitor == 9)
    assert outcome.degraded == (monitor == 191)


@pytest.mark.parametrize("operation", ["promote", "demote", "migrate_to", "migrate_from"])
@pytest.mark.parametrize("code", [1, 3, 6, 8])
def test_a_change_that_fails_is_a_failure_with_its_class(puppet, operation, code):
    outcome = puppet.told(**{operation: code}).carry_out(operation)
    assert (outcome.verdict, outcome.exit_code) == (Verdict.FAILED, code)
    assert (outcome.definite, outcome.fatal) == (code in (3, 6), code == 6)


def test_a_fatal_code_of_a_probe_is_told_as_such(puppet):
    assert puppet.told(monitor=6).carry_out("probe").fatal


@pytest.mark.parametrize("name", ["reload", "reload-agent"])
def test_a_reload_goes_by_the_name_that_the_agent_has_for_it(puppet, name):
    puppet.path.write_text(
        puppet.path.read_text().replace(
            "exit ", f"[ \"$1\" = meta-data ] && echo '{DESCRIBES.format(name)}'\nexit ", 1
        )
    )
    assert puppet.told(monitor=8).carry_out("reload").verdict is Verdict.PROMOTED
    assert name in (puppet.directory / "calls").read_text().split()


def test_both_ends_of_a_migration_are_named(puppet):
    puppet.context = dataclasses.replace(puppet.context, peer=NodeName("bravo"))
    here = puppet.context.node
    assert puppet.carry_out("migrate_to").verdict is Verdict.RUNNING
    puppet.carry_out("migrate_from")
    for action, source, target in (
        ("migrate_to", here, "bravo"),
        ("migrate_from", "bravo", here),
    ):
        seen = puppet.seen(action)
        assert seen["OCF_RESKEY_CRM_meta_migrate_source"] == source
        assert seen["OCF_RESKEY_CRM_meta_migrate_target"] == target


def test_a_monitor_knows_the_role_it_looks_for_and_its_interval(puppet):
    promoted = Operation(timeout_ms=Millis(1_000), every_ms=Millis(3_000))
    puppet.service = dataclasses.replace(
        puppet.service,
        monitor_promoted=promoted,
        notify=True,
        parameters=(*puppet.service.parameters, ("OCF_CHECK_LEVEL", "10")),
    )
    puppet.told(monitor=0).carry_out("start")
    puppet.context = dataclasses.replace(
        puppet.context, promoted=True, notify=(("active_uname", "alpha bravo"),)
    )
    puppet.told(monitor=8).carry_out("probe")
    seen = puppet.seen("monitor")
    meta = {n.removeprefix("OCF_RESKEY_CRM_meta_"): v for n, v in seen.items()}
    assert (meta["role"], meta["interval"], seen["OCF_CHECK_LEVEL"]) == ("Promoted", "3000", "10")
    assert (meta["notify"], meta["notify_active_uname"]) == ("true", "alpha bravo")
    assert (meta["promotable"], meta["master_max"], meta["clone_max"]) == ("true", "1", "2")


# What agents say -----------------------------------------------------------------------------------


def call(run: Path, *words: str, instance: str = "db:0") -> subprocess.CompletedProcess[str]:
    tools = attributes.tools(run)
    environment = {
        "PATH": f"{tools}:/usr/bin:/bin",
        "RECONCILE_RUN": str(run),
        "RECONCILE_NODE": "alpha",
        "OCF_RESOURCE_INSTANCE": instance,
    }
    words = (str(tools / words[0]), *words[1:])
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("words", "scores"),
    [
        (("crm_master", "-Q", "-l", "reboot", "-v", "100"), (("db", 100),)),
        (("crm_master", "-v", "INFINITY"), (("db", 1_000_000),)),
        (("crm_master", "-v", "-INFINITY"), (("db", -1_000_000),)),
        (("crm_attribute", "--promotion", "-v", "5"), (("db", 5),)),
        (("crm_attribute", "-p", "-v", "5"), (("db", 5),)),
        (("crm_attribute", "--promotion=db", "--update", "5"), (("db", 5),)),
        (
            ("crm_attribute", "-N", "alpha", "-n", "master-web", "-l", "reboot", "-v", "7"),
            (("web", 7),),
        ),
        (("crm_master", "-v", "many"), ()),
        (("crm_master", "-N", "bravo", "-v", "1"), ()),
        (("crm_master", "--nonsense"), ()),
    ],
)
def test_scores_are_said_in_every_way_that_agents_have(tmp_path, words, scores):
    done = call(tmp_path, *words)
    assert attributes.read(tmp_path).scores == scores
    assert (done.returncode == 0) == bool(scores), done.stderr


def test_attributes_are_said_asked_for_and_taken_back(tmp_path):
    assert call(tmp_path, "attrd_updater", "-n", "ping", "-v", "100", "-d", "5s").returncode == 0
    assert call(tmp_path, "attrd_updater", "-n", "ping", "-Q").stdout == (
        'name="ping" host="alpha" value="100"\n'
    )
    call(tmp_path, "crm_attribute", "-t", "nodes", "-n", "a/../site", "-v", "a b\nc")
    assert call(tmp_path, "crm_attribute", "-n", "a/../site", "-G", "-q").stdout == "a b\nc\n"
    call(tmp_path, "crm_attribute", "-l", "reboot", "-n", "count", "-v", "1")
    call(tmp_path, "crm_attribute", "-l", "reboot", "-n", "count", "-v", "count++")
    call(tmp_path, "attrd_updater", "-n", "count", "-v", "++")
    said = {a.name: a for a in attributes.read(tmp_path).attributes}
    assert (said["ping"].value, said["ping"].settle_ms, said["ping"].forever) == (
        "100",
        5_000,
        False,
    )
    assert said["a/../site"].forever
    assert not list(tmp_path.glob("*site*"))
    call(tmp_path, "attrd_updater", "-n", "ping", "-D")
    asked = call(tmp_path, "attrd_updater", "-n", "ping", "-Q")
    assert (asked.returncode, asked.stdout) == (105, "")
    assert call(tmp_path, "crm_node", "-n").stdout == "alpha\n"


def test_what_no_tool_wrote_says_nothing(tmp_path):
    folder = tmp_path / "attributes" / "scores"
    folder.mkdir(parents=True)
    for number, text in enumerate(("", "[]", '{"name": 1}', "\xff", '{"value": "x"}')):
        (folder / str(number)).write_bytes(text.encode("latin-1"))
    (folder / "folder").mkdir()
    assert attributes.read(tmp_path) == attributes.Everything()


def test_what_lasts_is_put_back_after_a_boot(tmp_path):
    attributes.restore(tmp_path, {"site": "here"})
    assert call(tmp_path, "crm_attribute", "-n", "site", "-G", "-q").stdout == "here\n"


# The distribution's own agent ------------------------------------------------------------------------


@pytest.mark.real
def test_stateful_is_promoted_and_demoted_and_says_how_fit_it_is(tmp_path):
    if os.geteuid() != 0 or not (lookup.ROOT / "pacemaker" / "Stateful").exists():
        pytest.skip("needs root and pacemaker-resource-agents (scripts/packages)")
    service = dataclasses.replace(
        ocf("Stateful", provider="pacemaker", state=str(tmp_path / "state")),
        promotable=True,
        promoted=1,
        replicas=2,
    )
    context = scripts.context(tmp_path, timeout_ms=10_000)

    def fit() -> tuple:
        return attributes.read(context.run_directory).scores

    async def story() -> list[Outcome]:
        hand, outcomes = OcfHand(), []
        for operation, score in (
            (hand.probe, None),
            (hand.start, 5),
            (hand.promote, 10),
            (hand.probe, 10),
            (hand.reload, 10),
            (hand.demote, 5),
            (hand.stop, None),
        ):
            outcomes.append(await operation(service, context))
            assert fit() == (((service.name, score),) if score else ()), operation.__name__
        return outcomes

    verdicts = [outcome.verdict.value for outcome in asyncio.run(story())]
    promoted = ["promoted"] * 3
    assert verdicts == ["stopped", "running", *promoted, "running", "stopped"]
