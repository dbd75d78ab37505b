"""What a training is told and what it tells, apart from the trainer: whoever plans one need not load Lightning."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.training.devices import Precision

OnEpoch = Callable[[dict[str, float]], None]
Penalty = Callable[[nn.Module], Tensor]


@dataclass(frozen=True)
class FitSettings:
    """How long, how fast, and on what.

    Attributes:
        epochs: at most.
        batch_size: rows a step, of all devices together.
        learning_rate: of AdamW.
        weight_decay: of AdamW.
        patience: epochs without a lower validation loss before training ends, with the best weights; needs such rows.
        ema_decay: training ends with the exponential moving average of the weights; that is what is validated.
        seed: of the order of the rows, and of dropout.
        accelerator: as Lightning's Trainer takes it.
        devices: that share each batch; each has a process of its own.
        strategy: how they share, as Lightning's Trainer takes it; auto is ddp.
        precision: auto is bfloat16 where a GPU has it; the weights are kept in full precision.
        compile: whether the network is compiled.
        graphs: whether steps are CUDA graphs, on one CUDA device and of a network that says it is capturable.
        is_ordered: rows are taken in their order, such as that of time, and not shuffled.
        stall_seconds: after which several processes that do nothing are ended; longer than a step.
        bar: a training is hopeless, and ends, if its validation loss is above this after half of the epochs.
    """

    epochs: int
    batch_size: int = 1024
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    patience: int | None = None
    ema_decay: float | None = None
    seed: int = 0
    accelerator: str = "auto"
    devices: int = 1
    strategy: str = "auto"
    precision: Precision = "auto"
    compile: bool = False
    graphs: bool = True
    is_ordered: bool = False
    stall_seconds: float = 1800.0
    bar: float | None = None


@dataclass(frozen=True)
class Hooks:
    """What a recipe adds to a training.

    Attributes:
        penalty: of the network, added to the loss of every step. Its class may say `is_capturable = True`, as that of a
            network may: if it does nothing but compute with tensors. Without it steps are no CUDA graphs.
        rate: share of the training that is done, 0 to 1, to a factor on the learning rate, set at each step.
    """

    penalty: Penalty | None = None
    rate: Callable[[float], float] | None = None


NOTHING_ADDED = Hooks()


@dataclass(frozen=True)
class Fitted:
    """What a training saw.

    Attributes:
        history: an epoch each: epoch, train_loss, rows_per_second, validation_loss if there are such rows.
        num_passes: rows that went through training steps, all epochs together.
        best_epoch: from 1, that with the lowest validation loss; the last without validation rows.
        is_hopeless: whether it was ended because of the bar.
        notes: what a person should know.
    """

    history: list[dict[str, float]]
    num_passes: int
    best_epoch: int
    is_hopeless: bool = False
    notes: tuple[str, ...] = ()


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Run a block with torch's generators seeded, and leave them as they were."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
