"""What holds for the whole cluster: fencing, quorum, health and heartbeat of a draft, checked and settled."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from reconciler.config import document
from reconciler.config.draft import Draft, Entry
from reconciler.config.problems import Problems, listed
from reconciler.config.references import References
from reconciler.config.services import split_parameters
from reconciler.config.words import FenceAction
from reconciler.config.yaml_tree import quoted
from reconciler.model.ids import Millis, NodeName
from reconciler.model.intent import (
    FenceDevice,
    FenceLevel,
    Fencing,
    Health,
    HealthStrategy,
    Heartbeat,
    OnLoss,
    Origin,
)

_EVERY = Millis(500)
_EVERY_LEAST_MS = 20
_LOST = Millis(3_500)
_FAST_MS = 250
_HEALTH_SCORES = {
    HealthStrategy.PROGRESSIVE: ("base", "green", "yellow", "red"),
    HealthStrategy.CUSTOM: ("green", "yellow", "red"),
}
"""Which scores a strategy uses; the others have their own."""


def read_fencing(draft: Draft, references: References, problems: Problems) -> Fencing:
    """Devices, levels, and whether a split brain is accepted."""
    accept = draft.accept_split_brain
    none = draft.fencing is not None and draft.fencing.body is None
    if accept is not None and accept.body and not none:
        problems.add(
            "R041",
            "accept-split-brain has a meaning only together with `fencing: none`; it is ignored. Remove it, "
            "or write `fencing: none`.",
            accept.origin,
        )
    body = draft.fencing.body if draft.fencing else None
    devices = tuple(_devices(draft, references))
    return Fencing(
        devices=devices,
        levels=tuple(_levels(draft, devices, references, problems)),
        action=((body and body.action) or FenceAction.REBOOT).value,
        unseen=body is not None and body.unseen,
        priority_delay_ms=(body and body.priority_delay) or Millis(0),
        accept_split_brain=none and accept is not None and accept.body,
    )


def _devices(draft: Draft, references: References) -> Iterator[FenceDevice]:
    for name in sorted(draft.devices):
        entry = draft.devices[name]
        used_by = f"Fence device {quoted(name)}"
        nodes = references.nodes(entry.body.nodes, used_by, _places(entry, "nodes"))
        if len(nodes) < len(entry.body.nodes):
            draft.broken.add(("fencing", name))
        parameters, secrets = split_parameters(entry.body.parameters)
        yield FenceDevice(
            name=name,
            agent=entry.body.agent,
            nodes=nodes,
            parameters=parameters,
            secrets=secrets,
            origin=entry.origin,
        )


def _levels(
    draft: Draft,
    devices: tuple[FenceDevice, ...],
    references: References,
    problems: Problems,
) -> Iterator[FenceLevel]:
    reached = {device.name: frozenset(device.nodes) for device in devices}
    seen: dict[tuple[NodeName, int], Origin] = {}
    for entry in draft.levels:
        number = entry.body.level
        used_by = f"Fencing level {number}"
        nodes = references.nodes(entry.body.nodes, used_by, _places(entry, "nodes"))
        named = references.devices(entry.body.devices, used_by, _places(entry, "devices"))
        if not nodes or len(named) < len(entry.body.devices):
            continue  # a level without one of its devices would do less than was asked
        for node in nodes:
            _check_level(
                entry, node, [name for name in named if node not in reached[name]], problems
            )
            if (node, number) in seen:
                first = seen[node, number]
                problems.add(
                    "R045",
                    f"Level {number} of node {quoted(node)} is given here and at {first}:{first.column}. "
                    "Join their devices, or give one of them another number.",
                    entry.at("level"),
                )
            seen[node, number] = entry.origin
        yield FenceLevel(nodes=nodes, level=number, devices=named, origin=entry.origin)


def _check_level(
    entry: Entry[document.Level], node: NodeName, short: list[str], problems: Problems
) -> None:
    if short:
        problems.add(
            "R046",
            f"Level {entry.body.level} fences node {quoted(node)} with {listed(short)}, which "
            f"{'do' if len(short) > 1 else 'does'} not list that node, so the level always fails there. Add "
            "the node to the device, or take the device out of the level.",
            entry.at("devices"),
        )


def on_quorum_loss(draft: Draft) -> OnLoss:
    """What happens to what runs without a majority."""
    return (draft.quorum and draft.quorum.body.on_loss) or OnLoss.FREEZE


def read_health(draft: Draft, problems: Problems) -> Health:
    """How the health of nodes counts."""
    if draft.health is None:
        return Health()
    body = draft.health.body
    points = {
        name: getattr(body, name)
        for name in ("base", "green", "yellow", "red")
        if name in body.model_fields_set
    }
    unused = [name for name in points if name not in _HEALTH_SCORES.get(body.strategy, ())]
    if unused:
        problems.add(
            "R052",
            f"{' and '.join(f'`{name}`' for name in unused)} {'do' if len(unused) > 1 else 'does'} not count "
            f"with the strategy {body.strategy}. Remove {'them' if len(unused) > 1 else 'it'}, or write "
            "`strategy: progressive`.",
            draft.health.at(unused[0]),
        )
    return replace(Health(), strategy=body.strategy, **points)


def read_heartbeat(draft: Draft, problems: Problems) -> Heartbeat:
    """When nodes are suspect and lost; what is not said follows from how often they are heard."""
    body = draft.heartbeat.body if draft.heartbeat else document.Heartbeat.model_construct()
    every = body.every or _EVERY
    usual = 4 * every if every < _FAST_MS else max(_LOST, 4 * every)
    lost = body.lost_after or Millis(usual)
    suspect = body.suspect_after or Millis(3 * every if 3 * every < lost else (every + lost) // 2)
    if draft.heartbeat and not _EVERY_LEAST_MS <= every < suspect < lost:
        problems.add(
            "R043",
            f"Heartbeats come every {every}ms, a node is suspect after {suspect}ms and lost after {lost}ms. "
            f"They must grow in this order, from {_EVERY_LEAST_MS}ms on.",
            draft.heartbeat.origin,
        )
        return Heartbeat()
    return Heartbeat(every_ms=every, suspect_ms=suspect, lost_ms=lost)


def _places(entry: Entry[Any], key: str) -> Callable[[int], Origin]:
    return lambda number: entry.at(key, number)
