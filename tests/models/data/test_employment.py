"""The census rows: complete, unique, and without the outputs of another model."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import pytest

from models.data.employment import MODEL_OUTPUTS, Employment


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    return Employment()(datetime(2015, 1, 1, tzinfo=UTC), datetime(2019, 1, 1, tzinfo=UTC))


def test_every_person_is_there_once_in_time_order(people: pd.DataFrame) -> None:
    assert len(people) == 277_677
    assert people["id"].is_unique
    assert people["event_time"].is_monotonic_increasing
    assert people["employed"].isin([0, 1]).all()


def test_protected_groups_are_there_and_outputs_of_another_model_are_not(people: pd.DataFrame) -> None:
    assert {"SEX", "RAC1P"} <= set(people.columns)
    assert not set(MODEL_OUTPUTS) & set(people.columns)
    assert not [name for name in people.columns if "predict" in name]


def test_categories_are_text(people: pd.DataFrame) -> None:
    codes = people["SEX"].dropna()
    assert codes.map(type).eq(str).all()
    assert codes.nunique() == 2


def test_rows_are_spread_evenly_over_each_year(people: pd.DataFrame) -> None:
    months = people.groupby([people["event_time"].dt.year, people["event_time"].dt.month]).size()
    assert sorted(months.index.levels[0]) == [2015, 2016, 2017, 2018]
    assert (months / months.groupby(level=0).transform("mean")).between(0.9, 1.1).all()


def test_time_within_a_year_says_nothing_about_the_label(people: pd.DataFrame) -> None:
    half = people["event_time"].dt.month > 6
    for year in range(2015, 2019):
        rates = people[people["event_time"].dt.year == year].groupby(half)["employed"].mean()
        assert abs(rates[True] - rates[False]) < 0.012  # three standard errors


def test_a_window_is_a_part_of_the_whole(people: pd.DataFrame) -> None:
    start, end = datetime(2016, 12, 20, tzinfo=UTC), datetime(2017, 1, 10, tzinfo=UTC)
    expected = people[(people["event_time"] >= start) & (people["event_time"] < end)].reset_index(drop=True)
    pd.testing.assert_frame_equal(Employment()(start, end), expected)
