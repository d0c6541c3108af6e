"""The controller dies at every moment at which it keeps something, before and after it is kept.

The next one goes on: the same end, no order carried out twice, nothing left in doubt.
"""

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.model.intent import Ordering, Safety
from reconciler.model.observed import Liveness
from reconciler.model.plan import ActionKind
from tests.builders import intent
from tests.core.cluster import Cluster, edited

SHOP = intent(
    "a b c",
    {
        "db": {"safety": Safety.EXCLUSIVE},
        "vip": {},
        "web": {"replicas": 2},
        "cron": {"safety": Safety.EXCLUSIVE},
    },
    constraints=(Ordering(first="db", then="web"), Ordering(first="web", then="vip")),
)
CHANGED = edited(SHOP, db={"parameters": (("size", "2"),)}, cron={"enabled": False})


def story(crash_at: tuple[int, bool] | None) -> Cluster:
    """Start a shop, change it, kill a service, and cut the power of a node."""
    cluster = Cluster("a b c").run(ms=100)
    cluster.crash_at = crash_at
    cluster.after_step = lambda: check_exclusive(cluster)
    cluster.apply(SHOP).run(ms=30_000)
    if cluster.state.accepted is None:  # it died before it had accepted: the operator asks again
        cluster.apply(SHOP, request=2).run(ms=30_000)
    cluster.apply(CHANGED, request=3).run(ms=30_000)
    if cluster.state.accepted.revision != "r3":
        cluster.apply(CHANGED, request=4, revision="r3").run(ms=30_000)
    agent = next(a for a in cluster.agents.values() if "db" in a.running)
    agent.kill_service("db")
    cluster.run(ms=30_000)
    home = next(a.name for a in cluster.agents.values() if "vip" in a.running)
    cluster.lose(home).run(ms=30_000)
    cluster.boot(home).run(ms=120_000)
    return cluster


def check_exclusive(cluster: Cluster) -> None:
    for service in ("db", "cron"):
        homes = [a.name for a in cluster.agents.values() if service in a.running]
        assert len(homes) <= 1, f"{service} runs on {homes}"


def check_end(cluster: Cluster) -> None:
    assert cluster.crash_at is None, "the crash never came"
    assert Counter(word.split("@")[0] for word in cluster.runs().split()) == {
        "db": 1,
        "vip": 1,
        "web": 2,
    }
    assert cluster.state.transition is None
    assert not cluster.state.ledger.doubts
    assert not cluster.state.broken
    keys = Counter(key for _, key, _ in cluster.done)
    assert max(keys.values()) == 1, "an order was carried out twice"


CALM = story(None)


def test_the_story_ends_well_without_any_crash():
    check_end(CALM)
    assert CALM.terms == 1


FIRST = 1 + Cluster("a b c").run(ms=100).persists
QUICK = 8
"""One in so many crashes is tried by the fast gate, all of them by the whole one."""


def crashes():
    for number, at in enumerate(range(FIRST, CALM.persists + 1)):
        for kept in (False, True):
            marks = () if (2 * number + kept) % QUICK == 0 else (pytest.mark.slow,)
            words = f"{at} {'after' if kept else 'before'} it is kept"
            yield pytest.param(at, kept, id=words, marks=marks)


@pytest.mark.parametrize(("at", "kept"), list(crashes()))
def test_the_story_ends_as_well_with_a_crash(at, kept):
    cluster = story((at, kept))
    check_end(cluster)
    assert cluster.terms == 2
    calm = Counter(kind for _, _, kind in CALM.done if kind is not ActionKind.PROBE)
    hard = Counter(kind for _, _, kind in cluster.done if kind is not ActionKind.PROBE)
    # The same work, no step of it repeated: at most what a node's silence during the crash adds.
    assert hard[ActionKind.STOP] <= calm[ActionKind.STOP] + 2
    assert hard[ActionKind.START] <= calm[ActionKind.START] + 2


HISTORIES = st.lists(
    st.tuples(
        st.sampled_from(["crash", "kill", "lose", "boot", "flap", "change", "shop", "disconnect"]),
        st.sampled_from("abc"),
        st.sampled_from(["db", "vip", "web", "cron"]),
        st.integers(1, 5_000),
    ),
    max_size=12,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(HISTORIES)
def test_whatever_happens_exclusive_means_one_and_calm_ends_in_order(history):
    check_history(history)


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(HISTORIES)
def test_whatever_happens_more_often(history):
    check_history(history)


def check_history(history):
    cluster = Cluster("a b c").run(ms=100)
    cluster.after_step = lambda: check_exclusive(cluster)
    cluster.apply(SHOP).run(ms=5_000)
    for number, (what, node, service, wait_ms) in enumerate(history, 10):
        _happen(cluster, what, node, service, number)
        cluster.run(ms=wait_ms)
    for name, agent in cluster.agents.items():
        if not agent.up:
            cluster.boot(name)
        elif not agent.connected and cluster.alive:
            agent.connect()
        cluster.heartbeats({name: Liveness.ALIVE}, after_ms=5)
    cluster.run(ms=10_000)
    if not cluster.alive:
        cluster.begin_controller()
    cluster.run(ms=900_000)
    keys = Counter(key for _, key, _ in cluster.done)
    assert not keys or max(keys.values()) == 1
    assert cluster.state.transition is None
    assert not cluster.state.ledger.doubts
    assert not cluster.state.decision.plan.actions
    wanted = {"db": 1, "vip": 1, "web": 2, "cron": 1}
    if cluster.state.accepted.intent == CHANGED:
        del wanted["cron"]
    assert Counter(word.split("@")[0] for word in cluster.runs().split()) == wanted


def _happen(cluster, what, node, service, number):
    agent = cluster.agents[node]
    match what:
        case "crash":
            if cluster.alive:
                cluster.kill_controller()
                cluster.later(300, cluster.begin_controller)
        case "kill" if agent.up and service in agent.running:
            agent.kill_service(service)
        case "lose" if agent.up:
            cluster.lose(node)
        case "boot" if not agent.up and cluster.alive:
            cluster.boot(node)
        case "flap" if agent.up:
            cluster.heartbeats({node: Liveness.SUSPECT})
            cluster.heartbeats({node: Liveness.LOST}, after_ms=10)
            cluster.heartbeats({node: Liveness.ALIVE}, after_ms=700)
        case "disconnect" if agent.connected:
            cluster.disconnect(node)
            cluster.later(200, agent.connect)
        case "change":
            cluster.apply(CHANGED, request=number, confirm_shrink=True)
        case "shop":
            cluster.apply(SHOP, request=number, confirm_shrink=True)
