"""One turn of the controller: the state as it becomes, and the effects in their order.

A turn lives for one call of `step` and is the only thing in here that changes in place; what comes in and
what goes out are values.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TypeVar

from reconciler.core import transition
from reconciler.core.facts import NodeFacts, observe
from reconciler.model.ids import Millis, NodeName
from reconciler.model.observed import Observed

from .events import Effect, Record, Tell
from .state import Ledger, Means, State

K = TypeVar("K")
V = TypeVar("V")


@dataclass(slots=True, kw_only=True)
class Turn:
    """The state so far, and what has to be done about it."""

    state: State
    now_ms: Millis
    means: Means
    effects: list[Effect] = field(default_factory=list)
    news: list[transition.Event] = field(default_factory=list)
    """What the transition has to hear, once it is known whether the facts moved under it."""

    def change(self, **fields: object) -> None:
        """Replace fields of the state."""
        self.state = replace(self.state, **fields)  # type: ignore[arg-type]

    def note(self, **fields: object) -> None:
        """Replace fields of the ledger."""
        ledger: Ledger = replace(self.state.ledger, **fields)  # type: ignore[arg-type]
        self.change(ledger=ledger)

    def do(self, effect: Effect) -> None:
        """Add an effect."""
        self.effects.append(effect)

    def record(self, kind: str, fields: Mapping[str, object]) -> None:
        """Add to the history."""
        self.do(Record(kind=kind, fields=fields))

    def tell(self, event: str, fields: Mapping[str, object], *, last: bool = False) -> None:
        """Tell everybody who follows the accepted intent."""
        for request in self.state.watchers:
            self.do(Tell(request=request, body={"event": event, **fields}, last=last))
        if last:
            self.change(watchers=())

    def node(self, name: NodeName) -> NodeFacts:
        """What is known of a node, if anything."""
        return self.state.nodes.get(name) or NodeFacts(name=name)

    def keep(self, facts: NodeFacts) -> None:
        """Replace what is known of a node."""
        if self.state.nodes.get(facts.name) != facts:
            self.change(nodes=put(self.state.nodes, facts.name, facts))

    def count_votes(self) -> None:
        """Say anew whether a majority of the members of the accepted intent is heard."""
        accepted = self.state.accepted
        members: tuple[str, ...] = ()
        if accepted is not None:
            members = tuple(node.name for node in accepted.intent.nodes) + accepted.intent.witnesses
        heard = {str(name): facts.liveness for name, facts in self.state.nodes.items()}
        self.change(quorate=self.means.quorate(members, heard))

    def observed(self) -> Observed:
        """What is known of the whole cluster, nodes that were never heard included."""
        return observe_state(self.state, self.now_ms)


def observe_state(state: State, now_ms: Millis) -> Observed:
    """Everything that is known of the cluster; nodes of the accepted intent are in it, heard or not."""
    listed = state.accepted.intent.nodes if state.accepted else ()
    nodes = {node.name: NodeFacts(name=node.name) for node in listed} | dict(state.nodes)
    return observe(
        nodes,
        state.ledger.doubts,
        quorate=state.quorate,
        now_ms=now_ms,
        clock_ahead_ms=state.clock_ahead_ms,
    )


def put(mapping: Mapping[K, V], key: K, value: V) -> Mapping[K, V]:
    """A mapping with one more, or another, value."""
    return MappingProxyType({**mapping, key: value})
