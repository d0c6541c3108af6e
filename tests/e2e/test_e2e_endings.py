"""Days on which `dev`, the controller or a whole machine ends in the middle of something."""

import os
import signal
from pathlib import Path

import pytest
from driver import NODES, Dev, until

pytestmark = [pytest.mark.e2e]
real = pytest.mark.real


@real
@pytest.mark.xdist_group("fresh-clusters")
def test_a_controller_killed_in_the_middle_of_an_apply_resumes_and_repeats_nothing(
    fresh: Dev,
) -> None:
    """Each start is written down by the service itself: one line for each, ever."""
    count_starts(fresh)
    fresh.start()
    process = fresh.spawn("apply", "--yes")
    until("it has begun", lambda: started(fresh))
    os.kill(agent_of(fresh, "controller"), signal.SIGKILL)
    process.communicate(timeout=60)
    until("it is back", lambda: fresh.run("status").returncode in {0, 3, 4})
    until("all of it runs", lambda: fresh.run("plan").returncode == 0)
    assert sorted(started(fresh)) == ["ledger", "site"]
    assert fresh.end() == 0


@real
@pytest.mark.xdist_group("fresh-clusters")
def test_after_ctrl_c_nothing_is_left(fresh: Dev) -> None:
    fresh.start()
    fresh.apply()
    facts = fresh.describe()
    assert Path(f"/sys/class/net/{facts['uplink']}").exists()
    assert fresh.end() == 0
    assert_gone(fresh, facts)
    assert fresh.run("status").returncode == 1
    fresh.start()  # at once, on the same network
    assert fresh.end() == 0


@real
@pytest.mark.xdist_group("fresh-clusters")
def test_after_a_crash_of_dev_nothing_runs_and_the_next_one_starts_as_if_power_came_back(
    fresh: Dev,
) -> None:
    fresh.start()
    fresh.apply()
    facts = fresh.describe()
    fresh.crash()
    until("nothing runs", lambda: gone(facts))
    fresh.start()
    until("the accepted intent is in force again", fresh.site, 20)
    until("converged", lambda: fresh.run("plan").returncode == 0)
    assert fresh.end() == 0
    assert_gone(fresh, facts)


@real
@pytest.mark.xdist_group("fresh-clusters")
def test_a_second_dev_is_refused_in_the_same_place_and_on_the_same_network(
    fresh: Dev, tmp_path: Path
) -> None:
    fresh.start()
    same = fresh.run("dev", "cluster.yaml")
    assert same.returncode == 1
    assert "another `reconcile dev`" in same.stderr
    network = fresh.run("dev", "cluster.yaml", "--state", str(tmp_path / "other"))
    assert network.returncode == 1
    assert "already a network of this machine" in network.stderr
    assert all(fresh.ready(node) for node in NODES)


@pytest.mark.xdist_group("plain-cluster")
def test_plain_processes_heal_too(plain: Dev) -> None:
    """What needs no root: the same path with pretended addresses, and it says so."""
    plain.start()
    assert "pretended" in (plain.place / "dev.log").read_text()
    plain.reconcile("plan", expect=3)
    plain.apply()
    node = until("the website answers", plain.site)
    before = plain.service_pid(node, "site")
    os.kill(before, signal.SIGKILL)
    until("it is restarted", lambda: plain.service_pid(node, "site") not in {None, before})
    plain.experiment("kill", node)
    other = until("it fails over", lambda: (who := plain.site()) != node and who, 20)
    until("status agrees", lambda: plain.where("site") == other)
    plain.experiment("boot", node)
    until("it is back", lambda: plain.ready(node))
    facts = plain.describe()
    assert plain.end() == 0
    assert_gone(plain, facts)


def assert_gone(dev: Dev, facts) -> None:
    until("nothing runs", lambda: gone(facts), 5)
    assert not (dev.place / ".reconcile" / "context.json").exists()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            assert os.fsencode(dev.place) not in words, words


def gone(facts) -> bool:
    interface = facts["uplink"] and Path(f"/sys/class/net/{facts['uplink']}").exists()
    pids = [machine["pid"] for machine in facts["machines"].values() if machine["pid"]]
    return not interface and not any(Path(f"/proc/{pid}").exists() for pid in pids)


def agent_of(dev: Dev, machine: str) -> int:
    """The process that a machine's init keeps running, as seen from here."""
    init = dev.pid(machine)
    (pid,) = Path(f"/proc/{init}/task/{init}/children").read_text().split()
    return int(pid)


def count_starts(dev: Dev) -> None:
    """Make the quickstart's servers note their starts, and take their time."""
    daemon = dev.place / "bin" / "daemon.py"
    text = daemon.read_text()
    noted = text.replace(
        "    pid = os.fork()\n",
        '    with open(f"{os.path.dirname(__file__)}/starts", "a") as file:\n'
        '        file.write(f"{name}\\n")\n'
        "    import time\n"
        "    time.sleep(1)\n"
        "    pid = os.fork()\n",
    )
    assert noted != text
    daemon.write_text(noted)


def started(dev: Dev) -> list[str]:
    file = dev.place / "bin" / "starts"
    return file.read_text().split() if file.exists() else []
