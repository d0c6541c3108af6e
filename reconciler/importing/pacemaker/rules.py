"""Pacemaker's rules: whether a `rule` element holds, for a node, a resource or an operation, at a moment.

A rule is judged once, at the CIB's own moment; what would make it hold at another time is not kept.
Expressions of a kind that the context has nothing for (a node's attributes for a cluster option) do not
hold, as in Pacemaker.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import zip_longest

from reconciler.importing.pacemaker import dates
from reconciler.importing.pacemaker.document import Cib, Element
from reconciler.importing.pacemaker.words import duration_ms
from reconciler.model.ids import Millis

_NUMBER = re.compile(r"\s*[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)")
_INTEGER = re.compile(r"\s*[+-]?[0-9]+")
_CONDITIONS = ("rule", "expression", "date_expression", "rsc_expression", "op_expression")


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """What a resource is an instance of."""

    standard: str = ""
    provider: str = ""
    type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a rule is judged by."""

    node: Mapping[str, str] | None = None
    """Attributes of the node, `#uname` and its kin among them."""
    agent: Agent | None = None
    operation: tuple[str, Millis] | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    meta: Mapping[str, str] = field(default_factory=dict)
    captured: tuple[str, ...] = ()
    """What a pattern of resource names caught, for `%0` to `%9`."""


def holds(rule: Element, context: Context, cib: Cib) -> bool:
    """Whether a rule holds."""
    rule = cib.resolved(rule)
    either = rule.get("boolean-op", default="and").lower() == "or"
    outcomes = (_condition(part, context, cib) for part in rule.all(*_CONDITIONS))
    return any(outcomes) if either else all(outcomes)


def all_hold(owner: Element, context: Context, cib: Cib) -> bool:
    """Whether an element applies: it has no rule, or its rules hold."""
    return all(holds(rule, context, cib) for rule in owner.all("rule"))


def uses_time(rule: Element) -> bool:
    """Whether the outcome of a rule may change by time alone."""
    return next(rule.walk("date_expression"), None) is not None


def substituted(text: str, captured: tuple[str, ...]) -> str:
    """A text with `%0` to `%9` replaced by what a pattern caught."""
    if not captured:
        return text

    def caught(found: re.Match[str]) -> str:
        index = int(found[1])
        return captured[index] if index < len(captured) else found[0]

    return re.sub(r"%([0-9])", caught, text)


def _condition(part: Element, context: Context, cib: Cib) -> bool:
    match part.tag:
        case "rule":
            return holds(part, context, cib)
        case "expression":
            return _attribute(part, context)
        case "date_expression":
            return dates.holds(part, cib.now_ms)
        case "rsc_expression":
            return _same_agent(part, context.agent)
        case _:
            return _same_operation(part, context.operation)


def _same_agent(part: Element, agent: Agent | None) -> bool:
    if agent is None:
        return False
    wanted = ((part.get("class"), agent.standard), (part.get("provider"), agent.provider))
    return all(not want or want == has for want, has in (*wanted, (part.get("type"), agent.type)))


def _same_operation(part: Element, operation: tuple[str, Millis] | None) -> bool:
    if operation is None or part.get("name") != operation[0]:
        return False
    interval = part.get("interval")
    return not interval or duration_ms(interval) == operation[1]


def _attribute(part: Element, context: Context) -> bool:
    name = substituted(part.get("attribute"), context.captured)
    given = None if context.node is None else context.node.get(name)
    wanted = _reference(part, context)
    kind = part.get("type").lower()
    match part.get("operation").lower():
        case "defined":
            return given is not None
        case "not_defined":
            return given is None
        case "eq":
            return _compare(given, wanted, kind or "string") == 0
        case "ne":
            return _compare(given, wanted, kind or "string") != 0
        case "lt" | "lte" | "gt" | "gte" as order if given is not None and wanted is not None:
            sign = _compare(given, wanted, kind or _kind_of(given, wanted))
            return {"lt": sign < 0, "lte": sign <= 0, "gt": sign > 0, "gte": sign >= 0}[order]
        case _:
            return False


def _reference(part: Element, context: Context) -> str | None:
    value = part.attributes.get("value")
    if value is None:
        return None
    match part.get("value-source").lower():
        case "param":
            return context.parameters.get(value)
        case "meta":
            return context.meta.get(value)
        case _:
            return value


def _kind_of(*texts: str) -> str:
    return "number" if any("." in text for text in texts) else "integer"


def _compare(one: str | None, other: str | None, kind: str) -> int:
    """Negative, zero or positive; what is missing comes first, and what is no number is text."""
    if one is None or other is None:
        return (one is not None) - (other is not None)
    if kind == "version":
        return _sign(_version(one), _version(other))
    pattern = {"integer": _INTEGER, "number": _NUMBER}.get(kind)
    if pattern is not None:
        first, second = pattern.match(one), pattern.match(other)
        if first and second:
            number = int if kind == "integer" else float
            return _sign([number(first[0])], [number(second[0])])
    return _sign([one.lower()], [other.lower()])


def _version(text: str) -> list[int]:
    return [int(part) for part in re.findall(r"[0-9]+", text)]


def _sign(
    one: list[int] | list[float] | list[str], other: list[int] | list[float] | list[str]
) -> int:
    for left, right in zip_longest(one, other, fillvalue=0):
        if left != right:
            return 1 if left > right else -1  # type: ignore[operator]
    return 0
