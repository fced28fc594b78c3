"""Assignment, for tracking: costs of all pairs in, the pairs that cost least together out."""

import numpy as np
from numpy.typing import NDArray

MAX_EXACT = 16
"""Groups of faces that contend with each other are solved exactly up to this size; larger ones greedily."""
MAX_CHOICES = 8
"""Pairs considered per face in a larger group, at a time."""
MAX_PASSES = 4
"""Times that faces left over choose again: enough for nearly all, and bounded whatever comes."""


def assign(costs: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Return pairs (row, column), each row and column at most once, with the least sum of costs.

    Args:
        costs: (n, m); a pair whose cost is not below 0 is never made.
    """
    rows = np.flatnonzero(costs.min(axis=1, initial=0) < 0)
    if len(rows) == 0:
        return []
    best = costs[rows].argmin(axis=1)
    if len(set(best.tolist())) == len(rows):
        # Each row has its best column and nobody contends.
        return list(zip(rows.tolist(), best.tolist(), strict=True))
    pairs = []
    for group_rows, group_columns in _find_groups(costs, rows.tolist()):
        part = costs[np.ix_(group_rows, group_columns)]
        solve = _solve_exactly if min(part.shape) <= MAX_EXACT else _solve_greedily
        pairs += [(group_rows[i], group_columns[j]) for i, j in solve(part)]
    return pairs


def _find_groups(costs: NDArray[np.float32], rows: list[int]) -> list[tuple[list[int], list[int]]]:
    """Return the rows and columns that hang together by pairs below 0, as separate groups."""
    is_pair = costs < 0
    by_row = {i: np.flatnonzero(is_pair[i]).tolist() for i in rows}
    by_column: dict[int, list[int]] = {}
    for i in rows:
        for j in by_row[i]:
            by_column.setdefault(j, []).append(i)
    groups = []
    waiting = set(rows)
    while waiting:
        queue = [waiting.pop()]
        group: list[int] = []
        columns: set[int] = set()
        while queue:
            group.append(i := queue.pop())
            for j in by_row[i]:
                if j not in columns:
                    columns.add(j)
                    fresh = waiting.intersection(by_column[j])
                    waiting -= fresh
                    queue += fresh
        groups.append((sorted(group), sorted(columns)))
    return groups


def _solve_exactly(costs: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Hungarian method with potentials, after Kuhn (1955) and Munkres (1957), in O(n^2 m)."""
    if costs.shape[0] > costs.shape[1]:
        return [(i, j) for j, i in _solve_exactly(costs.T)]
    n, m = costs.shape
    # A pair not to be made costs what no pair costs: 0.
    table = np.minimum(costs, 0).tolist()
    row_price, column_price = [0.0] * n, [0.0] * m
    owner = [-1] * m
    for start in range(n):
        slack, source = [float("inf")] * m, [-1] * m
        done: list[int] = []
        is_open = set(range(m))
        row, column = start, -1
        while True:
            for j in is_open:
                if (cost := table[row][j] - row_price[row] - column_price[j]) < slack[j]:
                    slack[j], source[j] = cost, column
            nearest = min(is_open, key=slack.__getitem__)
            step = slack[nearest]
            row_price[start] += step
            for j in done:
                row_price[owner[j]] += step
                column_price[j] -= step
            for j in is_open:
                slack[j] -= step
            is_open.remove(nearest)
            done.append(nearest)
            column, row = nearest, owner[nearest]
            if row < 0:
                break
        while column >= 0:
            previous = source[column]
            owner[column] = owner[previous] if previous >= 0 else start
            column = previous
    return [(i, j) for j, i in enumerate(owner) if i >= 0 and costs[i, j] < 0]


def _solve_greedily(costs: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Take the cheapest pair, then the cheapest of what is left; the best few of each row are looked at in a pass."""
    pairs: list[tuple[int, int]] = []
    rows, columns = np.arange(costs.shape[0]), np.arange(costs.shape[1])
    for _ in range(MAX_PASSES):
        if not (made := _take_cheapest(costs[np.ix_(rows, columns)])):
            break
        pairs += [(int(rows[i]), int(columns[j])) for i, j in made]
        rows, columns = np.delete(rows, [i for i, _ in made]), np.delete(columns, [j for _, j in made])
    return pairs


def _take_cheapest(costs: NDArray[np.float32]) -> list[tuple[int, int]]:
    k = min(MAX_CHOICES, costs.shape[1])
    if k == 0:
        return []
    columns = np.argpartition(costs, k - 1, axis=1)[:, :k]
    values = np.take_along_axis(costs, columns, axis=1)
    pairs, taken_rows, taken_columns = [], set(), set()
    for at in np.argsort(values, axis=None).tolist():
        i, j = at // k, int(columns[at // k, at % k])
        if values[i, at % k] < 0 and i not in taken_rows and j not in taken_columns:
            taken_rows.add(i)
            taken_columns.add(j)
            pairs.append((i, j))
    return pairs
