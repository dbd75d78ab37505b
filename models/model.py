"""A trained model: the encoder that its weights were trained with, and the network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import nn

from models.data.batches import Batches, Labelled
from models.features.encoder import Encoder
from models.training.module import probabilities_of

PREDICT_BATCH_SIZE = 16_384


@dataclass(frozen=True)
class Model:
    """What is saved, loaded, compared and served: rows in, probabilities out."""

    encoder: Encoder
    network: nn.Module

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        """Probability of the label 1 for each row, float64 of shape (rows,), on the device of the weights."""
        encoded = self.encoder.transform(frame)
        device = next(self.network.parameters()).device
        rows = Labelled(encoded, torch.zeros(len(frame))).to(device)
        self.network.eval()
        with torch.inference_mode():
            parts = [
                probabilities_of(self.network(numbers, categories)).cpu()
                for numbers, categories, _ in Batches(rows, PREDICT_BATCH_SIZE)
            ]
        return torch.cat(parts).double().numpy() if parts else np.zeros(0)

    def label(self, frame: pd.DataFrame, labels: pd.Series) -> Labelled:
        """Encode rows with their labels, for training."""
        return Labelled(self.encoder.transform(frame), torch.tensor(labels.to_numpy(dtype="float32")))
