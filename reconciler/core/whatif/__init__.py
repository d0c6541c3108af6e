"""What if: let nodes, link groups and services fail in a model of the cluster, and say what is left.

A baseline is the cluster with its intent in force; `strike` makes the facts after faults, `attempt` plans,
carries out and plans again, and `list_scenarios` names every single and double failure. All of it is
functions over `reconcile()`: nothing here decides anything, and nothing reads a clock.
"""

from reconciler.core.whatif.strike import strike
from reconciler.core.whatif.sweep import (
    domain_faults,
    gather,
    list_faults,
    list_scenarios,
    news,
)
from reconciler.core.whatif.trial import attempt, settle
from reconciler.core.whatif.values import (
    Baseline,
    DomainFault,
    Fault,
    Loss,
    LossKind,
    Move,
    NodeFault,
    Outcome,
    Promise,
    Quorate,
    Scenario,
    ServiceFault,
    Standing,
    Sweep,
    Trial,
)

__all__ = [
    "Baseline",
    "DomainFault",
    "Fault",
    "Loss",
    "LossKind",
    "Move",
    "NodeFault",
    "Outcome",
    "Promise",
    "Quorate",
    "Scenario",
    "ServiceFault",
    "Standing",
    "Sweep",
    "Trial",
    "attempt",
    "domain_faults",
    "gather",
    "list_faults",
    "list_scenarios",
    "news",
    "settle",
    "strike",
]
