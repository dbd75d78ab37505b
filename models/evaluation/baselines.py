"""Forecasts that need no model: what a first champion has to beat.

A baseline is called with the rows that may be learned from and those to forecast, and says for each of the latter a
probability or, of a regression's label, a value: an array of shape (rows,). Of a multiclass label it says a probability
for each class: a frame with a row for each and a column for each class. It sees no label of theirs. A user's own is any
class like these, named in `gate.first.baseline`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Prior:
    """How often each outcome occurred among the training rows, or the mean of their label, said of every row."""

    label: str = "the constant prediction of what was usual among the training rows"

    def __call__(self, seen: pd.DataFrame, rows: pd.DataFrame, label: str, time: str) -> np.ndarray | pd.DataFrame:
        """Scores of `rows`."""
        return _usual(seen[label], len(rows))


@dataclass(frozen=True)
class LastValue:
    """The same of the last `days` before the holdout alone: that tomorrow will be like yesterday."""

    days: float = 1.0
    label: str = "the prediction that it goes on as in the last days"

    def __post_init__(self) -> None:
        if not self.days > 0:
            raise ValueError(f"days={self.days}: the last days are more than 0; set gate.first.baseline")

    def __call__(self, seen: pd.DataFrame, rows: pd.DataFrame, label: str, time: str) -> np.ndarray | pd.DataFrame:
        """Scores of `rows`."""
        latest = seen[seen[time] > seen[time].max() - pd.Timedelta(days=self.days)]
        return _usual(latest[label], len(rows))


def _usual(labels: pd.Series, num_rows: int) -> np.ndarray | pd.DataFrame:
    if pd.api.types.is_numeric_dtype(labels):
        return np.full(num_rows, labels.mean())
    shares = labels.value_counts(normalize=True).sort_index()
    return pd.DataFrame(np.tile(shares.to_numpy(), (num_rows, 1)), columns=shares.index.tolist())
