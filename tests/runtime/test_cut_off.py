"""B24 and B27 in whole clusters: a dead controller takes no address down, a cut cable does."""

import time

import pytest

from tests.runtime.whole import whole

pytestmark = pytest.mark.e2e

LOST_S = 0.8


def holder_of(cluster):
    found = [
        node
        for node in cluster.nodes
        if (cluster.run(node) / "pretended-addresses" / "ip").exists()
    ]
    return found[0] if len(found) == 1 else None


def holds_for(cluster, holder, silences):
    """Look at it for so many silences that make a node lost."""
    end = time.monotonic() + silences * LOST_S
    while time.monotonic() < end:
        assert holder_of(cluster) == holder
        time.sleep(0.05)


def test_an_address_stays_while_the_controller_is_down_and_goes_once_its_node_is_cut_off(tmp_path):
    with whole(tmp_path, "a b c", accept="auto") as cluster:
        cluster.write("ip")
        file = cluster.files / "cluster.yaml"
        lines = [
            "  ip: {vip: 10.99.0.1/24, monitor: {every: 500ms, timeout: 5s}}"
            if "  ip:" in line
            else line
            for line in file.read_text().splitlines()
        ]
        file.write_text("\n".join(lines) + "\n")
        cluster.start()
        cluster.until(lambda: holder_of(cluster), "somebody has the address")
        holder = holder_of(cluster)
        others = [node for node in cluster.nodes if node != holder]
        cluster.until(
            lambda: all((cluster.run(node) / "peers").exists() for node in cluster.nodes), "peers"
        )
        cluster.kill("controller")
        holds_for(cluster, holder, 5)
        cluster.kill(holder)
        cluster.start_agent(holder)  # the next agent never heard a controller, and knows its peers
        holds_for(cluster, holder, 5)
        cluster.kill(others[0])
        holds_for(cluster, holder, 4)
        cluster.kill(others[1])
        cluster.until(lambda: holder_of(cluster) is None, "cut off, it gives the address up")
