"""Metrics where the label of a row is known as a mass for each class: expected metrics, and weighted ones.

A row of weight w that turned out to be of class k has the mass w at k; a row without a label has the probability of
each class. With influence values for each class the same lines give the value and its errors in both cases.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.evaluation.metrics import Undefined
from models.evaluation.metrics.proper import SMALLEST_PROBABILITY

THRESHOLD = 0.5
EXPECTED = ("accuracy", "auc", "brier", "f1", "log_loss")


@dataclass(frozen=True)
class Expected:
    """A metric over masses, and what a label of each class would add.

    Attributes:
        value: of the metric.
        influence: of row i if it is of class k, shape (rows, classes).
        mass: of each class in each row, shape (rows, classes).
    """

    value: float
    influence: np.ndarray
    mass: np.ndarray

    @property
    def sampling_error(self) -> float:
        """Standard error of the realised value, when masses are probabilities: sqrt(sum p psi^2) / n."""
        return float(np.sqrt((self.mass * self.influence**2).sum()) / self.mass.sum())

    @property
    def weighted_error(self) -> float:
        """Standard error of the value itself, when labels are known and rows weighted: sqrt(sum (w psi)^2) / sum w."""
        return float(np.sqrt(((self.mass * self.influence) ** 2).sum()) / self.mass.sum())


def expected(metric: str, mass: np.ndarray, scores: np.ndarray) -> Expected:
    """Value and influence of a metric over masses.

    Formulas: a mean of losses l_ik (log loss, Brier, accuracy) is sum m l / sum m. F1 at a score of 0.5, or of each
    class that is called: 2 sum m_ik c_ik / (sum m_ik + sum m_i c_ik). AUC: sum m_i1 m_j0 [s_i > s_j] / (sum m_i1 *
    sum m_j0), ties half, in one sort; several classes are averaged, each against the rest. References: Bialek et al.
    2024, "Estimating model performance under covariate shift without labels" (arXiv 2401.08348).

    Args:
        metric: one of `EXPECTED`.
        mass: shape (rows, classes); two columns for a binary label.
        scores: the probability of 1, shape (rows,), or of each class, shape (rows, classes).

    Raises:
        ValueError: for another metric; `Undefined` where no mass is on a class that AUC or F1 needs.

    >>> mass = np.array([[1.0, 0.0], [0.25, 0.75]])
    >>> round(expected("auc", mass, np.array([0.2, 0.9])).value, 3)
    0.9
    """
    if metric not in EXPECTED:
        raise ValueError(f"{metric!r} has no expected value here; choose one of {', '.join(EXPECTED)}")
    if metric == "auc":
        return _auc(mass, scores)
    if metric == "f1":
        return _f1(mass, scores)
    losses = _losses(metric, scores)
    value = float((mass * losses).sum() / mass.sum())
    return Expected(value, losses - value, mass)


def masses(labels: np.ndarray, num_classes: int, weights: np.ndarray | None = None) -> np.ndarray:
    """The mass of labelled rows: their weight at the class they turned out to be, shape (rows, classes)."""
    mass = np.zeros((len(labels), num_classes))
    mass[np.arange(len(labels)), labels.astype(np.intp)] = 1.0 if weights is None else weights
    return mass


def by_class(scores: np.ndarray) -> np.ndarray:
    """Probabilities of each class, shape (rows, classes), from those of 1 or from themselves."""
    return scores if scores.ndim == 2 else np.column_stack((1 - scores, scores))


def _losses(metric: str, scores: np.ndarray) -> np.ndarray:
    probabilities = by_class(scores.astype(float, copy=False))
    if metric == "log_loss":
        return -np.log(np.clip(probabilities, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY))
    if metric == "accuracy":
        return _called(scores)
    squares = (probabilities**2).sum(axis=1, keepdims=True) - 2 * probabilities + 1
    return squares if scores.ndim == 2 else squares / 2


def _called(scores: np.ndarray) -> np.ndarray:
    """Whether a row is called each class, shape (rows, classes), as 0.0 or 1.0."""
    if scores.ndim == 1:
        return by_class((scores >= THRESHOLD).astype(float))
    return np.eye(scores.shape[1])[scores.argmax(axis=1)]


def _f1(mass: np.ndarray, scores: np.ndarray) -> Expected:
    called, total = _called(scores), mass.sum()
    judged = [1] if scores.ndim == 1 else range(mass.shape[1])
    value, influence = 0.0, np.zeros_like(mass)
    for label in judged:
        is_called = called[:, label]
        either = (mass[:, label].sum() + mass.sum(axis=1) @ is_called) / total
        if either == 0:
            raise Undefined(f"F1 needs rows that are of class {label} or called so")
        one = float(2 * (mass[:, label] @ is_called) / total / either)
        influence -= (one * is_called / either)[:, None]
        influence[:, label] += (2 * is_called - one) / either
        value += one / len(judged)
    return Expected(value, influence / len(judged), mass)


def _auc(mass: np.ndarray, scores: np.ndarray) -> Expected:
    if scores.ndim == 1:
        value, positive, negative = _one_auc(mass[:, 1], mass[:, 0], scores)
        return Expected(value, np.column_stack((negative, positive)), mass)
    value, influence, total, num_classes = 0.0, np.zeros_like(mass), mass.sum(axis=1), mass.shape[1]
    for label in range(num_classes):
        one, positive, negative = _one_auc(mass[:, label], total - mass[:, label], scores[:, label])
        value += one / num_classes
        influence += negative[:, None] / num_classes
        influence[:, label] += (positive - negative) / num_classes
    return Expected(value, influence, mass)


def _one_auc(positives: np.ndarray, negatives: np.ndarray, scores: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """AUC, and the influence of each row if it is positive and if it is negative (DeLong's placements)."""
    total, num_positives, num_negatives = positives.sum() + negatives.sum(), positives.sum(), negatives.sum()
    if num_positives <= 0 or num_negatives <= 0:
        raise Undefined(
            f"AUC needs both classes; there are {num_positives:g} positives and {num_negatives:g} negatives"
        )
    _, place = np.unique(scores, return_inverse=True)
    at_positives, at_negatives = (np.bincount(place, weights=each) for each in (positives, negatives))
    negatives_below = (np.cumsum(at_negatives) - at_negatives / 2) / num_negatives
    positives_below = (np.cumsum(at_positives) - at_positives / 2) / num_positives
    value = float(at_positives @ negatives_below / num_positives)
    return (
        value,
        ((negatives_below - value) * (total / num_positives))[place],
        ((1 - positives_below - value) * (total / num_negatives))[place],
    )
