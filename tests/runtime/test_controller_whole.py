"""Real processes on loopback: a controller, agents, services that are processes, operators, git."""

import asyncio
import os
import signal
import subprocess
import time
from collections import Counter

import msgspec
import pytest

from reconciler.config.load import load_path
from reconciler.model.errors import Refused, Stale
from tests.contracts.test_intent_sources import git
from tests.runtime.whole import whole

pytestmark = pytest.mark.e2e

WEB, DB, API = "web safety: best-effort", "db", "api replicas: 2, safety: best-effort"


def all_run(status):
    services = status["services"]
    quiet = status["transition"] is None and status["intent"]["accepted"]
    return bool(services) and quiet and all(s["state"] == "running" for s in services)


def both_alive(status):
    """Two nodes have reported and are heard: an apply before that is answered "blocked", rightly."""
    nodes = status["nodes"]
    return len(nodes) == 2 and all(n["ready"] and n["liveness"] == "alive" for n in nodes)


def node_of(cluster, service):
    return next(word for word in cluster.running() if word.startswith(service)).split("@")[1]


def intent_of(cluster):
    loaded = load_path(cluster.files)
    assert loaded.intent is not None, loaded.diagnostics
    return msgspec.to_builtins(loaded.intent)


def test_a_cluster_starts_heals_and_outlives_its_controller(tmp_path):
    with whole(tmp_path, "a b c", accept="auto") as cluster:
        cluster.write(WEB, DB, API)
        cluster.start()
        cluster.until_status(all_run, "everything runs")
        assert Counter(w.split("@")[0] for w in cluster.running()) == {"web": 1, "db": 1, "api": 2}

        home, delays = node_of(cluster, "web"), []
        for _ in range(2):
            pid = cluster.pid_of("web", home)
            began = time.monotonic()
            os.kill(pid, signal.SIGKILL)
            cluster.until(
                lambda old=pid: cluster.pid_of("web", home) not in {None, old}, "a restart"
            )
            delays.append(time.monotonic() - began)
            cluster.until_status(all_run, "quiet again")
        assert min(delays) < 1, delays

        before = {word: cluster.pid_of(*word.split("@")) for word in cluster.running()}
        cluster.kill("controller")
        cluster.start_controller()
        status = cluster.until_status(lambda s: s["controller"]["settled"] and all_run(s), "again")
        assert status["controller"]["term"]["epoch"] == 2
        assert {word: cluster.pid_of(*word.split("@")) for word in cluster.running()} == before

        cluster.power_off(home)
        cluster.until(
            lambda: any(w.startswith("web@") for w in cluster.running()), "taken over elsewhere"
        )
        assert node_of(cluster, "web") != home


def test_a_controller_killed_at_random_moments_of_an_apply_repeats_nothing(tmp_path):
    services = [f"s{n} safety: best-effort" for n in range(12)]
    with whole(tmp_path, "a b", accept="auto") as cluster:
        cluster.write(*services)
        cluster.start()
        cluster.until(lambda: len(cluster.running()) >= 1, "it begins")
        for _ in range(3):
            cluster.kill("controller")
            cluster.start_controller()
            count = len(cluster.running())
            cluster.until(lambda n=count: len(cluster.running()) > n or n == 12, "it goes on")
        cluster.until_status(all_run, "all of it")
        assert len(cluster.running()) == 12
        starts = Counter(line for node in cluster.nodes for line in cluster.log_of(node))
        assert starts == Counter({f"start s{n}": 1 for n in range(12)})


def test_operators_apply_follow_and_are_refused(tmp_path):
    with whole(tmp_path, "a b") as cluster:
        cluster.write(WEB, DB)
        cluster.start()
        cluster.until_status(both_alive, "ready")
        waiting = cluster.until_status(lambda s: s["intent"]["candidate"], "a candidate")
        assert waiting["services"] == []
        assert cluster.running() == []

        events = cluster.order(intent=intent_of(cluster), revision="first")
        # A node may be late for a moment on a busy machine, and block what waits for it meanwhile.
        told = [event["event"] for event in events if event["event"] != "blocked"]
        assert told[:2] == ["accepted", "planned"]
        assert events[-1]["event"] == "converged"
        assert len(cluster.running()) == 2
        seen = cluster.ask("observe")
        assert seen["accepted"]["revision"] == "first"
        assert len(seen["observed"]["copies"]) == 2

        with pytest.raises(Stale) as stale:
            cluster.order(intent=intent_of(cluster), revision="x", expect="0" * 64)
        assert stale.value.changes
        cluster.write("other")
        with pytest.raises(Refused, match="--confirm-shrink"):
            cluster.order(intent=intent_of(cluster), revision="second")
        assert len(cluster.running()) == 2
        for nonsense in ({}, {"intent": 7}, {"intent": intent_of(cluster) | {"cluster": "prod"}}):
            with pytest.raises(Refused):
                cluster.order(revision="y", **nonsense)
        for method, body in (
            ("drop", {}),
            ("clear", {"service": "../x"}),
            ("history", {"last": -1}),
        ):
            with pytest.raises(Refused):
                cluster.ask(method, **body)
        events = cluster.order(intent=intent_of(cluster), revision="third", confirm_shrink=True)
        assert events[-1]["event"] == "converged"
        assert [word.split("@")[0] for word in cluster.running()] == ["other"]
        kinds = [record["kind"] for record in cluster.ask("history", last=100)["records"]]
        assert kinds.count("accepted") == 2
        planned = [r for r in cluster.ask("history", last=100)["records"] if r["kind"] == "planned"]
        assert all(record["saved"]["decision"]["plan"]["actions"] for record in planned)


def test_an_operator_who_leaves_in_the_middle_leaves_the_apply_going_on(tmp_path):
    with whole(tmp_path, "a b") as cluster:
        cluster.write(*(f"s{n}" for n in range(6)))
        cluster.start()
        cluster.until_status(both_alive, "ready")

        async def leave():
            client = await cluster.client()
            async for event in client.follow(
                "apply", {"intent": intent_of(cluster), "revision": "r"}
            ):
                if event["event"] == "started":
                    client._stream.abort("gone")
                    return

        asyncio.run(leave())
        cluster.until_status(all_run, "it went on")
        assert len(cluster.running()) == 6


def test_bad_files_and_a_vanished_folder_change_nothing(tmp_path):
    with whole(tmp_path, "a", accept="auto") as cluster:
        cluster.write(WEB, DB)
        cluster.start()
        cluster.until_status(all_run, "everything runs")
        pids = {word: cluster.pid_of(*word.split("@")) for word in cluster.running()}
        file = cluster.files / "cluster.yaml"
        good = file.read_text()
        for bad in ("}{", good.replace("services:", "servces:"), "a: &a [*a, *a]", "\0", ""):
            file.write_text(bad)
            cluster.until_status(lambda s: s["intent"]["trouble"], "the trouble is told")
            file.write_text(good)
            cluster.until_status(lambda s: not s["intent"]["trouble"], "and is over")
        file.unlink()
        cluster.until_status(lambda s: s["intent"]["trouble"], "the trouble is told")
        assert {word: cluster.pid_of(*word.split("@")) for word in cluster.running()} == pids
        os.kill(pids["web@a"], signal.SIGKILL)
        cluster.until(
            lambda: cluster.pid_of("web", "a") not in {None, pids["web@a"]}, "it still heals"
        )


def test_git_is_followed_and_not_needed(tmp_path):
    origin, tree = tmp_path / "origin.git", tmp_path / "tree"
    git("init", "--quiet", "--bare", "--initial-branch=main", str(origin))
    git("init", "--quiet", "--initial-branch=main", str(tree))
    git("remote", "add", "origin", str(origin), cwd=tree)

    def push(cluster, *services):
        cluster.write(*services)
        (tree / "prod").mkdir(exist_ok=True)
        (tree / "prod" / "cluster.yaml").write_text((cluster.files / "cluster.yaml").read_text())
        git("add", "--all", cwd=tree)
        git("commit", "--quiet", "--message", "a change", cwd=tree)
        git("push", "--quiet", "origin", "main", cwd=tree)

    where = {"source": str(origin), "branch": "main", "path": "prod"}
    with whole(tmp_path, "a", accept="auto", **where) as cluster:
        push(cluster, WEB)
        cluster.start()
        cluster.until_status(all_run, "the first commit runs")
        push(cluster, WEB, DB)
        status = cluster.until_status(
            lambda s: all_run(s) and len(s["services"]) == 2, "the second"
        )
        tip = git("rev-parse", "HEAD", cwd=tree).strip()
        assert status["intent"]["accepted"]["revision"] == tip

        origin.rename(tmp_path / "gone")
        cluster.until_status(lambda s: s["intent"]["trouble"], "the trouble is told")
        cluster.kill("controller")
        cluster.start_controller()
        pid = cluster.pid_of("web", "a")
        os.kill(pid, signal.SIGKILL)
        cluster.until(lambda: cluster.pid_of("web", "a") not in {None, pid}, "it heals without git")
        status = cluster.until_status(all_run, "the last good intent is in force")
        assert status["intent"]["accepted"]["revision"] == tip


def test_a_second_controller_on_the_same_state_refuses(tmp_path):
    with whole(tmp_path, "a", accept="auto") as cluster:
        cluster.write(WEB)
        cluster.start()
        cluster.until_status(all_run, "it runs")
        first, port = cluster.processes["controller"], cluster.port
        cluster.port = port + 1 if port < 65_000 else port - 1
        cluster.start_controller()
        second = cluster.processes["controller"]
        cluster.processes["controller"], cluster.port = first, port
        assert second.wait(timeout=20) != 0
        assert "another controller uses this state" in (tmp_path / "controller.log").read_text()
        assert isinstance(first, subprocess.Popen)
        assert all_run(cluster.status())


def test_told_to_end_it_ends_and_services_run_on(tmp_path):
    with whole(tmp_path, "a", accept="auto") as cluster:
        cluster.write(WEB)
        cluster.start()
        cluster.until_status(all_run, "it runs")
        pid = cluster.pid_of("web", "a")
        assert cluster.kill("controller", signal.SIGTERM) == 0
        assert cluster.pid_of("web", "a") == pid
