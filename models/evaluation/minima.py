"""What rows must have before anything is said about them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from models.evaluation.comparison import Paired


@dataclass(frozen=True)
class Minima:
    """Fewer independent groups, positives or negatives than these are refused, whatever the numbers say."""

    groups: int = 10
    positives: int = 50
    negatives: int = 50

    def lacking(self, num_groups: int, num_positives: int, num_negatives: int) -> str:
        """What a holdout with so much has too little of, in words; empty when nothing is lacking."""
        counts = (
            ("groups", num_groups, self.groups),
            ("positives", num_positives, self.positives),
            ("negatives", num_negatives, self.negatives),
        )
        return ", ".join(
            f"{found:,} {name} where {needed:,} are needed" for name, found, needed in counts if found < needed
        )

    def rows_missing(self, num_rows: int, num_groups: int, num_positives: int, usual_group: float) -> int:
        """Rows that would bring what is lacking, by what the rows at hand bring; `usual_group` rows a group if none."""
        per_group = num_rows / num_groups if num_groups else usual_group
        share = num_positives / num_rows if num_positives else 0.5
        return math.ceil(
            max(
                0,
                (self.groups - num_groups) * per_group,
                (self.positives - num_positives) / share,
                (self.negatives - (num_rows - num_positives)) / max(1 - share, 1e-9),
            )
        )

    def lacking_in(self, paired: Paired) -> str:
        """The same for rows at hand; only binary labels have positives and negatives."""
        if paired.task != "binary":
            return self.lacking(paired.grouping.num_groups, self.positives, self.negatives)
        num_positives = int((paired.labels == 1).sum())
        return self.lacking(paired.grouping.num_groups, num_positives, paired.num_rows - num_positives)
