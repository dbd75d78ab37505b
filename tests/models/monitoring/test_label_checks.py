"""Labels of several classes and of numbers: how many may be flipped, which classes there are, and where numbers lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.data.contract import Columns
from models.monitoring.quality import (
    Expectations,
    Limits,
    QualityCheck,
    check_label_noise,
    check_label_rate,
    label_noise,
    profile_days,
)

START, DAYS, ROWS_A_DAY = datetime(2025, 1, 1, tzinfo=UTC), 20, 200
LIMITS = Limits()
USUAL = {"gold": 0.2, "red": 0.5, "silver": 0.3}


def drawn(num_rows: int, seed: int, num_classes: int = 3, flipped: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities of a calibrated model, before some labels became another class, each as likely."""
    random = np.random.default_rng(seed)
    chances = random.dirichlet(np.full(num_classes, 0.3), num_rows)
    labels = (chances.cumsum(axis=1) < random.random(num_rows)[:, None]).sum(axis=1)
    other = (labels + random.integers(1, num_classes, num_rows)) % num_classes
    return np.where(random.random(num_rows) < flipped, other, labels).astype(float), chances


@pytest.mark.parametrize(("num_classes", "flipped"), [(3, 0.1), (3, 0.0), (3, 0.4), (6, 0.1)])
def test_the_share_of_labels_that_became_another_class_is_found_within_its_error(
    num_classes: int, flipped: float
) -> None:
    found = [
        label_noise(*drawn(4_000, seed, num_classes, flipped), *drawn(4_000, seed + 1_000, num_classes))
        for seed in range(60)
    ]
    shares = np.array([noise.share for noise in found])
    assert shares.mean() == pytest.approx(flipped, abs=0.008)
    assert np.mean([noise.lower <= flipped <= noise.upper for noise in found]) >= 0.9
    assert {noise.most for noise in found} == {1 - 1 / num_classes}


@given(seed=st.integers(0, 10_000), flipped=st.sampled_from([0.0, 0.05, 0.3, 0.5]))
@settings(deadline=None, max_examples=30)
def test_what_binary_labels_say_does_not_depend_on_how_their_scores_are_written(seed: int, flipped: float) -> None:
    labels, chances = drawn(2_000, seed, 2, flipped)
    before, other = drawn(2_000, seed + 1, 2)
    as_classes = label_noise(labels, chances, before, other)
    as_outcomes = label_noise(labels, chances[:, 1], before, other[:, 1])
    assert as_classes.share == pytest.approx(as_outcomes.share, abs=0.01)
    assert as_classes.most == as_outcomes.most == 0.5


def test_noise_that_the_reference_has_too_is_not_seen() -> None:
    noise = label_noise(*drawn(20_000, 0, flipped=0.2), *drawn(20_000, 1, flipped=0.2))
    assert noise.lower == 0 and noise.share < 0.03


def test_flipped_classes_break_only_a_limit_that_was_set() -> None:
    noise = label_noise(*drawn(10_000, 0, flipped=0.2), *drawn(10_000, 1))
    reported = check_label_noise(noise, LIMITS)
    assert (reported.is_broken, reported.limit) == (False, pytest.approx(2 / 3))
    assert check_label_noise(noise, replace(LIMITS, label_noise=0.1)).is_broken
    assert not check_label_noise(noise, replace(LIMITS, label_noise=0.2)).is_broken


Labels = Callable[[int, np.random.Generator], object]


def columns(task: str) -> Columns:
    return Columns("id", "at", "label", ("x",), (), task=task)  # type: ignore[arg-type]


def rows(first_day: int, num_days: int, labels: Labels, seed: int = 0) -> pd.DataFrame:
    random, num_rows = np.random.default_rng([seed, first_day]), num_days * ROWS_A_DAY
    seconds = (first_day + (np.arange(num_rows) + 0.5) / ROWS_A_DAY) * 86_400
    return pd.DataFrame(
        {
            "id": np.arange(num_rows),
            "at": pd.Timestamp(START) + pd.to_timedelta(seconds, unit="s"),
            "x": random.normal(size=num_rows),
            "label": labels(num_rows, random),
        }
    )


def classes(**chances: float) -> Labels:
    shares = np.array(list(chances.values())) / sum(chances.values())
    return lambda num, random: random.choice(np.array(list(chances), dtype=object), num, p=shares)


def minutes(middle: float = 10.0, width: float = 5.0) -> Labels:
    return lambda num, random: random.normal(middle, width, num)


def checked(
    task: str, now: Labels, limits: Limits = LIMITS, days: int = 7, seed: int = 0, usual: Labels | None = None
) -> Sequence[QualityCheck]:
    usual = usual or (minutes() if task == "regression" else classes(**USUAL))
    learned = Expectations.learn(rows(0, DAYS, usual), columns(task), START, START + timedelta(days=DAYS))
    expected = Expectations.from_json(learned.to_json())
    assert expected == learned
    first = START + timedelta(days=DAYS)
    frame = rows(DAYS, days, now, seed)
    profiles = profile_days(frame, expected.layout, columns(task), first, first + timedelta(days=days))
    return check_label_rate(profiles, expected, limits)


def test_of_the_classes_the_one_that_moved_most_is_reported_and_broken_only_if_asked() -> None:
    now = classes(gold=0.05, red=0.55, silver=0.4)
    [check] = checked("multiclass", now)
    assert check.name == "label rate of 'gold'" and not check.is_broken
    assert check.found == pytest.approx(0.05, abs=0.02)
    assert 0.1 < check.limit < 0.2, "the lowest share of a training day"
    assert check.note.startswith("0.2") and check.note.endswith("in training; only reported")
    [strict] = checked("multiclass", now, replace(LIMITS, label_rate_ratio=2.0))
    assert (strict.name, strict.is_broken) == ("label rate of 'gold'", True)
    assert strict.limit == pytest.approx(0.1, abs=0.01)
    assert not checked("multiclass", now, replace(LIMITS, label_rate_ratio=6.0))[0].is_broken


@given(seed=st.integers(0, 1_000), days=st.integers(1, 14))
@settings(deadline=None, max_examples=15)
def test_classes_and_numbers_like_those_of_training_break_no_limit(seed: int, days: int) -> None:
    strict = replace(LIMITS, label_rate_ratio=1.3, label_shift=0.2, label_spread_ratio=1.3)
    for task, now in (("multiclass", classes(**USUAL)), ("regression", minutes())):
        found = checked(task, now, strict, days, seed)
        assert found and not any(check.is_broken for check in found)


def test_a_class_that_has_vanished_is_beyond_every_ratio_that_chance_does_not_explain() -> None:
    [check] = checked("multiclass", classes(red=0.6, silver=0.4), replace(LIMITS, label_rate_ratio=10.0))
    assert (check.name, check.found, check.is_broken) == ("label rate of 'gold'", 0.0, True)


def test_a_new_class_is_no_change_of_the_rates_of_those_that_are_known() -> None:
    now = classes(gold=0.2, red=0.5, silver=0.3, platinum=1.0)
    [check] = checked("multiclass", now, replace(LIMITS, label_rate_ratio=1.5))
    assert "platinum" not in check.name and not check.is_broken


def test_middle_and_spread_of_a_number_are_reported_in_its_unit_and_broken_only_if_asked() -> None:
    middle, spread = checked("regression", minutes(16, 5))
    assert (middle.name, spread.name) == ("middle of the labels", "spread of the labels (10 % to 90 %)")
    assert middle.found == pytest.approx(16, abs=0.5) and 10 < middle.limit < 12
    assert spread.found == pytest.approx(2 * 1.2816 * 5, rel=0.05)
    assert not middle.is_broken and not spread.is_broken and "only reported" in middle.note
    strict = replace(LIMITS, label_shift=0.3, label_spread_ratio=1.5)
    assert [check.is_broken for check in checked("regression", minutes(16, 5), strict)] == [True, False]
    assert [check.is_broken for check in checked("regression", minutes(10, 9), strict)] == [False, True]
    assert [check.is_broken for check in checked("regression", minutes(10, 2), strict)] == [False, True]
    assert [check.is_broken for check in checked("regression", minutes(5, 5), strict)] == [True, False]


def test_a_wild_label_moves_neither() -> None:
    def wild(num: int, random: np.random.Generator) -> np.ndarray:
        return np.where(np.arange(num) % 50 == 0, 1e9, random.normal(10, 5, num))

    strict = replace(LIMITS, label_shift=0.3, label_spread_ratio=1.5)
    assert not any(check.is_broken for check in checked("regression", wild, strict))


def test_labels_that_are_mostly_missing_still_are_not_judged() -> None:
    def early(num: int, random: np.random.Generator) -> np.ndarray:
        return np.where(np.arange(num) % 5 == 0, np.array("gold", dtype=object), None)

    assert checked("multiclass", early, replace(LIMITS, label_rate_ratio=1.5)) == []
    assert checked("regression", lambda num, _: np.full(num, np.nan)) == []


def test_days_with_few_labels_say_nothing_of_the_middle_of_a_number() -> None:
    def few(num: int, random: np.random.Generator) -> np.ndarray:
        return np.where(np.arange(num) % 5 == 0, random.normal(99, 5, num), np.nan)

    assert checked("regression", few, usual=few) == []
