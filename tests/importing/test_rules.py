"""Rules hold when Pacemaker says that they hold."""

import pytest

from reconciler.importing.pacemaker.document import Cib, read_cib
from reconciler.importing.pacemaker.rules import Agent, Context, holds
from reconciler.importing.pacemaker.words import duration_ms, score, truth, written_duration
from tests.importing.cibs import cib

NODE = {"#uname": "n1", "rack": "A", "load": "9", "ratio": "2.5", "release": "2.10"}


def rule(inside: str, **attributes: str) -> bool:
    """Whether a rule holds for a node, a dummy's default and its monitor."""
    written = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in attributes.items())
    found = read_cib(cib(more=f'<x><rule id="r"{written}>{inside}</rule></x>'), "cib.xml", 0)
    assert isinstance(found, Cib)
    context = Context(
        node=NODE,
        agent=Agent(standard="ocf", provider="pacemaker", type="Dummy"),
        operation=("monitor", 60_000),
        parameters={"limit": "9"},
        captured=("db-rack", "rack"),
    )
    return holds(found.by_id["r"], context, found)


def attribute(name: str, operation: str, value: str = "", **more: str) -> str:
    """One attribute expression."""
    rest = "".join(f' {key.replace("_", "-")}="{text}"' for key, text in more.items())
    return f'<expression attribute="{name}" operation="{operation}" value="{value}"{rest}/>'


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        (attribute("rack", "eq", "a"), True),  # without regard to case
        (attribute("rack", "ne", "b"), True),
        (attribute("shelf", "ne", "b"), True),  # what is missing differs
        (attribute("shelf", "eq", "b"), False),
        (attribute("shelf", "lt", "5"), False),
        (attribute("shelf", "not_defined"), True),
        (attribute("rack", "defined"), True),
        (attribute("load", "lt", "10"), True),  # numbers, where an order is asked for
        (attribute("load", "lt", "10", type="string"), False),
        (attribute("ratio", "gt", "2.4"), True),
        (attribute("ratio", "eq", "2", type="integer"), True),  # cut off, not rounded
        (attribute("ratio", "eq", "2.5x", type="integer"), True),
        (attribute("rack", "eq", "A", type="integer"), True),  # no number: compared as text
        (attribute("release", "gt", "2.9", type="version"), True),
        (attribute("load", "gte", "limit", value_source="param"), True),
        (attribute("%1", "eq", "A"), True),  # what a pattern of names caught
        (attribute("rack", "nonsense", "A"), False),
        ('<rsc_expression class="ocf" type="Dummy"/>', True),
        ('<rsc_expression type="IPaddr2"/>', False),
        ('<op_expression name="monitor" interval="1min"/>', True),
        ('<op_expression name="monitor" interval="10s"/>', False),
        ('<op_expression name="start"/>', False),
    ],
)
def test_expressions(inside, expected):
    assert rule(inside) is expected


def date(attributes: str, inside: str = "") -> str:
    """One date expression."""
    return f"<date_expression {attributes}>{inside}</date_expression>"


SPEC = 'operation="date_spec"'


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        (date('operation="gt" start="2023-11-14T22:13:19Z"'), True),
        (date('operation="gt" start="2023-11-14 23:13:19 +02:00"'), True),
        (date('operation="gt" start="2023-11-14T22:13:20Z"'), False),
        (date('operation="lt" end="2023-318"'), False),
        (date('operation="in_range" start="2023-318" end="2023-11-14T22:13:20Z"'), True),
        (date('start="2023-W46-2"', '<duration days="1"/>'), True),
        (date('start="2023-10-31"', '<duration months="1" hours="1"/>'), True),
        (date(SPEC, '<date_spec hours="9-22" weekdays="1-5"/>'), True),
        (date(SPEC, '<date_spec hours="23-"/>'), False),
        (date(SPEC, '<date_spec years="2023" months="11"/>'), True),
        (date('operation="gt" start="when hell freezes"'), False),
        (date(""), False),
    ],
)
def test_dates(inside, expected):
    assert rule(inside) is expected


def test_expressions_add_up():
    yes, no = attribute("rack", "defined"), attribute("shelf", "defined")
    assert not rule(yes + no)
    assert rule(yes + no, boolean_op="or")
    assert rule(f'{yes}<rule id="inner" boolean-op="or">{no}{yes}</rule>')
    assert not rule("", boolean_op="or")


@pytest.mark.parametrize(
    ("written", "expected"),
    [("INFINITY", 1_000_000), ("-infinity", -1_000_000), ("+5", 5), ("2000000", 1_000_000), ("x", 0)],
)  # fmt: skip
def test_scores(written, expected):
    assert score(written) == expected


@pytest.mark.parametrize(
    ("written", "expected_ms"),
    [("20", 20_000), ("20s", 20_000), ("1min", 60_000), ("2h", 7_200_000), ("500ms", 500),
     ("PT1M30S", 90_000), ("P1D", 86_400_000), ("5 parsecs", 0), ("", 0)],
)  # fmt: skip
def test_durations(written, expected_ms):
    assert duration_ms(written) == expected_ms


def test_truths_and_durations_in_the_file():
    assert [truth(word, default=True) for word in ("off", "No", "0", "perhaps")] == [False] * 3 + [
        True
    ]
    assert [written_duration(ms) for ms in (0, 1500, 90_000, 120_000)] == [
        "1ms",
        "1500ms",
        "90s",
        "2m",
    ]
