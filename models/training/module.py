"""The one LightningModule: any network that maps numbers and categories to logits of a binary label."""

from __future__ import annotations

import lightning as L
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torchmetrics import MeanMetric

Batch = tuple[Tensor, Tensor, Tensor]
SMALLEST_LOG = -100.0  # as in torch's binary_cross_entropy: certain and wrong is bad, but not infinite


class BinaryClassifier(L.LightningModule):
    """Trains `network` with AdamW on log loss.

    Args:
        network: `(numbers, categories) -> logits` of shape (rows,), or (rows, members) for an ensemble whose members
            are trained side by side and whose probabilities are averaged.
        learning_rate: of AdamW.
        weight_decay: of AdamW.
    """

    def __init__(self, network: nn.Module, learning_rate: float, weight_decay: float) -> None:
        super().__init__()
        self.network, self.learning_rate, self.weight_decay = network, learning_rate, weight_decay
        # Looking for NaN would wait for the GPU in every step, and drop them; `fit` looks once, at the end.
        self.train_loss, self.validation_loss = (MeanMetric(nan_strategy="disable") for _ in range(2))

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Mean log loss of the batch, over rows and members."""
        numbers, categories, labels = batch
        logits = self.network(numbers, categories)
        loss = binary_cross_entropy_with_logits(logits, _like(labels, logits))
        self.train_loss.update(loss.detach(), weight=len(labels))
        return loss

    def validation_step(self, batch: Batch, batch_index: int) -> None:
        """Log loss of the averaged probabilities."""
        numbers, categories, labels = batch
        probabilities = probabilities_of(self.network(numbers, categories))
        # Written out, since torch's binary_cross_entropy stops at NaN, on a GPU with the whole CUDA context.
        chances = torch.where(labels == 1, probabilities.log(), torch.log1p(-probabilities))
        loss = -chances.clamp_min(SMALLEST_LOG).mean()
        self.validation_loss.update(loss, weight=len(labels))

    def on_validation_epoch_end(self) -> None:
        """Hand the validation loss to callbacks under its name."""
        self.log("validation_loss", self.validation_loss.compute())
        self.validation_loss.reset()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW over all weights; fused where the device has it."""
        return torch.optim.AdamW(
            self.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay, fused=self.device.type == "cuda"
        )


def probabilities_of(logits: Tensor) -> Tensor:
    """Probabilities (rows,) from logits (rows,) or (rows, members): the mean over members."""
    probabilities = logits.float().sigmoid()
    return probabilities.mean(dim=1) if probabilities.ndim == 2 else probabilities


def _like(labels: Tensor, logits: Tensor) -> Tensor:
    return labels if logits.ndim == 1 else labels[:, None].expand_as(logits)
