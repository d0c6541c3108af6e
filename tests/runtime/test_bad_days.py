"""Scripts that hang, lie and shout, in whole clusters of real processes: nothing else is disturbed."""

import pytest

from tests.runtime.test_controller_whole import all_run
from tests.runtime.whole import whole

pytestmark = pytest.mark.e2e

QUICK = "monitor: {every: 500ms, timeout: 1s}"


def quiet_cluster(cluster, *services):
    cluster.write(*services)
    cluster.start()
    cluster.until_status(all_run, "everything runs")


def starts(cluster, service):
    return sum(line == f"start {service}" for n in cluster.nodes for line in cluster.log_of(n))


def home_of(cluster, service):
    return next(w for w in cluster.running() if w.startswith(f"{service}@")).split("@")[1]


def test_a_status_that_hangs_is_a_failure_and_the_service_restarts_in_place(tmp_path):
    with whole(tmp_path, "a b", accept="auto") as cluster:
        quiet_cluster(cluster, f"web {QUICK}", "other")
        home, other = home_of(cluster, "web"), cluster.pid_of("other", home_of(cluster, "other"))
        before = cluster.pid_of("web", home)
        hang = next(cluster.run(home).rglob("web.pid")).with_suffix(".hang")
        hang.touch()
        cluster.until(lambda: "stop web" in cluster.log_of(home), "an orderly stop")
        hang.unlink()
        cluster.until(lambda: cluster.pid_of("web", home) not in {None, before}, "a restart here")
        cluster.until_status(all_run, "quiet again")
        assert cluster.pid_of("other", home_of(cluster, "other")) == other
        assert starts(cluster, "other") == 1


def test_a_stop_that_lies_is_no_proof_and_blocks(tmp_path):
    with whole(tmp_path, "a b", accept="auto") as cluster:
        quiet_cluster(cluster, f"db {QUICK}, stop: {{timeout: 2s}}", "other")
        home = home_of(cluster, "db")
        before = cluster.pid_of("db", home)
        next(cluster.run(home).rglob("db.pid")).with_suffix(".lie").touch()
        text = (cluster.files / "cluster.yaml").read_text()
        node = f"  {home}: {{address"
        text = text.replace(node, f"  {home}: {{standby: true, address")
        (cluster.files / "cluster.yaml").write_text(text)
        status = cluster.until_status(lambda s: "db" in s["blocked"], "db is blocked")
        assert cluster.pid_of("db", home) == before, "it runs on where it is"
        assert starts(cluster, "db") == 1, "and nowhere else"
        assert "db" in {service["name"] for service in status["services"]}


def test_a_status_that_shouts_changes_nothing(tmp_path):
    with whole(tmp_path, "a", accept="auto") as cluster:
        quiet_cluster(cluster, f"web {QUICK}")
        before = cluster.pid_of("web", "a")
        noise = next(cluster.run("a").rglob("web.pid")).with_suffix(".noise")
        noise.touch()
        reports = (cluster.root / "a.log").stat().st_size
        status = cluster.until_status(all_run, "it runs")
        assert status["services"][0]["state"] == "running"
        cluster.until(lambda: cluster.pid_of("web", "a") == before, "the same process")
        assert starts(cluster, "web") == 1
        assert (cluster.root / "a.log").stat().st_size < reports + 100_000
