"""Proper scores against scikit-learn, and the two forms of a binary task against each other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from sklearn import metrics as sklearn_metrics

from models.evaluation.metrics.proper import brier, log_loss
from tests.models.evaluation.metrics.samples import NUM_CLASSES, binary_samples, multiclass_samples


@given(sample=binary_samples())
@settings(deadline=None, max_examples=60)
def test_binary_values_equal_those_of_scikit_learn(sample: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = sample
    scores = scores.clip(1e-6, 1 - 1e-6)  # the two clip at different places
    assert log_loss(labels, scores).value == pytest.approx(sklearn_metrics.log_loss(labels, scores), abs=1e-12)
    assert brier(labels, scores).value == pytest.approx(sklearn_metrics.brier_score_loss(labels, scores), abs=1e-12)


@given(sample=multiclass_samples())
@settings(deadline=None, max_examples=60)
def test_multiclass_values_equal_those_of_scikit_learn(sample: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = sample
    squares = sklearn_metrics.brier_score_loss(labels, scores, labels=range(NUM_CLASSES), scale_by_half=False)
    assert brier(labels, scores).value == pytest.approx(squares, abs=1e-12)
    scores = (scores + 1e-3) / (1 + 1e-3 * NUM_CLASSES)
    nats = sklearn_metrics.log_loss(labels, scores, labels=range(NUM_CLASSES))
    assert log_loss(labels, scores).value == pytest.approx(nats, abs=1e-12)


@given(sample=binary_samples())
@settings(deadline=None, max_examples=60)
def test_two_columns_of_scores_say_what_one_says(sample: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = sample
    both = np.column_stack([1 - scores, scores])
    assert log_loss(labels, both).value == pytest.approx(log_loss(labels, scores).value, abs=1e-12)
    assert brier(labels, both).value == pytest.approx(2 * brier(labels, scores).value, abs=1e-12)


def test_one_row_costs_at_most_sixteen_nats_even_when_it_was_called_impossible() -> None:
    impossible = log_loss(np.array([1.0, 0.0]), np.array([0.0, 1.0])).value
    assert impossible == pytest.approx(-np.log(1e-7))
    assert log_loss(np.array([0, 1]), np.array([[0.0, 1.0], [1.0, 0.0]])).value == impossible


@pytest.mark.parametrize("measure", [log_loss, brier])
def test_nothing_beats_the_true_probability_in_expectation(measure: object) -> None:
    labels = np.repeat([1.0, 0.0], [30, 70])
    losses = {score: measure(labels, np.full(100, score)).value for score in np.linspace(0, 1, 101).round(2)}  # type: ignore[operator]
    assert min(losses, key=losses.__getitem__) == 0.3
