"""Assignment: every row its own column, at the least total cost.

Rows take their cheapest column where nobody else wants it; the others are placed one after the
other. A new row takes the free column that it can reach most cheaply,
where reaching may push rows placed before to other columns. Prices on rows and columns keep the
reduced costs from going below 0, so that the cheapest way is a shortest path (Dijkstra's algorithm)
and every partial assignment is the best for its rows.

Crouse, "On implementing 2D rectangular assignment algorithms", IEEE TAES 2016, after Jonker and
Volgenant 1987.

Shapes      M rows, K columns.
"""

from __future__ import annotations

import numpy as np

from itemlm.types import FloatArray, IntArray


def cheapest_assignment(cost_MK: FloatArray) -> IntArray:
    """[M] the column of each row; no column is used twice, and the sum of the costs is least.

    Args:
        cost_MK: finite, with M <= K. Time grows with M * M * K.
    """
    cost_MK = cost_MK.astype(np.float64)
    rows, columns = cost_MK.shape
    row_of_K = np.full(columns, -1)
    column_of_M = np.full(rows, -1)
    # Every row's cheapest column goes to the first row that wants it; the others are left to place.
    price_M, price_K = cost_MK.min(axis=1), np.zeros(columns)
    wanted, first = np.unique(cost_MK.argmin(axis=1), return_index=True)
    column_of_M[first], row_of_K[wanted] = wanted, first
    for new in np.flatnonzero(column_of_M < 0).tolist():
        # 1. The shortest path from the new row to a free column.
        length_K = np.full(columns, np.inf)
        via_K = np.full(columns, -1)  # the row from which a column is reached
        open_K = np.ones(columns, dtype=bool)
        row, length = new, 0.0
        while True:
            through_K = length + cost_MK[row] - price_M[row] - price_K
            shorter_K = open_K & (through_K < length_K)
            length_K[shorter_K] = through_K[shorter_K]
            via_K[shorter_K] = row
            column = int(np.where(open_K, length_K, np.inf).argmin())
            length = length_K[column]
            if row_of_K[column] < 0:
                break
            open_K[column] = False
            row = row_of_K[column]
        # 2. Prices under which every step of the path costs nothing.
        passed = np.flatnonzero(~open_K)
        price_M[new] += length
        price_M[row_of_K[passed]] += length - length_K[passed]
        price_K[passed] -= length - length_K[passed]
        # 3. Every row on the path moves one column on.
        row = -1
        while row != new:
            row = via_K[column]
            row_of_K[column] = row
            column_of_M[row], column = column, column_of_M[row]
    return column_of_M
