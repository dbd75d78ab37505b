"""Inputs as LightGBM takes them: numbers as floats, and text as codes of the reference's vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Vocabulary:
    """The categories of a reference. What is missing has a code of its own, as has whatever the reference never held.

    Attributes:
        numbers: names of columns of numbers.
        values: for each column of text the values seen, in sorted order.
    """

    numbers: tuple[str, ...]
    values: dict[str, pd.Index]

    @classmethod
    def of(cls, reference: pd.DataFrame, numbers: Sequence[str], categories: Sequence[str]) -> Vocabulary:
        """The vocabulary of some rows; anything in `categories` counts as text."""
        seen = {name: pd.Index(sorted(_text(reference[name]).dropna().unique())) for name in categories}
        return cls(tuple(numbers), seen)

    @property
    def columns(self) -> tuple[str, ...]:
        """Numbers first, then categories, as in `matrix`."""
        return (*self.numbers, *self.values)

    @property
    def categorical(self) -> list[int]:
        """Positions of the categories in `matrix`."""
        return list(range(len(self.numbers), len(self.columns)))

    def codes(self, name: str, column: pd.Series) -> np.ndarray:
        """0 for missing, 1 to k in the order of the vocabulary, k + 1 for a value that the reference never held."""
        text = _text(column)
        found = self.values[name].get_indexer(text)
        return np.where(text.isna(), 0, np.where(found < 0, len(self.values[name]), found) + 1)

    def matrix(self, frame: pd.DataFrame) -> np.ndarray:
        """Rows as floats, shape (rows, columns); missing numbers are NaN, and infinite ones too."""
        matrix = np.empty((len(frame), len(self.columns)), dtype=np.float32)
        with np.errstate(over="ignore"):  # beyond 3e38 is infinite, and so missing
            for place, name in enumerate(self.numbers):
                matrix[:, place] = frame[name].to_numpy(dtype=float, na_value=np.nan)
        for place, name in zip(self.categorical, self.values, strict=True):
            matrix[:, place] = self.codes(name, frame[name])
        matrix[~np.isfinite(matrix)] = np.nan
        return matrix

    def frame(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Rows as a frame with codes of the type category, whose categories are the same for every frame."""
        matrix = self.matrix(frame)
        columns: dict[str, object] = {name: matrix[:, place].astype(float) for place, name in enumerate(self.numbers)}
        for place, (name, values) in zip(self.categorical, self.values.items(), strict=True):
            columns[name] = pd.Categorical(matrix[:, place].astype(int), categories=range(len(values) + 2))
        return pd.DataFrame(columns)


def _text(column: pd.Series) -> pd.Series:
    return column.astype(object).where(column.notna(), None).map(str, na_action="ignore")
