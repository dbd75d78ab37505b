"""Sources: where a project's rows come from. A source is any callable `(start, end) -> DataFrame`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Protocol

import pandas as pd
import pyarrow.dataset


class Source(Protocol):
    """Rows whose event time lies in `[start, end)`, in time order, with the label null until it is known."""

    def __call__(self, start: datetime, end: datetime) -> pd.DataFrame: ...


class Parquet:
    """A Parquet file, or a folder of them, read with the time window pushed down to the row groups.

    Args:
        path: file or folder, relative to the working directory.
        time: the column of event times (a timestamp; without a zone it is taken for UTC).
    """

    def __init__(self, path: str, time: str = "event_time") -> None:
        self.path, self.time = Path(path), time

    def __call__(self, start: datetime, end: datetime) -> pd.DataFrame:
        """Read `[start, end)`. Raises `ValueError` if there is no such path or no time column."""
        if not self.path.exists():
            raise ValueError(f"path={str(self.path)!r} does not exist; set data.source.init_args.path")
        dataset = pyarrow.dataset.dataset(self.path, format="parquet")
        if self.time not in dataset.schema.names:
            raise ValueError(
                f"time={self.time!r} is not a column of {self.path} (it has {', '.join(dataset.schema.names)}); "
                "set data.source.init_args.time"
            )
        kind = dataset.schema.field(self.time).type
        if not pyarrow.types.is_timestamp(kind):
            raise ValueError(f"column {self.time!r} of {self.path} is {kind}, expected a timestamp")
        first, last = (pyarrow.scalar(_first_tick(moment, kind), type=kind) for moment in (start, end))
        column = pyarrow.dataset.field(self.time)
        frame = dataset.to_table(filter=(column >= first) & (column < last)).to_pandas()
        frame[self.time] = pd.to_datetime(frame[self.time], utc=True)
        return frame


def _first_tick(moment: datetime, kind: pyarrow.TimestampType) -> pd.Timestamp:
    # A bound between two ticks of the file's clock is the next one, for the start as for the end.
    timestamp = pd.Timestamp(moment).tz_convert("UTC").ceil(kind.unit)
    return timestamp.tz_convert(kind.tz) if kind.tz else timestamp.tz_localize(None)
