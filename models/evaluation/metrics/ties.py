"""Rows in the order of their scores: one sort, which every metric of ranking shares."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class TieGroups:
    """Rows in ascending order of their score, in groups of equal score.

    Attributes:
        order: row numbers in that order, shape (rows,).
        is_positive: of the rows in that order, shape (rows,).
        sizes: how many rows each group has, shape (groups,).
        positives: how many of them are positive, shape (groups,).
    """

    order: np.ndarray
    is_positive: np.ndarray
    sizes: np.ndarray
    positives: np.ndarray

    def spread(self, positives: np.ndarray, negatives: np.ndarray) -> np.ndarray:
        """Give each row its group's value, one for positives and one for negatives, in the order of the rows."""
        if len(self.sizes) < len(self.order):
            positives, negatives = np.repeat(positives, self.sizes), np.repeat(negatives, self.sizes)
        values = np.empty(len(self.order))
        values[self.order] = np.where(self.is_positive, positives, negatives)
        return values


def tie_groups(is_positive: np.ndarray, scores: np.ndarray) -> TieGroups:
    """Sort rows by their score, shape (rows,), and find those of equal score."""
    order = np.argsort(scores)
    ordered, is_positive = scores[order], is_positive[order]
    ends = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(order) - 1)
    return TieGroups(
        order=order,
        is_positive=is_positive,
        sizes=np.diff(ends, prepend=-1),
        positives=np.diff(np.cumsum(is_positive)[ends], prepend=0),
    )
