"""The LightningModules: any network, trained on the objective of its label, step by step or by CUDA graphs."""

from __future__ import annotations

from typing import Any

import lightning as L
import torch
from torch import Tensor, nn

from models.data.batches import Batch, Picked
from models.training.graphs import Graphed, Outputs
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

    def training_step(self, batch: Batch | Picked, batch_index: int) -> Tensor | dict[str, Tensor]:
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


class GraphedLearner(Learner):
    """Trains as a `Learner` does, on one CUDA device, with its steps as CUDA graphs.

    Args:
        network: one that can be captured: what it does depends on nothing but the content of its tensors.
        objective, learning_rate, weight_decay, penalty: as of `Learner`; the penalty can be captured too.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.automatic_optimization = False
        self._graphed: Graphed | None = None

    @property
    def has_recorded(self) -> bool:
        """Whether a step holds memory by now for as long as the training lasts."""
        return self._graphed is not None and self._graphed.has_recorded

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW whose step can be captured: its learning rate is a number on the device."""
        optimizer = super().configure_optimizers()
        self._make_capturable(optimizer)
        return optimizer

    def on_train_start(self) -> None:
        """Begin to record."""
        optimizer: Any = self.optimizers(use_pl_optimizer=False)
        self._make_capturable(optimizer)  # again: a state that was loaded has brought its own settings

        def step(batch: Batch | Picked) -> Outputs:
            optimizer.zero_grad(set_to_none=True)
            # Lightning has cast already, and keeps cast weights for the length of a step: a recording would hold on to
            # those of the step before it.
            with torch.autocast("cuda", enabled=torch.is_autocast_enabled("cuda"), cache_enabled=False):
                found = Learner.training_step(self, batch, 0)
            outputs = found if isinstance(found, dict) else {"loss": found}
            with torch.autocast("cuda", enabled=False):
                outputs["loss"].backward()
                optimizer.step()
            return {name: value.detach() for name, value in outputs.items()}

        self._graphed = Graphed(step, self.device)
        self._progress = self.trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress

    def training_step(self, batch: Batch | Picked, batch_index: int) -> Outputs:
        """Train on the batch; its losses, until the next step."""
        assert self._graphed is not None
        self._progress.increment_ready()
        outputs = self._graphed(batch)
        self._progress.increment_completed()
        return outputs

    def on_train_end(self) -> None:
        """Give back the memory of the graphs."""
        self._graphed = None

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep a state with which any device can go on."""
        for state in checkpoint["optimizer_states"]:
            for group in state["param_groups"]:
                group |= {"lr": float(group["lr"]), "capturable": False}

    def _make_capturable(self, optimizer: torch.optim.Optimizer) -> None:
        for group in optimizer.param_groups:
            rate = torch.tensor(float(group["lr"]), device=self.device)
            group |= {"lr": rate, "capturable": self.device.type == "cuda"}
