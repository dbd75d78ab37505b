"""Rows that come in slices give the very snapshot that they give in one frame, and are checked across the slices."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.data import snapshots
from models.data.contract import BrokenContract, Columns
from models.data.parts import Parts, slices
from models.data.snapshots import Snapshot, Snapshots
from models.data.windows import Windows, between
from models.registry.storage import Storage

START = datetime(2024, 1, 1, tzinfo=UTC)
WINDOWS = Windows(*(START + timedelta(days=days) for days in (0, 10, 12, 13, 20)))
COLUMNS = Columns("id", "event_time", "label", ("number",), ("place", "empty"), ("kept",))
NUM_ROWS = 20 * 24
LITTLE = 2**20


def frame_of(seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "id": np.arange(NUM_ROWS),
            "event_time": pd.Timestamp(START) + pd.to_timedelta(np.arange(NUM_ROWS), unit="h"),
            "number": random.normal(size=NUM_ROWS),
            "place": np.where(np.arange(NUM_ROWS) < 100, None, random.choice(["here", "there", None], NUM_ROWS)),
            "empty": np.full(NUM_ROWS, None),
            "kept": random.normal(size=NUM_ROWS),
            "label": random.choice([0.0, 1.0, np.nan], NUM_ROWS),
        }
    )


def frozen(kept: Snapshots, frames: list[pd.DataFrame], memory: int = LITTLE) -> Snapshot:
    with kept.gathering(COLUMNS, memory) as parts:
        for frame in frames:
            parts.add(frame.reset_index(drop=True))
        return kept.freeze_parts(parts, WINDOWS, pd.Timestamp(START + timedelta(days=4)))


@given(cuts=st.lists(st.integers(0, NUM_ROWS), max_size=6), group_rows=st.sampled_from([7, 50, 100_000]))
@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_in_slices_give_the_snapshot_of_the_frame_however_they_are_cut(
    tmp_path: Path, cuts: list[int], group_rows: int
) -> None:
    frame, kept = frame_of(), Snapshots(Storage(tmp_path), "project")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshots, "GROUP_ROWS", group_rows)
        expected = kept.freeze(frame, WINDOWS, COLUMNS, pd.Timestamp(START + timedelta(days=4)))
        edges = [0, *sorted(cuts), NUM_ROWS]
        found = frozen(kept, [frame[first:last] for first, last in pairwise(edges)])
    assert found == expected
    assert {path.suffix for path in (tmp_path / "snapshots/project").iterdir()} == {".parquet"}


def test_text_ids_and_whole_numbers_that_are_sometimes_missing_come_to_the_same(tmp_path: Path) -> None:
    frame, kept = frame_of(), Snapshots(Storage(tmp_path), "project")
    frame["id"] = "row " + frame["id"].astype(str)
    frame["kept"] = np.where(frame.index < 200, np.arange(NUM_ROWS), np.nan)
    expected = kept.freeze(frame, WINDOWS, COLUMNS, pd.Timestamp(START + timedelta(days=4)))
    first = frame[:150].astype({"kept": "int64"})
    assert frozen(kept, [first, frame[150:]]) == expected


def test_nothing_labelled_is_a_snapshot_too(tmp_path: Path) -> None:
    frame, kept = frame_of().assign(label=np.nan), Snapshots(Storage(tmp_path), "project")
    expected = kept.freeze(frame, WINDOWS, COLUMNS, pd.Timestamp(START + timedelta(days=4)))
    assert frozen(kept, [frame[:100], frame[100:]]) == expected


@pytest.mark.parametrize("memory", [LITTLE, 500])
def test_an_id_that_comes_again_in_a_later_slice_is_named(tmp_path: Path, memory: int) -> None:
    frame, kept = frame_of(), Snapshots(Storage(tmp_path), "project")
    frame.loc[[300, 301], "id"] = [17, 18]
    with pytest.raises(BrokenContract, match="2 rows repeat an id, first id=17; ids must be unique"):
        frozen(kept, [frame[:100], frame[100:]], memory)
    assert list((tmp_path / "snapshots/project").iterdir()) == []


def test_a_column_that_becomes_another_is_named_with_the_moment(tmp_path: Path) -> None:
    frame, kept = frame_of(), Snapshots(Storage(tmp_path), "project")
    later = frame[100:].assign(kept="text")
    with pytest.raises(BrokenContract, match=r"from 2024-01-05 04:00:00\+00:00 on .*kept"):
        frozen(kept, [frame[:100], later])


def test_a_window_is_read_from_the_slices_that_it_meets(tmp_path: Path) -> None:
    frame, parts = frame_of(), Parts(tmp_path, COLUMNS, LITTLE)
    for first in range(0, NUM_ROWS, 50):
        parts.add(frame[first : first + 50].reset_index(drop=True))
    start, end = START + timedelta(days=3, hours=5), START + timedelta(days=9)
    pd.testing.assert_frame_equal(parts.between(start, end), between(frame, "event_time", start, end))
    assert list(parts.between(end, end)) == list(frame)
    assert parts.between(end, end).empty
    parts.parts[0].path.unlink()
    assert len(parts.between(start, end)) == 139, "the first slice is not read"


def test_slices_cover_the_window_once_and_follow_the_memory() -> None:
    frame, asked = frame_of(), []
    a_row = int(frame.memory_usage(deep=True).sum() / NUM_ROWS)

    def read(start: datetime, end: datetime) -> pd.DataFrame:
        asked.append((start, end))
        return between(frame, "event_time", start, end)

    found = list(slices(read, START, WINDOWS.holdout_end, memory=4 * 60 * a_row))
    assert pd.concat(found)["id"].tolist() == frame["id"].tolist()
    assert [start for start, _ in asked[1:]] == [end for _, end in asked[:-1]]
    assert (asked[0][0], asked[-1][1]) == (START, WINDOWS.holdout_end)
    assert len(found[0]) == 24
    assert 24 < max(map(len, found)) < 80, "a day at first, and then as much as the memory takes"
    assert [len(each) for each in slices(read, START, START + timedelta(hours=5), 1)] == [5]


def test_slices_of_time_without_rows_grow_longer() -> None:
    found = list(slices(lambda start, end: frame_of()[:0], START, START + timedelta(days=1_000), 1))
    assert len(found) == 10
