"""One paired comparison of champion and challenger: the gain, its standard error, and what can be said of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from models.evaluation.metrics import Metric


@dataclass(frozen=True)
class Comparison:
    """The gain of the challenger in one metric; positive is better, whatever the metric's direction."""

    metric: str
    champion: float
    challenger: float
    gain: float
    standard_error: float
    num_groups: int

    def p_value(self, margin: float = 0.0) -> float:
        """One-sided p of "the gain is at most -margin": margin 0 is superiority, above 0 non-inferiority."""
        if self.standard_error == 0:
            return 0.0 if self.gain + margin > 0 else 1.0
        return float(stats.t.sf((self.gain + margin) / self.standard_error, self.num_groups - 1))

    def interval(self, level: float) -> tuple[float, float]:
        """Two-sided confidence interval of the gain, from Student's t with groups - 1 degrees of freedom."""
        width = float(stats.t.ppf((1 + level) / 2, self.num_groups - 1)) * self.standard_error
        return self.gain - width, self.gain + width


def compare(
    metric: Metric, labels: np.ndarray, champion: np.ndarray, challenger: np.ndarray, groups: np.ndarray
) -> Comparison:
    """Compare two models on the same rows, allowing any dependence within a group.

    With influence values psi and d = sign * (psi_challenger - psi_champion) summed over each of G groups to S_g, the
    standard error is sqrt(G / (G - 1) * sum (S_g - mean S)^2) / n (cluster-robust; Liang & Zeger 1986). Groups must
    be independent of one another; with fewer than 10 the result should not be used.

    Args:
        metric: what is compared.
        labels: 0.0 or 1.0, shape (rows,).
        champion: the champion's probabilities, shape (rows,).
        challenger: the challenger's, for the same rows.
        groups: an integer for each row, such as its day.

    Raises:
        ValueError: for unequal lengths, scores outside [0, 1] or not finite, labels other than 0 and 1.
    """
    _check(labels, champion, challenger, groups)
    before, after = metric.measure(labels, champion), metric.measure(labels, challenger)
    differences = metric.sign * (after.influence - before.influence)
    return Comparison(
        metric=metric.name,
        champion=before.value,
        challenger=after.value,
        gain=metric.sign * (after.value - before.value),
        standard_error=grouped_standard_error(differences, groups),
        num_groups=len(np.unique(groups)),
    )


def grouped_standard_error(influence: np.ndarray, groups: np.ndarray) -> float:
    """Standard error of the mean of `influence` when rows depend on one another within groups only.

    >>> grouped_standard_error(np.array([1.0, -1.0, 1.0, -1.0]), np.array([0, 1, 2, 3])) > 0
    True
    """
    _, index = np.unique(groups, return_inverse=True)
    sums = np.bincount(index, weights=influence)
    if len(sums) < 2:
        return float("inf")
    return float(np.sqrt(len(sums) / (len(sums) - 1) * ((sums - sums.mean()) ** 2).sum()) / len(influence))


def _check(labels: np.ndarray, champion: np.ndarray, challenger: np.ndarray, groups: np.ndarray) -> None:
    lengths = {len(labels), len(champion), len(challenger), len(groups)}
    if len(lengths) > 1:
        raise ValueError(
            f"labels, champion, challenger and groups have {len(labels)}, {len(champion)}, {len(challenger)} and "
            f"{len(groups)} rows; a paired comparison needs the same rows"
        )
    if not np.isin(labels, (0.0, 1.0)).all():
        raise ValueError("labels must be 0 or 1; keep immature rows out of a comparison")
    for name, scores in (("champion", champion), ("challenger", challenger)):
        wrong = ~((scores >= 0) & (scores <= 1))
        if wrong.any():
            raise ValueError(f"{name} has {wrong.sum()} scores that are no probabilities, first {scores[wrong][0]}")
