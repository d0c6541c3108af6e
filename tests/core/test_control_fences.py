"""How often the controller fences, what operators do by hand, and what nodes hear of fence devices."""

from dataclasses import replace

import pytest

from reconciler.core import control
from reconciler.core.control import (
    ApplyRequested,
    ClearRequested,
    ConfirmFence,
    FenceRequested,
    LivenessChanged,
    Tick,
    budget,
)
from reconciler.model.ids import NodeName
from reconciler.model.intent import FenceDevice, Fencing, Kind
from reconciler.model.observed import Liveness
from reconciler.model.operation import Verdict
from reconciler.model.plan import ActionKind
from tests.builders import intent
from tests.core.test_control_roles import Brain, copy, end, fencing

# The budget of fences ------------------------------------------------------------------------------


def begun(*nodes: str, at_ms: int = 0):
    return tuple(budget.FenceBegun(node=node, at_ms=at_ms, confirmed=True) for node in nodes)


@pytest.mark.parametrize(("members", "most"), [(1, 1), (2, 1), (3, 1), (4, 1), (5, 2), (9, 4)])
def test_a_window_has_room_for_fewer_than_half_of_the_nodes(members, most):
    fences = ()
    for number in range(most):
        assert budget.refusal(fences, f"n{number}", members, 0) == ""
        fences = budget.noted(fences, f"n{number}", 0)
    assert "all that may be" in budget.refusal(fences, "another", members, budget.WINDOW_MS - 1)
    assert budget.refusal(fences, "n0", members, 0) == "", "it is one of them already"
    assert budget.refusal(fences, "another", members, budget.WINDOW_MS) == ""


def test_a_node_is_not_fenced_a_fourth_time_within_an_hour():
    fences = begun("b", "b", "b")
    assert "did not help" in budget.refusal(fences, "b", 9, budget.LOOP_MS - 1)
    assert budget.refusal(fences, "b", 9, budget.LOOP_MS) == ""
    noted = budget.noted(fences, "c", budget.LOOP_MS)
    assert budget.confirmed(noted, "c") == begun("c", at_ms=budget.LOOP_MS)
    assert budget.confirmed(fences, "c") == fences


def test_fences_that_fail_are_tried_more_often_but_not_for_ever():
    fences = ()
    for _ in range(budget.ATTEMPTS_MAX):
        assert budget.refusal(fences, "b", 9, 0) == ""
        fences = budget.noted(fences, "b", 0)
    assert "could not be fenced" in budget.refusal(fences, "b", 9, 0)


def test_fences_of_an_earlier_controller_count_whatever_its_clock_said():
    old = begun("b", at_ms=10_000_000)
    assert budget.carried_over(old, 5) == begun("b", at_ms=5)


def test_a_fence_beyond_the_budget_is_not_begun_and_the_reason_stands_until_it_is_cleared():
    brain = fencing()
    for _ in range(budget.ATTEMPTS_MAX - 1):
        end(brain, Verdict.FAILED)
        brain.now += 120_000
        brain.hear(Tick())
    assert len(brain.fences) == budget.ATTEMPTS_MAX
    assert "could not be fenced: " in brain.state.fence_troubles["b"]
    end(brain, Verdict.FAILED)
    brain.now += 120_000
    brain.hear(Tick())
    assert len(brain.fences) == budget.ATTEMPTS_MAX
    assert "look at its fence devices" in brain.state.fence_troubles["b"]
    assert brain.orders == []
    brain.begin()
    brain.join("a")
    brain.now += 10_000
    brain.hear(Tick())
    assert brain.fences == [], "the next controller knows how often it was"
    brain.hear(ClearRequested(request=1, service=None))
    brain.now += 120_000
    brain.hear(Tick())
    assert [fence.node for fence in brain.fences] == ["b"]


# By hand -------------------------------------------------------------------------------------------


def accepted(brain: Brain) -> Brain:
    wanted = intent(
        "a b", {}, fencing=Fencing(devices=(FenceDevice(name="d", agent="f", nodes=("b",)),))
    )
    kept = control.Accepted(intent=wanted, digest="d", revision="r")
    brain.state = replace(brain.state, accepted=kept)
    return brain


def told(brain: Brain):
    return brain.answers[-1]


def test_an_operator_s_word_that_a_lost_node_is_off_is_proof():
    brain = accepted(fencing())
    brain.hear(ConfirmFence(request=7, node=NodeName("b")))
    assert told(brain) == (7, None)
    assert next(n for n in brain.observed().nodes if n.name == "b").liveness is Liveness.DOWN
    assert brain.last()[:2] == ("a", ActionKind.START), "what waited for the fence goes on"
    end(brain, Verdict.FAILED)  # the device's own word comes too late to matter
    assert next(n for n in brain.observed().nodes if n.name == "b").liveness is Liveness.DOWN
    brain.begin()
    assert next(n for n in brain.observed().nodes if n.name == "b").liveness is Liveness.DOWN


@pytest.mark.parametrize("liveness", [Liveness.ALIVE, Liveness.SUSPECT])
def test_nothing_is_confirmed_of_a_node_that_is_heard(liveness):
    brain = accepted(fencing())
    brain.hear(LivenessChanged(nodes=((NodeName("b"), liveness),)))
    brain.hear(ConfirmFence(request=7, node=NodeName("b")))
    assert "is heard" in told(brain)[1]
    assert next(n for n in brain.observed().nodes if n.name == "b").liveness is not Liveness.DOWN


def test_a_fence_by_hand_is_proof_when_it_is_confirmed_and_of_that_boot_only():
    brain = accepted(Brain(copies={"a": (), "b": (copy("b"),)}).join("a", "b"))
    for request, boot, verdict, down in (
        (1, "1", Verdict.FAILED, False),
        (2, "2", Verdict.STOPPED, False),
        (3, "2", Verdict.STOPPED, True),
    ):
        brain.hear(FenceRequested(request=request, node=NodeName("b")))
        assert len(brain.fences) == request
        if boot == "2" and request == 2:
            brain.join("b", boot=boot)  # it has begun anew before its fence was confirmed
        end(brain, verdict)
        assert told(brain)[0] == request
        assert (told(brain)[1] is None) == (verdict is Verdict.STOPPED)
        facts = next(n for n in brain.observed().nodes if n.name == "b")
        assert (facts.liveness is Liveness.DOWN) == down
    end(brain, Verdict.STOPPED)  # nobody waits for it any more


def test_a_node_that_no_device_reaches_or_nobody_knows_is_not_fenced_by_hand():
    brain = accepted(Brain(copies={"a": (), "b": ()}).join("a", "b"))
    brain.hear(FenceRequested(request=1, node=NodeName("a")))
    assert "no fence device" in told(brain)[1]
    brain.hear(FenceRequested(request=2, node=NodeName("nobody")))
    assert "no node" in told(brain)[1]
    brain.hear(ConfirmFence(request=3, node=NodeName("nobody")))
    assert "no node" in told(brain)[1]
    assert brain.fences == []


def test_nodes_are_told_of_the_devices_that_services_watch_and_of_no_other():
    brain = Brain(copies={"a": (), "b": ()})
    devices = (
        FenceDevice(name="d", agent="f", nodes=("b",)),
        FenceDevice(name="e", agent="f", nodes=("b",)),
    )
    wanted = intent("a b", "watch", fencing=Fencing(devices=devices))
    watch = replace(wanted.services[0], kind=Kind.FENCE_DEVICE, agent="d")
    wanted = replace(wanted, services=(watch,))
    brain.join("a", "b")
    brain.hear(ApplyRequested(request=1, intent=wanted, digest="d", revision="r"))
    assert brain.defined["a"].devices == devices[:1]
