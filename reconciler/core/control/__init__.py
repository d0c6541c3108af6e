"""The controller's brain: when to plan, what to order, what to accept, as one pure function.

`step(state, event, now_ms, means) -> (state, effects)`. Its shell feeds it what happened and carries out the
effects in their order. It keeps these laws:

* one transition at a time; when the facts move under it, what is left is dropped and planned anew;
* an order is durable before it goes out, and is never repeated under another name while its outcome is
  unknown;
* only what passes `core.verify` is carried out; a broken law of ours stops orders, never services;
* a commit changes nothing until it is accepted, and nothing that runs ends in bulk by mistake;
* after a start nothing is done until every node has spoken, or had the time to.

It does not know clocks, sockets, disks, or how plans are made.
"""

from reconciler.core.control.events import (
    AcknowledgeStep,
    AgentConnected,
    AgentDisconnected,
    ApplyRequested,
    ClearRequested,
    ClockMoved,
    ConfirmFence,
    Define,
    Effect,
    Event,
    Fence,
    FenceEnded,
    FenceRequested,
    ForgetFailures,
    IntentFound,
    LivenessChanged,
    Order,
    Persist,
    Record,
    Refuse,
    ReportArrived,
    StepEnded,
    Tell,
    Tick,
    WakeAt,
    WatcherGone,
)
from reconciler.core.control.state import (
    Accepted,
    Candidate,
    FateRecord,
    Ledger,
    Means,
    NodeRecord,
    Restored,
    State,
    Transition,
    TransitionRecord,
)
from reconciler.core.control.step import start, step
from reconciler.core.control.turn import observe_state

__all__ = [
    "Accepted",
    "AcknowledgeStep",
    "AgentConnected",
    "AgentDisconnected",
    "ApplyRequested",
    "Candidate",
    "ClearRequested",
    "ClockMoved",
    "ConfirmFence",
    "Define",
    "Effect",
    "Event",
    "FateRecord",
    "Fence",
    "FenceEnded",
    "FenceRequested",
    "ForgetFailures",
    "IntentFound",
    "Ledger",
    "LivenessChanged",
    "Means",
    "NodeRecord",
    "Order",
    "Persist",
    "Record",
    "Refuse",
    "ReportArrived",
    "Restored",
    "State",
    "StepEnded",
    "Tell",
    "Tick",
    "Transition",
    "TransitionRecord",
    "WakeAt",
    "WatcherGone",
    "observe_state",
    "start",
    "step",
]
