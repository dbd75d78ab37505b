"""What rows must have before anything is said about them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from models.evaluation.comparison import Paired
from models.evaluation.metrics.metric import Task


@dataclass(frozen=True)
class Need:
    """Something of which there must be so much; `share` is that of the rows at hand that count towards it."""

    name: str
    found: int
    needed: int
    share: float


@dataclass(frozen=True)
class Minima:
    """Less than this is refused, whatever the numbers say.

    Attributes:
        groups: independent groups of rows, whatever the label is.
        positives, negatives: rows of either kind of a binary label.
        class_rows: rows of a multiclass label in each of at least two classes. Not in every class: one that is rare, or
            has just appeared, would stand in the way of all the others.
    """

    groups: int = 10
    positives: int = 50
    negatives: int = 50
    class_rows: int = 50

    def lacking(self, labels: np.ndarray, num_groups: int, task: Task = "binary") -> str:
        """What rows with these labels, as in `Sample.labels`, have too little of, in words; empty when of nothing."""
        counts = [("groups", num_groups, self.groups)]
        counts += [(need.name, need.found, need.needed) for need in self._of_classes(labels, task)]
        return ", ".join(
            f"{found:,} {name} where {needed:,} are needed" for name, found, needed in counts if found < needed
        )

    def rows_missing(self, labels: np.ndarray, num_groups: int, usual_group: float, task: Task = "binary") -> int:
        """Rows that would bring what is lacking, by what the rows at hand bring; `usual_group` rows a group if none."""
        per_group = len(labels) / num_groups if num_groups else usual_group
        missing = [(need.needed - need.found) / max(need.share, 1e-9) for need in self._of_classes(labels, task)]
        return math.ceil(max(0, (self.groups - num_groups) * per_group, *missing))

    def lacking_in(self, paired: Paired) -> str:
        """The same as `lacking`, for rows that two models have scored."""
        return self.lacking(paired.labels, paired.grouping.num_groups, paired.task)

    def _of_classes(self, labels: np.ndarray, task: Task) -> list[Need]:
        num_rows = len(labels)
        if task == "binary":
            positives = int((labels == 1).sum())
            share = positives / num_rows if positives else 0.5
            return [
                Need("positives", positives, self.positives, share),
                Need("negatives", num_rows - positives, self.negatives, 1 - share),
            ]
        if task == "multiclass":
            counts = np.sort(np.unique(labels, return_counts=True)[1])
            second = int(counts[-2]) if len(counts) > 1 else 0
            share = second / num_rows if second else 0.5
            return [Need("rows of the second most frequent class", second, self.class_rows, share)]
        return []
