"""A service with roles in a whole cluster: Debian's Stateful is started, promoted, and promoted elsewhere."""

from pathlib import Path

import pytest
from conftest import A, B
from driver import NODES, Dev, until

from reconciler.resources import lookup
from reconciler.runtime.dev.cluster import can_isolate

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.real,
    pytest.mark.xdist_group("fresh-clusters"),
    pytest.mark.skipif(
        not (lookup.ROOT / "pacemaker" / "Stateful").exists(),
        reason="needs pacemaker-resource-agents (scripts/packages)",
    ),
]

CLUSTER = """version: 1
cluster: quickstart
heartbeat: {every: 200ms, suspect-after: 600ms, lost-after: 2s}
nodes:
  alpha: {address: 10.77.0.1}
  bravo: {address: 10.77.0.2}
  charlie: {address: 10.77.0.3}
services:
  db:
    ocf: "pacemaker:Stateful"
    replicas: 3
    promoted: 1
    safety: best-effort
    monitor: {every: 1s, timeout: 10s}
    monitor-promoted: {every: 700ms, timeout: 10s}
    failures: {max: 1, forget-after: 10m}
"""


@pytest.fixture
def dev(tmp_path: Path):
    if not can_isolate():
        pytest.skip("needs root and namespaces")
    source = tmp_path / "source"
    source.mkdir()
    (source / "cluster.yaml").write_text(CLUSTER)
    made = Dev(tmp_path / "place", network=f"10.{228 + A % 20}.{B}")
    made.prepare(source)
    try:
        made.start()
        yield made
    finally:
        made.abandon()


def state_of(dev: Dev, node: str) -> str | None:
    """What the copy itself says, in its own file; None when it does not run."""
    for place in ("run", "var/run"):
        for file in Path(f"/proc/{dev.pid(node)}/root/{place}").glob("Stateful-db*.state"):
            return file.read_text().strip()
    return None


def roles(dev: Dev, *nodes: str) -> list[str]:
    found = [state_of(dev, node) or "none" for node in nodes or NODES]
    assert found.count("Promoted") <= 1, found
    return sorted(found)


def promoted(dev: Dev, *nodes: str) -> str | None:
    return next((n for n in nodes or NODES if state_of(dev, n) == "Promoted"), None)


def test_one_copy_is_promoted_and_another_when_that_one_dies(dev: Dev) -> None:
    dev.apply()
    until(
        "one of three is promoted", lambda: roles(dev) == ["Promoted", "Unpromoted", "Unpromoted"]
    )
    first = promoted(dev)
    status = dev.service("db")
    assert status["state"] == "running", status
    assert sorted(copy["role"] for copy in status["copies"]) == [
        "promoted",
        "unpromoted",
        "unpromoted",
    ]

    for file in Path(f"/proc/{dev.pid(first)}/root/run").glob("Stateful-db*.state"):
        file.unlink()
    others = [node for node in NODES if node != first]
    second = until("another is promoted", lambda: promoted(dev, *others), 30)
    roles(dev)
    dev.reconcile("clear", "db")
    until("the first is back", lambda: roles(dev) == ["Promoted", "Unpromoted", "Unpromoted"])
    until("nothing is left to do", lambda: dev.run("plan").returncode == 0)
    assert promoted(dev) == second, "nothing moves back by itself"
