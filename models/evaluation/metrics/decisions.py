"""Metrics of decisions: a score of the threshold or more is called 1; of several classes the largest score is called.

Such a metric is a function of the shares of rows in each cell of the confusion matrix, so a row's influence is that of
its cell: with f the metric and P the shares, df/dP[cell] - sum of P df/dP (the delta method).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.evaluation.metrics.metric import Measured, Undefined
from models.evaluation.metrics.proper import mean_of

THRESHOLD = 0.5


@dataclass(frozen=True)
class Outcomes:
    """What rows turned out to be and what they were called.

    Attributes:
        counts: rows in each cell, actual by called, shape (classes, classes).
        cells: the cell of each row, as an index into the flat matrix, shape (rows,).
        threshold: of the decision; None where the largest of several scores is called.
    """

    counts: np.ndarray
    cells: np.ndarray
    threshold: float | None

    @property
    def shares(self) -> np.ndarray:
        """Share of rows in each cell, shape (classes, classes)."""
        return self.counts / len(self.cells)

    @property
    def actual(self) -> np.ndarray:
        """Share of rows of each class, shape (classes,)."""
        return self.counts.sum(axis=1) / len(self.cells)

    @property
    def called(self) -> np.ndarray:
        """Share of rows that are called each class, shape (classes,)."""
        return self.counts.sum(axis=0) / len(self.cells)

    @property
    def right(self) -> np.ndarray:
        """Share of rows of each class that are called it, shape (classes,)."""
        return self.counts.diagonal() / len(self.cells)

    @property
    def judged(self) -> np.ndarray:
        """Classes that precision, recall and F1 are about: 1 where there is a threshold, else every class."""
        return np.arange(len(self.counts)) if self.threshold is None else np.array([1])

    def measured(self, value: float, by_cell: np.ndarray) -> Measured:
        """A value with an influence for each cell, shape (classes, classes)."""
        return Measured(float(value), by_cell.ravel()[self.cells])

    def told(self, label: int) -> str:
        """The counts of a class in words, for a refusal."""
        actual, called = self.counts[label].sum(), self.counts[:, label].sum()
        decision = "the largest score decides" if self.threshold is None else f"threshold {self.threshold:g}"
        return f"of {len(self.cells)} rows {actual} are of class {label} and {called} are called so ({decision})"


def outcomes(labels: np.ndarray, scores: np.ndarray, threshold: float = THRESHOLD) -> Outcomes:
    """Decide on every row, and count the cells of the confusion matrix.

    >>> outcomes(np.array([0.0, 1.0, 1.0, 1.0]), np.array([0.5, 0.4, 0.6, 0.7])).shares.tolist()
    [[0.0, 0.25], [0.25, 0.5]]
    """
    if scores.ndim == 1:
        actual, called, num_classes = labels == 1, scores >= threshold, 2
    elif threshold == THRESHOLD:
        actual, called, num_classes = labels.astype(np.intp), scores.argmax(axis=1), scores.shape[1]
    else:
        raise ValueError(f"threshold={threshold:g} means nothing where the largest of several scores decides; omit it")
    cells = actual * np.intp(num_classes) + called
    counts = np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)
    return Outcomes(counts, cells, threshold if scores.ndim == 1 else None)


def is_right(labels: np.ndarray, scores: np.ndarray, threshold: float = THRESHOLD) -> np.ndarray:
    """Whether each row is called what it is, shape (rows,); of several classes the largest score is called.

    >>> is_right(np.array([0.0, 1.0]), np.array([0.6, 0.6])).tolist()
    [False, True]
    >>> is_right(np.array([0.0, 2.0]), np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2]])).tolist()
    [True, False]
    """
    if scores.ndim == 2:
        return np.asarray(scores.argmax(axis=1) == labels)
    return np.asarray((scores >= threshold) == (labels == 1))


def accuracy(labels: np.ndarray, scores: np.ndarray, threshold: float = THRESHOLD) -> Measured:
    """Share of rows that are called what they are; higher is better.

    Formula: mean of [called = actual], and that less the mean is the influence. Range: 0 to 1. Assumes that all
    mistakes cost the same. Of equal largest scores the first class is called. Not proper: it moves only where a score
    crosses the threshold. Reference: Fawcett 2006, "An introduction to ROC analysis".

    >>> accuracy(np.array([0.0, 1.0, 1.0, 1.0]), np.array([0.5, 0.4, 0.6, 0.7])).value
    0.5
    """
    seen = outcomes(labels, scores, threshold)
    value = seen.right.sum()
    return seen.measured(value, np.eye(len(seen.shares)) - value)


def balanced_accuracy(labels: np.ndarray, scores: np.ndarray, threshold: float = THRESHOLD) -> Measured:
    """Mean over classes of the share of their rows that are called right; higher is better.

    Formula: mean over k of r_k = P(called k given k); the influence is ([called = k] - r_k) / (classes P(k)), k being
    the row's class. Range: 0 to 1, and 1/classes says nothing. Assumes that each class matters the same, however rare.
    Reference: Brodersen et al. 2010, "The balanced accuracy and its posterior distribution".

    Raises:
        Undefined: for a class without rows.

    >>> balanced_accuracy(np.array([0.0, 1.0, 1.0, 1.0]), np.array([0.4, 0.4, 0.6, 0.4])).value
    0.6666666666666666
    """
    seen = outcomes(labels, scores, threshold)
    return _recall(seen, np.arange(len(seen.shares)), "balanced accuracy")


def recall(labels: np.ndarray, scores: np.ndarray, threshold: float = THRESHOLD) -> Measured:
    """Share of the positives that are called so; higher is better. Multiclass: the mean over classes (macro).

    Formula: r = P(called given positive); the influence is y (c - r) / P(positive), with y and c whether the row is
    and is called positive. Range: 0 to 1. Alone it is best when everything is called positive: guard precision with
    it. Reference: van Rijsbergen 1979, "Information retrieval", chapter 7.

    Raises:
        Undefined: for rows without a positive; multiclass, for a class without rows.

    >>> recall(np.array([0.0, 1.0, 1.0, 1.0]), np.array([0.5, 0.4, 0.6, 0.7])).value
    0.6666666666666666
    """
    seen = outcomes(labels, scores, threshold)
    return _recall(seen, seen.judged, "recall")


def precision(labels: np.ndarray, scores: np.ndarray, threshold: float = THRESHOLD) -> Measured:
    """Share of the rows called positive that are so; higher is better. Multiclass: the mean over classes (macro).

    Formula: p = P(positive given called); the influence is c (y - p) / P(called), with y and c whether the row is and
    is called positive. Range: 0 to 1. It changes with the share of positives. Reference: van Rijsbergen 1979,
    "Information retrieval", chapter 7.

    Raises:
        Undefined: when no row is called positive; multiclass, when a class is never called.

    >>> precision(np.array([0.0, 1.0, 1.0, 1.0]), np.array([0.5, 0.4, 0.6, 0.7])).value
    0.6666666666666666
    """
    seen = outcomes(labels, scores, threshold)
    judged = seen.judged
    called = seen.called[judged]
    for label in judged[called == 0]:
        remedy = "take more rows, or recall" if seen.threshold is None else "lower the threshold"
        raise Undefined(f"precision needs rows that are called {label}; {seen.told(label)}; {remedy}")
    precisions = seen.right[judged] / called
    by_cell = np.zeros_like(seen.shares)
    by_cell[:, judged] = (np.eye(len(by_cell))[:, judged] - precisions) / (called * len(judged))
    return seen.measured(precisions.mean(), by_cell)


def f1(labels: np.ndarray, scores: np.ndarray, threshold: float = THRESHOLD) -> Measured:
    """Harmonic mean of precision and recall; higher is better. Multiclass: the mean over classes (macro).

    Formula: F = 2 P(positive and called) / (P(positive) + P(called)); the influence is
    (2 c y - F (c + y)) / (P(positive) + P(called)), with y and c whether the row is and is called positive. Range: 0 to
    1. It takes no notice of true negatives and changes with the share of positives. Reference: van Rijsbergen 1979,
    "Information retrieval", chapter 7.

    Raises:
        Undefined: when no row is positive and none is called so; multiclass, when this holds for a class.

    >>> f1(np.array([0.0, 1.0, 1.0, 1.0]), np.array([0.5, 0.4, 0.6, 0.7])).value
    0.6666666666666666
    """
    seen = outcomes(labels, scores, threshold)
    judged, either = seen.judged, seen.actual + seen.called
    for label in judged[either[judged] == 0]:
        raise Undefined(f"F1 needs rows that are of class {label} or called so; {seen.told(label)}; take more rows")
    gain, loss = np.zeros(len(either)), np.zeros(len(either))
    gain[judged] = 2 / (either[judged] * len(judged))
    loss[judged] = seen.right[judged] * gain[judged] / either[judged]
    return seen.measured(float(seen.right @ gain), np.diag(gain) - loss[:, None] - loss)


def mcc(labels: np.ndarray, scores: np.ndarray, threshold: float = THRESHOLD) -> Measured:
    """Matthews' correlation between what rows are and what they are called; higher is better.

    Formula: with p_k and q_k the shares of rows that are and are called k, and c the share called right,
    R = A / sqrt(B C), A = c - sum p_k q_k, B = 1 - sum p_k^2, C = 1 - sum q_k^2: Gorodkin's R_K for any number of
    classes, and the correlation of two indicators for two. The influence of a row of class k that is called j is
    dA / sqrt(B C) - R/2 (dB / B + dC / C), dA = [k = j] - c - q_k - p_j + 2 sum p q, dB = -2 (p_k - sum p^2),
    dC = -2 (q_j - sum q^2). Range: -1 to 1, and 0 says nothing. References: Matthews 1975; Gorodkin 2004, "Comparing
    two K-category assignments by a K-category correlation coefficient".

    Raises:
        Undefined: when all rows are of one class, or all are called one.

    >>> round(mcc(np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.1, 0.4, 0.35, 0.8])).value, 4)
    0.5774
    """
    seen = outcomes(labels, scores, threshold)
    actual, called, right = seen.actual, seen.called, seen.right.sum()
    for shares in (actual, called):
        if np.count_nonzero(shares) < 2:
            remedy = "take more rows" if shares is actual or seen.threshold is None else "move the threshold"
            told = seen.told(int(shares.argmax()))
            raise Undefined(f"MCC needs rows of two classes that are called two ways; {told}; {remedy}")
    both, spread_actual, spread_called = actual @ called, 1 - actual @ actual, 1 - called @ called
    scale = np.sqrt(spread_actual * spread_called)
    value = (right - both) / scale
    d_agreement = np.eye(len(actual)) - right - called[:, None] - actual + 2 * both
    d_actual = 2 * (actual @ actual - actual)[:, None] / spread_actual
    d_called = 2 * (called @ called - called) / spread_called
    return seen.measured(value, d_agreement / scale - value / 2 * (d_actual + d_called))


def top_k(labels: np.ndarray, scores: np.ndarray, k: int) -> Measured:
    """Share of rows whose class is among the k of the largest scores; higher is better; multiclass only.

    Formula: mean of [class in the k largest], and that less the mean is the influence. Where the k-th place is tied,
    the row counts by its chance when ties are broken at random, so equal scores for every class earn k / classes.
    Range: 0 to 1. Reference: Russakovsky et al. 2015, "ImageNet large scale visual recognition challenge".

    Args:
        labels: the index of the class, shape (rows,).
        scores: one for each class, shape (rows, classes).
        k: at least 1 and below the number of classes.

    >>> top_k(np.array([0, 2]), np.array([[0.3, 0.5, 0.2], [0.4, 0.4, 0.2]]), k=2).value
    0.5
    """
    num_classes = scores.shape[1] if scores.ndim == 2 else 2
    if not 1 <= k < num_classes:
        raise ValueError(f"k={k} of {num_classes} classes says nothing; choose k from 1 to {num_classes - 1}")
    own = scores[np.arange(len(labels)), labels.astype(np.intp)][:, None]
    above, level = (scores > own).sum(axis=1), (scores == own).sum(axis=1)
    return mean_of(np.clip((k - above) / level, 0, 1))


def _recall(seen: Outcomes, judged: np.ndarray, metric: str) -> Measured:
    actual = seen.actual[judged]
    for label in judged[actual == 0]:
        raise Undefined(f"{metric} needs rows of class {label}; {seen.told(label)}; take more rows, or accuracy")
    recalls = seen.right[judged] / actual
    by_cell = np.zeros_like(seen.shares)
    by_cell[judged] = (np.eye(len(by_cell))[judged] - recalls[:, None]) / (actual * len(judged))[:, None]
    return seen.measured(recalls.mean(), by_cell)
