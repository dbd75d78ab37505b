"""Whether a probability can be taken at its word."""

from __future__ import annotations

import numpy as np

from models.evaluation.metrics.metric import Measured

NUM_CALIBRATION_BINS = 10


def calibration_error(labels: np.ndarray, scores: np.ndarray) -> Measured:
    """Expected calibration error over ten equal bins of the score; lower is better.

    Formula: sum over bins of |mean(y - s)| times the bin's share of rows, s being the score and y whether a 1 followed;
    multiclass, s is the largest score of the row and y whether its class is the row's. The bins are fixed in advance,
    so a row's influence is y - s with the sign of its bin's mean, less the value. Range: 0 to 1. References: Naeini et
    al. 2015; Guo et al. 2017 for several classes.

    To be displayed, not to be guarded: it is biased upwards, and most for the better calibrated of two models, so a
    comparison leans to the other one. A challenger that was exactly .02 worse than a calibrated champion was shown "not
    worse by .02", at level .05 and in 14 days, in .12, .17, .26, .31 and .39 of the holdouts of 500, 1,000, 2,000,
    5,000 and 20,000 rows. `squared_calibration_error` has no such bias. A constant score at the base rate earns 0.

    Args:
        labels: 0 or 1, or the index of the class, shape (rows,).
        scores: the probability of 1, shape (rows,), or of each class, shape (rows, classes).

    >>> round(calibration_error(np.array([0.0, 1.0, 1.0, 1.0]), np.array([0.75, 0.75, 0.75, 0.75])).value, 12)
    0.0
    """
    bins, residuals = _binned(labels, scores)
    totals = np.bincount(bins, weights=residuals, minlength=NUM_CALIBRATION_BINS)
    value = float(np.abs(totals).sum() / len(labels))
    return Measured(value, np.sign(totals)[bins] * residuals - value)


def squared_calibration_error(labels: np.ndarray, scores: np.ndarray) -> Measured:
    """Squared calibration error over ten equal bins of the score, without bias; lower is better.

    Formula: sum over bins of m^2 times the bin's share of rows, where m is the mean of r = y - s, with y and s as in
    `calibration_error`. What chance adds to m^2 is taken off: (t^2 - q) / (n_b - 1) stands for n_b m^2, t being the sum
    of r in the bin and q that of r^2, and a bin of one row counts as 0. The bins are fixed in advance, so a row's
    influence is 2 m r - m^2, less the mean of that over rows. Range: up to 1, and slightly below 0 by chance where
    scores are calibrated. A constant score at the base rate earns 0, so guard it beside a proper score and do not
    maximise it alone. Reference: Kumar, Liang & Ma 2019, "Verified uncertainty calibration".

    Args:
        labels: 0 or 1, or the index of the class, shape (rows,).
        scores: the probability of 1, shape (rows,), or of each class, shape (rows, classes).

    >>> round(squared_calibration_error(np.array([1.0, 1.0, 1.0]), np.array([0.75, 0.75, 0.75])).value, 12)
    0.0625
    """
    bins, residuals = _binned(labels, scores)
    counts = np.bincount(bins, minlength=NUM_CALIBRATION_BINS)
    totals = np.bincount(bins, weights=residuals, minlength=NUM_CALIBRATION_BINS)
    squares = np.bincount(bins, weights=residuals**2, minlength=NUM_CALIBRATION_BINS)
    is_counted = counts > 1
    value = float(((totals**2 - squares)[is_counted] / (counts[is_counted] - 1)).sum() / len(labels))
    means = np.where(is_counted, totals / np.maximum(counts, 1), 0.0)[bins]
    influence = means * (2 * residuals - means)
    return Measured(value, influence - influence.mean())


def _binned(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The bin of each row, and by how much its label exceeds its score; of several classes, the likeliest counts."""
    if scores.ndim == 2:
        labels, scores = labels == scores.argmax(axis=1), scores.max(axis=1)
    bins = np.minimum((scores * NUM_CALIBRATION_BINS).astype(np.intp), NUM_CALIBRATION_BINS - 1)
    return bins, labels - scores.astype(float, copy=False)
