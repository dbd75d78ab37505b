"""The data contract: what it refuses, in which words, and that no label is known before its time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.data.contract import BrokenContract, Columns, days, is_mature, read, require_rows
from models.evaluation.metrics.metric import Task

START, END = datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 1, 11, tzinfo=UTC)
COLUMNS = Columns(
    id="id",
    time="event_time",
    label="late",
    numbers=("distance",),
    categories=("carrier",),
    label_delay=timedelta(days=2),
)


def table(num_rows: int = 40) -> pd.DataFrame:
    """Rows spread evenly over the ten days."""
    step = (END - START) / num_rows
    return pd.DataFrame(
        {
            "id": [f"flight-{row}" for row in range(num_rows)],
            "event_time": pd.to_datetime([START + row * step for row in range(num_rows)]),
            "distance": np.linspace(100, 2_000, num_rows),
            "carrier": ["UA", "B6"] * (num_rows // 2),
            "late": [0, 1] * (num_rows // 2),
            "delay": 3.0,
        }
    )


def read_table(
    frame: pd.DataFrame, columns: Columns = COLUMNS, as_of: datetime = END, **window: datetime
) -> pd.DataFrame:
    """Read a source that returns the frame as it is, cut to the window where it has times."""

    def source(start: datetime, end: datetime) -> pd.DataFrame:
        times = frame.get("event_time")
        if times is None or not isinstance(times.dtype, pd.DatetimeTZDtype) or times.isna().any():
            return frame
        return frame[(times >= start) & (times < end)]

    return read(source, columns, window.get("start", START), window.get("end", END), as_of)


def test_what_comes_back_has_the_named_columns_alone_in_order_and_types() -> None:
    frame = read_table(table().assign(distance=range(40)))
    assert tuple(frame.columns) == COLUMNS.all == ("id", "event_time", "distance", "carrier", "late")
    assert frame["distance"].dtype == np.float64
    assert frame["late"].dtype == np.float64
    assert str(frame["event_time"].dt.tz) == "UTC"
    assert frame.index.tolist() == list(range(40))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="late"), "the source has no column 'late'; it has id, event_time, distance, carrier"),
        (
            lambda t: t.drop(columns="carrier"),
            r"no column 'carrier'.*Change data\.label, data\.numbers, data\.categories or",
        ),
        (lambda t: t.iloc[::-1], "rows are not in time order: id='flight-38' at .* follows .*; sort the source by 'ev"),
        (lambda t: t.assign(id="same"), "39 rows repeat an id, first id='same'; ids must be unique, or set data.id"),
        (
            lambda t: t.assign(distance=t["distance"].astype(object).where(t.index != 7, "far")),
            r"feature 'distance' was a number and holds 'far'; mend the feed, or list the column under data\.",
        ),
        (lambda t: t.assign(distance=[[1]] * 40), "feature 'distance' was a number and holds"),
        (lambda t: t.assign(late=t["late"].where(t.index != 7, 2)), "label 'late' holds 2, expected 0, 1 or null"),
        (lambda t: t.assign(late="yes"), "label 'late' holds 'yes', expected 0, 1 or null; change the source"),
        (
            lambda t: t.assign(event_time=t["event_time"].dt.tz_localize(None)),
            r"column 'event_time' is datetime64\[ns\], expected timestamps with a time zone",
        ),
        (lambda t: t.assign(event_time="2013-01-01"), "column 'event_time' is object, expected timestamps with"),
        (
            lambda t: t.assign(event_time=t["event_time"].where(t.index > 2)),
            "column 'event_time' is null in 3 rows; every row needs its event time",
        ),
    ],
)
def test_what_is_wrong_is_refused_with_the_value_and_the_place(change: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_table(change(table()))


def read_label(values: list[Any], task: Task, as_of: datetime = END + timedelta(days=2)) -> list[Any]:
    """The label of as many rows, the first a day after the start and each a day after the other."""
    times = pd.to_datetime([START + timedelta(days=day) for day in range(len(values))])
    frame = table(40).iloc[: len(values)].assign(event_time=times, late=pd.Series(values, dtype=object))
    return list(read(lambda start, end: frame, replace(COLUMNS, task=task), START, END, as_of)["late"])


def test_classes_are_text_whatever_they_were_and_none_where_nothing_is_known() -> None:
    assert read_label(["a", "b", None, float("nan")], "multiclass") == ["a", "b", None, None]
    assert read_label([1, 2.0, True], "multiclass") == ["1", "2", "True"]


def test_a_class_is_not_known_before_its_time() -> None:
    assert read_label(["a", "b", "c"], "multiclass", as_of=START + timedelta(days=3)) == ["a", "b", None]


def test_numbers_stay_what_they_are_and_are_not_known_before_their_time() -> None:
    found = read_label([-3.5, None, 1e6, 7], "regression", as_of=START + timedelta(days=4, hours=12))
    np.testing.assert_array_equal(found, [-3.5, np.nan, 1e6, np.nan])


@pytest.mark.parametrize(
    ("values", "task", "message"),
    [
        (
            [1.0, float("inf")],
            "regression",
            "label 'late' holds inf, expected a finite number or null; change the source",
        ),
        ([1.0, "far"], "regression", "label 'late' holds 'far', expected a finite number .* data.task to multiclass"),
        (
            [1.0, 2.5],
            "binary",
            "label 'late' holds 2.5, expected 0, 1 or null; .* data.task to multiclass or regression",
        ),
    ],
)
def test_a_label_of_another_kind_is_refused_with_what_to_change(values: list[Any], task: Task, message: str) -> None:
    with pytest.raises(BrokenContract, match=message):
        read_label(values, task)


@pytest.mark.parametrize("time", [START - timedelta(seconds=1), END])
def test_rows_outside_the_window_are_refused(time: datetime) -> None:
    frame = table().iloc[:1].assign(event_time=pd.Timestamp(time))
    with pytest.raises(
        ValueError, match=r"the source returned 1 rows outside \[2013-01-01 .*, first id='flight-0' at "
    ):
        read(lambda start, end: frame, COLUMNS, START, END, END)


def test_a_source_is_never_asked_beyond_what_is_known() -> None:
    asked: list[tuple[datetime, datetime]] = []

    def source(start: datetime, end: datetime) -> pd.DataFrame:
        asked.append((start, end))
        return table().iloc[:0]

    read(source, COLUMNS, START, END, START + timedelta(days=3))
    assert asked == [(START, START + timedelta(days=3))]


def test_an_empty_window_is_no_error_until_somebody_needs_rows() -> None:
    frame = read_table(table().iloc[:0])
    assert frame.empty
    assert tuple(frame.columns) == COLUMNS.all
    with pytest.raises(ValueError, match="no rows from 2013-01-01 00:00 to 2013-01-11 00:00 UTC, needed to train"):
        require_rows(frame, START, END, "to train")
    require_rows(read_table(table()), START, END, "to train")


@given(hours=st.floats(0, 300), delay_hours=st.floats(0, 200))
@settings(deadline=None, max_examples=60)
def test_no_label_is_known_before_its_delay_has_passed(hours: float, delay_hours: float) -> None:
    as_of, columns = START + timedelta(hours=hours), replace(COLUMNS, label_delay=timedelta(hours=delay_hours))
    frame = read_table(table(), columns, as_of)
    due = frame["event_time"] + timedelta(hours=delay_hours) <= pd.Timestamp(as_of)
    assert (frame["event_time"] < pd.Timestamp(as_of)).all()
    assert frame["late"].notna().tolist() == due.tolist() == is_mature(frame, columns, as_of).tolist()
    truth = table().set_index("id")["late"]
    assert (frame["late"].dropna() == truth.loc[frame["id"]].to_numpy()[due]).all()


@given(
    hours=st.lists(st.one_of(st.none(), st.floats(-10, 400)), min_size=40, max_size=40), as_of_hours=st.floats(1, 500)
)
@settings(deadline=None, max_examples=60)
def test_the_arrival_time_of_a_label_is_respected_where_it_is_known(
    hours: list[float | None], as_of_hours: float
) -> None:
    columns, as_of = replace(COLUMNS, label_time="known_at"), START + timedelta(hours=as_of_hours)
    arrived = [pd.NaT if hour is None else pd.Timestamp(START + timedelta(hours=hour)) for hour in hours]
    arrivals = pd.Series(pd.to_datetime(arrived, utc=True))
    frame = read_table(table().assign(known_at=arrivals), columns, as_of)
    due = arrivals.fillna(table()["event_time"] + COLUMNS.label_delay).iloc[: len(frame)] <= pd.Timestamp(as_of)
    assert frame["late"].notna().tolist() == due.tolist()


def test_a_label_that_never_came_stays_unknown() -> None:
    frame = read_table(table().assign(late=pd.array([0, None] * 20, dtype="Int8")), as_of=END + timedelta(days=30))
    assert frame["late"].isna().sum() == 20
    assert is_mature(frame, COLUMNS, END + timedelta(days=30)).all()


@pytest.mark.parametrize("dtype", ["int64", "float64", "bool", "Int8", "boolean", "object"])
def test_labels_of_any_type_become_zero_and_one(dtype: str) -> None:
    frame = read_table(table().assign(late=table()["late"].astype(dtype)), as_of=END + timedelta(days=2))
    assert frame["late"].tolist() == [0.0, 1.0] * 20


@pytest.mark.parametrize(
    "values", [["UA", None] * 20, pd.Categorical(["UA", None] * 20), pd.array(["UA", None] * 20, dtype="string")]
)
def test_categories_of_any_type_become_text_or_none(values: Any) -> None:
    assert read_table(table().assign(carrier=values))["carrier"].tolist() == ["UA", None] * 20


def test_a_category_coded_in_integers_reads_the_same_with_and_without_gaps() -> None:
    whole = read_table(table().assign(carrier=[1, 2] * 20))
    gaps = read_table(table().assign(carrier=[1.0, None] * 20))  # what Parquet makes of integers with nulls
    assert whole["carrier"].tolist() == ["1", "2"] * 20
    assert gaps["carrier"].tolist() == ["1", None] * 20
    assert read_table(table().assign(carrier=[1.5, 2.0] * 20))["carrier"].tolist() == ["1.5", "2"] * 20


def test_a_category_of_texts_and_others_is_text_throughout() -> None:
    mixed = np.array(["UA", 1, True, 2.0, None] * 8, dtype=object)
    assert read_table(table().assign(carrier=mixed))["carrier"].tolist() == ["UA", "1", "True", "2", None] * 8


def test_infinities_are_missing_and_nullable_numbers_are_numbers() -> None:
    frame = read_table(table().assign(distance=[np.inf, -np.inf, np.nan, 1.0] * 10))
    assert frame["distance"].isna().tolist() == [True, True, True, False] * 10
    nullable = read_table(table().assign(distance=pd.array([1, None] * 20, dtype="Int64")))
    assert nullable["distance"].isna().sum() == 20


def test_a_source_in_another_zone_is_the_same_moment() -> None:
    frame = read_table(table().assign(event_time=table()["event_time"].dt.tz_convert("Asia/Tokyo")))
    pd.testing.assert_frame_equal(frame, read_table(table()))


def test_days_are_those_of_the_clock_on_the_wall() -> None:
    times = pd.Series(
        pd.to_datetime(["2013-03-10 04:59", "2013-03-10 05:00", "2013-03-11 03:59", "2013-03-11 04:00"], utc=True)
    )
    # New York leaves winter time on this day, which is 23 hours long.
    assert np.diff(days(times, "America/New_York")).tolist() == [1, 0, 1]
    assert np.diff(days(times, "UTC")).tolist() == [0, 1, 0]
    assert days(times, "UTC")[0] == datetime(2013, 3, 10).toordinal() - datetime(1970, 1, 1).toordinal()


@given(hours=st.lists(st.integers(0, 24 * 400), min_size=1, max_size=30), zone=st.sampled_from(["UTC", "Asia/Kolkata"]))
@settings(deadline=None, max_examples=30)
def test_later_events_are_never_in_an_earlier_day(hours: list[int], zone: str) -> None:
    times = pd.Series(pd.to_datetime([START + timedelta(hours=hour) for hour in sorted(hours)]))
    found = days(times, zone)
    assert (np.diff(found) >= 0).all()
    assert found.tolist() == [time.tz_convert(zone).date().toordinal() - 719_163 for time in times]
