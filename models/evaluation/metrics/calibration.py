"""Whether a probability can be taken at its word."""

from __future__ import annotations

import numpy as np

from models.evaluation.metrics.metric import Measured

NUM_CALIBRATION_BINS = 10


def calibration_error(labels: np.ndarray, scores: np.ndarray) -> Measured:
    """Expected calibration error over ten equal bins of the score; lower is better.

    Formula: sum over bins of |mean(y - s)| times the bin's share of rows, s being the score and y whether a 1 followed;
    multiclass, s is the largest score of the row and y whether its class is the row's. The bins are fixed in advance,
    so a row's influence is y - s with the sign of its bin's mean, less the value. Range: 0 to 1. Biased upwards for
    small bins, for both of two models alike; a constant score at the base rate earns 0, so guard it beside a proper
    score and do not maximise it alone. References: Naeini et al. 2015; Guo et al. 2017 for several classes.

    Args:
        labels: 0 or 1, or the index of the class, shape (rows,).
        scores: the probability of 1, shape (rows,), or of each class, shape (rows, classes).

    >>> round(calibration_error(np.array([0.0, 1.0, 1.0, 1.0]), np.array([0.75, 0.75, 0.75, 0.75])).value, 12)
    0.0
    """
    if scores.ndim == 2:
        labels, scores = labels == scores.argmax(axis=1), scores.max(axis=1)
    bins = np.minimum((scores * NUM_CALIBRATION_BINS).astype(np.intp), NUM_CALIBRATION_BINS - 1)
    residuals = labels - scores.astype(float, copy=False)
    totals = np.bincount(bins, weights=residuals, minlength=NUM_CALIBRATION_BINS)
    value = float(np.abs(totals).sum() / len(labels))
    return Measured(value, np.sign(totals)[bins] * residuals - value)
