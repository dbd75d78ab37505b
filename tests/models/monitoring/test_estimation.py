"""The estimate of AUC without labels: near the truth while nothing but the inputs changes, and repeatable."""

from __future__ import annotations

import numpy as np
import pytest

from models.evaluation.metrics.ranking import auc
from models.monitoring.estimation import Estimate, estimate_auc


def scored(num_rows: int = 5_000, seed: int = 0, a: float = 2.0, b: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from the scores: a calibrated model."""
    generator = np.random.default_rng(seed)
    scores = generator.beta(a, b, num_rows)
    return (generator.random(num_rows) < scores).astype(float), scores


def estimated(current: np.ndarray, seed: int = 0) -> Estimate:
    return estimate_auc(*scored(), current, seed)


def test_without_a_shift_the_estimate_is_near_the_realised_value() -> None:
    labels, scores = scored(seed=1)
    estimate = estimated(scores)
    assert estimate.auc == pytest.approx(auc(labels, scores).value, abs=0.02)
    assert estimate.lower < auc(labels, scores).value < estimate.upper
    assert estimate.reference == auc(*scored()).value


def test_a_shift_to_harder_rows_is_foreseen() -> None:
    labels, scores = scored(seed=2, a=8, b=8)
    estimate = estimated(scores)
    assert estimate.auc == pytest.approx(auc(labels, scores).value, abs=0.03)
    assert estimate.upper < estimate.reference


def test_scores_of_an_uncalibrated_model_are_calibrated_on_the_reference() -> None:
    labels, scores = scored()
    current_labels, current = scored(seed=3)
    estimate = estimate_auc(labels, scores**3, current**3)
    assert estimate.auc == pytest.approx(auc(current_labels, current).value, abs=0.02)


def test_the_estimate_is_repeatable_and_leaves_the_global_generator_alone() -> None:
    _, scores = scored(seed=4)
    np.random.seed(1)
    state = np.random.get_state()[1].copy()
    first = estimated(scores)
    assert (np.random.get_state()[1] == state).all()
    np.random.seed(2)
    assert estimated(scores) == first


def test_a_reference_of_one_class_is_refused() -> None:
    _, scores = scored(200)
    with pytest.raises(ValueError, match=r"both classes|one class|class"):
        estimate_auc(np.ones(200), scores, scores)
