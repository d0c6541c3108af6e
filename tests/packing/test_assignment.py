"""Assignment against every assignment there is."""

import random

import pytest

from reconciler.core.assignment import assign_rows


def best(rows: list[dict[int, int]], taken: frozenset[int] = frozenset()) -> int:
    if not rows:
        return 0
    first, rest = rows[0], rows[1:]
    ways = [best(rest, taken)]
    ways += [gain + best(rest, taken | {at}) for at, gain in first.items() if at not in taken]
    return max(ways)


@pytest.mark.parametrize("seed", range(300))
def test_no_assignment_gains_more(seed):
    draw = random.Random(seed)
    columns = range(draw.randint(1, 5))
    rows = [
        {
            at: draw.randint(-3, 9) + draw.choice([0, 1 << 100])
            for at in columns
            if draw.random() < 0.7
        }
        for _ in range(draw.randint(1, 5))
    ]
    chosen = assign_rows(rows)
    taken = [at for at in chosen if at is not None]
    assert len(taken) == len(set(taken))
    got = sum(row[at] for row, at in zip(rows, chosen, strict=True) if at is not None)
    assert got == best(rows)


def test_equal_gains_take_the_first_columns():
    assert assign_rows([{0: 5, 1: 5, 2: 5}] * 2) == [0, 1]


def test_a_loss_is_not_taken():
    assert assign_rows([{0: -1}, {}]) == [None, None]
