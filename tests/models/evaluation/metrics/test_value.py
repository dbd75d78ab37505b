"""What decisions are worth, against sums over rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.evaluation.metrics.decisions import accuracy
from models.evaluation.metrics.value import expected_value, expected_value_of
from tests.models.evaluation.metrics.samples import binary, binary_samples

WORTHS = {(1, 1): 50.0, (0, 1): -10.0, (0, 0): 1.0, (1, 0): -20.0}


@given(sample=binary_samples(), threshold=st.sampled_from([0.0, 0.25, 0.5, 1.0]))
@settings(deadline=None, max_examples=60)
def test_expected_value_is_the_mean_worth_of_the_outcomes(
    sample: tuple[np.ndarray, np.ndarray], threshold: float
) -> None:
    labels, scores = sample
    worths = [WORTHS[label, score >= threshold] for label, score in zip(labels, scores, strict=True)]
    measured = expected_value(labels, scores, 50, -10, 1, -20, threshold)
    assert measured.value == pytest.approx(np.mean(worths))
    np.testing.assert_allclose(measured.influence, np.array(worths) - np.mean(worths), atol=1e-10)


def test_expected_value_is_accuracy_when_being_right_is_worth_one() -> None:
    sample = binary(100, seed=1)
    assert (
        expected_value(sample.labels, sample.scores, 1, 0, 1, 0).value == accuracy(sample.labels, sample.scores).value
    )


@given(sample=binary_samples(), threshold=st.sampled_from([0.0, 0.25, 0.5, 1.0]), seed=st.integers(0, 100))
@settings(deadline=None, max_examples=60)
def test_a_column_counts_in_the_rows_that_are_acted_on(
    sample: tuple[np.ndarray, np.ndarray], threshold: float, seed: int
) -> None:
    labels, scores = sample
    profits = np.random.default_rng(seed).normal(size=len(labels))
    rows = [profit if score >= threshold else 0.0 for profit, score in zip(profits, scores, strict=True)]
    measured = expected_value_of(labels, scores, profits, threshold)
    assert measured.value == pytest.approx(np.mean(rows))
    np.testing.assert_allclose(measured.influence, np.array(rows) - np.mean(rows), atol=1e-10)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_column_that_is_not_finite_is_refused_even_where_nobody_acts(wrong: float) -> None:
    column = np.array([1.0, wrong, 2.0])
    with pytest.raises(ValueError, match=r"expected_value has 1 values that are not finite, first (nan|inf) in row 1"):
        expected_value_of(np.zeros(3), np.array([0.9, 0.1, 0.8]), column)
