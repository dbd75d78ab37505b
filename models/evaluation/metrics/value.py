"""What decisions are worth, in the unit of the business: whatever unit the worths have."""

from __future__ import annotations

import numpy as np

from models.evaluation.metrics.decisions import THRESHOLD, outcomes
from models.evaluation.metrics.metric import Measured
from models.evaluation.metrics.proper import mean_of


def expected_value(
    labels: np.ndarray,
    scores: np.ndarray,
    true_positive: float,
    false_positive: float,
    true_negative: float,
    false_negative: float,
    threshold: float = THRESHOLD,
) -> Measured:
    """Mean worth of a row when each outcome of the decision has a worth; higher is better, costs are negative.

    Formula: mean over rows of the worth of their outcome, and that less the mean is the influence. Range: that of the
    worths. Assumes that a worth depends on the outcome only. With calibrated scores the best threshold is
    (tn - fp) / (tn - fp + tp - fn). Reference: Elkan 2001, "The foundations of cost-sensitive learning".

    >>> labels, scores = np.array([1.0, 1.0, 0.0, 0.0]), np.array([0.9, 0.2, 0.7, 0.1])
    >>> expected_value(labels, scores, true_positive=50, false_positive=-10, true_negative=0, false_negative=-20).value
    5.0
    """
    seen = outcomes(labels, scores, threshold)
    worths = np.array([[true_negative, false_positive], [false_negative, true_positive]], dtype=float)
    value = float((seen.shares * worths).sum())
    return seen.measured(value, worths - value)


def expected_value_of(
    labels: np.ndarray, scores: np.ndarray, column: np.ndarray, threshold: float = THRESHOLD
) -> Measured:
    """Mean over rows of what acting brings, where a score of the threshold or more is acted on; higher is better.

    Formula: mean of [score >= threshold] * column, and that less the mean is the influence. Range: that of the column
    and 0. Assumes that not acting brings nothing, and that the column holds what acting on a row would bring, for
    each row, acted on or not. The labels play no part. Reference: Elkan 2001, "The foundations of cost-sensitive
    learning", on costs that differ from row to row.

    Args:
        labels: not used.
        scores: the probability of 1, shape (rows,).
        column: what acting on the row brings, negative where it costs, shape (rows,).
        threshold: of acting.

    >>> scores, profit = np.array([0.9, 0.2, 0.7]), np.array([30.0, 5.0, -6.0])
    >>> expected_value_of(np.array([1.0, 1.0, 0.0]), scores, profit).value
    8.0
    """
    if not np.isfinite(column.sum(dtype=float)):
        wrong = np.flatnonzero(~np.isfinite(column))
        raise ValueError(
            f"the column of expected_value has {len(wrong)} values that are not finite, "
            f"first {column[wrong[0]]} in row {wrong[0]}; give what acting brings for every row"
        )
    return mean_of(np.where(scores >= threshold, column, 0.0))
