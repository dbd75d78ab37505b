"""Only the last layers train; what the earlier ones have learned to see stays.

Yosinski et al. 2014, "How transferable are features in deep neural networks?", arXiv 1411.1792.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from models.training.recipes.ingredient import Ingredient


@dataclass(frozen=True)
class LastLayers(Ingredient):
    """Freezes all weights but those of the last modules that have any, in the order in which the network made them.

    Attributes:
        num_layers: modules with weights of their own that are trained.
    """

    num_layers: int

    def prepare(self, network: nn.Module, seed: int) -> None:
        """Freeze the earlier modules.

        Raises:
            ValueError: when there are no more modules than are to be trained.
        """
        layers = [each for each in network.modules() if any(True for _ in each.parameters(recurse=False))]
        if self.num_layers >= len(layers):
            raise ValueError(
                f"num_layers={self.num_layers} of last_layers leaves nothing frozen: {type(network).__name__} has "
                f"{len(layers)} layers with weights; set it below that, or use the recipe plain"
            )
        network.requires_grad_(False)
        for layer in layers[-self.num_layers :]:
            for weight in layer.parameters(recurse=False):
                weight.requires_grad_(True)

    def finish(self, network: nn.Module, champion: nn.Module) -> None:
        """Let all weights train again, for the next recipe."""
        network.requires_grad_(True)
