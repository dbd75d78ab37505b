"""A trained model: the encoder and the target that its weights were trained with, and the network."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from torch import nn

from models.data.batches import Labelled
from models.features.encoding import FeatureEncoder
from models.features.target import Target
from models.training.objectives import Objective, objective


@dataclass(frozen=True)
class Model:
    """What is saved, loaded, compared and served: rows in, scores out."""

    encoder: FeatureEncoder
    network: nn.Module
    target: Target = field(default_factory=Target)

    @property
    def objective(self) -> Objective:
        """What the outputs of the network mean."""
        return objective(self.target.task)

    def predict(self, frame: pd.DataFrame) -> np.ndarray:
        """Scores of rows, float64, on the device of the weights.

        Returns:
            Binary: the probability of 1, shape (rows,). Multiclass: of each of `target.classes`, (rows, classes).
            Regression: the value in the unit of the label, (rows,).
        """
        device, size = next(self.network.parameters()).device, self.encoder.rows_at_once
        self.network.eval()
        parts = []
        with torch.inference_mode():
            for start in range(0, len(frame), size):
                encoded = self.encoder.transform(frame.iloc[start : start + size]).map(lambda each: each.to(device))
                parts.append(self.objective.scores(self.network(*encoded.tensors)).cpu())
        several = (len(self.target.classes),) if self.target.classes else ()
        scores = torch.cat(parts).double().numpy() if parts else np.zeros((0, *several))
        return self.target.decode(scores)

    def label(self, frame: pd.DataFrame, labels: pd.Series, weights: np.ndarray | None = None) -> Labelled:
        """Encode rows with their labels, for training; rows of a class that is not known are left out."""
        known = self.target.knows(labels)
        if not known.all():
            frame, labels = frame[known], labels[known]
            weights = weights[known] if weights is not None else None
        weighing = torch.from_numpy(weights.astype(np.float32)) if weights is not None else None
        return Labelled(self.encoder.transform(frame), self.target.encode(labels), weighing)
