"""Pull toward the champion's weights: a penalty on the distance from where the training started.

L2-SP: Li, Grandvalet & Davoine 2018, "Explicit Inductive Bias for Transfer Learning with Convolutional Networks",
arXiv 1802.01483.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from models.training.recipes.ingredient import Ingredient
from models.training.settings import FitSettings, Penalty


@dataclass(frozen=True)
class Pull(Ingredient):
    """Adds `strength / 2 * sum((weights - old weights)^2)` to the loss, in place of weight decay, which pulls to zero.

    Attributes:
        strength: of the pull.
    """

    strength: float

    def settings(self, settings: FitSettings) -> FitSettings:
        """Without weight decay."""
        return replace(settings, weight_decay=0.0)

    def penalty(self, network: nn.Module) -> Penalty:
        """The penalty of a step."""
        return _Distance(self.strength, [weight.detach().clone() for weight in network.parameters()])


class _Distance:
    """A class and no closure: where several devices train, it is sent to other processes."""

    is_capturable = True

    def __init__(self, strength: float, old: list[Tensor]) -> None:
        self.strength, self.old = strength, old

    def __call__(self, network: nn.Module) -> Tensor:
        weights = list(network.parameters())
        self.old = [old.to(weight.device) for old, weight in zip(self.old, weights, strict=True)]
        squares = [(now - then).square().sum() for now, then in zip(weights, self.old, strict=True)]
        return self.strength / 2 * torch.stack(squares).sum()
