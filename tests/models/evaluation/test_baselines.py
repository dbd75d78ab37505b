"""Forecasts without a model: each learns from the rows before the holdout alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import pytest

from models.evaluation.baselines import LastValue, Prior

Baseline = Callable[[pd.DataFrame, pd.DataFrame, str, str], np.ndarray | pd.DataFrame]
ROWS = pd.DataFrame({"at": pd.to_datetime(["2013-01-20", "2013-01-21"], utc=True)})


def seen(labels: Sequence[float | str]) -> pd.DataFrame:
    """A row a day from the first of January on."""
    at = pd.date_range("2013-01-01", periods=len(labels), freq="D", tz="UTC")
    return pd.DataFrame({"late": labels, "at": at})


def test_the_prior_is_how_often_it_occurred_for_every_row() -> None:
    np.testing.assert_array_equal(Prior()(seen([0, 0, 0, 1]), ROWS, "late", "at"), [0.25, 0.25])


@pytest.mark.parametrize(("days", "expected"), [(1, 1.0), (2, 0.5), (4, 0.5), (100, 0.4)])
def test_the_last_value_looks_at_so_many_days_before_the_last_row(days: float, expected: float) -> None:
    forecast = LastValue(days=days)(seen([0, 1, 0, 0, 1]), ROWS, "late", "at")
    np.testing.assert_allclose(forecast, [expected, expected])


def test_the_prior_of_several_classes_is_the_share_of_each() -> None:
    forecast = Prior()(seen(["b", "a", "b", "b"]), ROWS, "late", "at")
    pd.testing.assert_frame_equal(forecast, pd.DataFrame({"a": [0.25, 0.25], "b": [0.75, 0.75]}))
    latest = LastValue(days=2)(seen(["a", "a", "c", "b"]), ROWS, "late", "at")
    pd.testing.assert_frame_equal(latest, pd.DataFrame({"b": [0.5, 0.5], "c": [0.5, 0.5]}))


def test_the_prior_of_a_number_is_its_mean() -> None:
    np.testing.assert_array_equal(Prior()(seen([-20.0, 5.0, 30.0]), ROWS, "late", "at"), [5.0, 5.0])


@pytest.mark.parametrize("baseline", [Prior(), LastValue(), LastValue(days=7.0)], ids=repr)
def test_a_baseline_gives_a_probability_for_each_row_and_needs_no_label_of_it(baseline: Baseline) -> None:
    forecast = baseline(seen([0, 1, 1]), ROWS, "late", "at")
    assert forecast.shape == (len(ROWS),)
    assert ((forecast >= 0) & (forecast <= 1)).all()
    assert baseline(seen([0, 1, 1]), ROWS.head(0), "late", "at").shape == (0,)
