"""Values against scikit-learn, influence values against the jackknife."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from models.evaluation.metrics import METRICS, Measured, auc, calibration_error, log_loss


@st.composite
def samples(draw: st.DrawFn, max_rows: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Labels of both classes, and scores with many ties."""
    num_rows = draw(st.integers(4, max_rows))
    labels = np.array([0.0, 1.0, *draw(st.lists(st.sampled_from([0.0, 1.0]), min_size=num_rows, max_size=num_rows))])
    score = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(0, 1))
    return labels, np.array(draw(st.lists(score, min_size=len(labels), max_size=len(labels))))


def jackknife(measure: Callable[[np.ndarray, np.ndarray], Measured], labels: np.ndarray, scores: np.ndarray) -> float:
    """Standard error from leaving each row out once."""
    rows = np.arange(len(labels))
    values = np.array([measure(labels[rows != row], scores[rows != row]).value for row in rows])
    return float(np.sqrt((len(rows) - 1) / len(rows) * ((values - values.mean()) ** 2).sum()))


def standard_error(measured: Measured) -> float:
    return float(measured.influence.std(ddof=1) / np.sqrt(len(measured.influence)))


def noisy(num_rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    scores = generator.beta(2, 2, num_rows)
    return (generator.random(num_rows) < 0.2 + 0.4 * scores).astype(float), scores


@pytest.mark.parametrize("name", METRICS)
@given(sample=samples())
@settings(deadline=None, max_examples=60)
def test_influence_values_have_mean_zero(name: str, sample: tuple[np.ndarray, np.ndarray]) -> None:
    measured = METRICS[name].measure(*sample)
    assert measured.influence.shape == sample[0].shape
    assert measured.influence.mean() == pytest.approx(0, abs=1e-9)


@given(sample=samples())
@settings(deadline=None, max_examples=60)
def test_auc_equals_that_of_scikit_learn_with_ties(sample: tuple[np.ndarray, np.ndarray]) -> None:
    assert auc(*sample).value == pytest.approx(sklearn_metrics.roc_auc_score(*sample), abs=1e-12)


@given(sample=samples())
@settings(deadline=None, max_examples=60)
def test_log_loss_equals_that_of_scikit_learn(sample: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = sample
    scores = scores.clip(1e-6, 1 - 1e-6)  # the two clip at different places
    assert log_loss(labels, scores).value == pytest.approx(sklearn_metrics.log_loss(labels, scores), abs=1e-12)


@given(sample=samples())
@settings(deadline=None, max_examples=60)
def test_values_stay_in_their_range(sample: tuple[np.ndarray, np.ndarray]) -> None:
    assert 0 <= auc(*sample).value <= 1
    assert 0 <= calibration_error(*sample).value <= 1
    assert 0 <= log_loss(*sample).value < 17


@given(sample=samples())
@settings(deadline=None, max_examples=60)
def test_auc_of_the_mirrored_scores_is_the_rest_to_one(sample: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = sample
    assert auc(labels, scores).value + auc(1 - labels, scores).value == pytest.approx(1)


def test_log_loss_reproduces_the_jackknife_exactly() -> None:
    labels, scores = noisy(80, seed=1)
    assert standard_error(log_loss(labels, scores)) == pytest.approx(jackknife(log_loss, labels, scores), rel=1e-9)


@pytest.mark.parametrize(("measure", "tolerance"), [(auc, 0.03), (calibration_error, 0.05)])
def test_influence_values_reproduce_the_jackknife(measure: Callable[..., Measured], tolerance: float) -> None:
    labels, scores = noisy(400, seed=2)
    assert standard_error(measure(labels, scores)) == pytest.approx(jackknife(measure, labels, scores), rel=tolerance)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_auc_refuses_a_single_class(label: float) -> None:
    with pytest.raises(ValueError, match=r"AUC needs both classes; there are \d positives and \d negatives"):
        auc(np.full(5, label), np.linspace(0, 1, 5))


def test_calibration_error_of_scores_that_are_drawn_from_is_small_and_of_shifted_ones_is_the_shift() -> None:
    generator = np.random.default_rng(3)
    chances = generator.uniform(0.1, 0.6, 50_000)
    labels = (generator.random(50_000) < chances).astype(float)
    assert calibration_error(labels, chances).value < 0.01
    assert calibration_error(labels, chances + 0.3).value == pytest.approx(0.3, abs=0.01)
