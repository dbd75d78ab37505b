"""Layout: the bins and values, learned from training rows, by which every later day is counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import pandas as pd

from models.data.contract import Columns
from models.monitoring.quality.companions import Companion, best_companion

NUM_BINS = 20
MAX_VALUES = 1_000  # of a category; rarer ones are known, but not told apart


@dataclass(frozen=True)
class NumberLayout:
    """Bin edges (quantiles of training, or each of few values) and the training range, None without a value.

    `edges` is empty for versions that were trained before bins were learned.
    """

    edges: tuple[float, ...]
    low: float | None
    high: float | None

    @property
    def num_bins(self) -> int:
        """Bins of the histogram: below the range, those between the edges, above the range."""
        return len(self.edges) + 1 if self.edges else 0


@dataclass(frozen=True)
class CategoryLayout:
    """Values of training, the most frequent first, and the column that tells them apart best, if any does."""

    values: tuple[str, ...]
    rare: tuple[str, ...] = ()
    companion: Companion | None = None


@dataclass(frozen=True)
class Layout:
    """How days are counted, column by column."""

    numbers: Mapping[str, NumberLayout] = field(default_factory=dict)
    categories: Mapping[str, CategoryLayout] = field(default_factory=dict)
    has_binary_label: bool = False

    @classmethod
    def learn(cls, frame: pd.DataFrame, columns: Columns) -> Self:
        """Learn from all training rows, labelled or not."""
        labels = frame[columns.label].dropna()
        values = {name: _by_frequency(frame[name]) for name in columns.categories}
        companions = best_companion(frame, columns, {name: known[:MAX_VALUES] for name, known in values.items()})
        return cls(
            numbers={name: _number(frame[name].to_numpy(dtype=float)) for name in columns.numbers},
            categories={
                name: CategoryLayout(tuple(known[:MAX_VALUES]), tuple(known[MAX_VALUES:]), companions[name])
                for name, known in values.items()
            },
            has_binary_label=len(labels) > 0 and bool(labels.isin([0.0, 1.0]).all()),
        )

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Read what `dataclasses.asdict` and JSON made of a layout."""
        return cls(
            numbers={
                name: NumberLayout(tuple(column["edges"]), column["low"], column["high"])
                for name, column in content["numbers"].items()
            },
            categories={
                name: CategoryLayout(
                    tuple(column["values"]),
                    tuple(column["rare"]),
                    Companion.from_dict(column["companion"]) if column["companion"] else None,
                )
                for name, column in content["categories"].items()
            },
            has_binary_label=content["has_binary_label"],
        )


def _number(values: np.ndarray) -> NumberLayout:
    values = values[~np.isnan(values)]
    if not len(values):
        return NumberLayout((), None, None)
    distinct = np.unique(values)
    edges = distinct if len(distinct) <= NUM_BINS else np.unique(np.quantile(values, np.linspace(0, 1, NUM_BINS + 1)))
    low, high = float(distinct[0]), float(distinct[-1])
    # The highest value belongs to the last bin between the edges, and only what is higher lies above the range.
    inner = [float(edge) for edge in edges if edge < high]
    own_bin = [high] if len(distinct) <= NUM_BINS else []
    return NumberLayout((*inner, *own_bin, float(np.nextafter(high, np.inf))), low, high)


def _by_frequency(values: pd.Series) -> Sequence[str]:
    counts = values.value_counts(dropna=True)
    return sorted((str(value) for value in counts.index), key=lambda value: (-int(counts[value]), value))
