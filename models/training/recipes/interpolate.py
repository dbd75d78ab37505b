"""Between the champion and the fine-tuned network: part of the way is often better than all of it.

WiSE-FT: Wortsman et al. 2022, "Robust fine-tuning of zero-shot models", arXiv 2109.01903.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from models.training.recipes.ingredient import Ingredient


@dataclass(frozen=True)
class Interpolate(Ingredient):
    """`weights = share * champion + (1 - share) * trained`.

    Attributes:
        share: of the champion.
    """

    share: float

    def finish(self, network: nn.Module, champion: nn.Module) -> None:
        """Move the weights back toward the champion's."""
        with torch.no_grad():
            for trained, old in zip(network.parameters(), champion.parameters(), strict=True):
                trained.lerp_(old.to(trained.device), self.share)
