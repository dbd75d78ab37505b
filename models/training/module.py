"""The one LightningModule: any network, trained on the objective of its label."""

from __future__ import annotations

from typing import Any

import lightning as L
import torch
from torch import Tensor, nn

from models.data.batches import Batch
from models.training.objectives import Objective
from models.training.settings import Penalty


class Learner(L.LightningModule):
    """Trains `network` with AdamW.

    Args:
        network: called with the tensors of the encoded rows.
        objective: what is made small.
        learning_rate: of AdamW.
        weight_decay: of AdamW.
        penalty: added to the loss of every step, such as the distance to other weights.
    """

    def __init__(
        self,
        network: nn.Module,
        objective: Objective,
        learning_rate: float,
        weight_decay: float,
        penalty: Penalty | None = None,
    ) -> None:
        super().__init__()
        self.network, self.objective, self.penalty = network, objective, penalty
        self.learning_rate, self.weight_decay = learning_rate, weight_decay

    def __setattr__(self, name: str, value: Any) -> None:
        # Lightning notes the hook it is in some forty times a step, and torch takes microseconds to set an attribute.
        if name == "_current_fx_name":
            self.__dict__[name] = value
        else:
            super().__setattr__(name, value)

    def forward(self, *inputs: Tensor) -> Tensor:
        """The network's outputs."""
        outputs: Tensor = self.network(*inputs)
        return outputs

    def training_step(self, batch: Batch, batch_index: int) -> Tensor | dict[str, Tensor]:
        """Mean loss of the batch, over rows and members; apart from it the loss with the penalty, if there is one."""
        loss = self.objective.loss(self.network(*batch.inputs), batch.targets, batch.weights)
        if self.penalty is None:
            return loss
        return {"loss": loss + self.penalty(self.network), "unpenalised": loss.detach()}

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """The batch as it is: its rows bring it to the device, all at once or ahead of its use."""
        return batch

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW over all weights that are not frozen, in one fused step."""
        weights = [weight for weight in self.parameters() if weight.requires_grad]
        is_fused = self.device.type in ("cuda", "cpu")
        return torch.optim.AdamW(weights, lr=self.learning_rate, weight_decay=self.weight_decay, fused=is_fused)
