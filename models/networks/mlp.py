"""The default network: embeddings of categories, piecewise-linear embeddings of numbers, a small MLP."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.networks.dropout import Dropout
from models.networks.embedding import Embedding
from models.networks.inputs import TableInputs, spread
from models.networks.numbers import piecewise_linear


class MLP(nn.Module):
    """Logits of a binary label or of classes, or a value.

    Args:
        inputs: what the encoder learned about the features.
        width: units of each hidden layer.
        depth: number of hidden layers.
        dropout: after each hidden layer.
        embedding: size of each number's embedding; a category gets min(16, half its values).
    """

    is_capturable = True

    def __init__(
        self, inputs: TableInputs, width: int = 128, depth: int = 2, dropout: float = 0.1, embedding: int = 8
    ) -> None:
        super().__init__()
        self.sizes = sizes = _sizes(inputs)
        self.categories = nn.ModuleList(map(Embedding, inputs.cardinalities, sizes))
        self.numbers = piecewise_linear(inputs, embedding)
        size = sum(sizes) + embedding * inputs.num_numbers
        layers: list[nn.Module] = []
        for _ in range(depth):
            layers += [nn.Linear(size, width), nn.ReLU(), Dropout(dropout)]
            size = width
        self.layers = nn.Sequential(*layers, nn.Linear(size, inputs.num_outputs))

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """Numbers (rows, numbers) and categories (rows, categories) to outputs (rows,) or (rows, outputs)."""
        parts = [embed(categories[:, column]) for column, embed in enumerate(self.categories)]
        if self.numbers is not None:
            parts.append(self.numbers(numbers).flatten(1))
        outputs: Tensor = self.layers(torch.cat(parts, dim=1))
        return outputs.squeeze(1) if outputs.shape[1] == 1 else outputs

    def grow(self, old: TableInputs, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Move the first layer's weights apart where embeddings have become wider.

        Args:
            old: what the weights were made for.
            state: the weights.

        Returns:
            The weights for this network; those of new dimensions are as they were made, and their inputs are zero.
        """
        first = self.state_dict()["layers.0.weight"]
        sizes, grown = _sizes(old), self.sizes
        rest = first.shape[1] - sum(grown)
        weight = state["layers.0.weight"]

        def untrained(part: Tensor, number: int) -> Tensor:
            return first[: len(weight), :number].to(part.device)

        moved = spread(weight, [*sizes, rest], [*grown, rest], untrained)
        return state | {"layers.0.weight": moved}


def _sizes(inputs: TableInputs) -> list[int]:
    return [min(16, (cardinality + 1) // 2) for cardinality in inputs.cardinalities]
