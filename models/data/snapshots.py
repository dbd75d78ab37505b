"""Snapshots: the labelled rows of one retrain, frozen under the hash of their content."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from models.data.contract import Columns
from models.data.windows import Windows, between
from models.registry.storage import Storage

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

    def read(self, snapshot: Snapshot) -> pd.DataFrame:
        """The rows of a snapshot. Raises `ValueError` when they are not those that were frozen."""
        return pd.read_parquet(self.file(snapshot.id))

    def window(self, snapshot: str, columns: Sequence[str], time: str, start: datetime, end: datetime) -> pd.DataFrame:
        """Some columns of the rows of a snapshot whose event lies in `[start, end)`; nothing else is held in memory.

        Raises:
            ValueError: when the rows are not those that were frozen.
        """
        in_window = [(time, ">=", pd.Timestamp(start)), (time, "<", pd.Timestamp(end))]
        table = pq.read_table(self.file(snapshot), columns=list(columns), filters=in_window)
        return table.to_pandas().reset_index(drop=True)

    def ids(self, snapshot: str, id: str, time: str, start: datetime, end: datetime) -> pd.Index:
        """Ids of the rows of a snapshot whose event lies in `[start, end)`, by the names of its own columns."""
        return pd.Index(self.window(snapshot, [id], time, start, end)[id])

    def file(self, snapshot: str) -> Path:
        """The Parquet file of a snapshot, to be read in pieces (`models.data.streaming.Table`).

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
