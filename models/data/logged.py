"""Inputs as they were when they were scored, kept for a sample of every batch, so that scores can be replayed."""

from __future__ import annotations

import io
from collections.abc import Iterable
from datetime import UTC

import numpy as np
import pandas as pd

from models.data.predictions import NAME_FORMAT, Batch
from models.registry.storage import Storage


class LoggedInputs:
    """A sample of the inputs of each batch: `inputs/<project>/<start>-<end>-<version>.parquet`.

    The name holds all that a batch is, because of two writers that score from the same moment only one wins.
    """

    def __init__(self, storage: Storage, project: str) -> None:
        self.storage, self.folder = storage, f"inputs/{project}"

    def add(self, batch: Batch, frame: pd.DataFrame, num_rows: int) -> None:
        """Keep `num_rows` rows spread evenly over the batch; the first to write wins.

        Args:
            batch: what was scored.
            frame: its rows: id, time and features, with their scores as `scores.put_scores` puts them.
            num_rows: at most so many are kept.
        """
        places = np.unique(np.linspace(0, len(frame) - 1, min(num_rows, len(frame))).astype(int))
        buffer = io.BytesIO()
        frame.iloc[places].to_parquet(buffer, compression="zstd", index=False)
        self.storage.create(self._path(batch), buffer.getvalue())

    def read(self, batches: Iterable[Batch]) -> pd.DataFrame | None:
        """The kept rows of these batches, with the scores that were logged; None where none were kept."""
        frames = [
            pd.read_parquet(io.BytesIO(self.storage.read(path)))
            for path in map(self._path, batches)
            if self.storage.exists(path)
        ]
        return pd.concat(frames, ignore_index=True) if frames else None

    def _path(self, batch: Batch) -> str:
        start, end = (moment.astimezone(UTC).strftime(NAME_FORMAT) for moment in (batch.start, batch.end))
        return f"{self.folder}/{start}-{end}-{batch.version}.parquet"
