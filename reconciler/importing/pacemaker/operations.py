"""Operations of a resource: those written on it and its template, with the defaults of operations.

What stands on the `op` element comes before its meta attributes, and those before `op_defaults`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from reconciler.importing.pacemaker.document import Cib, Element
from reconciler.importing.pacemaker.rules import Agent, Context
from reconciler.importing.pacemaker.settings import pairs
from reconciler.importing.pacemaker.words import duration_ms, role, truth
from reconciler.model.ids import Millis

TIMEOUT_MS: Final = 20_000
"""What Pacemaker gives an operation whose timeout is not written."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Operation:
    """An operation as it is carried out."""

    name: str
    every_ms: Millis
    role: str = ""
    """The role whose copies it looks after, by its present name; empty: any that runs."""
    timeout_ms: Millis = Millis(TIMEOUT_MS)
    on_fail: str = ""
    """As written, in lower case; empty where it is not."""
    enabled: bool = True
    written: bool = True
    """False: it is not in the CIB, and the defaults say this of it."""
    element: Element | None = None


def read_operations(layers: tuple[Element, ...], agent: Agent, cib: Cib) -> tuple[Operation, ...]:
    """Operations of a resource: every one written, and the four single ones in any case."""
    written = [_operation(element, agent, cib) for element in _elements(layers, cib)]
    names = {each.name for each in written if not each.every_ms}
    unwritten = [
        _resolved({"name": name}, None, agent, cib)
        for name in ("start", "stop", "promote", "demote", "monitor")
        if name not in names
    ]
    return (*written, *unwritten)


def _elements(layers: tuple[Element, ...], cib: Cib) -> Iterator[Element]:
    """Those of the resource, and those of its template that it does not write itself."""
    seen: set[tuple[str, str]] = set()
    for layer in reversed(layers):
        found = [
            cib.resolved(op)
            for block in layer.all("operations")
            for op in cib.resolved(block).all("op")
        ]
        yield from (op for op in found if _key(op) not in seen)
        seen |= {_key(op) for op in found}


def _key(element: Element) -> tuple[str, str]:
    what = role(element.get("role"))
    return element.get("name"), "" if what in {"started", "unpromoted"} else what


def _operation(element: Element, agent: Agent, cib: Cib) -> Operation:
    return _resolved(dict(element.attributes), element, agent, cib)


def _resolved(
    attributes: dict[str, str], element: Element | None, agent: Agent, cib: Cib
) -> Operation:
    name, every_ms = attributes.get("name", ""), duration_ms(attributes.get("interval", ""))
    context = Context(agent=agent, operation=(name, every_ms))
    defaults = pairs(cib.section("op_defaults"), "meta_attributes", context, cib)
    own = pairs(element, "meta_attributes", context, cib) if element else {}
    values = {**defaults, **own, **attributes}
    timeout_ms = duration_ms(values.get("timeout", ""), TIMEOUT_MS)
    return Operation(
        name=name,
        every_ms=every_ms,
        role=role(values.get("role", "")),
        timeout_ms=timeout_ms or Millis(TIMEOUT_MS),
        on_fail=values.get("on-fail", values.get("on_fail", "")).strip().lower(),
        enabled=truth(values.get("enabled", ""), default=True),
        written=element is not None,
        element=element,
    )
