"""Low-rank updates: each linear layer learns a change of few dimensions, which is added to its weights at the end.

LoRA: Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models", arXiv 2106.09685.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from models.training.recipes.ingredient import Ingredient
from models.training.settings import seeded


class Updated(nn.Module):
    """A linear layer whose weight is `weight + up @ down`; the update is zero at first.

    Args:
        layer: stays as it is.
        rank: dimensions of the update.
    """

    def __init__(self, layer: nn.Linear, rank: int) -> None:
        super().__init__()
        self.layer = layer
        self.down = nn.Parameter(layer.weight.new_empty(rank, layer.in_features))
        self.up = nn.Parameter(layer.weight.new_zeros(layer.out_features, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    @property
    def weight(self) -> Tensor:
        """The updated weight, (outputs, inputs)."""
        return self.layer.weight + self.up @ self.down

    @property
    def bias(self) -> Tensor | None:
        """That of the layer."""
        return self.layer.bias

    def forward(self, inputs: Tensor) -> Tensor:
        """As the layer, with the updated weight."""
        return linear(inputs, self.weight, self.bias)


@dataclass(frozen=True)
class LowRank(Ingredient):
    """Trains nothing but a low-rank update of every `nn.Linear`; the saved network has its ordinary shape.

    Attributes:
        rank: of the updates.
    """

    rank: int

    def prepare(self, network: nn.Module, seed: int) -> None:
        """Freeze the weights and put an update on every linear layer.

        Raises:
            ValueError: for a network without any.
        """
        layers = list(_children(network, nn.Linear))
        if not layers:
            raise ValueError(
                f"low_rank updates layers of torch.nn.Linear, and {type(network).__name__} has none; "
                "use the recipe last_layers, pull or finetune"
            )
        network.requires_grad_(False)
        with seeded(seed):
            for parent, name in layers:
                setattr(parent, name, Updated(getattr(parent, name), self.rank))

    def finish(self, network: nn.Module, champion: nn.Module) -> None:
        """Add the updates to the weights, and let all of them train again."""
        for parent, name in list(_children(network, Updated)):
            updated = getattr(parent, name)
            with torch.no_grad():
                updated.layer.weight.copy_(updated.weight)
            setattr(parent, name, updated.layer)
        network.requires_grad_(True)


def _children(network: nn.Module, kind: type[nn.Module]) -> Iterator[tuple[nn.Module, str]]:
    """Every module of a kind, as its parent and its name there."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, kind):
                yield parent, name
