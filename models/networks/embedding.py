"""Embeddings of categories whose gradient costs a GPU little."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

MOST_PAIRS = 2**24  # of a row and a category, four bytes each, that are held for a moment


class Embedding(nn.Embedding):
    """As `torch.nn.Embedding` without its options, of places (rows,).

    On a GPU torch sorts the rows of each batch by their category to add up the gradient of each, in twenty kernels a
    column, which took half of a training step of the default network. Few categories are faster added up by one
    product of matrices: which row has which category, and the gradients. It too gives the same sum each time.
    """

    def __init__(self, num_embeddings: int, embedding_dim: int) -> None:
        super().__init__(num_embeddings, embedding_dim)

    def forward(self, places: Tensor) -> Tensor:
        """The vectors (rows, dimensions)."""
        is_few = self.num_embeddings * places.numel() <= MOST_PAIRS
        if self.weight.is_cuda and is_few and torch.is_grad_enabled() and not torch.compiler.is_compiling():
            found: Tensor = _Lookup.apply(self.weight, places)
            return found
        return super().forward(places)


class _Lookup(torch.autograd.Function):
    """Rows of a matrix, with a gradient that is a product of matrices."""

    @staticmethod
    def forward(context: Any, weight: Tensor, places: Tensor) -> Tensor:
        context.save_for_backward(places)
        context.num_rows = len(weight)
        return embedding(places, weight)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (places,), (gradient,) = context.saved_tensors, gradients
        with torch.autocast(gradient.device.type, enabled=False):
            has = places == torch.arange(context.num_rows, device=places.device)[:, None]
            return has.to(gradient.dtype) @ gradient, None
