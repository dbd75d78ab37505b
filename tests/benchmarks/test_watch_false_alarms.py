"""The benchmark of alarms: its worlds are what they are said to be, and it counts what it says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import special

from benchmarks.watch import false_alarms
from benchmarks.watch.false_alarms import (
    CHANGE_WEEK,
    DISTRIBUTIONS,
    FEATURES,
    LIFE_DAYS,
    MOVED,
    NUM_SERIES,
    REFERENCE_WEEKS,
    SHARES,
    YEAR_DAYS,
    Piece,
    Values,
    daily_values,
    distances_of,
    jensen_shannon,
    live,
    rows_of,
    series_of,
    watch,
)
from models.evaluation.metrics.proper import log_loss
from models.evaluation.metrics.ranking import auc

ROWS = 350


def random(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_the_shares_of_all_series_sum_to_one() -> None:
    assert sum(SHARES.values()) == pytest.approx(1)
    assert set(SHARES) == {"log_loss", "auc", *FEATURES}


def test_scores_are_calibrated_while_nothing_changes() -> None:
    rows = rows_of(random(), 2_000, "feature", 0.0)
    residual = rows.labels - rows.scores
    assert abs(residual.mean()) < 4 * residual.std() / np.sqrt(len(residual))
    assert 0.75 < auc(rows.labels, rows.scores).value < 0.8


@pytest.mark.parametrize("size", [0.25, 1.0])
def test_a_feature_moves_by_its_size_and_nothing_else_does(size: float) -> None:
    quiet, moved = (rows_of(random(), ROWS, "feature", each) for each in (0.0, size))
    change = ROWS * (REFERENCE_WEEKS + CHANGE_WEEK)
    for name in FEATURES:
        assert np.array_equal(quiet.features[name][:change], moved.features[name][:change])
        difference = moved.features[name][change:] - quiet.features[name][change:]
        assert np.allclose(difference, size if name == MOVED else 0)
    assert np.array_equal(quiet.labels, moved.labels)


@pytest.mark.parametrize("fall", [0.02, 0.05])
def test_auc_falls_by_its_size(fall: float) -> None:
    rows = rows_of(random(), 5_000, "auc", fall)
    change = 5_000 * (REFERENCE_WEEKS + CHANGE_WEEK)
    before, after = (auc(rows.labels[part], rows.scores[part]).value for part in (slice(change), slice(change, None)))
    assert before - after == pytest.approx(fall, abs=0.008)


def test_series_are_the_metrics_of_each_week() -> None:
    rows = rows_of(random(), ROWS, "feature", 0.0)
    series = series_of(rows, ROWS, REFERENCE_WEEKS)
    week = slice(30 * ROWS, 31 * ROWS)
    assert series["auc"][30] == auc(rows.labels[week], rows.scores[week]).value
    assert series["log_loss"][30] == log_loss(rows.labels[week], rows.scores[week]).value
    assert {len(values) for values in series.values()} == {78}


def test_distances_of_the_reference_are_like_those_of_quiet_weeks() -> None:
    drawn = random().standard_normal(2_000 * 100)
    distances = distances_of(drawn, 2_000, 1_000)
    assert distances[:1_000].mean() == pytest.approx(distances[1_000:].mean(), rel=0.04)
    moved = drawn + np.where(np.arange(len(drawn)) >= 100 * 1_000, 0.5, 0.0)
    assert distances_of(moved, 2_000, 1_000)[1_000:].mean() > 1.3 * distances[1_000:].mean()


def test_jensen_shannon_is_that_of_its_definition() -> None:
    first, second = np.array([3, 1, 0, 4]), np.array([2, 2, 1, 5])
    one, two = first / first.sum(), second / second.sum()
    middle = (one + two) / 2
    bits = special.rel_entr(one, middle).sum() / 2 + special.rel_entr(two, middle).sum() / 2
    assert jensen_shannon(first[None], second[None])[0] == pytest.approx(np.sqrt(bits / np.log(2)))


def test_a_quiet_year_raises_little_and_a_harmful_one_is_seen() -> None:
    (quiet,) = watch(Piece("auc", 0.0, 1, ROWS, nannyml=0, first=0, count=1))
    (harmful,) = watch(Piece("auc", 0.2, 1, ROWS, nannyml=0, first=0, count=1))
    assert not quiet.alarms and quiet.nannyml is None
    assert min(harmful.alarms["auc"]) >= CHANGE_WEEK


def test_nannyml_watches_the_same_year() -> None:
    (year,) = watch(Piece("feature", 1.0, 1, ROWS, nannyml=1, first=0, count=1))
    assert year.nannyml is not None
    assert set(range(CHANGE_WEEK, 52)) <= set(year.nannyml[MOVED])
    assert MOVED in year.alarms


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_daily_values_have_no_change_and_the_dependence_that_is_said(distribution: str) -> None:
    values = daily_values(random(), distribution, (3_000, 40))
    assert abs(np.median(values[:, :20]) - np.median(values[:, 20:])) < 0.05
    assert np.isclose(np.std(values[:, 0]), np.std(values[:, -1]), rtol=0.3)
    correlation = np.corrcoef(values[:, 10], values[:, 11])[0, 1]
    assert correlation == pytest.approx(float(distribution[3:]) if distribution.startswith("AR") else 0, abs=0.06)


def test_a_year_of_values_has_a_life_for_each_champion() -> None:
    largest = live(Values("normal", 14, 0, 1))
    assert largest.shape == (1, NUM_SERIES, -(-YEAR_DAYS // LIFE_DAYS))
    assert (largest > 0).all()


def test_what_was_seen_before_the_change_is_not_seen_after_it() -> None:
    years = [{"auc": [5]}, {"auc": [5, CHANGE_WEEK + 2]}, {"auc": [CHANGE_WEEK]}, {"number_3": [40]}]
    seen = false_alarms._seen(years, ("auc",))
    assert seen == {"seen": 0.5, "median_weeks": 2.0, "alarm_before_the_change": 0.5, "years": 4}
    assert false_alarms._false([*years, {}])["any"] == 0.8


def test_the_whole_runs_small_and_says_what_it_must() -> None:
    size = replace(
        false_alarms.QUICK, years=1, daily_years=1, nannyml_years=1, delay_years=0, value_years=0, rows_a_week=ROWS
    )
    result = false_alarms.run(size, 1)
    assert {"false_alarm_years", "false_alarm_years_nannyml", "alpha", "rows", "delays", "values"} == set(result)
    assert result["rows"]["weekly"]["years"] == result["rows"]["nannyml_weekly"]["years"] == 1
    assert len(result["delays"]) == 10
