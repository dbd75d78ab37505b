"""Sets of rows that a decision rests on, kept under the hash of their content: the holdout, and the known-hard rows."""

from __future__ import annotations

import hashlib
import io

import pandas as pd

from models.registry.storage import Storage


class RowSets:
    """Frames in one folder of a storage: `<folder>/<hash>.parquet`."""

    def __init__(self, storage: Storage, folder: str) -> None:
        self.storage, self.folder = storage, folder

    def keep(self, rows: pd.DataFrame) -> str:
        """Keep rows and return their name; the same rows have the same name and are stored once."""
        buffer = io.BytesIO()
        rows.to_parquet(buffer, compression="zstd", index=False)
        name = hashlib.sha256(buffer.getvalue()).hexdigest()[:16]
        self.storage.create(self._path(name), buffer.getvalue())
        return name

    def read(self, name: str) -> pd.DataFrame:
        """The rows of that name. Raises `ValueError` when they are gone, or not those that were kept."""
        path = self._path(name)
        try:
            content = self.storage.read(path)
        except FileNotFoundError:
            raise ValueError(f"{self.storage.place(path)} is gone: restore it, decisions rest on it") from None
        if hashlib.sha256(content).hexdigest()[:16] != name:
            raise ValueError(f"{self.storage.place(path)} was changed after it was kept")
        return pd.read_parquet(io.BytesIO(content))

    def _path(self, name: str) -> str:
        return f"{self.folder}/{name}.parquet"
