"""Metrics as a value and the influence of each row on it.

With influence values every comparison, group and interval is arithmetic on the difference of two vectors: the
standard error of a metric is that of the mean of its influence values (Hampel 1974, "The influence curve and its role
in robust estimation").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

SMALLEST_PROBABILITY = 1e-7  # float32 networks reach 0 and 1; one row may cost at most 16 nats
NUM_CALIBRATION_BINS = 10


@dataclass(frozen=True)
class Measured:
    """A metric on one sample: its value, and each row's influence on it, shape (rows,), mean 0."""

    value: float
    influence: np.ndarray


@dataclass(frozen=True)
class Metric:
    """A named metric and the direction in which it is better."""

    name: str
    label: str
    better: Literal["higher", "lower"]
    measure: Callable[[np.ndarray, np.ndarray], Measured]

    @property
    def sign(self) -> int:
        """+1 when higher is better, -1 when lower is."""
        return 1 if self.better == "higher" else -1


def log_loss(labels: np.ndarray, scores: np.ndarray) -> Measured:
    """Mean of -log of the probability given to what happened, in nats; >= 0, lower is better, a proper score.

    >>> round(log_loss(np.array([1.0, 0.0]), np.array([0.5, 0.5])).value, 4)
    0.6931
    """
    clipped = np.clip(scores, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    losses = -np.where(labels == 1, np.log(clipped), np.log1p(-clipped))
    return Measured(float(losses.mean()), losses - losses.mean())


def auc(labels: np.ndarray, scores: np.ndarray) -> Measured:
    """Chance that a positive scores above a negative, ties counting half; in [0, 1], higher is better.

    The influence values are DeLong's placements (DeLong et al. 1988) by sorting (Sun & Xu 2014, "Fast implementation
    of DeLong's algorithm"). Needs both classes.

    >>> auc(np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.1, 0.4, 0.35, 0.8])).value
    0.75
    """
    is_positive = labels == 1
    positives, negatives = scores[is_positive], scores[~is_positive]
    if not len(positives) or not len(negatives):
        raise ValueError(f"AUC needs both classes; there are {len(positives)} positives and {len(negatives)} negatives")
    above, below = _mid_rank(negatives, positives), _mid_rank(positives, negatives)
    value = float(above.mean())
    influence = np.empty(len(labels))
    influence[is_positive] = (above - value) * len(labels) / len(positives)
    influence[~is_positive] = (1 - below - value) * len(labels) / len(negatives)
    return Measured(value, influence)


def calibration_error(labels: np.ndarray, scores: np.ndarray) -> Measured:
    """Expected calibration error over ten equal bins of the score; in [0, 1], lower is better.

    The sum over bins of |mean(label - score)| times the bin's share of rows (Naeini et al. 2015). The bins are fixed
    in advance, so a row's influence is its own residual with the sign of its bin. Biased upwards for small bins, for
    both models alike.

    >>> round(calibration_error(np.array([0.0, 1.0, 1.0, 1.0]), np.array([0.75, 0.75, 0.75, 0.75])).value, 12)
    0.0
    """
    bins = np.minimum((scores * NUM_CALIBRATION_BINS).astype(int), NUM_CALIBRATION_BINS - 1)
    residuals = labels - scores
    totals = np.bincount(bins, weights=residuals, minlength=NUM_CALIBRATION_BINS)
    value = float(np.abs(totals).sum() / len(labels))
    return Measured(value, np.sign(totals)[bins] * residuals - value)


def _mid_rank(reference: np.ndarray, scores: np.ndarray) -> np.ndarray:
    ordered = np.sort(reference)
    return (ordered.searchsorted(scores, "left") + ordered.searchsorted(scores, "right")) / (2 * len(reference))


LOG_LOSS = Metric("log_loss", "log loss (nats)", "lower", log_loss)
AUC = Metric("auc", "AUC", "higher", auc)
CALIBRATION_ERROR = Metric("calibration_error", "calibration error", "lower", calibration_error)
METRICS = {metric.name: metric for metric in (LOG_LOSS, AUC, CALIBRATION_ERROR)}
