"""What happens between the steps of a training: averages of its weights, a look at held-out rows, its learning rate."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from models.data.batches import Loader
from models.training.module import GraphedLearner
from models.training.objectives import Objective


def floats_of(module: nn.Module) -> list[Tensor]:
    """The weights, and what else a module has learned in numbers, such as running means."""
    tensors = [*module.parameters(), *module.buffers()]
    return [tensor.detach() for tensor in tensors if tensor.is_floating_point()]


def copied(tensors: list[Tensor]) -> list[Tensor]:
    """Copies that later steps do not change."""
    return [tensor.clone() for tensor in tensors]


def is_sharded(trainer: L.Trainer) -> bool:
    """Whether each process holds a part of the weights."""
    return "fsdp" in type(trainer.strategy).__name__.lower()


def over_processes(tensor: Tensor) -> Tensor:
    """The sum over the processes that train together, in each of them."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(tensor)
    return tensor


def is_first_process() -> bool:
    """Whether this is the first of the processes that train together, or the only one."""
    is_alone = not torch.distributed.is_available() or not torch.distributed.is_initialized()
    return is_alone or torch.distributed.get_rank() == 0


class Averaging(Callback):
    """An exponential moving average of the weights, the first time a copy of them.

    After n steps it keeps no more than (1 + n) / (10 + n) of itself: else a short training would end near its start.

    Args:
        decay: share of the average that each step keeps.
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.average: list[Tensor] = []
        self.num_steps = 0
        self._weights: list[Tensor] | None = None

    def on_train_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Bring an average that was loaded to where the weights are."""
        device = pl_module.device
        self.average = [tensor.to(device) for tensor in self.average]
        # To look for them takes longer than to average. Another network may put a new tensor in the place of a buffer.
        self._weights = floats_of(pl_module) if isinstance(pl_module, GraphedLearner) else None

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Take the new weights into the average."""
        weights = self._weights or floats_of(pl_module)
        if self.average:
            self.num_steps += 1
            decay = min(self.decay, (1 + self.num_steps) / (10 + self.num_steps))
            torch._foreach_lerp_(self.average, weights, 1 - decay)
        else:
            self.average = copied(weights)

    @contextmanager
    def in_place(self, module: nn.Module) -> Iterator[None]:
        """A block in which the module has the averaged weights."""
        weights = floats_of(module)
        kept = copied(weights)
        torch._foreach_copy_(weights, self.average)
        yield
        torch._foreach_copy_(weights, kept)

    def state_dict(self) -> dict[str, Any]:
        """The average."""
        return {"average": self.average, "num_steps": self.num_steps}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The average."""
        self.average, self.num_steps = state_dict["average"], state_dict["num_steps"]


class Judge(Callback):
    """Looks at held-out rows after each epoch: keeps the best weights, and ends what does not get better.

    Args:
        loader: of the held-out rows.
        objective: what their cost is.
        patience: epochs without a lower cost before training ends; None never ends it, and keeps no weights.
        bar: a training whose lowest cost is above this after half of its epochs is hopeless, and ends.
        averaging: whose weights are looked at instead, if there is one.
        on_batch: called after each batch of the held-out rows.
    """

    def __init__(
        self,
        loader: Loader,
        objective: Objective,
        patience: int | None,
        bar: float | None,
        averaging: Averaging | None,
        on_batch: Callable[[], None] = lambda: None,
    ) -> None:
        self.loader, self.objective, self.on_batch = loader, objective, on_batch
        self.patience, self.bar, self.averaging = patience, bar, averaging
        self.loss = math.nan
        self.lowest, self.best_epoch, self.is_over, self.is_hopeless = math.inf, 0, False, False
        self.best: list[Tensor] = []

    def on_train_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        """End at once what was over when it was killed."""
        trainer.should_stop = trainer.should_stop or self.is_over

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Look, keep, and decide whether to go on."""
        if self.averaging is None or not self.averaging.average:
            self._look(trainer, pl_module)
        else:
            with self.averaging.in_place(pl_module):
                self._look(trainer, pl_module)
        epoch = trainer.current_epoch + 1
        assert trainer.max_epochs is not None
        is_tired = self.patience is not None and epoch - self.best_epoch >= self.patience
        is_half_over = trainer.max_epochs / 2 <= epoch < trainer.max_epochs
        self.is_hopeless = self.bar is not None and is_half_over and not self.lowest <= self.bar
        self.is_over = is_tired or self.is_hopeless or not math.isfinite(self.loss)
        trainer.should_stop = trainer.should_stop or self.is_over

    def state_dict(self) -> dict[str, Any]:
        """What it has seen, with the best weights."""
        names = ("lowest", "best_epoch", "is_over", "is_hopeless", "best")
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """What it had seen."""
        vars(self).update(state_dict)

    def _look(self, trainer: L.Trainer, module: Any) -> None:
        self.loss = self._cost(trainer, module)
        if self.loss < self.lowest or not self.best_epoch:
            self.lowest, self.best_epoch = self.loss, trainer.current_epoch + 1
            self.best = copied(floats_of(module)) if self.patience else []

    def _cost(self, trainer: L.Trainer, module: Any) -> float:
        """Mean cost over the rows of all processes."""
        # The wrapper of FSDP gathers the weights; that of DDP would only wait for the other processes.
        network: Any = trainer.strategy.model if is_sharded(trainer) else module
        modes = [(each, each.training) for each in module.modules()]
        module.eval()
        sums = torch.zeros(2, dtype=torch.float64 if module.device.type != "mps" else None, device=module.device)
        with torch.no_grad(), trainer.precision_plugin.forward_context():
            for batch in self.loader:
                costs = self.objective.costs(self.objective.scores(network(*batch.inputs)), batch.targets)
                sums += torch.stack([costs.sum(), costs.new_tensor(float(len(batch)))])
                self.on_batch()
        for each, was_training in modes:
            each.training = was_training
        cost, rows = over_processes(sums).tolist()
        return cost / rows if rows else math.nan


class Undisturbed(Callback):
    """Leaves SIGTERM to whoever had taken it over before the training, as if Lightning did not listen.

    Lightning puts a handler of its own before that one. Who looks whose handler is there before a process is told to
    end takes it for one that will not listen: a run that a person cancelled while it trained was crashed for Prefect.
    What Lightning's handler does is for Slurm and for processes of a launcher; where nobody was before it, it stays.
    """

    def __init__(self) -> None:
        self._before = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Put it back: Lightning has set its own by now, and does not look again."""
        if callable(self._before) and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._before)


class Rate(Callback):
    """Sets the learning rate of each step to its first value times a factor.

    Args:
        factor: share of the training that is done, 0 to 1, to the factor.
    """

    def __init__(self, factor: Callable[[float], float]) -> None:
        self.factor = factor

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Set the rate of the step to come."""
        assert trainer.max_epochs is not None
        num_steps = trainer.num_training_batches
        done = (trainer.current_epoch * num_steps + batch_idx) / (trainer.max_epochs * num_steps)
        factor = self.factor(done)
        for optimizer in trainer.optimizers:
            for group in optimizer.param_groups:
                if "initial_lr" not in group:
                    group["initial_lr"] = float(group["lr"])
                rate = group["initial_lr"] * factor
                if isinstance(group["lr"], Tensor):  # a CUDA graph reads it where it is
                    group["lr"].fill_(rate)
                else:
                    group["lr"] = rate


class Penalising(Callback):
    """Adds the gradient of a penalty to that of a LightningModule which has its own training step.

    Args:
        penalty: of the module.
    """

    def __init__(self, penalty: Callable[[nn.Module], Tensor]) -> None:
        self.penalty = penalty

    def on_after_backward(self, trainer: L.Trainer, pl_module: Any) -> None:
        """Add to the gradients of the step."""
        self.penalty(pl_module).backward()
