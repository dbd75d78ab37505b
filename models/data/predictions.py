"""Predictions: one immutable file a batch, so that a batch is scored exactly once whoever tries again."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from models.data.contract import BrokenContract
from models.data.scores import SCORE as SCORE
from models.data.scores import score_columns, scores_in
from models.registry.storage import Storage
from models.registry.versions import VersionId

METADATA_KEY = b"perennial"
SCORE_FILED = "score"  # as it is called in a file, which holds no columns of a user's
NAME_FORMAT = "%Y%m%dT%H%M%S.%fZ"


def with_scores(frame: pd.DataFrame, id: str, scored: pd.DataFrame) -> pd.DataFrame:
    """Rows of `frame` that have a prediction in `scored`, in order, with it as `scores.put_scores` puts it.

    Of a row that is in two batches, as its time was corrected in between, the later prediction counts. Where batches
    were scored by versions that know different classes, each has all of them.

    Raises:
        BrokenContract: when ids are of another type than those that were scored.
    """
    filed = score_columns(scored, SCORE_FILED)
    values, _ = scores_in(scored, SCORE_FILED)
    scores = pd.DataFrame(
        values.reshape(len(scored), -1),
        columns=[SCORE + name.removeprefix(SCORE_FILED) for name in filed],
        index=scored.index,
    )
    scores = scores.assign(__id=scored["id"]).drop_duplicates("__id", keep="last")
    try:
        return frame.merge(scores, left_on=id, right_on="__id", how="inner").drop(columns="__id")
    except ValueError as error:
        raise BrokenContract(
            f"column {id!r} is {frame[id].dtype}, and ids were {scores['__id'].dtype} when rows were scored"
        ) from error


@dataclass(frozen=True)
class Batch:
    """Rows of `[start, end)` as one version scored them."""

    start: datetime
    end: datetime
    version: VersionId
    num_rows: int


class Predictions:
    """The scored batches of one project: `predictions/<project>/<start>.parquet`, each beginning where the last ended.

    A file is named after its start alone: of two writers that score from the same moment one wins, whatever their
    ends, and no row can be in two files.
    """

    def __init__(self, storage: Storage, project: str) -> None:
        self.storage, self.folder = storage, f"predictions/{project}"

    def starts(self) -> list[datetime]:
        """The first moment of every batch, in order."""
        names = [path.split("/")[-1].removesuffix(".parquet") for path in self.storage.list(self.folder)]
        return [datetime.strptime(name, NAME_FORMAT).replace(tzinfo=UTC) for name in names]

    def add(self, batch: Batch, rows: pd.DataFrame, scored_at: datetime) -> Batch:
        """Write a batch if none starts at that moment, and return the one that is there.

        Args:
            batch: its window and version; `num_rows` is that of `rows`.
            rows: columns id, event_time, and score, or score=<class> for each class of a multiclass label.
            scored_at: clock time.
        """
        table = pa.Table.from_pandas(
            rows.assign(version=batch.version, split="champion", scored_at=scored_at), preserve_index=False
        )
        content = {"start": batch.start.isoformat(), "end": batch.end.isoformat(), "version": batch.version}
        buffer = io.BytesIO()
        metadata = {**(table.schema.metadata or {}), METADATA_KEY: json.dumps(content).encode()}
        pq.write_table(table.replace_schema_metadata(metadata), buffer, compression="zstd")
        self.storage.create(self._path(batch.start), buffer.getvalue())
        return self.describe(batch.start)

    def describe(self, start: datetime) -> Batch:
        """The batch that begins at `start`."""
        file = pq.ParquetFile(io.BytesIO(self.storage.read(self._path(start))))
        content = json.loads(file.schema_arrow.metadata[METADATA_KEY])
        return Batch(
            start=datetime.fromisoformat(content["start"]),
            end=datetime.fromisoformat(content["end"]),
            version=VersionId(content["version"]),
            num_rows=file.metadata.num_rows,
        )

    def last(self) -> Batch | None:
        """The newest batch, if any."""
        starts = self.starts()
        return self.describe(starts[-1]) if starts else None

    def overlapping(self, start: datetime, end: datetime) -> list[Batch]:
        """Batches with any moment in `[start, end)`, in order."""
        starts = self.starts()
        ends = [*starts[1:], datetime.max.replace(tzinfo=UTC)][: len(starts)]
        candidates = [first for first, last in zip(starts, ends, strict=True) if first < end and last > start]
        return [batch for batch in map(self.describe, candidates) if batch.end > start]

    def read(self, batch: Batch) -> pd.DataFrame:
        """Rows of a batch: id, event_time, score (or score=<class> for each class), version, split, scored_at."""
        return pd.read_parquet(io.BytesIO(self.storage.read(self._path(batch.start))))

    def _path(self, start: datetime) -> str:
        return f"{self.folder}/{start.astimezone(UTC).strftime(NAME_FORMAT)}.parquet"
