"""The controller's brain with the newer kinds of actions: migrations, promotions, fences.

Its plans are given, so that each test is about how one is carried out, whatever plans come from elsewhere.
"""

from dataclasses import replace

import pytest

from reconciler.codec import canonical, saved_plan
from reconciler.core import control
from reconciler.core.control import (
    Accepted,
    AgentConnected,
    AgentDisconnected,
    Fence,
    FenceEnded,
    LivenessChanged,
    Order,
    ReportArrived,
    Restored,
    StepEnded,
    Tick,
)
from reconciler.core.facts import NodeReport
from reconciler.model.ids import BootId, NodeName, ServiceName
from reconciler.model.intent import Intent, Kind, Node, Role, Service
from reconciler.model.observed import Certainty, Copy, Liveness, PromotionScore
from reconciler.model.operation import Outcome, StepResult, Verdict
from reconciler.model.placement import Placement
from reconciler.model.plan import Action, ActionKind, Decision, Plan
from reconciler.stores.decisions import encode, restore
from reconciler.stores.memory import MemoryStore

DB = Service(name=ServiceName("db"), kind=Kind.OCF, agent="x:y", promotable=True, promoted=1)
INTENT = Intent(
    cluster="c", nodes=tuple(Node(name=n, addresses=()) for n in ("a", "b")), services=(DB,)
)
MOVE = Action(id="migrate:db@a", kind=ActionKind.MIGRATE, node="a", target="b", service="db")
PROMOTE = Action(id="promote:db@a", kind=ActionKind.PROMOTE, node="a", service="db")
FENCE = Action(id="fence:b", kind=ActionKind.FENCE, node="b")
AFTER = Action(id="start:db@a", kind=ActionKind.START, node="a", service="db", after=("fence:b",))


class Brain:
    """One controller after another on one store, each carrying out the same plan until it is done."""

    def __init__(self, *actions: Action, copies=None) -> None:
        self.now = 1_000
        self.actions = actions
        self.copies = copies or {"a": (copy("a"),), "b": ()}
        self.store = MemoryStore()
        self.epoch = 0
        accepted = Accepted(intent=INTENT, digest=canonical.intent_digest(INTENT), revision="r")
        self.store.put(encode((("accepted", accepted),)))
        self.begin()

    def begin(self) -> None:
        self.epoch += 1
        self.orders: list = []
        self.fences: list[Fence] = []
        self.answers: list[tuple[int, str | None]] = []
        self.defined: dict[str, control.Define] = {}
        self.means = control.Means(
            plan=lambda *_: Decision(
                placement=Placement(seats=()), plan=Plan(actions=self.actions)
            ),
            verify=lambda *_: (),
            bind=lambda decision, intent, revision, observed: saved_plan.bind(
                decision, intent=intent, revision=revision, observed=observed
            ),
            fingerprint=canonical.fingerprint,
            changes=saved_plan.changes,
            quorate=lambda *_: True,
        )
        restored = restore(self.store)
        assert isinstance(restored, Restored)
        self.state = control.start(
            restored, incarnation=1, epoch=self.epoch, now_ms=self.now, accept_auto=False
        )

    def hear(self, event) -> None:
        self.now += 1
        self.state, effects = control.step(self.state, event, self.now, self.means)
        for effect in effects:
            match effect:
                case control.Persist(values=values):
                    self.store.put(encode(values))
                case Order(node=node, step=step):
                    self.orders.append((node, step))
                case Fence():
                    self.fences.append(effect)
                case control.Refuse(request=request, reason=reason):
                    self.answers.append((request, reason))
                case control.Tell(request=request, last=True):
                    self.answers.append((request, None))
                case control.Define(node=node):
                    self.defined[node] = effect

    def join(self, *names: str, boot: str = "1") -> "Brain":
        for name in names:
            self.hear(AgentConnected(node=NodeName(name), boot=BootId(name + boot)))
            self.report(name, boot)
        self.hear(LivenessChanged(nodes=tuple((NodeName(n), Liveness.ALIVE) for n in names)))
        return self

    def report(self, name: str, boot: str = "1", scores=()) -> None:
        report = NodeReport(
            boot=BootId(name + boot),
            ready=True,
            probed=frozenset({"db"}),
            copies=self.copies[name],
            failures=(),
            promotion_scores=scores,
        )
        self.hear(ReportArrived(node=NodeName(name), report=report))

    def answer(self, verdict: Verdict, refused: str | None = None) -> None:
        node, step = self.orders[-1]
        result = StepResult(key=step.key, outcome=Outcome(verdict=verdict), refused=refused)
        self.hear(StepEnded(node=node, result=result))

    def last(self) -> tuple:
        node, step = self.orders[-1]
        return node, step.kind, step.source, step.target

    def observed(self):
        return control.observe_state(self.state, self.now)

    def over(self) -> bool:
        """The transition has ended: nothing is under way of the first one."""
        held = self.state.transition
        return held is None or held.number > 1


def copy(node: str, **more) -> Copy:
    return Copy(service="db", node=node, role=Role.UNPROMOTED, **more)


def test_a_migration_is_sent_taken_in_and_cleared_up():
    brain = Brain(MOVE).join("a", "b")
    assert brain.last() == ("a", ActionKind.MIGRATE, "a", "b")
    brain.answer(Verdict.RUNNING)
    assert brain.last() == ("b", ActionKind.MIGRATE, "a", "b")
    brain.answer(Verdict.RUNNING)
    brain.actions = ()
    assert brain.last() == ("a", ActionKind.STOP, None, None)
    assert len({step.key for _, step in brain.orders}) == 3
    brain.answer(Verdict.STOPPED)
    assert brain.state.transition is None


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_migration_that_fails_half_way_ends_there_and_is_planned_anew(part):
    brain = Brain(MOVE).join("a", "b")
    for verdict in (Verdict.RUNNING, Verdict.RUNNING)[:part]:
        brain.answer(verdict)
    brain.actions = ()
    brain.answer(Verdict.FAILED)
    assert brain.state.transition is None
    assert len(brain.orders) == part + 1


@pytest.mark.parametrize("part", [0, 1, 2])
def test_the_next_controller_goes_on_with_the_same_order_of_a_migration(part):
    brain = Brain(MOVE).join("a", "b")
    for verdict in (Verdict.RUNNING, Verdict.RUNNING)[:part]:
        brain.answer(verdict)
    before = brain.orders[-1]
    brain.begin()
    brain.join("a", "b")
    assert [step.key for _, step in brain.orders] == [before[1].key]
    assert brain.orders[0][0] == before[0]


def test_an_abandoned_migration_still_arrives():
    brain = Brain(MOVE).join("a", "b")
    brain.copies["b"] = (Copy(service="other", node="b"),)
    brain.report("b")
    assert brain.state.transition.progress.abandoned
    brain.answer(Verdict.RUNNING)
    assert brain.last()[:2] == ("b", ActionKind.MIGRATE)


def test_a_target_that_is_lost_leaves_a_doubt_there():
    brain = Brain(MOVE).join("a", "b")
    brain.answer(Verdict.RUNNING)
    brain.actions = ()
    brain.hear(LivenessChanged(nodes=((NodeName("b"), Liveness.LOST),)))
    unknown = [c for c in brain.observed().copies if c.node == "b"]
    assert [c.certainty for c in unknown] == [Certainty.UNKNOWN]


def test_a_promotion_without_an_answer_counts_as_promoted():
    brain = Brain(PROMOTE).join("a", "b")
    brain.actions = ()
    brain.hear(LivenessChanged(nodes=((NodeName("a"), Liveness.LOST),)))
    found = next(c for c in brain.observed().copies if c.node == "a")
    assert (found.role, found.certainty) == (Role.PROMOTED, Certainty.ASSUMED)
    # The node is back and reports a copy that is not promoted: the order may still be on its way.
    brain.hear(AgentDisconnected(node=NodeName("a")))
    brain.join("a")
    assert next(c for c in brain.observed().copies if c.node == "a").role is Role.PROMOTED
    assert brain.last()[:2] == ("a", ActionKind.DEMOTE)
    brain.answer(Verdict.RUNNING)
    assert next(c for c in brain.observed().copies if c.node == "a").role is Role.UNPROMOTED


def test_a_promotion_is_done_when_the_copy_is_promoted():
    brain = Brain(PROMOTE).join("a", "b")
    brain.actions = ()
    brain.answer(Verdict.PROMOTED)
    assert brain.state.transition is None


def test_scores_are_observed_and_another_s_new_score_moves_the_plan():
    brain = Brain(PROMOTE).join("a", "b")
    own = PromotionScore(service="db", node="a", score=10)
    brain.report("a", scores=(own, replace(own, node="b")))
    assert brain.observed().promotion_scores == (own,), "a node speaks of itself"
    assert not brain.state.transition.progress.abandoned, "the plan's own doing"
    brain.report("b", scores=(replace(own, node="b", score=99),))
    assert "fit to be promoted" in brain.state.transition.progress.abandoned


# Fences --------------------------------------------------------------------------------------------


def fencing() -> Brain:
    brain = Brain(FENCE, AFTER, copies={"a": (), "b": (copy("b"),)})
    brain.actions = ()
    brain.join("a", "b")
    brain.actions = (FENCE, AFTER)
    brain.hear(LivenessChanged(nodes=((NodeName("b"), Liveness.LOST),)))
    assert [fence.node for fence in brain.fences] == ["b"]
    assert brain.orders == []
    return brain


def end(brain: Brain, verdict: Verdict) -> None:
    fence = brain.fences[-1]
    brain.hear(FenceEnded(node=fence.node, key=fence.key, outcome=Outcome(verdict=verdict)))


def test_a_confirmed_fence_is_proof_and_what_waited_for_it_goes_on():
    brain = fencing()
    end(brain, Verdict.STOPPED)
    facts = next(n for n in brain.observed().nodes if n.name == "b")
    assert facts.liveness is Liveness.DOWN
    assert brain.observed().copies == ()
    assert brain.last()[:2] == ("a", ActionKind.START)
    brain.begin()
    assert next(n for n in brain.observed().nodes if n.name == "b").liveness is Liveness.DOWN


@pytest.mark.parametrize("verdict", [Verdict.FAILED, Verdict.UNKNOWN, Verdict.RUNNING])
def test_anything_else_proves_nothing_and_nothing_goes_on(verdict):
    brain = fencing()
    brain.actions = ()
    end(brain, verdict)
    assert brain.orders == []
    assert brain.state.transition is None
    assert [c.certainty for c in brain.observed().copies] == [Certainty.ASSUMED]


def test_a_fenced_node_that_speaks_again_is_alive_and_unproven():
    brain = fencing()
    end(brain, Verdict.STOPPED)
    brain.actions = ()
    brain.join("b", boot="2")
    assert next(n for n in brain.observed().nodes if n.name == "b").liveness is Liveness.ALIVE
    assert len(brain.observed().copies) == 1


def test_a_node_that_was_booted_before_its_fence_was_confirmed_is_let_be():
    brain = fencing()
    brain.join("b", boot="2")
    end(brain, Verdict.STOPPED)
    assert next(n for n in brain.observed().nodes if n.name == "b").liveness is Liveness.ALIVE


def test_a_fence_of_a_dead_controller_is_not_repeated_blindly():
    brain = fencing()
    brain.begin()
    brain.actions = ()
    brain.join("a", "b")
    brain.now += 60_000
    brain.hear(Tick())
    assert brain.fences == []
    assert brain.state.transition is None
