"""The brain of an agent: what happens on one node, as one pure function.

`step(state, event, now_ms) -> (state, effects)`. The agent's shell feeds it what happened and does what it
says, in order. It keeps these laws, whatever happens and in whatever order:

* an order begins only after its key and its term are durable, and no key begins twice, ever;
* an order of an older term, an expired one or one for an unknown definition is refused;
* unknown never becomes stopped: only a probe or a verified stop says that nothing runs;
* one operation at a time per service, and a service whose stop failed is touched no more;
* without a controller nothing new starts, and nothing that works stops but a best-effort address of a node
  that is cut off: another one may have been given it by now.

It does not know time, processes, the network or the disk.
"""

from reconciler.core.executor.events import (
    Acknowledged,
    AttributesSeen,
    Backed,
    Booted,
    Connected,
    DefinitionsArrived,
    Disconnected,
    Due,
    Effect,
    Event,
    ForgetAsked,
    HangUp,
    Heard,
    NotDurable,
    Note,
    OperationFinished,
    Persist,
    RunOperation,
    SeenAttribute,
    SendDone,
    SendReport,
    ServiceDied,
    SetTimer,
    StepArrived,
    Unwatch,
    Verb,
    Watch,
)
from reconciler.core.executor.memory import Attribute, Memory, Record, condense, remember
from reconciler.core.executor.state import State, hears_no_controller
from reconciler.core.executor.step import step
from reconciler.core.executor.views import Snapshot, snapshot

__all__ = [
    "Acknowledged",
    "Attribute",
    "AttributesSeen",
    "Backed",
    "Booted",
    "Connected",
    "DefinitionsArrived",
    "Disconnected",
    "Due",
    "Effect",
    "Event",
    "ForgetAsked",
    "HangUp",
    "Heard",
    "Memory",
    "NotDurable",
    "Note",
    "OperationFinished",
    "Persist",
    "Record",
    "RunOperation",
    "SeenAttribute",
    "SendDone",
    "SendReport",
    "ServiceDied",
    "SetTimer",
    "Snapshot",
    "State",
    "StepArrived",
    "Unwatch",
    "Verb",
    "Watch",
    "condense",
    "hears_no_controller",
    "remember",
    "snapshot",
    "step",
]
