"""Companions: the column with which a category goes together, so that a value is known by its company.

From shares alone two values that are equally frequent can be exchanged unseen. If each goes with its own values of
another column (a destination with its distance), the exchange shows there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from models.data.contract import Columns, days

CALENDAR = "day of the week"  # a companion that is no column: known for every row
MAX_ROWS = 30  # values of the category that are told apart, the most frequent ones
NUM_GROUPS = 6
SAMPLE_ROWS = 50_000
MIN_ASSOCIATION = 0.1
MIN_CALENDAR_ASSOCIATION = 0.9  # within a day it is constant: of use only to a column that follows the calendar


@dataclass(frozen=True)
class Companion:
    """A column, and the groups in which it is counted: `cuts` between numbers, or the `groups` of a category.

    One more group, the last, takes the missing and other values.
    """

    column: str
    cuts: tuple[float, ...] = ()
    groups: tuple[str, ...] = ()

    @property
    def num_groups(self) -> int:
        """Groups, that of missing and other values included."""
        if self.column == CALENDAR:
            return 7
        return len(self.groups) + 1 if self.groups else len(self.cuts) + 2

    def codes(self, frame: pd.DataFrame, columns: Columns) -> np.ndarray:
        """The group of each row, shape (rows,)."""
        if self.column == CALENDAR:
            return (days(frame[columns.time], columns.timezone) + 3) % 7  # day 0, 1970-01-01, was a Thursday
        if self.groups:
            found = pd.Index(self.groups).get_indexer(pd.Index(frame[self.column]))
            return np.where(found < 0, len(self.groups), found)
        values = frame[self.column].to_numpy(dtype=float)
        return np.where(np.isnan(values), len(self.cuts) + 1, np.searchsorted(self.cuts, values, side="right"))

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Read what `dataclasses.asdict` and JSON made of a companion."""
        return cls(content["column"], tuple(content["cuts"]), tuple(content["groups"]))


def best_companion(
    frame: pd.DataFrame, columns: Columns, values: Mapping[str, Sequence[str]]
) -> dict[str, Companion | None]:
    """For each category the companion with the highest Cramer's V on a sample; None when none reaches a tenth."""
    sample = frame.iloc[:: max(1, len(frame) // SAMPLE_ROWS)]
    candidates = [_number(sample, name) for name in columns.measured]
    candidates += [Companion(name, groups=tuple(known[:NUM_GROUPS])) for name, known in values.items() if known]
    candidates.append(Companion(CALENDAR))
    coded = [(companion, companion.codes(sample, columns)) for companion in candidates if companion.num_groups > 2]
    return {name: _best(sample[name], known[:MAX_ROWS], coded) for name, known in values.items()}


def _number(frame: pd.DataFrame, name: str) -> Companion:
    values = frame[name].dropna()
    if values.empty:
        return Companion(name)
    cuts = np.unique(values.quantile([k / NUM_GROUPS for k in range(1, NUM_GROUPS)]))
    return Companion(name, cuts=tuple(float(cut) for cut in cuts if cut > values.min()))


def _best(values: pd.Series, known: Sequence[str], coded: Sequence[tuple[Companion, np.ndarray]]) -> Companion | None:
    codes = pd.Index(known).get_indexer(pd.Index(values)) if known else np.full(len(values), -1)
    found = [
        (
            cramers_v(
                np.bincount(
                    codes[codes >= 0] * companion.num_groups + groups[codes >= 0],
                    minlength=len(known) * companion.num_groups,
                ).reshape(len(known), -1)
            ),
            companion,
        )
        for companion, groups in coded
        if companion.column != values.name and len(known) > 1
    ]
    usable = [
        (v, companion)
        for v, companion in found
        if v >= (MIN_CALENDAR_ASSOCIATION if companion.column == CALENDAR else MIN_ASSOCIATION)
    ]
    return max(usable, key=lambda item: item[0])[1] if usable else None


def cramers_v(table: np.ndarray) -> float:
    """Association of rows and columns of a table of counts, from 0 (independent) to 1 (Cramer 1946).

    >>> cramers_v(np.array([[5, 0], [0, 5]])), cramers_v(np.array([[5, 5], [5, 5]])), cramers_v(np.array([[5, 5]]))
    (1.0, 0.0, 0.0)
    """
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    if min(table.shape) < 2:
        return 0.0
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    chi2 = float(((table - expected) ** 2 / expected).sum())
    return float(np.sqrt(chi2 / table.sum() / (min(table.shape) - 1)))
