"""Metrics of decisions against scikit-learn, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from models.evaluation.metrics import decisions
from models.evaluation.metrics.metric import Measured, Undefined
from tests.models.evaluation.metrics.samples import NUM_CLASSES, binary_samples, multiclass, multiclass_samples

Scorer = Callable[[np.ndarray, np.ndarray], float]
CLASSES = range(NUM_CLASSES)
BINARY: list[tuple[Callable[..., Measured], Scorer]] = [
    (decisions.accuracy, sklearn_metrics.accuracy_score),
    (decisions.balanced_accuracy, sklearn_metrics.balanced_accuracy_score),
    (decisions.precision, lambda actual, called: sklearn_metrics.precision_score(actual, called, zero_division=np.nan)),
    (decisions.recall, sklearn_metrics.recall_score),
    (decisions.f1, sklearn_metrics.f1_score),
    (decisions.mcc, sklearn_metrics.matthews_corrcoef),
]
PER_CLASS = {"labels": CLASSES, "average": None, "zero_division": np.nan}
MULTICLASS: list[tuple[Callable[..., Measured], Scorer]] = [
    (decisions.accuracy, sklearn_metrics.accuracy_score),
    (decisions.balanced_accuracy, sklearn_metrics.balanced_accuracy_score),
    (decisions.precision, lambda *rows: float(np.mean(sklearn_metrics.precision_score(*rows, **PER_CLASS)))),
    (decisions.recall, lambda *rows: float(np.mean(sklearn_metrics.recall_score(*rows, **PER_CLASS)))),
    (decisions.f1, lambda *rows: float(np.mean(sklearn_metrics.f1_score(*rows, **PER_CLASS)))),
    (decisions.mcc, sklearn_metrics.matthews_corrcoef),
]


def value_or_nan(measure: Callable[..., Measured], *arguments: np.ndarray | float) -> float:
    try:
        return measure(*arguments).value
    except Undefined:
        return float("nan")


@given(sample=binary_samples(), threshold=st.sampled_from([0.25, 0.3, 0.5, 1.0]))
@settings(deadline=None, max_examples=60)
def test_binary_values_equal_those_of_scikit_learn(sample: tuple[np.ndarray, np.ndarray], threshold: float) -> None:
    labels, scores = sample
    called = (scores >= threshold).astype(float)
    for measure, scorer in BINARY:
        expected = scorer(labels, called)
        if measure is decisions.mcc and len(np.unique(called)) < 2:
            expected = float("nan")  # scikit-learn calls it 0
        assert value_or_nan(measure, labels, scores, threshold) == pytest.approx(expected, abs=1e-12, nan_ok=True)


@given(sample=multiclass_samples())
@settings(deadline=None, max_examples=60)
def test_multiclass_values_equal_those_of_scikit_learn(sample: tuple[np.ndarray, np.ndarray]) -> None:
    labels, scores = sample
    called = scores.argmax(axis=1)
    for measure, scorer in MULTICLASS:
        expected = scorer(labels, called)
        if measure is decisions.mcc and len(np.unique(called)) < 2:
            expected = float("nan")
        assert value_or_nan(measure, labels, scores) == pytest.approx(expected, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("k", [1, 2])
def test_top_k_equals_that_of_scikit_learn_without_ties(k: int) -> None:
    sample = multiclass(300, seed=1)
    scores = sample.scores + np.random.default_rng(0).uniform(0, 1e-6, sample.scores.shape)
    expected = sklearn_metrics.top_k_accuracy_score(sample.labels, scores, k=k)
    assert decisions.top_k(sample.labels, scores, k).value == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("k", [1, 2])
def test_a_model_that_says_nothing_is_among_the_top_k_by_chance_only(k: int) -> None:
    measured = decisions.top_k(np.array([0, 1, 2, 2]), np.full((4, 3), 1 / 3), k)
    assert measured.value == pytest.approx(k / 3)
    np.testing.assert_allclose(measured.influence, 0, atol=1e-12)


def test_a_score_of_exactly_the_threshold_is_called() -> None:
    labels, scores = np.array([1.0, 0.0]), np.array([0.3, 0.2])
    assert decisions.recall(labels, scores, threshold=0.3).value == 1
    assert decisions.precision(labels, scores, threshold=0.2).value == 0.5


@pytest.mark.parametrize("measure", [decisions.accuracy, decisions.balanced_accuracy, decisions.mcc])
@given(sample=multiclass_samples())
@settings(deadline=None, max_examples=20)
def test_the_names_of_classes_do_not_matter(
    measure: Callable[..., Measured], sample: tuple[np.ndarray, np.ndarray]
) -> None:
    labels, scores = sample
    scores = scores + np.arange(NUM_CLASSES) * 1e-9  # the first of equal largest scores is called
    renamed = np.array([2, 0, 1])
    expected = value_or_nan(measure, labels, scores)
    actual = value_or_nan(measure, renamed[labels.astype(int)], scores[:, np.argsort(renamed)])
    assert actual == pytest.approx(expected, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize(
    ("measure", "labels", "scores", "message"),
    [
        (
            decisions.precision,
            [1.0, 0.0, 0.0],
            [0.1, 0.2, 0.3],
            r"precision needs rows that are called 1; of 3 rows 1 are of class 1 and 0 are called so "
            r"\(threshold 0.5\); lower the threshold$",
        ),
        (
            decisions.recall,
            [0.0, 0.0],
            [0.1, 0.9],
            r"recall needs rows of class 1; of 2 rows 0 are of class 1 and 1 are called so \(threshold 0.5\); take",
        ),
        (
            decisions.balanced_accuracy,
            [1.0, 1.0],
            [0.1, 0.9],
            "balanced accuracy needs rows of class 0; of 2 rows 0 are",
        ),
        (
            decisions.f1,
            [0.0, 0.0],
            [0.1, 0.2],
            "F1 needs rows that are of class 1 or called so; of 2 rows 0 are of class",
        ),
        (
            decisions.mcc,
            [0.0, 1.0],
            [0.1, 0.2],
            r"MCC needs .* two ways; of 2 rows 1 are of class 0 and 2 are called so",
        ),
        (decisions.mcc, [1.0, 1.0], [0.1, 0.9], r"MCC needs rows of two classes.* of 2 rows 2 are of class 1"),
    ],
)
def test_what_has_no_value_is_refused_with_counts_threshold_and_remedy(
    measure: Callable[..., Measured], labels: list[float], scores: list[float], message: str
) -> None:
    with pytest.raises(Undefined, match=message):
        measure(np.array(labels), np.array(scores))


def test_a_class_that_is_never_called_is_named() -> None:
    labels, scores = np.array([0, 1, 2]), np.array([[0.6, 0.4, 0.0], [0.3, 0.7, 0.0], [0.5, 0.3, 0.2]])
    with pytest.raises(Undefined, match=r"precision needs rows that are called 2; of 3 rows 1 .*largest score decides"):
        decisions.precision(labels, scores)
    assert decisions.recall(labels, scores).value == pytest.approx(2 / 3)


def test_f1_is_zero_and_not_undefined_when_positives_are_missed() -> None:
    assert decisions.f1(np.array([1.0, 0.0]), np.array([0.1, 0.2])).value == 0


def test_a_threshold_is_refused_where_the_largest_score_decides() -> None:
    with pytest.raises(ValueError, match=r"threshold=0.3 means nothing where the largest of several scores decides"):
        decisions.accuracy(np.array([0, 1]), np.array([[0.6, 0.4], [0.3, 0.7]]), threshold=0.3)


@pytest.mark.parametrize("k", [0, 3])
def test_a_k_that_every_row_or_none_satisfies_is_refused(k: int) -> None:
    with pytest.raises(ValueError, match=rf"k={k} of 3 classes says nothing; choose k from 1 to 2"):
        decisions.top_k(np.array([0]), np.array([[0.2, 0.3, 0.5]]), k)
