"""The builder reads what ruamel's own loader reads, and says no where it means to."""

import io
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from reconciler.config.yaml_tree import TextFloat, TextInt, build
from tests.effort import examples

TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Cn"], include_characters="\n\t"), max_size=12
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    TEXT,
    st.sampled_from(
        ["true", "no", "1e3", "0x1F", "0o17", "~", "null", "<<", "1.10", "", " ", "- a", "a: b"]
    ),
)
DATA = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)

WORDS = [
    "c: ",
    "d:",
    "- ",
    "\n  ",
    "\n    ",
    ", ",
    " -2",
    "0.5",
    " true",
    " ~",
    " # x",
    ": ",
    "? ",
    "\r\n",
]
PIECES = st.lists(
    st.sampled_from([*"ab[]{}\"'|>1\n", *WORDS, "&x ", "*x", "!t "]), max_size=24
).map("".join)


def ruamel(*, pure: bool) -> YAML:
    yaml = YAML(typ="safe", pure=pure)
    yaml.default_flow_style = (
        False  # inside braces the C parser wants more quotes than this one writes
    )
    yaml.representer.ignore_aliases = lambda *_: True
    return yaml


def plain_keys(value: Any) -> bool:
    match value:
        case dict():
            return all(isinstance(k, str) for k in value) and all(map(plain_keys, value.values()))
        case list():
            return all(map(plain_keys, value))
        case _:
            return True


@given(DATA)
@settings(max_examples=examples(150), deadline=None)
def test_reads_what_was_written(data: Any) -> None:
    stream = io.StringIO()
    ruamel(pure=True).dump(data, stream)
    tree = build(stream.getvalue().encode())
    assert not tree.flaws
    assert tree.data == data


@given(PIECES)
@settings(max_examples=examples(400), deadline=None)
def test_agrees_with_ruamel_on_anything_it_accepts(text: str) -> None:
    tree = build(text.encode())
    assume(tree.complete and not tree.flaws)
    theirs = ruamel(pure=False).load(text)  # the same parser below, another builder on top
    assume(plain_keys(theirs))  # our keys are always text
    assert tree.data == theirs


def test_a_colon_inside_braces_needs_quotes_and_the_message_says_so() -> None:
    (flaw,) = build(b"{ocf: heartbeat:Dummy}").flaws
    assert flaw.position == (1, 16)
    assert "quote a value that holds a colon" in flaw.detail
    assert build(b'{ocf: "heartbeat:Dummy"}').data == {"ocf": "heartbeat:Dummy"}
    assert build(b"ocf: heartbeat:Dummy").data == {"ocf": "heartbeat:Dummy"}


@given(st.binary(max_size=60))
def test_never_raises_on_bytes(data: bytes) -> None:
    tree = build(data)
    assert tree.complete or tree.flaws


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("yes", "yes"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("12", 12),
        ("-12", -12),
        ("0777", 777),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("2001-12-14", "2001-12-14"),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1.", 1.0),
        (".inf", float("inf")),
        ("-.INF", float("-inf")),
        ("=", "="),
        ("1.2.3", "1.2.3"),
        ("1:30", "1:30"),
        ("heartbeat:Dummy", "heartbeat:Dummy"),
        ("'12'", "12"),
    ],
)
def test_core_schema(text: str, value: Any) -> None:
    found = build(f"a: {text}".encode()).data["a"]
    assert found == value
    assert type(found) in {type(value), TextInt, TextFloat}


@pytest.mark.parametrize("text", ["0777", "1.10", "1e3", "+5", "0x1F", ".5"])
def test_numbers_keep_their_text(text: str) -> None:
    assert build(f"a: {text}".encode()).data["a"].text == text


def test_byte_order_mark_and_windows_line_ends_change_nothing() -> None:
    text = "version: 1\nnodes:\n  a: |\n    x\n    y\n"
    windows = b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()
    assert build(windows).data == build(text.encode()).data
    assert not build(windows).flaws


def test_every_position_is_known_when_asked_for() -> None:
    tree = build(b"a:\n  b: {c: 1}\n  d:\n    - x\n    - {e: 2}\n", everywhere=True)
    assert tree.keys["a", "b", "c"] == (2, 7)
    assert tree.values["a", "b", "c"] == (2, 10)
    assert tree.values["a", "d", 0] == (4, 7)
    assert tree.keys["a", "d", 1, "e"] == (5, 8)


def test_positions_near_the_top_are_always_known() -> None:
    tree = build(b"a:\n  b:\n    c: 1\nl:\n  - x: 1\nfencing:\n  devices:\n    d: {}\n")
    assert tree.keys["a", "b"] == (2, 3)
    assert tree.values["l", 0] == (5, 5)
    assert tree.keys["fencing", "devices", "d"] == (8, 5)
    assert ("a", "b", "c") not in tree.keys
