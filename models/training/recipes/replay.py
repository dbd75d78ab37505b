"""Replay: a sample of old rows beside the new ones, against forgetting.

Rolnick et al. 2019, "Experience Replay for Continual Learning", arXiv 1811.11682.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from models.training.recipes.ingredient import Ingredient, Material


@dataclass(frozen=True)
class Replay(Ingredient):
    """A sample of the old rows without repetition; with weights a row's chance is proportional to its own.

    Attributes:
        ratio: old rows for each new one, as far as there are any.
    """

    ratio: float

    def rows(self, material: Material, seed: int) -> Material:
        """As many old rows as the ratio says, in time order; they then count as much as each other."""
        _, number = self.count(len(material.new), len(material.old))
        weights = material.old_weights
        chances = None if weights is None else weights / weights.sum()
        drawn = np.random.default_rng(seed).choice(len(material.old), number, replace=False, p=chances)
        return replace(material, old=material.old.iloc[np.sort(drawn)], old_weights=None)

    def count(self, num_new: int, num_old: int) -> tuple[int, int]:
        """The new rows, and those of the old ones that are drawn."""
        return num_new, min(num_old, round(self.ratio * num_new))
