"""How well scores put rows in order: any increasing transformation of the scores leaves these metrics as they are.

Both need one sort. Rows of equal score form a tie group, and everything else is a cumulative sum over the groups.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from models.evaluation.metrics.metric import Measured, Undefined
from models.evaluation.metrics.ties import TieGroups, tie_groups


def auc(labels: np.ndarray, scores: np.ndarray, ties: TieGroups | None = None) -> Measured:
    """Chance that a positive scores above a negative, ties counting half; higher is better.

    Formula: with F0 and F1 the shares of negatives and positives that score below s, ties counting half, and pi the
    share of positives, AUC = mean of F0(s) over the positives. The influence is (F0(s) - AUC) / pi for a positive and
    (1 - F1(s) - AUC) / (1 - pi) for a negative: the placements of DeLong, DeLong & Clarke-Pearson 1988, by sorting
    (Sun & Xu 2014, "Fast implementation of DeLong's algorithm"). Multiclass: the mean over classes of each one
    against the rest. Range: 0 to 1, and 0.5 says nothing. Assumes no more than an order of the scores.

    Args:
        labels: 0 or 1, or the index of the class, shape (rows,).
        scores: anything that grows with the chance of 1, shape (rows,), or one for each class, shape (rows, classes).
        ties: the rows in their order, when somebody has sorted them already.

    Raises:
        Undefined: for rows of one class only.

    >>> auc(np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.1, 0.4, 0.35, 0.8])).value
    0.75
    """
    if scores.ndim == 1:
        return _auc(labels == 1, scores, ties)
    return _one_against_the_rest(_auc, labels, scores)


def average_precision(labels: np.ndarray, scores: np.ndarray, ties: TieGroups | None = None) -> Measured:
    """Mean precision over the positives, each at its own score as the threshold; higher is better.

    Formula: with p(t) the share of positives among the rows that score t or more, AP = mean of p(s) over the positives,
    without interpolation. With G(t) the share of rows that score t or more, and dm(t) the share that are positives of
    score t, let a(s) = sum over t <= s of dm/G and b(s) = sum over t <= s of dm p/G. The influence is
    (p(s) + a(s) - b(s) - AP) / pi for a positive and -b(s) / pi for a negative, pi being the share of positives: the
    delta method on dm, on the share of positives that score t or more, and on G. Multiclass: the mean over classes of
    each one against the rest. Range: 0 to 1, and pi says nothing. Assumes no more than an order of the scores; it
    changes with the share of positives. Reference: Buckley & Voorhees 2000, "Evaluating evaluation measure stability".

    Args:
        labels: 0 or 1, or the index of the class, shape (rows,).
        scores: anything that grows with the chance of 1, shape (rows,), or one for each class, shape (rows, classes).
        ties: the rows in their order, when somebody has sorted them already.

    Raises:
        Undefined: for rows without a positive.

    >>> average_precision(np.array([1.0, 0.0, 1.0, 0.0]), np.array([0.9, 0.8, 0.7, 0.6])).value
    0.8333333333333333
    """
    if scores.ndim == 1:
        return _average_precision(labels == 1, scores, ties)
    return _one_against_the_rest(_average_precision, labels, scores)


def _auc(is_positive: np.ndarray, scores: np.ndarray, ties: TieGroups | None = None) -> Measured:
    num_rows, num_positives = len(scores), int(np.count_nonzero(is_positive))
    num_negatives = num_rows - num_positives
    if not num_positives or not num_negatives:
        raise Undefined(f"AUC needs both classes; there are {num_positives} positives and {num_negatives} negatives")
    ties = ties or tie_groups(is_positive, scores)
    negatives = ties.sizes - ties.positives
    negatives_below = (np.cumsum(negatives) - negatives / 2) / num_negatives
    positives_below = (np.cumsum(ties.positives) - ties.positives / 2) / num_positives
    value = float(ties.positives @ negatives_below) / num_positives
    return Measured(
        value,
        ties.spread(
            positives=(negatives_below - value) * (num_rows / num_positives),
            negatives=(1 - value - positives_below) * (num_rows / num_negatives),
        ),
    )


def _average_precision(is_positive: np.ndarray, scores: np.ndarray, ties: TieGroups | None = None) -> Measured:
    num_rows, num_positives = len(scores), int(np.count_nonzero(is_positive))
    if not num_positives:
        raise Undefined(f"average precision needs a positive; there are 0 positives and {num_rows} negatives")
    ties = ties or tie_groups(is_positive, scores)
    rows_from_here = num_rows - np.cumsum(ties.sizes) + ties.sizes
    precisions = (num_positives - np.cumsum(ties.positives) + ties.positives) / rows_from_here
    hazards = ties.positives / rows_from_here
    a, b = np.cumsum(hazards), np.cumsum(hazards * precisions)
    value = float(ties.positives @ precisions) / num_positives
    share = num_positives / num_rows
    return Measured(value, ties.spread(positives=(precisions + a - b - value) / share, negatives=-b / share))


def _one_against_the_rest(
    measure: Callable[[np.ndarray, np.ndarray], Measured], labels: np.ndarray, scores: np.ndarray
) -> Measured:
    value, influence, num_classes = 0.0, np.zeros(len(labels)), scores.shape[1]
    for label in range(num_classes):
        try:
            measured = measure(labels == label, scores[:, label])
        except Undefined as reason:
            raise Undefined(f"class {label} against the rest: {reason}") from reason
        value += measured.value / num_classes
        influence += measured.influence / num_classes
    return Measured(value, influence)
