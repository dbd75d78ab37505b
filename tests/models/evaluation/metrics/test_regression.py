"""Metrics of predicted quantities against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from sklearn import metrics as sklearn_metrics

from models.evaluation.metrics.metric import Undefined
from models.evaluation.metrics.regression import mae, pinball, r2, rmse
from tests.models.evaluation.metrics.samples import regression_samples


@given(sample=regression_samples())
@settings(deadline=None, max_examples=60)
def test_values_equal_those_of_scikit_learn(sample: tuple[np.ndarray, np.ndarray]) -> None:
    assert rmse(*sample).value == pytest.approx(sklearn_metrics.root_mean_squared_error(*sample), rel=1e-12)
    assert mae(*sample).value == pytest.approx(sklearn_metrics.mean_absolute_error(*sample), rel=1e-12)
    assert r2(*sample).value == pytest.approx(sklearn_metrics.r2_score(*sample), rel=1e-9, abs=1e-9)
    for quantile in (0.1, 0.5, 0.9):
        expected = sklearn_metrics.mean_pinball_loss(*sample, alpha=quantile)
        assert pinball(*sample, quantile=quantile).value == pytest.approx(expected, rel=1e-12)


def test_perfect_predictions_cost_nothing_and_no_row_has_influence() -> None:
    labels = np.array([1.0, 2.0, 4.0])
    for measured in (rmse(labels, labels), mae(labels, labels), pinball(labels, labels, 0.9)):
        assert measured.value == 0
        assert (measured.influence == 0).all()
    assert r2(labels, labels).value == 1


def test_the_best_constant_for_the_pinball_loss_is_the_quantile() -> None:
    labels = np.arange(101.0)
    losses = [pinball(labels, np.full(101, constant), quantile=0.8).value for constant in labels]
    assert np.argmin(losses) == 80


def test_r2_refuses_labels_that_are_all_the_same() -> None:
    with pytest.raises(Undefined, match=r"R2 needs labels that differ; all 3 are 0\.1; take other rows, or RMSE"):
        r2(np.full(3, 0.1), np.array([0.0, 0.1, 0.2]))
