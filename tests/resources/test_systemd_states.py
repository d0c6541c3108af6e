"""What systemd's words mean, and what is known without it: nothing."""

import asyncio

import pytest

from reconciler.model.ids import ServiceName
from reconciler.model.intent import Kind, Service
from reconciler.model.operation import Verdict
from reconciler.resources.systemd import SystemdHand, UnitState
from tests.resources import scripts


def unit(name: str) -> Service:
    return Service(name=ServiceName("web"), kind=Kind.SYSTEMD, agent=name)


@pytest.mark.parametrize("name", ["../x", "a/b", "", "-x.service", "a b", "a\0", "é", "x" * 300])
def test_a_name_that_is_none_touches_nothing(tmp_path, name):
    async def story() -> None:
        hand = SystemdHand("unix:path=/nowhere")
        context = scripts.context(tmp_path)
        assert (await hand.probe(unit(name), context)).verdict is Verdict.UNKNOWN
        outcome = await hand.start(unit(name), context)
        assert (outcome.verdict, outcome.definite) == (Verdict.FAILED, True)
        assert hand.watch(unit(name), context, lambda: None) is None

    asyncio.run(story())


def test_without_a_bus_everything_is_unknown(tmp_path):
    async def story() -> None:
        hand = SystemdHand(f"unix:path={tmp_path}/no-bus")
        for operation in (hand.start, hand.stop, hand.probe):
            outcome = await operation(unit("good"), scripts.context(tmp_path))
            assert outcome.verdict is Verdict.UNKNOWN
            assert "cannot be reached" in outcome.reason
        await hand.close()

    asyncio.run(story())


@pytest.mark.parametrize(
    ("active", "processes", "verdict"),
    [
        ("active", 0, Verdict.RUNNING),
        ("active", 3, Verdict.RUNNING),
        ("reloading", 1, Verdict.RUNNING),
        ("inactive", 0, Verdict.STOPPED),
        ("failed", 0, Verdict.STOPPED),
        ("inactive", 1, Verdict.FAILED),
        ("failed", 1, Verdict.FAILED),
        ("activating", 0, Verdict.UNKNOWN),
        ("deactivating", 1, Verdict.UNKNOWN),
        ("maintenance", 0, Verdict.UNKNOWN),
        ("what-comes-next", 0, Verdict.UNKNOWN),
    ],
)
def test_what_states_mean(active, processes, verdict):
    state = UnitState(path="/", active=active, sub="", loaded="loaded", processes=processes)
    assert state.outcome().verdict is verdict
