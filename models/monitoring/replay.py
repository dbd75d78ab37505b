"""The replay check: does the champion reproduce, from the inputs as they were logged, the scores that were logged?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

TOLERANCE = 1e-4  # of the scale of scores: float32 sums in another order differ by less


@dataclass(frozen=True)
class Replay:
    """How many logged scores were computed again, and how many came out otherwise.

    Attributes:
        num_rows: scores that were computed again.
        mismatch_share: of them that differ by more than the tolerance or are not numbers.
        largest: difference.
        days: ISO dates of the rows that came out otherwise.
    """

    num_rows: int
    mismatch_share: float
    largest: float
    days: tuple[str, ...] = ()

    @classmethod
    def of(cls, logged: np.ndarray, again: np.ndarray, days: np.ndarray | None = None, scale: float = 1.0) -> Self:
        """Compare scores of the same rows.

        Args:
            logged: shape (rows,), or (rows, classes) of a multiclass label.
            again: the same, computed now.
            days: the ordinals of their days, shape (rows,).
            scale: how far scores of different rows are apart; probabilities lie within 1.

        >>> Replay.of(np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.1, 0.2, 0.35, np.nan])).mismatch_share
        0.5
        """
        if not len(logged):
            return cls(0, 0.0, 0.0)
        apart = np.abs(again - logged).reshape(len(logged), -1).max(axis=1)  # NaN where any is
        largest = float(np.nanmax(apart)) if np.isfinite(apart).any() else scale
        differs = ~(apart <= TOLERANCE * scale)
        on = () if days is None else tuple(str(np.datetime64(int(day), "D")) for day in np.unique(days[differs]))
        return cls(len(logged), float(differs.mean()), largest, on)
