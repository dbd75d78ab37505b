"""The Parquet source: the window alone, whatever the zone of the file."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.data.source import Parquet

START = datetime(2020, 1, 1, tzinfo=UTC)


def table(zone: str | None = "UTC") -> pd.DataFrame:
    times = pd.Series(pd.date_range(START, periods=100, freq="h"))
    return pd.DataFrame(
        {"id": range(100), "event_time": times.dt.tz_convert(zone) if zone else times.dt.tz_localize(None)}
    )


@pytest.fixture(scope="module", params=["UTC", "America/New_York", None])
def path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("parquet") / "rows.parquet"
    table(request.param).to_parquet(path, row_group_size=10)
    return path


@given(first=st.integers(-10, 110), length=st.integers(0, 120))
@settings(deadline=None, max_examples=20)
def test_only_the_window_is_read_and_times_come_back_in_utc(path: Path, first: int, length: int) -> None:
    start, end = START + timedelta(hours=first), START + timedelta(hours=first + length)
    frame = Parquet(str(path))(start, end)
    assert frame["id"].tolist() == [hour for hour in range(100) if first <= hour < first + length]
    assert str(frame["event_time"].dt.tz) == "UTC"
    assert frame["event_time"].tolist() == [START + timedelta(hours=hour) for hour in frame["id"]]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_any_resolution_of_time_is_read(tmp_path: Path, unit: str) -> None:
    frame = table()
    frame["event_time"] = frame["event_time"].astype(f"datetime64[{unit}, UTC]")
    frame.to_parquet(tmp_path / "rows.parquet")
    assert len(Parquet(str(tmp_path / "rows.parquet"))(START, START + timedelta(hours=7))) == 7


def test_a_window_between_the_ticks_of_the_file_is_read(tmp_path: Path) -> None:
    frame = table()
    frame["event_time"] = frame["event_time"].astype("datetime64[ms, UTC]")
    frame.to_parquet(tmp_path / "rows.parquet")
    later = START + timedelta(microseconds=1)
    assert Parquet(str(tmp_path / "rows.parquet"))(later, later + timedelta(hours=2))["id"].tolist() == [1, 2]


def test_a_folder_of_files_is_one_table(tmp_path: Path) -> None:
    for part in range(4):
        table().iloc[25 * part : 25 * part + 25].to_parquet(tmp_path / f"part-{part}.parquet")
    assert Parquet(str(tmp_path))(START, START + timedelta(days=30))["id"].tolist() == list(range(100))


def test_row_groups_outside_the_window_are_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    table().assign(noise=np.random.default_rng(0).random(100)).to_parquet(path, row_group_size=10)
    content = bytearray(path.read_bytes())
    content[4:40] = bytes(36)  # the first row group's data is destroyed
    path.write_bytes(content)
    assert len(Parquet(str(path))(START + timedelta(hours=50), START + timedelta(hours=60))) == 10
    with pytest.raises(OSError):
        Parquet(str(path))(START, START + timedelta(hours=10))


def test_another_name_of_the_time_column_can_be_given(tmp_path: Path) -> None:
    table().rename(columns={"event_time": "at"}).to_parquet(tmp_path / "rows.parquet")
    assert len(Parquet(str(tmp_path / "rows.parquet"), time="at")(START, START + timedelta(hours=5))) == 5
    with pytest.raises(ValueError, match=r"time='event_time' is not a column of .* \(it has id, at\); set data.source"):
        Parquet(str(tmp_path / "rows.parquet"))(START, START)


def test_a_missing_file_is_refused_with_where_to_name_it() -> None:
    with pytest.raises(ValueError, match=r"path='nowhere\.parquet' does not exist; set data\.source\.init_args\.path"):
        Parquet("nowhere.parquet")(START, START)


def test_times_that_are_none_are_refused(tmp_path: Path) -> None:
    pd.DataFrame({"event_time": ["2020-01-01"]}).to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(ValueError, match=r"column 'event_time' of .* is (large_)?string, expected a timestamp"):
        Parquet(str(tmp_path / "rows.parquet"))(START, START)
