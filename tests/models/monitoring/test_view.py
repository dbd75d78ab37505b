"""The spans of a look: which rows are newest, which are due, and where local days begin and end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.data.contract import Columns, days
from models.monitoring.view import local_days, part_of

ZONES = ["UTC", "America/New_York", "Asia/Kolkata", "Pacific/Chatham"]
COLUMNS = Columns("id", "at", "label", ("age",), (), timezone="America/New_York")


def rows(start: str, hours: int) -> pd.DataFrame:
    times = pd.date_range(start, periods=hours, freq="h", tz="UTC")
    return pd.DataFrame({"id": np.arange(hours), "at": times, "age": 1.0, "label": 0.0})


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_day_of_summer_time_has_23_hours_and_one_of_winter_time_25() -> None:
    spring, autumn = (
        [day for day in local_days(moment(start), moment(end), "America/New_York") if day.is_whole]
        for start, end in (("2013-03-09", "2013-03-12"), ("2013-11-02", "2013-11-05"))
    )
    assert sorted((day.end - day.start) / timedelta(hours=1) for day in spring) == [23, 24]
    assert sorted((day.end - day.start) / timedelta(hours=1) for day in autumn) == [24, 25]


@given(st.datetimes(datetime(2012, 1, 1), datetime(2014, 1, 1)), st.integers(1, 24 * 70), st.sampled_from(ZONES))
def test_local_days_tile_any_span_and_agree_with_the_day_of_each_event(naive: datetime, hours: int, zone: str) -> None:
    start = naive.replace(tzinfo=UTC)
    end = start + timedelta(hours=hours)
    found = local_days(start, end, zone)
    assert (found[0].start, found[-1].end) == (start, end)
    assert all(before.end == after.start for before, after in pairwise(found))
    assert all(day.is_whole for day in found[1:-1])
    starts = pd.Series([day.start for day in found]).astype("datetime64[ns, UTC]")
    assert days(starts, zone).tolist() == [day.ordinal for day in found]


def test_rows_of_a_day_are_those_of_its_local_day() -> None:
    part = part_of(rows("2013-07-01", 72), COLUMNS, moment("2013-07-01T06:00"), moment("2013-07-03T12:00"), "v1")
    assert len(part.frame) == 54
    counts = {day.iso: len(part.frame.iloc[part.rows_of(day)]) for day in part.span}
    assert counts == {"2013-07-01": 22, "2013-07-02": 24, "2013-07-03": 8}
    assert [day.is_whole for day in part.span] == [False, True, False]


def test_the_key_of_a_day_depends_on_its_rows_its_champion_and_nothing_else() -> None:
    frame, span = rows("2013-07-01", 96), (moment("2013-07-01T04:00"), moment("2013-07-04T04:00"))
    wide = part_of(frame, COLUMNS, *span, "v1")
    later = part_of(frame, COLUMNS, span[0] + timedelta(days=1), span[1], "v1")
    assert wide.day_key(wide.span[1]) == later.day_key(later.span[0])
    assert wide.day_key(wide.span[1]) != part_of(frame, COLUMNS, *span, "v2").day_key(wide.span[1])
    changed = part_of(frame.assign(age=2.0), COLUMNS, *span, "v1")
    assert wide.day_key(wide.span[1]) != changed.day_key(wide.span[1])
    assert wide.day_key(wide.span[1], "more") != wide.day_key(wide.span[1])


def test_some_rows_keep_the_span() -> None:
    part = part_of(rows("2013-07-01", 48), COLUMNS, moment("2013-07-01T04:00"), moment("2013-07-03T04:00"), "v1")
    only = part.only(part.days == part.span[0].ordinal)
    assert only.span == part.span
    assert len(only.frame) == 24
    assert only.rows_of(part.span[1]) == slice(24, 24)


@pytest.mark.parametrize("zone", ZONES)
def test_an_empty_span_has_no_days(zone: str) -> None:
    assert local_days(moment("2013-07-01"), moment("2013-07-01"), zone) == []
