"""Tables of a category by its companion: how far a day's values keep the company they kept in training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.monitoring.quality.distances import shares

MIN_VALUE_ROWS = 20  # of one value on a day, to say what company it keeps


@dataclass(frozen=True)
class Relabelling:
    """The exchange of values that fits a day best.

    `before` and `after`: distance as it is and after the exchange. `moved`: (value found, value meant), by their rows.
    """

    before: float
    after: float
    moved: tuple[tuple[int, int], ...]


def conditional_distance(reference: npt.ArrayLike, current: npt.ArrayLike) -> float:
    """Mean over rows of `current` of the total variation between the companions of each value, in [0, 1].

    It does not move when only the shares of the values do.

    Args:
        reference, current: counts by value and companion's group, shape (values, groups).
    """
    costs, weights = _costs(np.asarray(reference), np.asarray(current))
    return float((np.diag(costs) * weights).sum())


def best_relabelling(reference: npt.ArrayLike, current: npt.ArrayLike) -> Relabelling:
    """Reassign values so that they keep the company of training (Hungarian method, Kuhn 1955)."""
    from scipy.optimize import linear_sum_assignment  # takes a third of a second, and few need it

    current = np.asarray(current)
    costs, weights = _costs(np.asarray(reference), current)
    occurs = current.sum(axis=1) > 0
    # Values of few or no rows cost nothing anywhere, and stay if they can.
    found, meant = linear_sum_assignment(costs * weights[:, None] - 1e-9 * np.eye(len(costs)))
    moved = [(int(i), int(j)) for i, j in zip(found, meant, strict=True) if i != j and occurs[i]]
    return Relabelling(
        before=float((np.diag(costs) * weights).sum()),
        after=float((costs[found, meant] * weights[found]).sum()),
        moved=tuple(moved),
    )


def _costs(reference: np.ndarray, current: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Total variation between each value's company now (rows) and each value's then (columns), and weights of rows."""
    rows = current.sum(axis=1)
    weights = shares(np.where(rows >= MIN_VALUE_ROWS, rows, 0))
    costs = np.abs(shares(current)[:, None, :] - shares(reference)[None, :, :]).sum(axis=2) / 2
    return np.where(reference.sum(axis=1)[None, :] > 0, costs, 1.0), weights
