"""What services have in common, taken out and written once.

For each setting the value that most services have becomes the default, and only those that differ say so. A
setting that can be absent (`on-fail`) is taken out only where every service has it and has the same.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from reconciler.importing.pacemaker.yaml_text import Value

Body = dict[str, Value]

USUAL: dict[str, Value] = {
    "priority": 0,
    "stickiness": 0,
    "safety": "exclusive",
    "enabled": True,
    "managed": True,
    "maintenance": False,
    "critical": True,
    "multiple-active": "stop-start",
    "migratable": False,
    "interleave": False,
    "ordered": False,
    "notify": False,
    "requires": "fencing",
    "start": {"timeout": "20s"},
    "stop": {"timeout": "20s"},
    "promote": {"timeout": "20s"},
    "demote": {"timeout": "20s"},
    "monitor": {"timeout": "20s"},
    "failures": {"max": 1_000_000, "forget-after": "never"},
}
"""Pacemaker's own defaults, in the order in which they are written."""

_ORDER = ("max", "forget-after", "every", "timeout", "on-fail")
_OF_ROLES = ("promote", "demote")

BUILT_IN: dict[str, Value] = {
    "priority": 0,
    "stickiness": 100,
    "safety": "exclusive",
    "enabled": True,
    "managed": True,
    "maintenance": False,
    "critical": True,
    "multiple-active": "stop-unexpected",
    "migratable": False,
    "interleave": True,
    "ordered": False,
    "notify": False,
    "requires": "fencing",
}
"""What holds here where nothing is written."""


def common(bodies: Iterable[Body]) -> Body:
    """The settings that most services share, Pacemaker's own where there is no service."""
    every = [*bodies]
    found: Body = {}
    for name, usual in USUAL.items():
        if name in _OF_ROLES and not any(name in body for body in every):
            continue
        if isinstance(usual, Mapping):
            found[name] = _common_parts(name, usual, every)
        else:
            found[name] = _most_frequent([body[name] for body in every], usual)
    return found


def without(body: Body, defaults: Body) -> Body:
    """A service without what the defaults say."""
    found: Body = {}
    for name, value in body.items():
        usual = defaults.get(name)
        if isinstance(value, Mapping) and isinstance(usual, Mapping):
            parts = {key: part for key, part in value.items() if usual.get(key) != part}
            if parts:
                found[name] = parts
        elif name not in defaults or value != usual:
            found[name] = value
    return {name: value for name, value in found.items() if not _empty(value)}


def worth_writing(defaults: Body) -> Body:
    """Defaults without those that hold here anyway."""
    return {name: value for name, value in defaults.items() if BUILT_IN.get(name) != value}


def _common_parts(name: str, usual: Mapping[str, Value], bodies: list[Body]) -> Body:
    holders = [body[name] for body in bodies if name in body]
    parts: dict[str, list[Value]] = {}
    for holder in holders:
        if isinstance(holder, Mapping):
            for key, part in holder.items():
                parts.setdefault(key, []).append(part)
    found = {**usual}
    for key, values in parts.items():
        shared = len(values) == len(holders) and all(value == values[0] for value in values)
        if key in usual:
            found[key] = _most_frequent(values, usual[key])
        elif shared and len(values) == len(bodies):
            found[key] = values[0]
    return {key: found[key] for key in sorted(found, key=_ORDER.index)}


def _most_frequent(values: list[Value], usual: Value) -> Value:
    """The most frequent of some texts and numbers; the usual one where it is as frequent as any."""
    counts = Counter(value for value in values if isinstance(value, str | int))
    best = max(counts.values(), default=0)
    if isinstance(usual, str | int) and counts[usual] == best:
        return usual
    return next(value for value, count in counts.items() if count == best)


def _empty(value: Value) -> bool:
    return isinstance(value, Mapping) and not value
