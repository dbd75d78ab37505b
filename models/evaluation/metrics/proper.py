"""Proper scores of probabilities: in expectation, nothing beats the true probability (Gneiting & Raftery 2007)."""

from __future__ import annotations

import numpy as np

from models.evaluation.metrics.metric import Measured

SMALLEST_PROBABILITY = 1e-7  # float32 networks reach 0 and 1; one row may cost at most 16 nats


def log_loss(labels: np.ndarray, scores: np.ndarray) -> Measured:
    """Mean of -log of the probability given to what happened, in nats; lower is better, a proper score.

    Formula: mean of -log p_i, where p_i is the score of the class that row i turned out to be; the influence of a row
    is its loss less the mean. Range: 0 to 16.2, since probabilities are cut at 1e-7 on either side. Assumes scores
    that are probabilities. Reference: Good 1952, "Rational decisions".

    Args:
        labels: 0 or 1, or the index of the class, shape (rows,).
        scores: the probability of 1, shape (rows,), or of each class, shape (rows, classes).

    >>> round(log_loss(np.array([1.0, 0.0]), np.array([0.5, 0.5])).value, 4)
    0.6931
    >>> round(log_loss(np.array([0, 2]), np.array([[0.5, 0.3, 0.2], [0.2, 0.3, 0.5]])).value, 4)
    0.6931
    """
    return mean_of(log_losses(labels, scores))


def log_losses(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """What each row costs, in nats, shape (rows,): the values whose mean is `log_loss`.

    >>> log_losses(np.array([1.0, 0.0]), np.array([0.5, 0.0])).round(4).tolist()
    [0.6931, 0.0]
    """
    happened = probability_of_what_happened(labels, scores)
    return -np.log(np.clip(happened, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY))


def brier(labels: np.ndarray, scores: np.ndarray) -> Measured:
    """Mean squared distance of the probabilities from what happened; lower is better, a proper score.

    Formula: binary, mean of (y - p)^2, in [0, 1]; multiclass, mean over rows of the sum over classes of (y_k - p_k)^2,
    in [0, 2], which on two classes is twice the binary one. The influence of a row is its loss less the mean. Assumes
    scores that are probabilities. Reference: Brier 1950, "Verification of forecasts expressed in terms of probability".

    Args:
        labels: 0 or 1, or the index of the class, shape (rows,).
        scores: the probability of 1, shape (rows,), or of each class, shape (rows, classes).

    >>> brier(np.array([1.0, 0.0]), np.array([0.5, 1.0])).value
    0.625
    >>> brier(np.array([0, 1]), np.array([[0.5, 0.5], [1.0, 0.0]])).value
    1.25
    """
    if scores.ndim == 1:
        return mean_of((labels - scores.astype(float, copy=False)) ** 2)
    happened = probability_of_what_happened(labels, scores)
    losses = np.einsum("ij,ij->i", scores, scores, dtype=float) - 2 * happened + 1
    return mean_of(np.maximum(losses, 0))  # cancellation can leave -1e-17


def probability_of_what_happened(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The score of the class that each row turned out to be, in double precision, shape (rows,).

    >>> probability_of_what_happened(np.array([1.0, 0.0]), np.array([0.75, 0.75])).tolist()
    [0.75, 0.25]
    """
    if scores.ndim == 2:
        return scores[np.arange(len(labels)), labels.astype(np.intp)].astype(float)
    exact = scores.astype(float, copy=False)
    return np.where(labels == 1, exact, 1 - exact)


def mean_of(values: np.ndarray) -> Measured:
    """The mean of a value of each row, such as its loss; a row's influence is its value less the mean.

    >>> mean_of(np.array([1.0, 3.0]))
    Measured(value=2.0, influence=array([-1.,  1.]))
    """
    exact = values.astype(float, copy=False)
    mean = exact.mean()
    return Measured(float(mean), exact - mean)
