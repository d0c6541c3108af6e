"""Well-formed files that mean an enormous amount of work: the answer comes all the same, and is bounded."""

import time

import pytest

from reconciler.config.cycles import CYCLES_MAX
from reconciler.config.load import Loaded, load_files

HEAD = """\
version: 1
cluster: c
nodes: {a: {address: 10.0.0.1}}
fencing: none
accept-split-brain: true
"""
MANY = 2_000
BOUND_S = 5.0
"""Generous: each case takes a second or less, and took minutes before it was bounded."""


def services(count: int) -> str:
    return "services:\n" + "".join(f"  s{n}: {{systemd: s}}\n" for n in range(count))


def listed(first: int, last: int) -> str:
    return "[" + ", ".join(f"s{n}" for n in range(first, last)) + "]"


def load(text: str) -> Loaded:
    began = time.process_time()
    loaded = load_files((("c.yaml", (HEAD + text).encode()),))
    assert time.process_time() - began < BOUND_S
    return loaded


def codes(loaded: Loaded) -> list[str]:
    return [found.code for found in loaded.diagnostics]


def test_pairs_of_spreads_are_counted() -> None:
    spread = f"  - {{spread: {listed(0, 256)}}}\n"  # 32,640 pairs
    loaded = load(services(256) + "constraints:\n" + spread * 5)
    assert codes(loaded) == ["R002"] * 2


def test_two_long_groups_that_must_and_may_not_meet() -> None:
    half = MANY // 2
    text = (
        f"groups:\n  g: {listed(0, half)}\n  h: {listed(half, MANY)}\n"
        "constraints:\n  - {colocation: [g, h]}\n  - {colocation: [g, h], score: forbidden}\n"
    )
    found = codes(load(services(MANY) + text))
    assert set(found) == {"R031"}


def test_a_long_group_that_may_run_nowhere() -> None:
    text = f"groups:\n  g: {listed(0, MANY)}\nconstraints:\n  - {{location: g, nodes: a, score: forbidden}}\n"
    assert codes(load(services(MANY) + text)) == ["R032"] * MANY


def test_circles_without_end() -> None:
    text = "constraints:\n" + "".join(
        f"  - {{ordering: [s{n}, s{n + 1}]}}\n  - {{ordering: [s{n + 1}, s0]}}\n"
        for n in range(MANY - 1)
    )
    assert codes(load(services(MANY) + text)) == ["R030"] * CYCLES_MAX


@pytest.mark.parametrize("used", ["ordering: [s{n}, x{n}]", "location: s{n}, nodes: x{n}"])
def test_names_that_nothing_has(used: str) -> None:
    text = "constraints:\n" + "".join(
        f"  - {{{used}}}\n".replace("{n}", str(n)) for n in range(MANY)
    )
    loaded = load(services(MANY) + text)
    assert len(loaded.diagnostics) == MANY
    assert loaded.intent is None


def test_a_name_twice_at_the_end_of_a_long_list() -> None:
    text = f"groups:\n  g: {listed(0, MANY)[:-1]}, s{MANY - 1}]\n"
    assert codes(load(services(MANY) + text)) == ["R027"]
