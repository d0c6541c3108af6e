"""A cluster of real processes heals itself: services, nodes and agents die, and come back.

All of these share one cluster and leave it converged.
"""

import json
import os
import signal
import subprocess
import time

import pytest
from driver import NODES, Dev, until, visit, write

pytestmark = [pytest.mark.e2e, pytest.mark.real, pytest.mark.xdist_group("shared-cluster")]


@pytest.fixture(autouse=True)
def converged(shared: Dev):
    """Every test begins and ends with everything running and nothing left to do."""
    yield
    for name, machine in shared.describe()["machines"].items():
        if not machine["on"]:
            shared.experiment("boot", name)
    until("all nodes are ready", lambda: all(shared.ready(node) for node in NODES))
    until("nothing is left to do", lambda: shared.run("plan").returncode == 0)


def test_what_was_applied_runs_and_there_is_nothing_left_to_do(shared: Dev) -> None:
    site = shared.where("site")
    assert shared.where("site-ip") == site
    assert until("the website answers", shared.site) == site
    ledger = shared.where("ledger")
    assert ledger not in {None, site}, "the score of -50 keeps them apart"
    assert write(shared.facts["addresses"][ledger], "a line")
    assert shared.reconcile("plan", expect=0)


def test_a_killed_service_is_started_again_at_once(shared: Dev) -> None:
    node = shared.where("site")
    process = shared.service_pid(node, "site")
    file = shared.run_directory(node) / "site.pid"
    before = file.read_text()
    began_s = time.monotonic()
    os.kill(process, signal.SIGKILL)
    until("it runs again", lambda: file.exists() and file.read_text() not in {"", before})
    print(f"restarted after {(time.monotonic() - began_s) * 1000:.0f} ms")
    assert until("the website answers", shared.site) == node, "restarted in place, not moved"


def test_a_lost_node_loses_what_may_move_and_keeps_what_may_not(shared: Dev) -> None:
    """Best-effort services move; the exclusive one is blocked until its node is back."""
    site, ledger = shared.where("site"), shared.where("ledger")
    began_s = time.monotonic()
    shared.experiment("kill", site)
    assert shared.site() is None, "a VIP must not outlive its node"
    other = until("the website answers elsewhere", shared.site, 15)
    print(f"failed over in {time.monotonic() - began_s:.2f} s")
    assert other != site
    assert shared.where("ledger") == ledger, "what ran well was left alone"
    shared.experiment("boot", site)
    until("it is back", lambda: shared.ready(site))
    assert shared.where("site") == other, "nothing moves back by itself"

    until("converged", lambda: shared.run("plan").returncode == 0)
    shared.experiment("kill", ledger)
    until("blocked", lambda: shared.service("ledger")["state"] == "blocked", 15)
    reasons = str(shared.service("ledger")["reasons"])
    assert "proof" in reasons, reasons
    assert shared.run("status").returncode == 4
    addresses = shared.facts["addresses"].values()
    assert not any(write(address, "a second writer") for address in addresses)
    shared.experiment("boot", ledger)
    until("it runs again", lambda: shared.where("ledger"))
    address = shared.facts["addresses"][shared.where("ledger")]
    until("it takes a line", lambda: write(address, "another line"))


def test_a_killed_agent_leaves_its_services_alone(shared: Dev) -> None:
    """Invariant B23: process ids stay the same, and the next agent adopts them."""
    before = {
        (node, service): shared.service_pid(node, service)
        for service in ("site", "ledger")
        for node in NODES
    }
    assert sum(pid is not None for pid in before.values()) == 2
    for node in NODES:
        shared.experiment("kill-agent", node)
    until("the agents are back", lambda: all(shared.ready(node) for node in NODES))
    until("nothing is to be done", lambda: shared.run("plan").returncode == 0)
    assert before == {key: shared.service_pid(*key) for key in before}


def test_a_controller_that_is_down_stops_nothing(shared: Dev) -> None:
    """Invariant B24; what dies meanwhile is restarted where it was."""
    node = shared.where("site")
    ledger = shared.service_pid(shared.where("ledger"), "ledger")
    ledger_node = shared.where("ledger")
    shared.experiment("kill", "controller")
    assert shared.run("status").returncode == 1
    before = shared.service_pid(node, "site")
    os.kill(before, signal.SIGKILL)
    until(
        "its node restarts it alone",
        lambda: shared.service_pid(node, "site") not in {None, before},
        20,
    )
    assert until("the website answers", shared.site) == node
    assert shared.service_pid(ledger_node, "ledger") == ledger
    shared.experiment("boot", "controller")
    until("the controller is back", lambda: shared.run("status").returncode == 0)
    assert shared.where("site") == node
    assert shared.service_pid(ledger_node, "ledger") == ledger


def test_a_bad_commit_changes_nothing_and_is_reported(shared: Dev) -> None:
    file = shared.place / "cluster.yaml"
    good = file.read_text()
    pids = {name: shared.service_pid(shared.where(name), name) for name in ("site", "ledger")}
    file.write_text(good.replace("colocation: [ledger, web]", "colocation: [ledgre, web]"))
    shared.git("commit", "--quiet", "--all", "--message", "A typing error")
    try:
        done = shared.run("plan")
        assert done.returncode == 1
        assert "ledgre" in done.stdout + done.stderr
        assert shared.run("apply", "--yes").returncode == 1
        until(
            "the controller reports it",
            lambda: "ledgre" in str(shared.status()["intent"]),
        )
        now = {name: shared.service_pid(shared.where(name), name) for name in pids}
        assert now == pids
    finally:
        file.write_text(good)
        shared.git("commit", "--quiet", "--all", "--message", "Mend it")


def test_a_commit_is_planned_then_applied_then_taken_back(shared: Dev) -> None:
    file = shared.place / "cluster.yaml"
    before = file.read_text()
    pids = {name: shared.service_pid(shared.where(name), name) for name in ("site", "ledger")}
    shared.edit(
        "\ngroups:",
        "\n  mirror:\n"
        "    script: {start: ./bin/site start 8090, stop: ./bin/site stop 8090,"
        " status: ./bin/site status 8090}\n"
        "    safety: best-effort\n"
        "    replicas: 2\n"
        "\ngroups:",
    )
    shared.git("commit", "--quiet", "--all", "--message", "Add a mirror")
    plan = json.loads(shared.reconcile("plan", "--format", "json", expect=3))
    assert {action["service"] for action in plan["actions"]} == {"mirror"}
    assert shared.running("site")
    assert "mirror" not in str(shared.status()["services"])
    shared.apply()
    nodes = until("both run", lambda: len(found := shared.running("mirror")) == 2 and found)
    for node in nodes:
        address = shared.facts["addresses"][node]
        assert until("it answers", lambda at=address: visit(at, 8090)) == node

    file.write_text(before)
    shared.git("commit", "--quiet", "--all", "--message", "Remove it")
    shared.reconcile("plan", expect=3)
    shared.apply()
    for node in nodes:
        assert visit(shared.facts["addresses"][node], 8090) is None
    now = {name: shared.service_pid(shared.where(name), name) for name in pids}
    assert now == pids, "nothing else was touched"


def test_a_saved_plan_is_applied_once_and_refused_when_the_facts_have_moved(shared: Dev) -> None:
    file = shared.place / "cluster.yaml"
    before = file.read_text()
    shared.edit("\ngroups:", "\n    priority: 7\n\ngroups:")
    away = next(
        node for node in NODES if node not in {shared.where("ledger"), shared.where("site")}
    )
    shared.edit("\nfencing:", f"\n  - {{location: ledger, nodes: [{away}]}}\n\nfencing:")
    shared.git("commit", "--quiet", "--all", "--message", f"Move the ledger to {away}")
    try:
        shared.reconcile("plan", "--out", "saved.plan", expect=3)
        shared.reconcile("apply", "saved.plan", "--yes")
        assert shared.where("ledger") == away
        again = shared.run("apply", "saved.plan", "--yes")
        assert again.returncode == 5, again.stdout + again.stderr
        assert "ledger" in again.stdout + again.stderr, "it says what changed"
    finally:
        file.write_text(before)
        shared.git("commit", "--quiet", "--all", "--message", "As before")
        shared.apply()


def test_two_applies_at_once_both_end_and_the_cluster_is_as_wanted(shared: Dev) -> None:
    both = [shared.spawn("apply", "--yes") for _ in range(2)]
    said = [process.communicate(timeout=60)[0] for process in both]
    assert all(process.returncode in {0, 5} for process in both), said
    until("converged", lambda: shared.run("plan").returncode == 0)


def test_an_apply_whose_command_line_is_killed_is_carried_out_all_the_same(shared: Dev) -> None:
    node = shared.where("site")
    other = next(name for name in NODES if name not in {node, shared.where("ledger")})
    file = shared.place / "cluster.yaml"
    before = file.read_text()
    shared.edit("\nfencing:", f"\n  - {{location: web, nodes: [{other}]}}\n\nfencing:")
    shared.git("commit", "--quiet", "--all", "--message", f"Move the website to {other}")
    try:
        process = shared.spawn("apply", "--yes")
        revision = shared.git("rev-parse", "HEAD").strip()
        until(
            "the controller has accepted it",
            lambda: revision in str(shared.status()["intent"]) or process.poll() is not None,
        )
        process.kill()
        process.communicate(timeout=10)
        until("the website has moved", lambda: shared.site() == other)
        until("converged", lambda: shared.run("plan").returncode == 0)
    finally:
        file.write_text(before)
        shared.git("commit", "--quiet", "--all", "--message", "As before")
        shared.apply()


@pytest.mark.parametrize(("away", "back"), [("freeze", "thaw"), ("cut", "heal")])
def test_a_silent_node_is_taken_over_and_one_answerer_is_left_when_it_is_heard_again(
    shared: Dev, away, back
) -> None:
    """Meanwhile it still runs its copy, which nobody can tell; afterwards either copy may stay."""
    node = shared.where("site")
    shared.experiment(away, node)
    other = until("it is taken over", lambda: other_than(node, shared.site()), 20)
    assert shared.service_pid(node, "site") is not None
    shared.experiment(back, node)
    until("all nodes are ready", lambda: all(shared.ready(name) for name in NODES))
    left = until("one copy, one process, one address are left", lambda: sole_holder(shared), 20)
    assert left in {node, other}
    until("the one that is left answers", lambda: shared.site() == left)


def sole_holder(dev: Dev) -> str | None:
    """The node that has the website to itself, by every witness."""
    witnesses = (
        dev.running("site"),
        dev.running("site-ip"),
        holders(dev, "site"),
        holding_address(dev),
    )
    left = witnesses[0]
    return left[0] if len(left) == 1 and all(nodes == left for nodes in witnesses) else None


def other_than(node: str, answer: str | None) -> str | None:
    return answer if answer != node else None


def holders(dev: Dev, service: str) -> list[str]:
    """The nodes on which a process of the service lives."""
    return [node for node in NODES if dev.service_pid(node, service) is not None]


def holding_address(dev: Dev) -> list[str]:
    """The nodes whose kernel has the website's address."""
    held = []
    for node in NODES:
        table = subprocess.run(
            ["nsenter", "--target", str(dev.pid(node)), "--net", "cat", "/proc/net/fib_trie"],
            text=True,
            capture_output=True,
            check=True,
        ).stdout
        held += [node] if f"{dev.vip}\n" in table else []
    return held


def test_one_node_has_the_address(shared: Dev) -> None:
    assert holding_address(shared) == [shared.where("site-ip")]
