"""From a frame to tensors: fitted on training rows only, saved as JSON beside the weights it was trained with."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import ClassVar, Self

import numpy as np
import pandas as pd
import torch

from models.networks.inputs import Encoded, TableInputs

CLIP = 4.0
NUM_BINS = 24
MIN_CATEGORY_ROWS = 10


@dataclass(frozen=True)
class NumberCode:
    """How one number column is scaled: `(value - mean) / scale`, clipped to +-4, missing becomes 0."""

    mean: float
    scale: float
    bins: tuple[float, ...]
    is_sometimes_missing: bool


@dataclass(frozen=True)
class Encoder:
    """Scales numbers, indexes categories, and never fails on a value that it has not seen.

    Index 0 of a category is "unseen or too rare", 1 is "missing". A number column that had missing training values
    gets a two-valued category of its own that says whether the value was there.
    """

    numbers: dict[str, NumberCode]
    categories: dict[str, tuple[str, ...]]

    kind: ClassVar[str] = "table"
    rows_at_once: ClassVar[int] = 16_384

    @classmethod
    def fit(cls, frame: pd.DataFrame, numbers: tuple[str, ...], categories: tuple[str, ...]) -> Self:
        """Learn scales, bins and vocabularies from training rows: a frame as `contract.read` returns it."""
        return cls(
            numbers={name: _fit_number(frame[name].to_numpy()) for name in numbers},
            categories={name: _fit_category(frame[name]) for name in categories},
        )

    def grown(self, frame: pd.DataFrame) -> Self:
        """With the categories that are new in `frame` and have ten rows, after those that were known.

        What a number column needs does not change: a missing value is the mean where none was missing in training.
        """
        return self.grown_by({name: frame[name].value_counts() for name in self.categories})

    def grown_by(self, counts: Mapping[str, pd.Series]) -> Self:
        """The same, by the number of rows of each value of each category column."""
        known = self.categories.items()
        new = {name: [each for each in _frequent(counts[name]) if each not in values] for name, values in known}
        return replace(self, categories={name: (*values, *new[name]) for name, values in known})

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read, numbers first."""
        return (*self.numbers, *self.categories)

    @property
    def inputs(self) -> TableInputs:
        """What a network needs to know to be built for these features."""
        flags = sum(code.is_sometimes_missing for code in self.numbers.values())
        return TableInputs(
            bins=tuple(code.bins for code in self.numbers.values()),
            cardinalities=tuple(len(values) + 2 for values in self.categories.values()) + (2,) * flags,
        )

    def transform(self, frame: pd.DataFrame) -> Encoded:
        """Encode rows: float32 numbers of shape (rows, numbers), int64 categories of shape (rows, categories + flags).

        Raises:
            ValueError: when a column is missing.
        """
        missing = [name for name in (*self.numbers, *self.categories) if name not in frame.columns]
        if missing:
            raise ValueError(
                f"rows have no column {', '.join(map(repr, missing))}, which this version was trained with"
            )
        scaled = [_scale(frame[name].to_numpy(dtype="float64"), code) for name, code in self.numbers.items()]
        indexed = [_index(frame[name], values) for name, values in self.categories.items()]
        flags = [frame[name].isna().to_numpy() for name, code in self.numbers.items() if code.is_sometimes_missing]
        numbers = torch.from_numpy(_stack(scaled, len(frame), np.float32))
        return Encoded((numbers, torch.from_numpy(_stack(indexed + flags, len(frame), np.int64))))

    def to_json(self) -> str:
        """As text; `from_json` gives back an equal encoder."""
        return json.dumps({"kind": self.kind} | asdict(self), indent=1, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        content = json.loads(text)
        return cls(
            numbers={
                name: NumberCode(**code | {"bins": tuple(code["bins"])}) for name, code in content["numbers"].items()
            },
            categories={name: tuple(values) for name, values in content["categories"].items()},
        )


def _fit_number(values: np.ndarray) -> NumberCode:
    known = values[np.abs(values) <= np.finfo("float32").max]  # a larger one stands for infinity, as DBL_MAX does
    mean = float(known.mean()) if known.size else 0.0
    scale = float(known.std()) if known.size else 1.0
    if scale <= 1e-9 * np.abs(known).max(initial=0.0):
        scale = 1.0  # a constant column: dividing by its spread would turn the first new value into an explosion
    clipped = np.clip((known - mean) / scale, -CLIP, CLIP)
    return NumberCode(mean, scale, _bins(clipped), bool(known.size < values.size))


def _bins(values: np.ndarray) -> tuple[float, ...]:
    # rtdl_num_embeddings.compute_bins refuses constant columns and more than 16 M values; quantiles do not.
    if not values.size:
        return (-CLIP, 0.0, CLIP)
    edges = np.unique(np.quantile(values, np.linspace(0, 1, NUM_BINS + 1)).astype(np.float32))
    return tuple(float(edge) for edge in edges) if len(edges) > 2 else (-CLIP, 0.0, CLIP)


def _fit_category(values: pd.Series) -> tuple[str, ...]:
    return _frequent(values.value_counts())


def _frequent(counts: pd.Series) -> tuple[str, ...]:
    return tuple(sorted(counts[counts >= MIN_CATEGORY_ROWS].index))


def _scale(values: np.ndarray, code: NumberCode) -> np.ndarray:
    scaled = values - code.mean
    scaled /= code.scale  # in place from here on: it is all that a large table waits for
    np.clip(scaled, -CLIP, CLIP, out=scaled)
    scaled[np.isnan(scaled)] = 0.0
    return scaled


def _index(values: pd.Series, vocabulary: tuple[str, ...]) -> np.ndarray:
    codes = pd.Categorical(values, categories=vocabulary).codes.astype(np.int64)
    return np.where(codes >= 0, codes + 2, values.isna().to_numpy().astype(np.int64))


def _stack(columns: list[np.ndarray], num_rows: int, dtype: type) -> np.ndarray:
    stacked: np.ndarray = np.empty((num_rows, len(columns)), dtype)
    for place, column in enumerate(columns):  # np.stack would make a copy of all in their own type first
        stacked[:, place] = column
    return stacked
