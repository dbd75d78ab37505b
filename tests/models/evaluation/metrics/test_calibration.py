"""Calibration errors of scores whose calibration is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torchmetrics.functional.classification import binary_calibration_error, multiclass_calibration_error

from models.evaluation.comparison import Paired, compare
from models.evaluation.groups import by_key
from models.evaluation.metrics.calibration import calibration_error, squared_calibration_error
from models.evaluation.metrics.catalogue import SQUARED_CALIBRATION_ERROR
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


def over_pairs_of_rows(labels: np.ndarray, scores: np.ndarray) -> float:
    """The definition, as it reads: in each bin, the mean product of the residuals of two different rows."""
    value = 0.0
    for lowest in range(10):
        own = [row for row, score in enumerate(scores) if min(int(score * 10), 9) == lowest]
        residuals = labels[own] - scores[own]
        products = [one * other for one, other in itertools.permutations(residuals, 2)]
        value += len(own) / len(scores) * float(np.mean(products)) if products else 0.0
    return value


@given(sample=binary_samples())
@settings(deadline=None, max_examples=60)
def test_the_squared_error_is_the_mean_product_of_two_rows_of_a_bin(sample: tuple[np.ndarray, np.ndarray]) -> None:
    measured = squared_calibration_error(*sample)
    assert measured.value == pytest.approx(over_pairs_of_rows(*sample), abs=1e-12)
    assert measured.influence.mean() == pytest.approx(0, abs=1e-12)


def test_the_squared_error_of_several_classes_is_that_of_the_likeliest() -> None:
    sample = multiclass(400, seed=1)
    is_right = (sample.labels == sample.scores.argmax(axis=1)).astype(float)
    several = squared_calibration_error(sample.labels, sample.scores)
    one = squared_calibration_error(is_right, sample.scores.max(axis=1))
    assert several.value == one.value
    np.testing.assert_array_equal(several.influence, one.influence)


def test_a_row_that_is_alone_in_its_bin_says_nothing_of_it() -> None:
    measured = squared_calibration_error(np.array([1.0, 1.0, 1.0]), np.array([0.75, 0.75, 0.05]))
    assert measured.value == pytest.approx(2 / 3 * 0.0625)
    plain = np.array([0.0625, 0.0625, 0.0])
    np.testing.assert_allclose(measured.influence, plain - plain.mean())


@pytest.mark.parametrize("shift", [0.0, 0.02, -0.1])
def test_the_squared_error_is_right_on_average_in_small_samples(shift: float) -> None:
    generator, found = np.random.default_rng(4), []
    for _ in range(1_000):
        chances = generator.uniform(0.15, 0.85, 200)
        labels = (generator.random(200) < chances).astype(float)
        found.append(squared_calibration_error(labels, chances + shift).value)
    assert np.mean(found) == pytest.approx(shift**2, abs=4 * np.std(found) / np.sqrt(1_000))


def test_a_challenger_at_the_margin_of_a_calibrated_champion_is_seldom_shown_to_be_no_worse() -> None:
    """The plain error lets .23 of them through."""
    held, days = 0, by_key(np.arange(1_000) * 14 // 1_000, "days")
    for seed in range(300):
        generator = np.random.default_rng(seed)
        chances = generator.uniform(0.05, 0.95, 1_000)
        labels = (generator.random(1_000) < chances).astype(float)
        spread = compare(SQUARED_CALIBRATION_ERROR, Paired(labels, chances, chances + 0.02, days)).spread
        held += spread.p_above(-(0.02**2)) <= 0.05
    assert held / 300 <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 300)
