"""What is learned from rows before a training, in one pass over a table that does not fit in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from models.data.table import MEMORY, SHARE_FOR_READING, Table
from models.evaluation.metrics.metric import Task
from models.features.encoder import MIN_CATEGORY_ROWS, Encoder
from models.features.target import Target

SAMPLE_ROWS = 200_000  # quantiles of so many rows are off by a thousandth of the rows
SHARE_OF_SAMPLE = 0.25  # of the memory


def fit_in_pieces(
    table: Table,
    numbers: tuple[str, ...],
    categories: tuple[str, ...],
    task: Task,
    seed: int = 0,
    sample_rows: int = SAMPLE_ROWS,
    memory: int = MEMORY,
) -> tuple[Encoder, Target]:
    """The encoder and the target for a table that does not fit in memory, from one pass over it.

    Categories, classes, whether a number is sometimes missing, and the mean and spread of a regression's label come
    from all rows. Scales and bins of numbers come from a uniform sample of them, `sample_rows` or as many as fit into a
    quarter of the memory; up to so many rows the encoder is the very one that `Encoder.fit` learns from all of them.
    """
    table.require((*numbers, *categories))
    counts = _Counts(categories)
    most = int(memory * SHARE_OF_SAMPLE) // (8 * (len(numbers) + 1))
    sample, labels = _Sample(len(numbers), min(sample_rows, most), seed), _Labels(task)
    columns = (*numbers, *categories)
    num_rows = table.piece_rows(columns, int(memory * SHARE_FOR_READING))
    for piece in table.pieces(table.groups(), columns, categories, num_rows=num_rows):
        counts.add(piece.frame)
        sample.add(piece.frame[list(numbers)].to_numpy(dtype="float64"))
        labels.add(piece.labels)
    codes = Encoder.fit(pd.DataFrame(sample.rows, columns=list(numbers)), numbers, ()).numbers
    return (
        Encoder(
            numbers={
                name: replace(code, is_sometimes_missing=bool(missing))
                for (name, code), missing in zip(codes.items(), sample.is_missing, strict=True)
            },
            categories={
                name: tuple(sorted(found.index[found >= MIN_CATEGORY_ROWS])) for name, found in counts.series.items()
            },
        ),
        labels.target(),
    )


def grown_in_pieces(
    table: Table, encoder: Encoder, target: Target, memory: int = MEMORY, num_rows: int = 10_000
) -> tuple[Encoder, Target, pd.DataFrame]:
    """An encoder and a target with what is new in a table (`Encoder.grown`, `Target.grown`), from one pass over it.

    The third are rows of all times, features and label, at most `num_rows`, to try a grown network on.
    """
    table.require(encoder.columns)
    categories, label = tuple(encoder.categories), table.label
    counts, classes = _Counts(categories), _Counts((label,) if target.task == "multiclass" else ())
    groups, some = table.groups(), []
    step = -(-sum(pq.read_metadata(table.path).row_group(group).num_rows for group in groups) // num_rows)
    skip, piece_rows = 0, table.piece_rows(encoder.columns, int(memory * SHARE_FOR_READING))
    for piece in table.pieces(groups, encoder.columns, categories, num_rows=piece_rows):
        counts.add(piece.frame)
        classes.add(piece.labels.to_frame(label))
        chosen = piece.frame.iloc[skip::step]
        some.append(chosen.astype(dict.fromkeys(categories, object)).assign(**{label: piece.labels}))
        skip = (skip - len(piece.frame)) % step
    grown = encoder.grown_by(counts.series)
    return grown, target.grown_by(classes.series.get(label, pd.Series())), pd.concat(some, ignore_index=True)


def label_counts(table: Table) -> pd.Series:
    """How many rows have each label, from one pass over times and labels; of a label that has few values."""
    counts = _Counts((table.label,))
    for piece in table.pieces(table.groups(), ()):
        counts.add(piece.labels.to_frame(table.label))
    return counts.series[table.label]


def label_variance(table: Table) -> float:
    """Of a label that is a number, from one pass over times and labels."""
    labels = _Labels("regression")
    for piece in table.pieces(table.groups(), ()):
        labels.add(piece.labels)
    return labels.target().scale ** 2


class _Counts:
    """Rows of each value of some columns, which come in pieces."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._counts: dict[str, Counter[Any]] = {name: Counter() for name in columns}

    def add(self, rows: pd.DataFrame) -> None:
        for name, counts in self._counts.items():
            found = rows[name].value_counts()
            counts.update(dict(zip(found.index, found.tolist(), strict=True)))

    @property
    def series(self) -> dict[str, pd.Series]:
        """As `value_counts` gives them, in no order, with values that do not occur at 0."""
        return {
            name: pd.Series(list(counts.values()), index=pd.Index(list(counts), dtype=None if counts else object))
            for name, counts in self._counts.items()
        }


class _Sample:
    """Rows of numbers: each of all that were added has the same chance to be among them."""

    def __init__(self, num_columns: int, size: int, seed: int) -> None:
        self._random, self._num_rows = np.random.default_rng(seed), 0
        # Keys are drawn for all rows, and those with the smallest stay. Memory that no row came for is never touched.
        self._keys, self._rows = np.empty(size), np.empty((size, num_columns))
        self.is_missing = np.zeros(num_columns, dtype=bool)

    @property
    def rows(self) -> np.ndarray:
        """All that were added, in order, if there was room for them; else a sample in no order."""
        return self._rows[: self._num_rows]

    def add(self, rows: np.ndarray) -> None:
        # As the encoder has it: a value that is no float32 stands for infinity and counts as missing.
        self.is_missing |= ~(np.abs(rows) <= np.finfo("float32").max).all(axis=0)
        keys = self._random.random(len(rows))
        room = min(len(self._keys) - self._num_rows, len(rows))
        free = slice(self._num_rows, self._num_rows + room)
        self._rows[free], self._keys[free] = rows[:room], keys[:room]
        self._num_rows += room
        rows, keys = rows[room:], keys[room:]
        if len(keys):
            size = len(self._keys)
            smallest = np.argpartition(np.concatenate([self._keys, keys]), size - 1)[:size]
            is_kept = np.zeros(size + len(keys), dtype=bool)
            is_kept[smallest] = True
            gone, come = np.flatnonzero(~is_kept[:size]), np.flatnonzero(is_kept[size:])
            self._rows[gone], self._keys[gone] = rows[come], keys[come]


class _Labels:
    """Classes, or mean and spread, of labels that come in pieces (Chan, Golub and LeVeque 1983)."""

    def __init__(self, task: Task) -> None:
        self._task, self._classes = task, set[str]()
        self._count, self._mean, self._squares = 0, 0.0, 0.0

    def add(self, labels: pd.Series) -> None:
        if self._task == "multiclass":
            self._classes |= set(labels.unique())
        elif self._task == "regression":
            values = labels.to_numpy(dtype=float)
            count, mean = len(values), float(values.mean())
            apart, together = mean - self._mean, self._count + count
            self._squares += float(((values - mean) ** 2).sum()) + apart**2 * self._count * count / together
            self._mean += apart * count / together
            self._count = together

    def target(self) -> Target:
        if self._task == "multiclass":
            return Target.fit(self._task, pd.Series(sorted(self._classes), dtype="object"))
        spread = float(np.sqrt(self._squares / self._count)) if self._count else 0.0
        return Target(self._task, mean=self._mean, scale=spread or 1.0)
