"""The labelled rows of a Parquet file, read a piece at a time: a window of them, weighed, old ones drawn by chance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

MIB = 2**20
MEMORY = 256 * MIB
SHARE_FOR_READING = 0.3  # of the memory; the rest is for blocks
BYTES_TO_READ_A_VALUE = 40  # pages as they are compressed and decoded, the column, its frame, and its code
MAX_PIECE_ROWS = 16_384  # more are no faster
FEWEST_PIECE_ROWS = 1_024
READ_BUFFER = 64 * 1024
LEADING_BITS = 20

Weigh = Callable[[pd.Series, pd.Series], np.ndarray]  # times (UTC) and labels of some rows -> a weight >= 0 of each


def _all(labels: pd.Series) -> np.ndarray:
    return np.ones(len(labels), dtype=bool)


class TooLittleMemory(ValueError):
    """The memory that is allowed does not hold what streaming has to hold at least."""


class Piece(NamedTuple):
    """Some rows of one row group: their features, labels, and weights if rows have any."""

    group: int
    frame: pd.DataFrame
    labels: pd.Series
    weights: np.ndarray | None


@dataclass(frozen=True)
class Draw:
    """A sample without repetition of the rows before a moment, from which each row tells by itself whether it is in.

    Each row has a key, an exponential random number divided by its weight, and those with the smallest keys are drawn:
    a row's chance to come next is proportional to its weight (Efraimidis and Spirakis 2006, "Weighted random sampling
    with a reservoir"). The random numbers of a row group depend on the seed and its place in the file alone, so that
    the sample is the same from whatever group on it is read.

    Attributes:
        before: rows from here on are all in.
        seed: of the random numbers.
        highest: the largest key that is drawn; infinite: every row.
    """

    before: datetime
    seed: int
    highest: float

    def random(self, group: int) -> np.random.Generator:
        """Where the numbers of a row group come from."""
        return np.random.default_rng((self.seed, group))

    def keys(self, random: np.random.Generator, weights: np.ndarray) -> np.ndarray:
        """The keys of the next rows of a row group, infinite for rows of weight 0."""
        with np.errstate(divide="ignore"):
            keys: np.ndarray = random.standard_exponential(len(weights)) / weights.astype(np.float64)
        return keys


@dataclass(frozen=True)
class Table:
    """The labelled rows of a Parquet file, never held all at once.

    Attributes:
        path: of the file; rows should be in time order, so that a window reads its row groups alone.
        label: its column; rows without a label are left out.
        time: the column of event times, with a time zone; needed for a window and for weights.
        start, end: only rows with `start <= time < end`.
        weigh: weights of some rows by their times and labels, each by its own row alone; rows with 0 are left out.
        draw: of the rows before a moment a sample alone; they then count as much as each other.
    """

    path: Path
    label: str
    time: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    weigh: Weigh | None = None
    draw: Draw | None = None

    def __post_init__(self) -> None:
        if self.time is None and (self.start, self.end, self.weigh, self.draw) != (None,) * 4:
            raise ValueError(f"a window or weights of {self.path} need the column of event times; name it as time")

    def require(self, columns: Iterable[str]) -> pa.Schema:
        """The schema of the file. Raises `ValueError` when it, or a column of it, is missing."""
        if not self.path.is_file():
            raise ValueError(f"there is no file {self.path} to stream training rows from")
        schema = pq.read_schema(self.path)
        missing = [name for name in (*columns, *self._own) if name not in schema.names]
        if missing:
            raise ValueError(
                f"{self.path} has no column {', '.join(map(repr, missing))}; it has {', '.join(schema.names)}"
            )
        if self.time is not None and getattr(schema.field(self.time).type, "tz", None) is None:
            raise ValueError(
                f"column {self.time!r} of {self.path} is {schema.field(self.time).type}, "
                "expected timestamps with a time zone; write it with one"
            )
        return schema

    def groups(self) -> list[int]:
        """Places of the row groups that can hold rows of the window, by what the file says of their times."""
        metadata = pq.read_metadata(self.path)
        return [group for group in range(metadata.num_row_groups) if self._may_hold(metadata.row_group(group))]

    def pieces(
        self,
        groups: Iterable[int],
        columns: Sequence[str],
        dictionaries: Sequence[str] = (),
        knows: Callable[[pd.Series], np.ndarray] = _all,
        num_rows: int = MAX_PIECE_ROWS,
        skip: int = 0,
    ) -> Iterator[Piece]:
        """Rows that are to be trained on, read at most `num_rows` at a time.

        Args:
            groups: row groups, in the order in which they are read.
            columns: of the frames.
            dictionaries: columns of text that are read as codes, and come as pandas' categories.
            knows: for labels whether they can be learned from.
            num_rows: of a piece, as they are read.
            skip: so many of the rows that would come first are left out.
        """
        read = list(dict.fromkeys((*columns, *self._own)))
        with pq.ParquetFile(
            self.path, read_dictionary=list(dictionaries), buffer_size=READ_BUFFER, pre_buffer=False
        ) as file:
            for group in groups:
                random = self.draw.random(group) if self.draw is not None else None
                for batch in file.iter_batches(num_rows, row_groups=[group], columns=read, use_threads=False):
                    kept, weights = self._kept(batch, knows, random)
                    rows = np.flatnonzero(kept)
                    rows, skip = rows[skip:], max(0, skip - len(rows))
                    if len(rows):
                        frame = (batch if len(rows) == len(batch) else batch.take(pa.array(rows))).to_pandas()
                        chosen = weights[rows] if weights is not None else None
                        yield Piece(group, frame[list(columns)], frame[self.label], chosen)

    def drawing(self, before: datetime, number: int, seed: int) -> Table:
        """The same rows, with a sample of `number` of those before a moment, in two passes over times and labels.

        Without weights each of them has the same chance, else one by its weight.
        """
        every = replace(self, draw=Draw(before, seed, np.inf), end=before)

        def keys() -> Iterator[np.ndarray]:
            return (found[np.isfinite(found)] for found in every._keys())

        return replace(self, draw=Draw(before, seed, _smallest(keys, number)))

    def piece_rows(self, columns: Sequence[str], memory: int) -> int:
        """Rows that can be read at a time in so many bytes. Raises `TooLittleMemory` when they are hardly any."""
        read = len({*columns, *self._own})
        rows = memory // (read * BYTES_TO_READ_A_VALUE)
        if rows < FEWEST_PIECE_ROWS:
            fewest = int(FEWEST_PIECE_ROWS * read * BYTES_TO_READ_A_VALUE / SHARE_FOR_READING) + 1
            raise TooLittleMemory(
                f"memory is too little to read {read} columns; allow at least {fewest} bytes for streaming"
            )
        return min(MAX_PIECE_ROWS, rows)

    @property
    def _own(self) -> tuple[str, ...]:
        return (self.label,) if self.time is None else (self.label, self.time)

    def _keys(self) -> Iterator[np.ndarray]:
        """Of all rows, in order; those of rows that cannot be drawn are infinite."""
        assert self.draw is not None
        whole = replace(self, draw=None)
        with pq.ParquetFile(self.path, buffer_size=READ_BUFFER, pre_buffer=False) as file:
            for group in self.groups():
                random = self.draw.random(group)
                for batch in file.iter_batches(
                    MAX_PIECE_ROWS, row_groups=[group], columns=list(self._own), use_threads=False
                ):
                    kept, weights = whole._kept(batch, _all, None)
                    yield self.draw.keys(random, weights if weights is not None else kept)

    def _kept(
        self, batch: pa.RecordBatch, knows: Callable[[pd.Series], np.ndarray], random: np.random.Generator | None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        labels = batch.column(self.label).to_pandas()
        kept: np.ndarray = labels.notna().to_numpy() & knows(labels)
        if self.time is None:
            return kept, None
        times = batch.column(self.time).to_pandas().dt.tz_convert("UTC")
        if self.start is not None:
            kept &= (times >= pd.Timestamp(self.start)).to_numpy()
        if self.end is not None:
            kept &= (times < pd.Timestamp(self.end)).to_numpy()
        if self.weigh is None and self.draw is None:
            return kept, None
        weights = kept.astype(np.float32)
        if self.weigh is not None:
            weights[kept] = self.weigh(times[kept], labels[kept])
        if self.draw is not None and random is not None:
            is_old = (times < pd.Timestamp(self.draw.before)).to_numpy()
            is_drawn = self.draw.keys(random, weights) <= self.draw.highest
            weights[is_old] = is_drawn[is_old] & (weights[is_old] > 0)
        return weights > 0, weights if self.weigh is not None else None

    def _may_hold(self, group: Any) -> bool:
        if self.time is None:
            return True
        columns = (group.column(place) for place in range(group.num_columns))
        statistics = next(column.statistics for column in columns if column.path_in_schema == self.time)
        if statistics is None or not statistics.has_min_max:
            return True
        is_before_end = self.end is None or pd.Timestamp(statistics.min) < pd.Timestamp(self.end)
        return is_before_end and (self.start is None or pd.Timestamp(statistics.max) >= pd.Timestamp(self.start))


def _smallest(parts: Callable[[], Iterator[np.ndarray]], number: int) -> float:
    """The number-th smallest of positive numbers that come in parts, in two passes, without holding them.

    Positive floats are in the order of their bits: the leading ones make a histogram, and of its bins one is read.
    """
    if number == 0:
        return 0.0
    counts = np.zeros(2**LEADING_BITS, dtype=np.int64)
    for part in parts():
        found, times = np.unique(_leading(part), return_counts=True)
        counts[found] += times
    ends = np.cumsum(counts)
    place = int(np.searchsorted(ends, number))
    within = np.sort(np.concatenate([part[_leading(part) == place] for part in parts()]))
    return float(within[number - 1 - (int(ends[place - 1]) if place else 0)])


def _leading(values: np.ndarray) -> np.ndarray:
    bits: np.ndarray = values.view(np.uint64) >> np.uint64(63 - LEADING_BITS)  # the first of 64 is the sign
    return bits.astype(np.int64)
