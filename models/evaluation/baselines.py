"""Forecasts that need no model: what a first champion has to beat.

A baseline is called with the rows that may be learned from and those to forecast, and says a probability for each of
the latter; it sees no label of theirs. A user's own is any class like these, named in `gate.first.baseline`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Prior:
    """How often the outcome occurred among the training rows, said of every row."""

    label: str = "the constant prediction of how often the outcome occurs"

    def __call__(self, seen: pd.DataFrame, rows: pd.DataFrame, label: str, time: str) -> np.ndarray:
        """Scores of `rows`, shape (rows,)."""
        return np.full(len(rows), seen[label].mean())


@dataclass(frozen=True)
class LastValue:
    """How often it occurred in the last `days` before the holdout: that tomorrow will be like yesterday."""

    days: float = 1.0
    label: str = "the prediction that it goes on as in the last days"

    def __post_init__(self) -> None:
        if not self.days > 0:
            raise ValueError(f"days={self.days}: the last days are more than 0; set gate.first.baseline")

    def __call__(self, seen: pd.DataFrame, rows: pd.DataFrame, label: str, time: str) -> np.ndarray:
        """Scores of `rows`, shape (rows,)."""
        latest = seen[seen[time] > seen[time].max() - pd.Timedelta(days=self.days)]
        return np.full(len(rows), latest[label].mean())
