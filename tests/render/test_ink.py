"""Lines: whole in a pipe, wrapped below their own beginning on a terminal, never lost."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.render.ink import Span, Tone, line, paint, plain
from reconciler.render.words import amount, duration, listing, short, size


def test_a_pipe_gets_whole_lines():
    long = "word " * 100
    assert plain([line("lead: ", body=long)]) == "lead: " + long.strip() + "\n"


def test_a_body_hangs_below_its_beginning():
    text = paint([line("    + start  web  ", body="one two three " * 6)], colour=False, width=60)
    first, *rest = text.splitlines()
    assert first.startswith("    + start  web  one")
    assert rest
    assert all(each.startswith(" " * 18 + each.strip()[0]) for each in rest)


@given(st.text(max_size=300), st.integers(20, 200), st.text("ab ", max_size=60))
def test_no_word_is_lost_and_no_control_gets_through(body, width, lead):
    text = paint([line(lead, body=body)], colour=False, width=width)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)
    whole = plain([line(lead, body=body)])
    assert re.sub(r"\s", "", text) == re.sub(r"\s", "", whole)


def test_colour_ends_where_its_text_ends():
    text = paint([line(Span("bad", Tone.BAD), " good")], colour=True, width=80)
    assert text == "\x1b[31mbad\x1b[0m good\n"


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(0, "0ms"), (999, "999ms"), (1_000, "1s"), (4_500, "4.5s"), (60_000, "1min"),
     (200_000, "3min 20s"), (3_600_000, "1h"), (187_200_000, "2d 4h"), (86_401_000, "1d")],
)  # fmt: skip
def test_durations(milliseconds, text):
    assert duration(milliseconds) == text


def test_small_words():
    assert amount(1, "copy") == "1 copy"
    assert amount(2, "copy") == "2 copies"
    assert listing("abcdefgh", most=4) == "a, b, c and 5 more"
    assert size(8 * 2**30) == "8GiB"
    assert size(8) == "8"
    assert short("worktree:0123456789abcdef") == "worktree:0123456789"
