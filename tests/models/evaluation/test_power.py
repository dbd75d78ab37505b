"""The outlook before a retrain, against simulated holdouts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.evaluation.comparison import Paired, compare
from models.evaluation.groups import by_key
from models.evaluation.metrics import MAE
from models.evaluation.power import POWER, REMEMBERED, USUAL_RATIO, outlook, rows_needed
from models.evaluation.spread import GroupedSpread


def share_shown(gain: float, error: float, num_groups: int, level: float, num_draws: int) -> float:
    """How often a true gain with normal sums of groups is shown, by the test that the gate makes."""
    random, shown = np.random.default_rng(0), 0
    grouping = by_key(np.arange(num_groups), "days")
    for _ in range(num_draws):
        means = random.normal(gain, error * np.sqrt(num_groups), num_groups)
        spread = GroupedSpread.of(float(means.mean()), means - means.mean(), grouping)
        shown += spread.p_above(0.0) <= level
    return shown / num_draws


@pytest.mark.parametrize(("num_groups", "level"), [(15, 0.05), (20, 0.01), (60, 0.05), (60, 0.005)])
def test_the_smallest_gain_is_shown_four_times_out_of_five(num_groups: int, level: float) -> None:
    seen = outlook(champion_error=0.1, num_rows=1_000, num_groups=num_groups, level=level, ratios=[0.5])
    assert seen.standard_error == pytest.approx(0.05)
    assert seen.smallest_gain is not None
    # 600 draws know the share up to 1.6 %, the normal approximation to the power is 2 % off for few groups.
    assert share_shown(seen.smallest_gain, 0.05, num_groups, level, 600) == pytest.approx(POWER, abs=0.05)


def test_a_holdout_of_the_size_that_is_asked_for_shows_the_gain_four_times_out_of_five() -> None:
    needed = rows_needed(standard_error=0.1, num_rows=100, gain=0.05, level=0.05)
    means = np.random.default_rng(0).normal(0.05, 1.0 / np.sqrt(needed), 20_000)
    assert (means > 1.6449 / np.sqrt(needed)).mean() == pytest.approx(POWER, abs=0.01)


def test_the_rows_that_a_comparison_asks_for_are_enough() -> None:
    """Simulated rows, from the error that a small holdout measured to the share of large ones that show the gain."""
    random = np.random.default_rng(0)

    def holdout(num_rows: int) -> Paired:
        labels = np.zeros(num_rows)
        champion, challenger = np.abs(random.normal(1, 0.3, num_rows)), np.abs(random.normal(0.97, 0.3, num_rows))
        return Paired(labels, champion, challenger, by_key(np.arange(num_rows), "rows"), task="regression")

    first = compare(MAE, holdout(2_000))
    needed = rows_needed(first.standard_error, 2_000, gain=0.03, level=0.05)
    shown = [compare(MAE, holdout(needed)).spread.p_above(0) <= 0.05 for _ in range(400)]
    assert np.mean(shown) == pytest.approx(POWER, abs=0.06)  # 400 draws know it up to 2 %


@given(
    error=st.floats(1e-4, 1.0),
    gain=st.floats(1e-4, 1.0),
    level=st.floats(0.001, 0.4),
    num_rows=st.integers(100, 10_000),
)
@settings(deadline=None, max_examples=30)
def test_rows_needed_fall_with_the_gain_and_the_level_and_rise_with_the_noise(
    error: float, gain: float, level: float, num_rows: int
) -> None:
    needed = rows_needed(error, num_rows, gain, level)
    assert rows_needed(error, num_rows, 2 * gain, level) <= needed
    assert rows_needed(2 * error, num_rows, gain, level) >= needed
    assert rows_needed(error, num_rows, gain, level / 2) >= needed
    # A holdout k times as large has an error that is the square root of k smaller, and needs no other size.
    assert rows_needed(error / 2, 4 * num_rows, gain, level) == pytest.approx(needed, abs=1)


def test_a_level_below_the_smallest_p_of_so_few_groups_shows_nothing() -> None:
    at, below = (outlook(0.1, 1_000, 12, level, []) for level in (2.0**-12, 2.0**-12 * 0.999))
    assert at.smallest_gain is not None and below.smallest_gain is None
    assert share_shown(1e6, 0.1, 12, 2.0**-12, 3) == 1
    assert share_shown(1e6, 0.1, 12, 2.0**-12 * 0.999, 3) == 0


@pytest.mark.parametrize(("num_groups", "level"), [(1, 0.05), (0, 0.05), (100, 0.0)])
def test_no_group_to_compare_or_no_level_left_shows_nothing(num_groups: int, level: float) -> None:
    assert outlook(0.1, 1_000, num_groups, level, []).smallest_gain is None


def test_rows_are_missing_until_there_are_enough() -> None:
    seen = outlook(champion_error=0.1, num_rows=1_000, num_groups=40, level=0.05, ratios=[0.3])
    # The smallest gain falls with the root of the rows; with groups as few as now, and so a t above the normal's.
    assert seen.smallest_gain is not None
    assert seen.rows_missing(0.02) == math.ceil(1_000 * (seen.smallest_gain / 0.02) ** 2) - 1_000
    assert seen.rows_missing(0.02) > rows_needed(0.03, 1_000, 0.02, 0.05) - 1_000 > 0
    assert seen.rows_missing(seen.smallest_gain * 0.999) > 0, "who is told to wait is told for how many"
    assert seen.rows_missing(1.0) == 0


def test_the_ratio_is_the_median_of_the_latest() -> None:
    assert outlook(0.1, 1_000, 40, 0.05, []).ratio == USUAL_RATIO
    seen = outlook(0.1, 1_000, 40, 0.05, [9.0] * 10 + [0.1, 0.2, 0.3, 0.8, 0.9])
    assert (REMEMBERED, seen.ratio) == (5, 0.3)
    assert seen.standard_error == pytest.approx(0.03)
    assert outlook(0.1, 1_000, 40, 0.05, [0.1, 0.3]).ratio == pytest.approx(0.2)


def test_what_could_be_shown_grows_with_the_holdout_and_the_level() -> None:
    base, looser, more_groups = (
        outlook(0.1, 1_000, num_groups, level, []).smallest_gain
        for num_groups, level in ((20, 0.01), (20, 0.05), (200, 0.01))
    )
    assert looser < base and more_groups < base  # type: ignore[operator]


@pytest.mark.parametrize("champion_error", [float("inf"), float("nan"), None])
def test_an_error_that_is_not_known_shows_nothing(champion_error: float | None) -> None:
    seen = outlook(champion_error, 1_000, 40, 0.05, [])
    assert (seen.standard_error, seen.smallest_gain, seen.rows_missing(0.01)) == (None, None, None)
