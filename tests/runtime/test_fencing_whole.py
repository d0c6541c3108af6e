"""Fencing in whole clusters of real processes: a device that kills a node's processes, fails, or lies."""

import json
import os
import signal
from pathlib import Path

import pytest

from reconciler.model.errors import ReconcilerError
from tests.fencing.devices import install
from tests.runtime.test_bad_days import home_of, starts
from tests.runtime.test_controller_whole import all_run
from tests.runtime.whole import whole

pytestmark = pytest.mark.e2e

FENCING = """fencing:
  action: off
  devices:
    toy: {agent: fence_toy, nodes: [a, b, c], parameters: {time-limit: 5s, attempts: 1,
      password: {secret: toy}}}
"""
QUICK = "monitor: {every: 500ms, timeout: 5s}, safety: exclusive"


class Bench:
    """A cluster with an exclusive service, and its device."""

    def __init__(self, cluster):
        self.cluster = cluster
        (cluster.root / "agents").mkdir()
        self.state = install(cluster.root / "agents")
        secrets = cluster.root / "secrets"
        secrets.mkdir(mode=0o700)
        (secrets / "toy").touch(mode=0o600)
        (secrets / "toy").write_text("correct horse")
        cluster.write(f"db {QUICK}", fencing=FENCING)

    def begin(self):
        cluster = self.cluster
        cluster.start()
        cluster.until_status(all_run, "everything runs")
        self.home = home_of(cluster, "db")
        self.pid = cluster.pid_of("db", self.home)
        for node in cluster.nodes:
            words = f"{cluster.processes[node].pid} {cluster.run(node)}"
            (self.state / f"{node}.pids").write_text(words)
        return self

    def mood(self, word):
        (self.state / "mood").write_text(word)

    def lose(self):
        """Kill the agent and its heartbeats; what runs on the node runs on, as it might."""
        os.killpg(self.cluster.processes[self.home].pid, signal.SIGKILL)

    def asked(self):
        log = self.state / "log"
        return (
            [json.loads(line)[:2] for line in log.read_text().splitlines()] if log.exists() else []
        )

    def blocked(self, words):
        def holds(status):
            service = next(s for s in status["services"] if s["name"] == "db")
            return service["state"] == "blocked" and words in " ".join(service["reasons"])

        self.cluster.until_status(holds, f"blocked because {words}")
        assert self.cluster.pid_of("db", self.home) == self.pid, "it still runs there"
        assert starts(self.cluster, "db") == 1, "and nowhere else"

    def moved(self):
        others = [node for node in self.cluster.nodes if node != self.home]
        self.cluster.until(
            lambda: any(self.cluster.pid_of("db", node) for node in others), "it runs elsewhere"
        )
        stat = Path(f"/proc/{self.pid}/stat")
        assert not stat.exists() or ") Z " in stat.read_text(), "and no more where it ran"


@pytest.fixture
def bench(tmp_path):
    with whole(tmp_path, "a b c", accept="auto") as cluster:
        yield Bench(cluster)


@pytest.mark.parametrize(
    ("mood", "words"), [("fail", "the device is not reachable"), ("lie", "still on")]
)
def test_a_service_moves_once_its_node_is_fenced_and_never_before(bench, mood, words):
    bench.begin()
    bench.mood(mood)
    bench.lose()
    bench.blocked(words)
    node = next(n for n in bench.cluster.status()["nodes"] if n["name"] == bench.home)
    assert words in node["fence_trouble"]
    bench.mood("")
    bench.moved()
    assert bench.asked()[-2:] == [["off", bench.home], ["status", bench.home]]
    assert {plug for _, plug in bench.asked()} == {bench.home}
    node = next(n for n in bench.cluster.status()["nodes"] if n["name"] == bench.home)
    assert (node["fenced"], node["fence_trouble"]) == (True, None)
    assert "correct horse" not in bench.cluster.logs()


def test_an_operator_fences_by_hand_and_confirms_what_no_device_can(bench):
    bench.begin()
    with pytest.raises(ReconcilerError, match="heard"):
        bench.cluster.ask("fence", node=bench.home, confirm=True)
    bench.mood("fail")
    bench.lose()
    bench.blocked("not reachable")
    with pytest.raises(ReconcilerError, match="not reachable"):
        bench.cluster.ask("fence", node=bench.home)
    bench.cluster.power_off(bench.home)
    bench.cluster.ask("fence", node=bench.home, confirm=True)
    bench.moved()
    kinds = [record["kind"] for record in bench.cluster.ask("history", last=200)["records"]]
    assert "fence-confirmed" in kinds
    assert "fence-failed" in kinds


def test_a_node_watches_a_fence_device(bench):
    file = bench.cluster.files / "cluster.yaml"
    watch = "services:\n  watch: {fence-device: toy, monitor: {every: 500ms, timeout: 5s}}\n"
    file.write_text(file.read_text().replace("services:\n", watch))
    bench.begin()

    def asked(times):
        return bench.asked().count(["monitor", ""]) >= times

    bench.cluster.until(lambda: asked(3), "it is asked again and again")
    bench.mood("fail")
    bench.cluster.until_status(
        lambda s: any(
            service["name"] == "watch" and service["state"] != "running"
            for service in s["services"]
        ),
        "its failure shows",
    )
    assert {action for action, _ in bench.asked()} == {"monitor"}
