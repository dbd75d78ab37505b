"""TabM: one network that behaves as an ensemble of k MLPs with shared weights.

Gorishniy, Kotelnikov, Babenko 2025, "TabM: Advancing Tabular Deep Learning with Parameter-Efficient Ensembling",
arXiv 2410.24210, in the authors' package `tabm`.
"""

from __future__ import annotations

import tabm
from torch import Tensor, nn

from models.networks.inputs import TableInputs, spread
from models.networks.numbers import piecewise_linear


class TabM(nn.Module):
    """Logits of a binary label or of classes, or a value, one for each of k members.

    Args:
        inputs: what the encoder learned about the features.
        members: k, the size of the ensemble.
        width: units of each hidden layer.
        depth: number of hidden layers.
        dropout: after each hidden layer.
        embedding: size of each number's embedding.
    """

    is_capturable = True

    def __init__(
        self,
        inputs: TableInputs,
        members: int = 16,
        width: int = 128,
        depth: int = 2,
        dropout: float = 0.1,
        embedding: int = 8,
    ) -> None:
        super().__init__()
        self.cardinalities = inputs.cardinalities
        self.network = tabm.TabM.make(
            n_num_features=inputs.num_numbers,
            cat_cardinalities=list(inputs.cardinalities),
            num_embeddings=piecewise_linear(inputs, embedding),
            d_out=inputs.num_outputs,
            k=members,
            n_blocks=depth,
            d_block=width,
            dropout=dropout,
        )

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """Numbers (rows, numbers) and categories (rows, categories) to (rows, members[, outputs])."""
        has_numbers, has_categories = numbers.shape[1] > 0, categories.shape[1] > 0
        logits = self.network(numbers if has_numbers else None, categories if has_categories else None)
        return logits.squeeze(-1) if logits.shape[-1] == 1 else logits

    def grow(self, old: TableInputs, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Give new categories, which are columns of the first layer here, the weights of "unseen".

        Args:
            old: what the weights were made for.
            state: the weights.

        Returns:
            The weights for this network.
        """
        first = "network.backbone.blocks.0.0"
        grown = self.cardinalities
        rest = state[f"{first}.r"].shape[1] - sum(old.cardinalities)

        def as_unseen(part: Tensor, number: int) -> Tensor:
            return part[..., :1].expand(*part.shape[:-1], number)

        moved = {
            key: spread(state[key], [rest, *old.cardinalities], [rest, *grown], as_unseen)
            for key in (f"{first}.weight", f"{first}.r")
        }
        return state | moved
