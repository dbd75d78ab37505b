"""Whether the champion reproduces what it logged: if not, its code or its features have changed."""

from __future__ import annotations

import numpy as np

TOLERANCE = 1e-4  # float32 sums in another order differ by less


def mismatch_share(logged: np.ndarray, again: np.ndarray) -> float:
    """Share of scores, in [0, 1], that differ by more than the tolerance or are not numbers; 0 without any.

    >>> mismatch_share(np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.1, 0.2, 0.3, np.nan]))
    0.25
    """
    return float((~(np.abs(again - logged) <= TOLERANCE)).mean()) if len(logged) else 0.0
