"""Re-warming: the learning rate rises from nothing to its full size and falls again along a cosine.

Gupta et al. 2023, "Continual Pre-Training of Large Language Models: How to (re)warm your model?", arXiv 2308.04014.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from models.training.recipes.ingredient import Ingredient, Rate


@dataclass(frozen=True)
class Rewarm(Ingredient):
    """A linear rise and a cosine's fall.

    Attributes:
        warm: share of the training in which the rate rises.
        floor: share of the learning rate with which it ends.
    """

    warm: float
    floor: float

    def rate(self) -> Rate:
        """The factor on the learning rate."""
        return self.factor

    def factor(self, share: float) -> float:
        """At a share of the training.

        >>> rewarm = Rewarm(warm=0.1, floor=0.0)
        >>> [round(rewarm.factor(share), 2) for share in (0.0, 0.05, 0.1, 0.55, 1.0)]
        [0.0, 0.5, 1.0, 0.5, 0.0]
        """
        if share < self.warm:
            return share / self.warm
        fallen = min((share - self.warm) / (1 - self.warm), 1.0)
        return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * fallen)) / 2
