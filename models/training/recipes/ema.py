"""An average of the weights along the training, in place of the last ones.

Polyak & Juditsky 1992, "Acceleration of Stochastic Approximation by Averaging"; with exponential weights as in
Morales-Brotons et al. 2024, "Exponential Moving Average of Weights in Deep Learning", arXiv 2411.18704.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from models.training.recipes.ingredient import Ingredient
from models.training.settings import FitSettings


@dataclass(frozen=True)
class Average(Ingredient):
    """Ends with `average = decay * average + (1 - decay) * weights`, taken at every step.

    Attributes:
        decay: the average looks back over about `1 / (1 - decay)` steps.
    """

    decay: float

    def settings(self, settings: FitSettings) -> FitSettings:
        """With the average."""
        return replace(settings, ema_decay=self.decay)
