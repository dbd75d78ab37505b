"""Realised performance: how much worse than the reference, with an interval that knows that days differ."""

from __future__ import annotations

import numpy as np
import pytest

from models.evaluation.metrics import catalogue
from models.evaluation.metrics.metric import Sample
from models.monitoring.performance import Judged, by_day, change, slices_of

LOSS, AREA = catalogue.metric("log_loss"), catalogue.metric("auc")


def judged(seed: int, num_days: int = 20, rows_a_day: int = 100, flipped: float = 0.0, mood: float = 0.0) -> Judged:
    random = np.random.default_rng(seed)
    days = np.repeat(np.arange(num_days), rows_a_day)
    logits = random.normal(size=len(days)) + mood * random.normal(size=num_days)[days]
    labels = (random.uniform(size=len(days)) < 1 / (1 + np.exp(-1.5 * logits))).astype(float)
    labels = np.where(random.uniform(size=len(days)) < flipped, 1 - labels, labels)
    return Judged(Sample(labels, 1 / (1 + np.exp(-1.5 * logits))), days)


def test_a_sample_against_itself_is_no_worse() -> None:
    found = change(LOSS, judged(0), judged(0))
    assert found.worse == 0
    assert found.lower < 0 < found.upper
    assert found.lower == pytest.approx(-found.upper)


def test_worse_is_above_zero_whatever_the_direction_of_the_metric() -> None:
    for metric in (LOSS, AREA):
        found = change(metric, judged(1, flipped=0.3), judged(0))
        assert found.worse > found.lower > 0


def test_the_interval_covers_no_change_about_as_often_as_it_says() -> None:
    found = [change(AREA, judged(seed, mood=0.5), judged(seed + 10_000, mood=0.5)) for seed in range(300)]
    share = np.mean([each.lower <= 0 <= each.upper for each in found])
    assert 0.91 <= share <= 0.99


def test_one_day_is_too_few_for_an_interval() -> None:
    found = change(LOSS, judged(1, num_days=1), judged(0))
    assert (found.lower, found.upper) == (None, None)
    assert found.num_days == 1


def test_one_class_has_no_area_under_the_curve() -> None:
    one_class = Judged(Sample(np.ones(50), np.full(50, 0.5)), np.zeros(50, dtype=int))
    assert change(AREA, one_class, judged(0)) is None
    assert change(LOSS, one_class, judged(0)) is not None


def test_days_are_judged_apart_and_thin_ones_are_left_out_of_rankings() -> None:
    found = judged(2, num_days=3)
    values = by_day(LOSS, found)
    assert list(values) == [0, 1, 2]
    assert np.mean(list(values.values())) == pytest.approx(LOSS.measure(found.sample).value)
    assert by_day(AREA, judged(2, num_days=3, rows_a_day=15)) == {}
    assert len(by_day(AREA, found)) == 3


def test_slices_are_values_and_ranges_and_miss_nothing_that_is_known() -> None:
    origin = np.array(["JFK", None, "EWR", "JFK"], dtype=object)
    age = np.array([1.0, 5.0, 9.0, np.nan])
    found = slices_of({"origin": origin, "age": age}, {"origin": (), "age": (5.0, 8.0)})
    assert {name: rows.tolist() for name, rows in found.items()} == {
        "origin=EWR": [False, False, True, False],
        "origin=JFK": [True, False, False, True],
        "age below 5": [True, False, False, False],
        "age from 5 to 8": [False, True, False, False],
        "age from 8": [False, False, True, False],
    }
