"""Effects: what is observed once every action of a plan has succeeded.

This is the model of the cluster that simulations and properties carry plans out in. It believes each
action: a stop leaves nothing, a start runs, a look finds nothing that was not known, a fenced node is down
and what ran there has ended. What the plan does not touch stays as it was, failures included.

Law: applying a plan and planning again leaves nothing to do.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import assert_never

from reconciler.core.definition import definition_digest, fixed_digest
from reconciler.model.errors import BrokenLaw
from reconciler.model.ids import NodeName, ServiceName
from reconciler.model.intent import Intent, Role, Service
from reconciler.model.observed import Copy, Liveness, NodeState, Observed
from reconciler.model.plan import Action, ActionKind, Plan

_Spot = tuple[NodeName, ServiceName, int]


def apply(plan: Plan, intent: Intent, observed: Observed) -> Observed:
    """Carry out a plan, every action of which succeeds.

    Errors: `BrokenLaw` when an action acts on a copy that is not there.
    Shape: A actions, C copies: O(A + C log C).
    """
    if not plan.actions:
        return observed
    services = {service.name: service for service in intent.services}
    after = _After(
        copies={(copy.node, copy.service, copy.instance): copy for copy in observed.copies},
        nodes={state.name: state for state in observed.nodes},
        probed={},
        fenced=set(),
    )
    for action in plan.actions:
        after.carry_out(action, services)
    return replace(
        observed,
        copies=tuple(after.copies[spot] for spot in sorted(after.copies)),
        nodes=tuple(after.state(state.name) for state in observed.nodes),
        failures=tuple(
            failure for failure in observed.failures if failure.node not in after.fenced
        ),
    )


@dataclass(slots=True, kw_only=True)
class _After:
    """The cluster while a plan is carried out in it."""

    copies: dict[_Spot, Copy]
    nodes: Mapping[NodeName, NodeState]
    probed: dict[NodeName, set[ServiceName]]
    """What has been looked for, by node, beyond what was before."""
    fenced: set[NodeName]

    def state(self, name: NodeName) -> NodeState:
        """A node as it is now."""
        state = self.nodes[name]
        if name in self.fenced:
            return replace(state, liveness=Liveness.DOWN, probed=frozenset(), condemned="")
        looked = self.probed.get(name)
        return state if looked is None else replace(state, probed=state.probed | looked)

    def carry_out(self, action: Action, services: Mapping[ServiceName, Service]) -> None:
        """Let one action succeed."""
        if action.kind is ActionKind.FENCE or action.service is None:
            self._fence(action.node)
            return
        service = services.get(action.service)
        match action.kind:
            case ActionKind.PROBE:
                self.probed.setdefault(action.node, set()).add(action.service)
            case ActionKind.STOP:
                del self.copies[self._spot(action)]
            case ActionKind.START if service is not None:
                copy = _started(service, action.node, action.instance)
                self.copies[copy.node, copy.service, copy.instance] = copy
            case ActionKind.PROMOTE:
                self._change(action, role=Role.PROMOTED)
            case ActionKind.DEMOTE:
                self._change(action, role=Role.UNPROMOTED)
            case ActionKind.RELOAD if service is not None:
                self._change(action, digest=definition_digest(service))
            case ActionKind.MIGRATE if action.target is not None:
                copy = self.copies.pop(self._spot(action))
                self.copies[action.target, copy.service, copy.instance] = replace(
                    copy, node=action.target
                )
            case ActionKind.START | ActionKind.RELOAD | ActionKind.MIGRATE:
                raise BrokenLaw("a plan names what it acts on", f"{action.id} does not")
            case _:
                assert_never(action.kind)

    def _spot(self, action: Action) -> _Spot:
        """The copy that an action is about: where there is one only, it needs no number."""
        assert action.service is not None  # noqa: S101 - only a fence has none
        exact = (action.node, action.service, action.instance)
        if exact in self.copies:
            return exact
        here = [spot for spot in self.copies if spot[:2] == exact[:2]]
        if len(here) != 1:
            raise BrokenLaw("a plan acts on what is there", f"{action.id} finds {len(here)} copies")
        return here[0]

    def _change(self, action: Action, **changes: object) -> None:
        spot = self._spot(action)
        self.copies[spot] = replace(self.copies[spot], **changes)  # type: ignore[arg-type]

    def _fence(self, node: NodeName) -> None:
        self.fenced.add(node)
        self.copies = {spot: copy for spot, copy in self.copies.items() if copy.node != node}


def _started(service: Service, node: NodeName, instance: int) -> Copy:
    """A copy as it is right after its start."""
    return Copy(
        service=service.name,
        node=node,
        instance=instance,
        role=Role.UNPROMOTED if service.promotable or service.promoted else Role.STARTED,
        digest=definition_digest(service),
        fixed_digest=fixed_digest(service),
    )
