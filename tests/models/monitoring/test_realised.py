"""Realised performance: harm is shown, and nothing is shown where nothing changed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from models.monitoring.realised import Realised, realised

NUM_DAYS, ROWS_A_DAY = 14, 100


def scored(seed: int, harm: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, scores and days; `harm` is how far the true chances lie from the scores."""
    generator = np.random.default_rng(seed)
    scores = generator.uniform(0.1, 0.9, NUM_DAYS * ROWS_A_DAY)
    chances = (scores + harm * np.sign(0.5 - scores)).clip(0, 1)
    return (generator.random(len(scores)) < chances).astype(float), scores, np.arange(len(scores)) // ROWS_A_DAY


def compared(seed: int, harm: float = 0.0) -> Realised:
    return realised(*scored(seed, harm), *scored(seed + 100_000))


def test_harm_is_shown() -> None:
    found = compared(1, harm=0.3)
    assert found.p_value < 1e-4
    assert found.rise > 0.1
    assert found.auc < found.reference_auc
    assert found.rise == pytest.approx(found.log_loss - found.reference_log_loss)
    assert (found.num_rows, found.num_groups) == (1_400, 14)


def test_a_champion_that_got_better_has_not_harmed() -> None:
    assert realised(*scored(1), *scored(2, harm=0.3)).p_value > 0.99


def test_nothing_is_shown_where_nothing_changed() -> None:
    p_values = np.array([compared(seed).p_value for seed in range(200)])
    assert (p_values < 0.05).mean() <= 0.1  # five in a hundred are expected; this leaves room for three errors
    assert p_values.mean() == pytest.approx(0.5, abs=0.08)


@given(seed=st.integers(0, 1_000), scale=st.integers(2, 5))
@settings(deadline=None, max_examples=20)
def test_rows_repeated_within_their_day_are_no_new_evidence(seed: int, scale: int) -> None:
    now, before = scored(seed), scored(seed + 1)
    repeated = realised(*(np.tile(column, scale) for column in now), *before)
    assert repeated.p_value == pytest.approx(realised(*now, *before).p_value, rel=1e-6)


def test_days_of_one_row_reproduce_the_t_test_of_two_samples() -> None:
    now, before = scored(3, harm=0.03), scored(4)
    losses = [-np.log(np.where(labels == 1, scores, 1 - scores)) for labels, scores, _ in (now, before)]
    found = realised(*now[:2], np.arange(1_400), *before[:2], np.arange(1_400))
    expected = stats.ttest_ind(*losses, equal_var=False, alternative="greater")
    assert 0.001 < found.p_value < 0.999
    assert found.p_value == pytest.approx(expected.pvalue, rel=0.01)


def test_a_single_day_shows_nothing() -> None:
    labels, scores, _ = scored(5, harm=0.4)
    assert realised(labels, scores, np.zeros(1_400, dtype=int), *scored(6)).p_value == 1


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_both_classes_are_needed(label: float) -> None:
    _, scores, groups = scored(7)
    with pytest.raises(ValueError, match="both classes"):
        realised(np.full(1_400, label), scores, groups, *scored(8))
