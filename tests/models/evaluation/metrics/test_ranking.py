"""AUC and average precision against scikit-learn, DeLong's own definition, and DeLong's published data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from sklearn import metrics as sklearn_metrics

from models.evaluation.metrics.metric import Undefined
from models.evaluation.metrics.ranking import auc, average_precision
from tests.models.evaluation.metrics.samples import NUM_CLASSES, binary, binary_samples, multiclass_samples

# DeLong, DeLong & Clarke-Pearson 1988: 43 patients with ovarian cancer whose three tests are complete, as reprinted in
# the SAS/STAT user's guide, "The LOGISTIC procedure: comparing receiver operating characteristic curves". Albumin,
# total protein, K-G score, and whether surgery failed to help (0) or helped (1); a high K-G score counts against.
PATIENTS = """
    3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0  2.5 5.7 8 0  1.6 5.6 5 1
    3.8 5.7  5 1  3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1  4.1 6.6 5 1  3.6 5.7 5 1  4.3 7.0 4 1  3.6 6.7 4 0
    2.3 4.4  6 1  4.2 7.6 4 0  4.0 6.6 6 0  3.5 5.8 6 1  3.8 6.8 7 1  3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1
    3.1 6.6  6 1  4.1 8.2 6 1  4.3 7.0 5 1  4.3 6.5 4 1  3.2 5.1 5 1  2.6 4.7 6 1  3.3 6.8 6 0  1.7 4.0 7 0
    3.7 6.1  5 1  3.3 6.3 7 1  4.2 7.7 6 1  3.5 6.2 5 1  2.9 5.7 9 0  2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1
    3.3 5.7  6 1  3.7 6.9 5 1  3.6 6.6 5 1
"""
ALBUMIN, PROTEIN, KG_SCORE, HELPED = np.array(PATIENTS.split(), dtype=float).reshape(-1, 4).T


def structural_components(labels: np.ndarray, scores: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """AUC and DeLong's components of positives and of negatives, from every pair of a positive and a negative."""
    positives, negatives = scores[labels == 1][:, None], scores[labels == 0]
    kernel = (positives > negatives) + (positives == negatives) / 2
    return float(kernel.mean()), kernel.mean(axis=1), kernel.mean(axis=0)


def delong_error(labels: np.ndarray, influence: np.ndarray) -> float:
    """DeLong's standard error, with the variance within each class, from influence values."""
    variance = 0.0
    for label in (0.0, 1.0):
        own = influence[labels == label]
        components = own * len(own) / len(labels)
        variance += components.var(ddof=1) / len(own)
    return float(np.sqrt(variance))


@given(sample=binary_samples())
@settings(deadline=None, max_examples=60)
def test_binary_values_equal_those_of_scikit_learn_with_ties(sample: tuple[np.ndarray, np.ndarray]) -> None:
    assert auc(*sample).value == pytest.approx(sklearn_metrics.roc_auc_score(*sample), abs=1e-12)
    expected = sklearn_metrics.average_precision_score(*sample)
    assert average_precision(*sample).value == pytest.approx(expected, abs=1e-12)


@given(sample=multiclass_samples())
@settings(deadline=None, max_examples=60)
def test_multiclass_values_equal_those_of_scikit_learn_with_ties(sample: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = sample
    expected = sklearn_metrics.roc_auc_score(labels, scores, multi_class="ovr", average="macro")
    assert auc(labels, scores).value == pytest.approx(expected, abs=1e-12)
    indicators = np.eye(NUM_CLASSES)[labels.astype(int)]
    expected = sklearn_metrics.average_precision_score(indicators, scores, average="macro")
    assert average_precision(labels, scores).value == pytest.approx(expected, abs=1e-12)


@given(sample=binary_samples())
@settings(deadline=None, max_examples=60)
def test_influence_on_auc_is_what_delong_defined_with_ties(sample: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = sample
    value, of_positives, of_negatives = structural_components(labels, scores)
    influence = auc(labels, scores).influence
    np.testing.assert_allclose(influence[labels == 1], (of_positives - value) / labels.mean(), atol=1e-10)
    np.testing.assert_allclose(influence[labels == 0], (of_negatives - value) / (1 - labels.mean()), atol=1e-10)


@given(sample=binary_samples())
@settings(deadline=None, max_examples=60)
def test_only_the_order_of_the_scores_counts(sample: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = sample
    ranks = np.unique(scores, return_inverse=True)[1]
    for measure in (auc, average_precision):
        before, after = measure(labels, scores), measure(labels, ranks)
        assert after.value == before.value
        assert (after.influence == before.influence).all()


@given(sample=binary_samples())
@settings(deadline=None, max_examples=60)
def test_values_of_drawn_samples_stay_in_their_range_and_their_influence_means_nothing(
    sample: tuple[np.ndarray, np.ndarray],
) -> None:
    for measure in (auc, average_precision):
        measured = measure(*sample)
        assert 0 <= measured.value <= 1 + 1e-12
        assert measured.influence.mean() == pytest.approx(0, abs=1e-9)


@given(sample=binary_samples())
@settings(deadline=None, max_examples=60)
def test_auc_of_the_mirrored_scores_is_the_rest_to_one(sample: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = sample
    assert auc(labels, scores).value + auc(1 - labels, scores).value == pytest.approx(1)


@pytest.mark.parametrize(
    ("test", "area", "error"),
    [(ALBUMIN, 0.7366, 0.0927), (PROTEIN, 0.6478, 0.1000), (10 - KG_SCORE, 0.7258, 0.1028)],
    ids=["albumin", "total protein", "K-G score"],
)
def test_delongs_patients_have_the_areas_and_errors_that_are_published(
    test: np.ndarray, area: float, error: float
) -> None:
    measured = auc(HELPED, test)
    assert measured.value == pytest.approx(area, abs=5e-5)
    assert delong_error(HELPED, measured.influence) == pytest.approx(error, abs=5e-5)


@pytest.mark.parametrize(
    ("test", "difference", "error"),
    [(ALBUMIN, 0.0108, 0.0953), (PROTEIN, -0.0780, 0.1046)],
    ids=["albumin", "total protein"],
)
def test_delongs_patients_have_the_paired_differences_to_the_score_that_are_published(
    test: np.ndarray, difference: float, error: float
) -> None:
    measured, reference = auc(HELPED, test), auc(HELPED, 10 - KG_SCORE)
    assert measured.value - reference.value == pytest.approx(difference, abs=5e-5)
    assert delong_error(HELPED, measured.influence - reference.influence) == pytest.approx(error, abs=5e-5)


def test_average_precision_of_one_score_for_all_rows_is_the_share_of_positives() -> None:
    measured = average_precision(np.array([1.0, 0.0, 0.0, 1.0, 0.0]), np.full(5, 0.3))
    assert measured.value == pytest.approx(0.4)
    np.testing.assert_allclose(measured.influence, [0.6, -0.4, -0.4, 0.6, -0.4])


def test_both_take_labels_of_any_type() -> None:
    sample = binary(80, seed=1)
    for measure in (auc, average_precision):
        for kind in (bool, int, np.float32):
            assert (
                measure(sample.labels.astype(kind), sample.scores).value == measure(sample.labels, sample.scores).value
            )


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_auc_refuses_a_single_class(label: float) -> None:
    with pytest.raises(Undefined, match=r"^AUC needs both classes; there are \d positives and \d negatives$"):
        auc(np.full(5, label), np.linspace(0, 1, 5))


def test_average_precision_refuses_rows_without_a_positive() -> None:
    with pytest.raises(Undefined, match="average precision needs a positive; there are 0 positives and 5 negatives"):
        average_precision(np.zeros(5), np.linspace(0, 1, 5))


def test_a_class_without_rows_is_named() -> None:
    with pytest.raises(
        Undefined, match="class 2 against the rest: AUC needs both classes; there are 0 positives and 2"
    ):
        auc(np.array([0, 1]), np.array([[0.5, 0.3, 0.2], [0.2, 0.5, 0.3]]))
