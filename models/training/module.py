"""The one LightningModule: any network that maps numbers and categories to logits of a binary label."""

from __future__ import annotations

import lightning as L
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torchmetrics import MeanMetric

Batch = tuple[Tensor, Tensor, Tensor]


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
        self.train_loss, self.validation_loss = MeanMetric(), MeanMetric()

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
        loss = nn.functional.binary_cross_entropy(probabilities, labels)
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
