"""What every data source must do, checked on that of each configuration."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from configs.schema import Project, load
from models.data.contract import Columns, days, read
from models.data.source import Source

CONFIGS = sorted((Path(__file__).parents[3] / "configs").glob("*.yaml"))


@pytest.fixture(params=CONFIGS, ids=lambda path: path.name)
def project(request: pytest.FixtureRequest) -> Project:
    return load(request.param)


@pytest.fixture
def source(project: Project) -> Source:
    return project.data.source.build()


def columns(project: Project) -> Columns:
    data = project.data
    return Columns(
        id=data.id,
        time=data.time,
        label=data.label,
        numbers=data.numbers,
        categories=data.categories,
        label_time=data.label_time,
        label_delay=timedelta(days=data.label_delay_days),
        timezone=data.timezone,
        task=data.task,
    )


def first_days(project: Project, num_days: float) -> tuple[datetime, datetime]:
    return project.schedule.start, project.schedule.start + timedelta(days=num_days)


def test_there_are_configurations_to_check() -> None:
    assert CONFIGS


def test_a_source_keeps_the_contract(project: Project, source: Source) -> None:
    start, end = first_days(project, 20)
    frame = read(source, columns(project), start, end, end + timedelta(days=365))
    assert tuple(frame.columns) == columns(project).all
    assert len(frame)
    assert frame[project.data.id].is_unique
    assert frame[project.data.time].is_monotonic_increasing
    assert frame[project.data.time].between(start, end, inclusive="left").all()
    known = frame[project.data.label].dropna()
    assert len(known)
    if project.data.task == "multiclass":
        assert set(map(type, known)) == {str}
    else:
        assert (known.isin([0.0, 1.0]) if project.data.task == "binary" else known.abs() < float("inf")).all()
    assert len(set(days(frame[project.data.time], project.data.timezone))) <= 21


def test_neighbouring_windows_share_no_row_and_lose_none(project: Project, source: Source) -> None:
    start, end = first_days(project, 10)
    middle = frame_times(project, source(start, end)).iloc[len(source(start, end)) // 2].to_pydatetime()
    halves = [source(start, middle), source(middle, end)]
    whole = source(start, end)
    assert all(len(half) for half in halves)
    assert [*halves[0][project.data.id], *halves[1][project.data.id]] == whole[project.data.id].tolist()
    assert frame_times(project, halves[0]).max() < pd.Timestamp(middle) <= frame_times(project, halves[1]).min()


def test_asking_again_gives_the_same_rows_whatever_was_done_to_the_first(project: Project, source: Source) -> None:
    start, end = first_days(project, 2)
    first = source(start, end)
    expected = first.copy(deep=True)
    first[project.data.label] = None
    first[project.data.id] = "changed"
    pd.testing.assert_frame_equal(source(start, end), expected)


def test_a_window_without_rows_is_an_empty_frame_with_all_columns(project: Project, source: Source) -> None:
    start = project.schedule.start - timedelta(days=3_650)
    frame = read(source, columns(project), start, start + timedelta(days=1), start + timedelta(days=2))
    assert frame.empty
    assert tuple(frame.columns) == columns(project).all


def frame_times(project: Project, frame: pd.DataFrame) -> pd.Series:
    return pd.to_datetime(frame[project.data.time], utc=True)
