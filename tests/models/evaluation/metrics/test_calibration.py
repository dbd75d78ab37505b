"""Calibration error of scores whose calibration is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torchmetrics.functional.classification import binary_calibration_error, multiclass_calibration_error

from models.evaluation.metrics.calibration import calibration_error
from tests.models.evaluation.metrics.samples import binary, binary_samples, multiclass


def one_bin_after_another(labels: np.ndarray, scores: np.ndarray) -> float:
    """The definition, as it reads. An edge belongs to the bin above it, and 1 to the last."""
    value = 0.0
    for lowest in range(10):
        own = [row for row, score in enumerate(scores) if min(int(score * 10), 9) == lowest]
        if own:
            value += len(own) / len(scores) * abs(labels[own].mean() - scores[own].mean())
    return value


@given(sample=binary_samples())
@settings(deadline=None, max_examples=60)
def test_the_value_is_the_mean_distance_over_bins(sample: tuple[np.ndarray, np.ndarray]) -> None:
    measured = calibration_error(*sample)
    assert measured.value == pytest.approx(one_bin_after_another(*sample), abs=1e-12)
    assert 0 <= measured.value <= 1
    assert measured.influence.mean() == pytest.approx(0, abs=1e-9)


def test_binary_values_equal_those_of_torchmetrics() -> None:
    sample = binary(400, seed=1, decimals=12)  # on an edge between bins, torchmetrics takes the one below
    expected = binary_calibration_error(torch.tensor(sample.scores), torch.tensor(sample.labels).long(), n_bins=10)
    assert calibration_error(sample.labels, sample.scores).value == pytest.approx(float(expected), abs=1e-6)


def test_multiclass_values_equal_those_of_torchmetrics() -> None:
    sample = multiclass(400, seed=1)
    scores = sample.scores * 0.9 + np.array([0.0711, 0.0189, 0.01])  # off the edges
    expected = multiclass_calibration_error(
        torch.tensor(scores), torch.tensor(sample.labels).long(), num_classes=3, n_bins=10
    )
    assert calibration_error(sample.labels, scores).value == pytest.approx(float(expected), abs=1e-6)


def test_calibration_error_of_scores_that_are_drawn_from_is_small_and_of_shifted_ones_is_the_shift() -> None:
    generator = np.random.default_rng(3)
    chances = generator.uniform(0.1, 0.6, 50_000)
    labels = (generator.random(50_000) < chances).astype(float)
    assert calibration_error(labels, chances).value < 0.01
    assert calibration_error(labels, chances + 0.3).value == pytest.approx(0.3, abs=0.01)
    assert calibration_error(labels, chances - 0.1).value == pytest.approx(0.1, abs=0.01)


def test_a_score_of_one_has_a_bin() -> None:
    assert calibration_error(np.array([1.0, 0.0]), np.array([1.0, 1.0])).value == 0.5
