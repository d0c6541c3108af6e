"""Assignment: rows to columns, one to one, for the greatest total gain, by successive shortest paths.

Gains are integers of any size, so that packed worths fit. A row may be left out, for a gain of nothing; a
column may be left free. The answer is an optimum, always: there is no limit to run into.
"""

from collections.abc import Mapping, Sequence

Gains = Mapping[int, int]
"""What a row gains in each column that it may have."""


def assign_rows(rows: Sequence[Gains]) -> list[int | None]:
    """Choose a column for each row, or none; no column twice.

    Law: no other choice has a greater total gain. Ties go to the first column.
    Shape: R rows, C columns: O(R x C x shortest path), paths are short unless columns are scarce.
    Source: Kuhn and Munkres, in the form with potentials.
    """
    matching = _Matching(rows)
    for row in range(len(rows)):
        matching.add(row)
    return matching.column


class _Matching:
    """An optimal choice for the rows added so far, with the potentials that prove it."""

    def __init__(self, rows: Sequence[Gains]) -> None:
        self._rows = rows
        self.column: list[int | None] = [None] * len(rows)
        self._owner: dict[int, int] = {}
        self._row_price = [0] * len(rows)
        self._column_price: dict[int, int] = {}

    def add(self, first: int) -> None:
        """Let one more row in, moving others where that gains more.

        Dijkstra over alternating paths: `far` is the least loss at which a column is reached, and a path
        ends in a free column, or in a row that gives its column up.
        """
        rows, row_price, column_price = self._rows, self._row_price, self._column_price
        far: dict[int, int] = {}
        came: dict[int, int] = {}
        order: list[tuple[int, int]] = []
        used: set[int] = set()
        row, loss = first, 0
        last, least = first, -row_price[first]
        while True:
            base = loss - row_price[row]
            if base < least:
                last, least = row, base
            for column, gain in rows[row].items():
                if column not in used:
                    through = base - gain - column_price.get(column, 0)
                    if column not in far or through < far[column]:
                        far[column], came[column] = through, row
            open_columns = ((far[c], c in self._owner, c) for c in far if c not in used)
            near = min(open_columns, default=None)
            if near is None or near[0] >= least:
                self._settle(first, order, least)
                self._shift(last, None, came)
                return
            loss, _, column = near
            used.add(column)
            owner = self._owner.get(column)
            if owner is None:
                self._settle(first, order, loss)
                self._shift(came[column], column, came)
                return
            order.append((column, loss))
            row = owner

    def _settle(self, first: int, order: list[tuple[int, int]], total: int) -> None:
        self._row_price[first] += total
        for column, loss in order:
            self._row_price[self._owner[column]] += total - loss
            self._column_price[column] = self._column_price.get(column, 0) - (total - loss)

    def _shift(self, row: int, column: int | None, came: Mapping[int, int]) -> None:
        """Give each row on the path its new column, from the end of the path to its beginning."""
        while True:
            before = self.column[row]
            self.column[row] = column
            if column is not None:
                self._owner[column] = row
            if before is None:
                return
            column, row = before, came[before]
