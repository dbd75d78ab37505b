"""Snapshots: the labelled rows of one retrain, frozen under the hash of their content."""

from __future__ import annotations

import hashlib
import io
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
from pyarrow import dataset

from models.data.contract import Columns
from models.data.parts import Parts, Read, write_in_groups
from models.data.windows import Windows, between
from models.registry.storage import Storage

GATHERED, STALE_SECONDS = ".gathered-", 7 * 86_400  # a folder that nothing has touched for a week was left by a kill
GROUP_ROWS = 65_536  # rows are in time order, so that a window is read from the groups of rows that it meets alone


@dataclass(frozen=True)
class Snapshot:
    """Where the labelled rows lie, how they are cut, and how much there is to learn from and to judge by."""

    id: str
    windows: Windows
    num_rows: int
    num_new_rows: int
    holdout_labelled_share: float


class Snapshots:
    """The snapshots of one project in a storage: `snapshots/<project>/<id>.parquet`."""

    def __init__(self, storage: Storage, project: str) -> None:
        self.storage, self.folder = storage, f"snapshots/{project}"

    def freeze(
        self, frame: pd.DataFrame, windows: Windows, columns: Columns, new_from: pd.Timestamp | None
    ) -> Snapshot:
        """Keep the labelled rows of `frame`; the same rows give the same id and are stored once.

        Args:
            frame: rows as `contract.read` returns them.
            windows: how they are cut.
            columns: what they mean.
            new_from: rows from here on are new to the champion; None without a champion.
        """
        everything, frame = frame, frame[frame[columns.label].notna()].reset_index(drop=True)
        buffer = io.BytesIO()
        frame.to_parquet(buffer, compression="zstd", index=False, row_group_size=GROUP_ROWS)
        content = buffer.getvalue()
        snapshot = hashlib.sha256(content).hexdigest()[:16]
        self.storage.create(self._path(snapshot), content)
        first_new = windows.train_start if new_from is None else new_from.to_pydatetime()
        holdout, due = windows.holdout(frame, columns.time), windows.holdout(everything, columns.time)
        return Snapshot(
            id=snapshot,
            windows=windows,
            num_rows=len(frame),
            num_new_rows=len(between(frame, columns.time, first_new, windows.train_end)),
            holdout_labelled_share=len(holdout) / len(due) if len(due) else 0.0,
        )

    @contextmanager
    def gathering(self, columns: Columns, memory: int) -> Iterator[Parts]:
        """Where the rows of a window are kept that come one slice after another, until the block ends."""
        folder = self.storage.workplace(self.folder)
        _sweep(folder)
        with tempfile.TemporaryDirectory(prefix=GATHERED, dir=folder) as gathered:
            yield Parts(Path(gathered), columns, memory)

    def freeze_parts(self, parts: Parts, windows: Windows, new_from: pd.Timestamp | None) -> Snapshot:
        """As `freeze`, of rows that came in slices: the same rows give the same id, however they were cut.

        Raises:
            BrokenContract: when an id occurs twice, or a column is of different kinds in different slices.
        """
        parts.require_unique()
        columns, first_new = parts.columns, windows.train_start if new_from is None else new_from.to_pydatetime()
        num_rows = num_new_rows = num_judging = num_due = 0

        def labelled() -> Iterator[pd.DataFrame]:
            nonlocal num_rows, num_new_rows, num_judging, num_due
            for everything in parts.frames():
                frame = everything[everything[columns.label].notna()].reset_index(drop=True)
                num_rows += len(frame)
                num_new_rows += len(between(frame, columns.time, first_new, windows.train_end))
                num_judging += len(windows.holdout(frame, columns.time))
                num_due += len(windows.holdout(everything, columns.time))
                yield frame

        file = parts.folder / "snapshot.parquet"
        write_in_groups(labelled(), parts.labelled(), file, GROUP_ROWS)
        with file.open("rb") as content:
            snapshot = hashlib.file_digest(content, "sha256").hexdigest()[:16]
        self.storage.create_from(self._path(snapshot), file)
        return Snapshot(
            id=snapshot,
            windows=windows,
            num_rows=num_rows,
            num_new_rows=num_new_rows,
            holdout_labelled_share=num_judging / num_due if num_due else 0.0,
        )

    def read(self, snapshot: Snapshot) -> pd.DataFrame:
        """The rows of a snapshot. Raises `ValueError` when they are not those that were frozen."""
        return pd.read_parquet(self.file(snapshot.id))

    def window(
        self, snapshot: str, columns: Sequence[str] | None, time: str, start: datetime, end: datetime
    ) -> pd.DataFrame:
        """Some columns of the rows of a snapshot whose event lies in `[start, end)`; nothing else is held in memory.

        Without `columns` it is all of them.

        Raises:
            ValueError: when the rows are not those that were frozen.
        """
        return _window(self.file(snapshot), columns, time, start, end)

    def reader(self, snapshot: Snapshot, time: str) -> Read:
        """The rows of a snapshot as a function of start and end, checked once to be those that were frozen."""
        return partial(_window, self.file(snapshot.id), None, time)

    def ids(self, snapshot: str, id: str, time: str, start: datetime, end: datetime) -> pd.Index:
        """Ids of the rows of a snapshot whose event lies in `[start, end)`, by the names of its own columns."""
        return pd.Index(self.window(snapshot, [id], time, start, end)[id])

    def ids_in_pieces(self, snapshot: str, id: str, time: str, start: datetime, end: datetime) -> Iterator[pd.Index]:
        """The same, some at a time."""
        in_window = (dataset.field(time) >= pd.Timestamp(start)) & (dataset.field(time) < pd.Timestamp(end))
        rows = dataset.dataset(self.file(snapshot), format="parquet").scanner(
            columns=[id], filter=in_window, batch_size=GROUP_ROWS, batch_readahead=1, fragment_readahead=1
        )
        for batch in rows.to_batches():
            yield pd.Index(batch.column(0).to_pandas())

    def file(self, snapshot: str) -> Path:
        """The Parquet file of a snapshot, to be read in pieces (`models.data.table.Table`).

        Raises:
            ValueError: when it is gone, or not what was frozen.
        """
        path = self._path(snapshot)
        try:
            file = self.storage.file(path, snapshot)
        except FileNotFoundError:
            raise ValueError(f"{self.storage.place(path)} is gone: restore it, decisions rest on it") from None
        if file is None:
            raise ValueError(f"{self.storage.place(path)} was changed after it was frozen")
        return file

    def _path(self, snapshot: str) -> str:
        return f"{self.folder}/{snapshot}.parquet"


def _window(path: Path, columns: Sequence[str] | None, time: str, start: datetime, end: datetime) -> pd.DataFrame:
    in_window = [(time, ">=", pd.Timestamp(start)), (time, "<", pd.Timestamp(end))]
    table = pq.read_table(path, columns=list(columns) if columns is not None else None, filters=in_window)
    return table.to_pandas().reset_index(drop=True)


def _sweep(folder: Path) -> None:
    """Delete what runs that were killed have gathered."""
    for left in folder.glob(f"{GATHERED}*"):
        if time.time() - left.stat().st_mtime > STALE_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
