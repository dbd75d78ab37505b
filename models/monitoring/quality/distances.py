"""Distances between two samples of one column, from their counts or their deciles."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]


def shares(counts: npt.ArrayLike) -> Numbers:
    """Counts as shares of their sum along the last axis; zeros where there is nothing."""
    table = np.asarray(counts, dtype=float)
    return table / np.maximum(table.sum(axis=-1, keepdims=True), 1.0)


def jensen_shannon(reference: npt.ArrayLike, current: npt.ArrayLike) -> float | None:
    """Jensen-Shannon distance (the root of the divergence in bits) of two rows of counts, in [0, 1].

    None when either is empty. As NannyML's `jensen_shannon`, but on fixed bins. Lin, IEEE Trans. Inf. Theory 1991.

    >>> jensen_shannon([5, 5, 0], [0, 0, 9]), jensen_shannon([1, 3], [2, 6])
    (1.0, 0.0)
    """
    if not np.sum(reference) or not np.sum(current):
        return None
    p, q = shares(reference), shares(current)
    middle = (p + q) / 2
    divergence = sum(float((x[x > 0] * np.log2(x[x > 0] / middle[x > 0])).sum()) for x in (p, q)) / 2
    return float(np.sqrt(min(max(divergence, 0.0), 1.0)))


def total_variation(reference: Numbers, current: Numbers) -> float:
    """Half the sum of absolute differences of two rows of shares, in [0, 1]."""
    return float(np.abs(reference - current).sum() / 2)


def decile_distance(reference: npt.ArrayLike, current: npt.ArrayLike, scale: float) -> float:
    """Mean absolute difference of the nine deciles in units of `scale`: unlike shares of bins it has no ceiling."""
    return float(np.abs(np.asarray(reference, dtype=float) - np.asarray(current, dtype=float)).mean() / scale)
