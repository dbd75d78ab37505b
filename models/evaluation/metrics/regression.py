"""Metrics of predicted quantities."""

from __future__ import annotations

import numpy as np

from models.evaluation.metrics.metric import Measured, Undefined
from models.evaluation.metrics.proper import mean_of


def rmse(labels: np.ndarray, scores: np.ndarray) -> Measured:
    """Root of the mean squared error, in the unit of the label; lower is better.

    Formula: sqrt(mean e^2), e = label - prediction; the influence is (e^2 - MSE) / (2 RMSE). Range: 0 and up. Assumes
    that the mean is wanted: the best prediction is the expected value. A few large errors rule it. Reference: Gneiting
    2011, "Making and evaluating point forecasts".

    >>> rmse(np.array([1.0, 2.0]), np.array([1.0, 4.0])).value
    1.4142135623730951
    """
    squares = mean_of(_errors(labels, scores) ** 2)
    value = float(np.sqrt(squares.value))
    return Measured(value, squares.influence / (2 * value) if value else squares.influence)


def mae(labels: np.ndarray, scores: np.ndarray) -> Measured:
    """Mean absolute error, in the unit of the label; lower is better.

    Formula: mean |e|, e = label - prediction, and |e| less the mean is the influence. Range: 0 and up. Assumes that
    the median is wanted: it is the best prediction. Reference: Gneiting 2011, "Making and evaluating point forecasts".

    >>> mae(np.array([1.0, 2.0]), np.array([1.0, 4.0])).value
    1.0
    """
    return mean_of(np.abs(_errors(labels, scores)))


def pinball(labels: np.ndarray, scores: np.ndarray, quantile: float) -> Measured:
    """Mean pinball loss of a predicted quantile, in the unit of the label; lower is better.

    Formula: mean of max(q e, (q - 1) e), e = label - prediction; a row's loss less the mean is its influence. Range: 0
    and up. Assumes that the quantile q is wanted: it is the best prediction. At q = 0.5 this is half the mean absolute
    error. Reference: Koenker & Bassett 1978, "Regression quantiles".

    >>> pinball(np.array([1.0, 2.0]), np.array([2.0, 1.0]), quantile=0.75).value
    0.5
    """
    errors = _errors(labels, scores)
    return mean_of(np.maximum(quantile * errors, (quantile - 1) * errors))


def r2(labels: np.ndarray, scores: np.ndarray) -> Measured:
    """Share of the variance of the labels that the predictions explain; higher is better.

    Formula: 1 - MSE / V, V the variance of the labels; the influence is
    -(e^2 - MSE) / V + MSE / V^2 ((y - mean y)^2 - V), e = label - prediction. Range: up to 1, and 0 is what the mean of
    the labels earns. It changes with the spread of the labels, so do not compare it between samples. Reference:
    Kvålseth 1985, "Cautionary note about R2".

    Raises:
        Undefined: for labels that are all the same.

    >>> r2(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 2.0])).value
    0.5
    """
    if labels.min() == labels.max():
        raise Undefined(f"R2 needs labels that differ; all {len(labels)} are {labels[0]:g}; take other rows, or RMSE")
    labels = labels.astype(float, copy=False)
    squares, spread = mean_of(_errors(labels, scores) ** 2), mean_of((labels - labels.mean()) ** 2)
    ratio = squares.value / spread.value
    return Measured(1 - ratio, (ratio * spread.influence - squares.influence) / spread.value)


def correlation(labels: np.ndarray, scores: np.ndarray) -> Measured:
    """Pearson's correlation of label and prediction; higher is better.

    Formula: r = mean of u v, u and v being label and prediction less their mean and over their deviation; the influence
    is u v - r (u^2 + v^2) / 2. Range: -1 to 1, and 0 says nothing, which is also what a constant prediction earns. It
    takes no notice of the level and the scale of the predictions: what AUC is to probabilities, this is to quantities.
    Reference: Devlin, Gnanadesikan & Kettenring 1975, "Robust estimation and outlier detection with correlation
    coefficients", for the influence.

    Raises:
        Undefined: for labels that are all the same.

    >>> round(correlation(np.array([1.0, 2.0, 3.0]), np.array([10.0, 30.0, 20.0])).value, 12)
    0.5
    """
    if labels.min() == labels.max():
        raise Undefined(
            f"a correlation needs labels that differ; all {len(labels)} are {labels[0]:g}; take other rows, or RMSE"
        )
    if scores.min() == scores.max():
        return Measured(0.0, np.zeros(len(labels)))
    one, other = _standardised(labels), _standardised(scores)
    value = float((one * other).mean())
    return Measured(value, one * other - value / 2 * (one**2 + other**2))


def _standardised(values: np.ndarray) -> np.ndarray:
    exact = values.astype(float, copy=False)
    centred = exact - exact.mean()
    return np.asarray(centred / np.sqrt((centred**2).mean()))


def _errors(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    return labels - scores.astype(float, copy=False)
