"""TabM: one network that behaves as an ensemble of k MLPs with shared weights.

Gorishniy, Kotelnikov, Babenko 2025, "TabM: Advancing Tabular Deep Learning with Parameter-Efficient Ensembling",
arXiv 2410.24210, in the authors' package `tabm`.
"""

from __future__ import annotations

import tabm
import torch
from rtdl_num_embeddings import PiecewiseLinearEmbeddings
from torch import Tensor, nn

from models.networks.inputs import Inputs


class TabM(nn.Module):
    """Logits of a binary label, one for each of k members.

    Args:
        inputs: what the encoder learned about the features.
        members: k, the size of the ensemble.
        width: units of each hidden layer.
        depth: number of hidden layers.
        dropout: after each hidden layer.
        embedding: size of each number's embedding.
    """

    def __init__(
        self,
        inputs: Inputs,
        members: int = 16,
        width: int = 128,
        depth: int = 2,
        dropout: float = 0.1,
        embedding: int = 8,
    ) -> None:
        super().__init__()
        numbers = (
            PiecewiseLinearEmbeddings(
                [torch.tensor(edges) for edges in inputs.bins], embedding, activation=False, version="B"
            )
            if inputs.bins
            else None
        )
        self.network = tabm.TabM.make(
            n_num_features=inputs.num_numbers,
            cat_cardinalities=list(inputs.cardinalities),
            num_embeddings=numbers,
            d_out=1,
            k=members,
            n_blocks=depth,
            d_block=width,
            dropout=dropout,
        )

    def forward(self, numbers: Tensor, categories: Tensor) -> Tensor:
        """Numbers (rows, numbers) and categories (rows, categories) to logits (rows, members)."""
        has_numbers, has_categories = numbers.shape[1] > 0, categories.shape[1] > 0
        logits = self.network(numbers if has_numbers else None, categories if has_categories else None)
        return logits.squeeze(-1)
