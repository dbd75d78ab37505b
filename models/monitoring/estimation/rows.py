"""Which rows are looked at where all would be too many: every k-th, so that two looks choose the same ones."""

from __future__ import annotations

import numpy as np


def spread_rows(num_rows: int, cap: int) -> np.ndarray:
    """Positions of at most `cap` of the rows, evenly spread over their order.

    >>> spread_rows(10, 4).tolist()
    [1, 3, 6, 8]
    >>> spread_rows(3, 4).tolist()
    [0, 1, 2]
    """
    if num_rows <= cap:
        return np.arange(num_rows)
    return ((np.arange(cap) + 0.5) * (num_rows / cap)).astype(np.intp)
