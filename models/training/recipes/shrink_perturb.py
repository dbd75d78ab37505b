"""Shrink and perturb: weights that are half forgotten train better on much new data than weights that are certain.

Ash & Adams 2020, "On Warm-Starting Neural Network Training", NeurIPS. The gain is in generalisation after *full*
training: a network whose weights were shrunk predicts badly at first, and a short training does not repair it.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import nn

from models.training.recipes.ingredient import Ingredient
from models.training.settings import seeded


@dataclass(frozen=True)
class ShrinkPerturb(Ingredient):
    """`weights = shrink * weights + perturb * fresh`, where `fresh` are those of an untrained network.

    Attributes:
        shrink: share of the old weights that is kept.
        perturb: share of the fresh weights that is added.
    """

    shrink: float
    perturb: float

    def prepare(self, network: nn.Module, seed: int) -> None:
        """Shrink all weights, and add new ones."""
        fresh = copy.deepcopy(network)
        with seeded(seed), torch.no_grad():
            for module in fresh.modules():
                reset = getattr(module, "reset_parameters", None)
                if reset is not None:
                    reset()
            for weight, new in zip(network.parameters(), fresh.parameters(), strict=True):
                # A module that cannot start anew gets noise of its weights' own size.
                is_old = torch.equal(weight, new)
                added = torch.randn_like(weight) * weight.square().mean().sqrt() if is_old else new
                weight.mul_(self.shrink).add_(added, alpha=self.perturb)
