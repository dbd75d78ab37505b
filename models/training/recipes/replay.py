"""Replay: a sample of old rows beside the new ones, against forgetting.

Rolnick et al. 2019, "Experience Replay for Continual Learning", arXiv 1811.11682.
"""

from __future__ import annotations

from dataclasses import dataclass

from models.training.recipes.ingredient import Ingredient, Stock


@dataclass(frozen=True)
class Replay(Ingredient):
    """A sample of the old rows without repetition; with weights a row's chance is proportional to its own.

    Attributes:
        ratio: old rows for each new one, as far as there are any.
    """

    ratio: float

    def rows(self, stock: Stock, seed: int) -> Stock:
        """As many old rows as the ratio says."""
        _, number = self.count(stock.num_new, stock.num_old)
        return stock.drawn(number, seed)

    def count(self, num_new: int, num_old: int) -> tuple[int, int]:
        """The new rows, and those of the old ones that are drawn."""
        return num_new, min(num_old, round(self.ratio * num_new))
