"""Snapshots: the same rows under the same name, read whole or by windows, and refused once they were changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

from models.data import snapshots
from models.data.contract import Columns
from models.data.learning import fit_in_pieces
from models.data.snapshots import Snapshot, Snapshots
from models.data.streaming import Streamed
from models.data.table import Table
from models.data.windows import Windows, between
from tests.places import Folder, Place

START = datetime(2024, 1, 1, tzinfo=UTC)
COLUMNS = Columns("id", "event_time", "label", ("number",), ("place",))
WINDOWS = Windows(*(START + timedelta(days=days) for days in (0, 10, 12, 13, 20)))


@pytest.fixture
def frame() -> pd.DataFrame:
    random, num_rows = np.random.default_rng(0), 20 * 24
    return pd.DataFrame(
        {
            "id": [f"row {number}" for number in range(num_rows)],
            "event_time": pd.Timestamp(START) + pd.to_timedelta(np.arange(num_rows), unit="h"),
            "number": random.normal(size=num_rows),
            "place": random.choice(["here", "there", None], num_rows),
            "label": random.choice([0.0, 1.0, np.nan], num_rows),
        }
    )


@pytest.fixture
def kept(place: Place, monkeypatch: pytest.MonkeyPatch) -> Snapshots:
    monkeypatch.setattr(snapshots, "GROUP_ROWS", 50)
    return Snapshots(place.storage(), "project")


@pytest.fixture
def snapshot(kept: Snapshots, frame: pd.DataFrame) -> Snapshot:
    return kept.freeze(frame, WINDOWS, COLUMNS, None)


def test_labelled_rows_come_back_and_have_one_name(kept: Snapshots, snapshot: Snapshot, frame: pd.DataFrame) -> None:
    labelled = frame[frame["label"].notna()].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept.read(snapshot), labelled)
    assert kept.freeze(frame, WINDOWS, COLUMNS, None) == snapshot
    assert kept.freeze(frame[:-1], WINDOWS, COLUMNS, None).id != snapshot.id


def test_a_window_is_what_is_cut_from_the_whole(kept: Snapshots, snapshot: Snapshot) -> None:
    start, end = START + timedelta(days=3, hours=5), START + timedelta(days=9)
    expected = between(kept.read(snapshot), "event_time", start, end)
    found = kept.window(snapshot.id, ["id", "number", "place"], "event_time", start, end)
    pd.testing.assert_frame_equal(found, expected[["id", "number", "place"]])
    assert kept.ids(snapshot.id, "id", "event_time", start, end).tolist() == expected["id"].tolist()
    assert kept.window(snapshot.id, ["id"], "event_time", end, end).empty


def test_a_file_has_groups_of_rows_and_can_be_streamed(kept: Snapshots, snapshot: Snapshot) -> None:
    path = kept.file(snapshot.id)
    metadata = pq.read_metadata(path)
    assert metadata.num_row_groups == -(-snapshot.num_rows // 50)
    table = Table(path, "label", "event_time", WINDOWS.train_start, WINDOWS.validation_start)
    assert len(table.groups()) < metadata.num_row_groups
    encoder, target = fit_in_pieces(table, ("number",), ("place",), "binary")
    rows = Streamed(table, encoder, target)
    assert len(rows) == len(WINDOWS.train(kept.read(snapshot), "event_time"))
    assert sum(len(batch.targets) for batch in rows.batches(64, 0, torch.device("cpu"))) == len(rows)


def test_a_snapshot_that_was_changed_or_is_gone_is_refused(kept: Snapshots, snapshot: Snapshot, place: Place) -> None:
    [(path, content)] = place.objects().items()
    place.put(path, content[:-1] + b"?")
    for read in (
        lambda: kept.read(snapshot),
        lambda: kept.ids(snapshot.id, "id", "event_time", START, START + timedelta(days=1)),
        lambda: kept.file(snapshot.id),
    ):
        with pytest.raises(ValueError, match="was changed after it was frozen"):
            read()
    place.remove(path)
    with pytest.raises(ValueError, match="is gone: restore it"):
        kept.read(snapshot)


def test_a_snapshot_is_fetched_once_from_a_bucket_and_again_if_its_copy_was_spoilt(
    kept: Snapshots, snapshot: Snapshot, place: Place
) -> None:
    if isinstance(place, Folder):
        pytest.skip("a folder has no copies")
    [content] = place.objects().values()
    place.server.requests.clear()
    copies = [kept.file(snapshot.id) for _ in range(3)]
    assert len(place.server.requests) == 1
    copies[0].write_bytes(content[:100])
    copies[0].with_name(f"{copies[0].name}.part").write_bytes(b"of one that was killed")
    assert kept.file(snapshot.id).read_bytes() == content
