"""Layout: the bins and values, learned from training rows, by which every later day is counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import pandas as pd

from models.data.contract import Columns
from models.monitoring.quality.companions import Companion, best_companion

Counts = Mapping[str, Mapping[Any, int]]  # rows with each value of each column
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

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Read what `dataclasses.asdict` and JSON made of it."""
        return cls(tuple(content["edges"]), content["low"], content["high"])


@dataclass(frozen=True)
class CategoryLayout:
    """Values of training, the most frequent first, and the column that tells them apart best, if any does."""

    values: tuple[str, ...]
    rare: tuple[str, ...] = ()
    companion: Companion | None = None

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Read what `dataclasses.asdict` and JSON made of it."""
        companion = Companion.from_dict(content["companion"]) if content["companion"] else None
        return cls(tuple(content["values"]), tuple(content["rare"]), companion)


@dataclass(frozen=True)
class Layout:
    """How days are counted, column by column."""

    numbers: Mapping[str, NumberLayout] = field(default_factory=dict)
    categories: Mapping[str, CategoryLayout] = field(default_factory=dict)
    has_binary_label: bool = False
    uncounted: tuple[str, ...] = ()  # texts and images: only whether rows repeat is seen in them
    label: NumberLayout | CategoryLayout | None = None  # of a number or of several classes

    @classmethod
    def learn(cls, frame: pd.DataFrame, columns: Columns, counts: Counts | None = None) -> Self:
        """Learn from all training rows, labelled or not.

        Args:
            frame: the rows, or a sample of them that has the lowest and the highest value of each number.
            columns: what they mean.
            counts: for a sample, how many of all rows have each value of a category, or of a label of several classes.
        """
        if counts is None:
            texts = (*columns.categories, *([columns.label] if columns.task == "multiclass" else []))
            counts = {name: frame[name].value_counts(dropna=True).to_dict() for name in texts}
        labels = frame[columns.label].dropna()
        values = {name: _by_frequency(counts[name]) for name in columns.categories}
        companions = best_companion(frame, columns, {name: known[:MAX_VALUES] for name, known in values.items()})
        return cls(
            numbers={name: _number(frame[name].to_numpy(dtype=float)) for name in columns.measured},
            categories={
                name: CategoryLayout(tuple(known[:MAX_VALUES]), tuple(known[MAX_VALUES:]), companions[name])
                for name, known in values.items()
            },
            has_binary_label=columns.task == "binary" and len(labels) > 0 and bool(labels.isin([0.0, 1.0]).all()),
            uncounted=columns.texts + columns.images,
            label=_label(labels, columns, counts),
        )

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Read what `dataclasses.asdict` and JSON made of a layout."""
        label = content.get("label")
        return cls(
            numbers={name: NumberLayout.from_dict(column) for name, column in content["numbers"].items()},
            categories={name: CategoryLayout.from_dict(column) for name, column in content["categories"].items()},
            label=None if label is None else (NumberLayout if "edges" in label else CategoryLayout).from_dict(label),
            has_binary_label=content["has_binary_label"],
            uncounted=tuple(content.get("uncounted", ())),
        )


def _label(labels: pd.Series, columns: Columns, counts: Counts) -> NumberLayout | CategoryLayout | None:
    if columns.task == "multiclass":
        known = _by_frequency(counts[columns.label])
        return CategoryLayout(tuple(known[:MAX_VALUES]), tuple(known[MAX_VALUES:]))
    return _number(labels.to_numpy(dtype=float)) if columns.task == "regression" else None


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


def _by_frequency(counts: Mapping[Any, int]) -> Sequence[str]:
    return sorted((str(value) for value in counts), key=lambda value: (-int(counts[value]), value))
