"""What came of a promotion, a demotion, a reload, or of sending a copy to another node.

None of them makes a copy appear or disappear. What failed is broken until a look finds it well; a promotion
that failed may have promoted all the same, so it counts as promoted until that look.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from reconciler.core.executor import findings, orders
from reconciler.core.executor.events import Verb
from reconciler.core.executor.memory import CopyKept, OwnCopy, Phase
from reconciler.core.executor.state import Held, Look, UnderWay
from reconciler.core.executor.turn import Turn, look_for
from reconciler.model.ids import ServiceName
from reconciler.model.operation import Outcome, Verdict

WANTED: Mapping[Verb, tuple[Verdict, ...]] = MappingProxyType(
    {
        Verb.PROMOTE: (Verdict.PROMOTED,),
        Verb.DEMOTE: (Verdict.RUNNING,),
        Verb.RELOAD: (Verdict.RUNNING, Verdict.PROMOTED),
        Verb.MIGRATE_TO: (Verdict.RUNNING,),
    }
)
"""What each of them leaves behind when it works; a copy that was sent counts as here until its stop."""
_NAMES: Mapping[Verb, str] = MappingProxyType(
    {
        Verb.PROMOTE: "promote",
        Verb.DEMOTE: "demote",
        Verb.RELOAD: "reload",
        Verb.MIGRATE_TO: "migrate",
    }
)


def changed(turn: Turn, name: ServiceName, outcome: Outcome, under_way: UnderWay) -> None:
    """Take in how it ended; a repair in place goes on with a stop whether it could demote or not."""
    held, own = turn.services[name], turn.own(name)
    goes_on = held.repair is Verb.DEMOTE and under_way.step is None
    held = replace(held, doubts=0, repair=Verb.STOP if goes_on else None)
    if own is not None and outcome.verdict in WANTED[under_way.verb]:
        turn.put(name, findings.as_seen(held, outcome))
        turn.record(CopyKept(service=name, copy=_after(own, held, under_way)), durable=True)
    elif own is not None:
        turn.put(name, held if goes_on else look_for(held, Look.AGAIN))
        operation = _NAMES[under_way.verb]
        promoted = own.promoted or outcome.verdict is Verdict.PROMOTED
        broken = replace(own, phase=Phase.BROKEN, failed_operation=operation, promoted=promoted)
        turn.record(CopyKept(service=name, copy=broken))
        findings.fail(turn, name, operation, outcome)
    if under_way.step is not None:
        orders.end(turn, under_way.step, outcome)


def _after(own: OwnCopy, held: Held, under_way: UnderWay) -> OwnCopy:
    match under_way.verb:
        case Verb.DEMOTE:
            return replace(own, promoted=False)
        case Verb.PROMOTE:
            return replace(own, promoted=True)
        case Verb.RELOAD if under_way.step and under_way.step.definition == held.digest:
            return replace(own, definition=held.definition, digest=held.digest)
        case _:
            return own
