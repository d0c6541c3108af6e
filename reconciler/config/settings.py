"""Settings laid over each other: built in, defaults, template, service.

Each layer overrides key by key, and inside operations, `failures`, `demand` and `parameters` too. A service
that names a kind of its own takes it instead of its template's.
"""

from typing import Any, Final

from reconciler.config import document
from reconciler.config.draft import Entry
from reconciler.model.ids import Millis
from reconciler.model.intent import Kind, MultipleActive, Operation, Requires

Settings = dict[str, Any]
"""Settings by name, each as the model has it; `kinds`, and the `holder` that says them."""

_MINUTE = Operation(timeout_ms=Millis(60_000))

BUILT_IN: Final[Settings] = {
    "priority": 0,
    "rank": 0,
    "stickiness": 100,
    "promoted_stickiness": None,
    "safety": None,
    "enabled": True,
    "maintenance": False,
    "survive": None,
    "managed": True,
    "critical": True,
    "requires": Requires.FENCING,
    "multiple_active": MultipleActive.STOP_UNEXPECTED,
    "migratable": False,
    "reloadable": (),
    "replicas": 1,
    "replicas_per_node": 1,
    "promotable": None,
    "promoted": 0,
    "interleave": True,
    "ordered": False,
    "notify": False,
    "demand": {},
    "parameters": {},
    "start": _MINUTE,
    "stop": _MINUTE,
    "promote": _MINUTE,
    "demote": _MINUTE,
    "monitor": Operation(timeout_ms=Millis(20_000), every_ms=Millis(10_000)),
    "monitor_promoted": None,
    "max": 3,
    "forget_after": Millis(600_000),
    "kinds": (),
    "holder": None,
}
"""What holds where nobody says anything. `promotable` None: it has roles if any copies are promoted."""

_KINDS = {kind.value.replace("-", "_"): kind for kind in Kind}
_MERGED = frozenset({"demand", "parameters"})
_OPERATIONS = frozenset({"start", "stop", "promote", "demote", "monitor"})


def overlay(base: Settings, body: document.Defaults, holder: Entry[Any] | None = None) -> Settings:
    """Settings with what `body` says laid over them."""
    found = base.copy()
    kinds = []
    for name in body.model_fields_set:
        said = getattr(body, name)
        if name in _MERGED:
            found[name] = {**base[name], **said}
        elif name in _OPERATIONS:
            found[name] = _operation(base[name], said)
        elif name == "monitor_promoted":
            found[name] = (*(base[name] or ()), said)
        elif name == "failures":
            found |= {inner: getattr(said, inner) for inner in said.model_fields_set}
        elif name in _KINDS:
            kinds.append(_KINDS[name])
        else:
            found[name] = said
    if kinds:
        found |= {"kinds": tuple(sorted(kinds)), "holder": holder}
    return found


def monitor_promoted(settings: Settings) -> Operation | None:
    """How promoted copies are looked at: each layer's word laid over the service's own `monitor`."""
    layers: tuple[document.Deadline, ...] | None = settings["monitor_promoted"]
    if layers is None:
        return None
    found: Operation = settings["monitor"]
    for said in layers:
        found = _operation(found, said)
    return found


def _operation(base: Operation, said: document.Deadline) -> Operation:
    every = said.every if isinstance(said, document.Look) else None
    return Operation(
        timeout_ms=said.timeout or base.timeout_ms,
        every_ms=every or base.every_ms,
        on_fail=getattr(said, "on_fail", None) or base.on_fail,
    )
