"""Rows that come one slice of time after another, and lie on disk until all of them are there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from models.data.contract import BrokenContract, Columns
from models.data.windows import between

Read = Callable[[datetime, datetime], pd.DataFrame]
FIRST_SLICE, SHORTEST_SLICE = timedelta(days=1), timedelta(hours=1)
SHARE_OF_SLICE = 0.25  # of the memory: a source and the contract hold their rows more than once
BYTES_TO_SORT_AN_ID = 24  # its hash, and what sorting takes beside it


def slices(read: Read, start: datetime, end: datetime, memory: int) -> Iterator[pd.DataFrame]:
    """The rows of `[start, end)`, so much time at a time that a slice takes about a quarter of the memory.

    It begins with a day, and each slice lasts at most twice as long as the one before.
    """
    length, wanted = FIRST_SLICE, memory * SHARE_OF_SLICE
    while start < end:
        until = min(start + length, end)
        frame = read(start, until)
        yield frame
        num_bytes = int(frame.memory_usage(deep=True).sum()) if len(frame) else 0
        factor = min(2.0, wanted / num_bytes) if num_bytes else 2.0
        start, length = until, max(SHORTEST_SLICE, length * factor)


@dataclass(frozen=True)
class Part:
    """One slice on disk: its file, first and last time, number of rows, and the columns of all and of labelled rows."""

    path: Path
    first: pd.Timestamp
    last: pd.Timestamp
    num_rows: int
    schema: pa.Schema
    labelled: pa.Schema


class Parts:
    """Slices of rows in time order, labelled or not, each a Parquet file in a folder.

    Args:
        folder: an empty one, which the caller deletes.
        columns: what the rows' columns are.
        memory: bytes that looking for repeated ids may take.
    """

    def __init__(self, folder: Path, columns: Columns, memory: int) -> None:
        self.folder, self.columns, self.memory = folder, columns, memory
        self.parts: list[Part] = []

    def __len__(self) -> int:
        return sum(part.num_rows for part in self.parts)

    def add(self, frame: pd.DataFrame) -> None:
        """Keep the rows of the next slice, as `contract.read` returns them."""
        if frame.empty:
            return
        path, times = self.folder / f"{len(self.parts):06}.parquet", frame[self.columns.time]
        frame.to_parquet(path, compression="zstd", index=False)
        # A column without a value has no type, as in a frame of all rows: so those that are kept are looked at alone.
        labelled = pa.Schema.from_pandas(frame[frame[self.columns.label].notna()], preserve_index=False)
        schema = pq.read_schema(path).remove_metadata()
        part = Part(path, times.iloc[0], times.iloc[-1], len(frame), schema, labelled.remove_metadata())
        self.parts.append(part)

    def frames(self) -> Iterator[pd.DataFrame]:
        """The slices, oldest first."""
        return (pd.read_parquet(part.path) for part in self.parts)

    def between(self, start: datetime, end: datetime) -> pd.DataFrame:
        """The rows whose event lies in `[start, end)`."""
        time = self.columns.time
        met = [part for part in self.parts if part.first < pd.Timestamp(end) and part.last >= pd.Timestamp(start)]
        found = [between(pd.read_parquet(part.path), time, start, end) for part in met]
        if not found:
            return pd.read_parquet(self.parts[0].path)[:0]
        return pd.concat(found, ignore_index=True) if len(found) > 1 else found[0]

    def labelled(self) -> pa.Schema:
        """The columns of all labelled rows together, as pandas would write them in one frame.

        Raises:
            BrokenContract: when a column is of different kinds in different slices.
        """
        self._together(lambda part: part.schema)
        return self._together(lambda part: part.labelled)

    def _together(self, schema_of: Callable[[Part], pa.Schema]) -> pa.Schema:
        together = schema_of(self.parts[0])
        for part in self.parts:
            try:
                together = pa.unify_schemas([together, schema_of(part)], promote_options="permissive")
            except pa.ArrowTypeError as error:
                raise BrokenContract(
                    f"from {part.first} on a column is of another kind than before: {error}; change the source"
                ) from error
        return together

    def require_unique(self) -> None:
        """Raise `BrokenContract` when an id occurs twice, be it in different slices.

        Hashes of ids are spread over as many files as it takes for the memory to hold those of one.
        """
        num_files = -(-len(self) * BYTES_TO_SORT_AN_ID // self.memory)
        paths = [self.folder / f"ids-{number}" for number in range(num_files)]
        for ids in self._ids():
            hashes = _hashes(ids)
            for number, path in enumerate(paths):
                with path.open("ab") as file:
                    hashes[hashes % num_files == number].tofile(file)
        repeated = [_repeated(np.fromfile(path, dtype=np.uint64)) for path in paths]
        for path in paths:
            path.unlink()
        found = np.concatenate(repeated) if repeated else np.empty(0)
        if len(found):
            self._refuse(found)

    def _refuse(self, hashes: np.ndarray) -> None:
        """Of ids whose hashes were found twice: two different ones with one hash are told apart by themselves."""
        ids = pd.concat([ids[np.isin(_hashes(ids), hashes)] for ids in self._ids()], ignore_index=True)
        again = ids[ids.duplicated()]
        if len(again):
            raise BrokenContract(
                f"{len(again)} rows repeat an id, first {self.columns.id}={again.tolist()[0]!r}; "
                f"ids must be unique, or set data.id to another column"
            )

    def _ids(self) -> Iterator[pd.Series]:
        name = self.columns.id
        kind = self._together(lambda part: part.schema).field(name).type
        for part in self.parts:
            yield pq.read_table(part.path, columns=[name]).column(name).cast(kind).to_pandas()


def write_in_groups(frames: Iterator[pd.DataFrame], schema: pa.Schema, path: Path, group_rows: int) -> None:
    """Write rows as one Parquet file, byte by byte the one that pandas would write of all of them in one frame.

    Args:
        frames: rows in order.
        schema: their columns, without metadata.
        path: of the file.
        group_rows: rows of each row group.
    """
    schema = schema.with_metadata(pa.Schema.from_pandas(_example(schema), preserve_index=False).metadata)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        rest, is_empty = schema.empty_table(), True
        for frame in frames:
            rest = pa.concat_tables([rest, pa.Table.from_pandas(frame, preserve_index=False).cast(schema)])
            whole = len(rest) // group_rows * group_rows
            for start in range(0, whole, group_rows):
                # In one chunk, for the end of a chunk would end a page.
                writer.write_table(rest.slice(start, group_rows).combine_chunks(), row_group_size=group_rows)
                is_empty = False
            rest = rest.slice(whole).combine_chunks()
        if len(rest) or is_empty:
            writer.write_table(rest, row_group_size=group_rows)


def _example(schema: pa.Schema) -> pd.DataFrame:
    """A row of these columns without a null, since pandas' notes on a column are about its values."""

    def one(kind: pa.DataType) -> pa.Array:
        if pa.types.is_null(kind):
            return pa.nulls(1)
        return pa.array(["0"]).cast(kind) if not pa.types.is_timestamp(kind) else pa.array([0]).cast(kind)

    return pa.table({field.name: one(field.type) for field in schema}).to_pandas()


def _hashes(ids: pd.Series) -> np.ndarray:
    hashes: np.ndarray = pd.util.hash_array(ids.to_numpy(), categorize=False)
    return hashes


def _repeated(hashes: np.ndarray) -> np.ndarray:
    hashes.sort()
    return np.unique(hashes[1:][hashes[1:] == hashes[:-1]])
