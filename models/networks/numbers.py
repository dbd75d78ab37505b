"""Piecewise-linear embeddings of numbers, for the networks that take a table.

Gorishniy et al. 2022, "On Embeddings for Numerical Features in Tabular Deep Learning", arXiv 2203.05556, in the
authors' package `rtdl_num_embeddings`.
"""

from __future__ import annotations

import torch
from torch import nn

from models.networks.inputs import TableInputs


def piecewise_linear(inputs: TableInputs, size: int) -> nn.Module | None:
    """Numbers (rows, numbers) to (rows, numbers, size) by the bins that the encoder learned; None without numbers."""
    if not inputs.bins:
        return None
    # Loaded for a network and not for its name in a YAML: it brings scikit-learn, with whose trees it can find bins.
    from rtdl_num_embeddings import PiecewiseLinearEmbeddings

    edges = [torch.tensor(each) for each in inputs.bins]
    return PiecewiseLinearEmbeddings(edges, size, activation=False, version="B")
