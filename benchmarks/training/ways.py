"""Ways to train the same network on the same rows: ours, and what it is measured against."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import lightning as L
import torch
from lightning.pytorch.callbacks import LambdaCallback
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.data import DataLoader, TensorDataset, default_collate

from models.data.batches import Batch, Batches, Labelled, Loader, Rows
from models.data.transfer import Ahead
from models.features.encoder import NUM_BINS
from models.networks.inputs import Encoded, TableInputs
from models.networks.mlp import MLP
from models.training.devices import lightning_precision
from models.training.fit import fit
from models.training.module import Learner
from models.training.objectives import objective
from models.training.settings import FitSettings

NUM_NUMBERS = 15
CARDINALITIES = (18, 5, 107, 9, 37, 8)  # of the flights: carrier, origin, destination, weekday, manufacturer, engine
LEARNING_RATE, WEIGHT_DECAY = 1e-3, 1e-4


@dataclass
class Stopwatch:
    """The end of each epoch, taken when the device has done its work."""

    device: torch.device
    started: float = field(default_factory=time.perf_counter)
    ends: list[float] = field(default_factory=list)

    def mark(self) -> None:
        """Note the end of an epoch."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self.ends.append(time.perf_counter())

    @property
    def epoch_seconds(self) -> float:
        """Mean time of the epochs after the first."""
        return (self.ends[-1] - self.ends[0]) / (len(self.ends) - 1)

    @property
    def startup_seconds(self) -> float:
        """What the first epoch took longer than the others, with all that went before it."""
        return max(0.0, self.ends[0] - self.started - self.epoch_seconds)


Way = Callable[[MLP, Labelled, int, int, Stopwatch], None]


def ours(network: MLP, rows: Labelled, batch_size: int, epochs: int, watch: Stopwatch) -> None:
    """Training as a project does it."""
    _fit(network, rows, batch_size, epochs, watch)


def compiled(network: MLP, rows: Labelled, batch_size: int, epochs: int, watch: Stopwatch) -> None:
    """The same with `compile: true`."""
    _fit(network, rows, batch_size, epochs, watch, compile=True)


def copied(network: MLP, rows: Labelled, batch_size: int, epochs: int, watch: Stopwatch) -> None:
    """The same with rows that do not fit on the device: they stay in the memory of the CPU."""
    _fit(network, _Apart(rows.to(torch.device("cpu"))), batch_size, epochs, watch)


@dataclass(frozen=True)
class _Apart:
    """Rows that are copied to the device batch by batch, though they would fit."""

    rows: Labelled

    def __len__(self) -> int:
        return len(self.rows)

    def batches(self, batch_size: int, seed: int | None, device: torch.device) -> Loader:
        return Ahead(Batches(self.rows, batch_size, seed), device)


def _fit(network: MLP, rows: Rows, batch_size: int, epochs: int, watch: Stopwatch, compile: bool = False) -> None:
    accelerator = "gpu" if watch.device.type == "cuda" else "cpu"
    settings = FitSettings(epochs, batch_size, LEARNING_RATE, WEIGHT_DECAY, accelerator=accelerator, compile=compile)
    fit(network, objective("binary"), rows, None, settings, on_epoch=lambda numbers: watch.mark())


def handwritten(network: MLP, rows: Labelled, batch_size: int, epochs: int, watch: Stopwatch) -> None:
    """The least that trains: no loss is kept, nothing is said."""
    network.to(watch.device).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True)
    step, generator = _step(network, rows, optimizer, watch.device), torch.Generator().manual_seed(0)
    for _ in range(epochs):
        order = torch.randperm(len(rows), generator=generator).to(watch.device)
        for chosen in torch.split(order, batch_size):
            step(chosen)
        watch.mark()


def graphed(network: MLP, rows: Labelled, batch_size: int, epochs: int, watch: Stopwatch) -> None:
    """The same on a GPU, with the whole step as one CUDA graph; the last batch of an epoch goes without."""
    network.to(watch.device).train()
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True, capturable=True
    )
    step = _step(network, rows, optimizer, watch.device)
    places = torch.arange(batch_size, device=watch.device) % len(rows)
    stream = torch.cuda.Stream(watch.device)
    stream.wait_stream(torch.cuda.current_stream(watch.device))
    with torch.cuda.stream(stream):
        for _ in range(3):
            step(places)
    torch.cuda.current_stream(watch.device).wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step(places)
    for _ in range(epochs):
        for chosen in torch.randperm(len(rows), device=watch.device).split(batch_size):
            if len(chosen) == batch_size:
                places.copy_(chosen)
                graph.replay()
            else:
                step(chosen)
        watch.mark()


def _step(
    network: MLP, rows: Labelled, optimizer: torch.optim.Optimizer, device: torch.device
) -> Callable[[torch.Tensor], None]:
    """A step on the rows of some places."""
    numbers, categories, labels = *rows.encoded.tensors, rows.targets

    def step(chosen: torch.Tensor) -> None:
        optimizer.zero_grad()
        with _precision(device):
            logits = network(numbers[chosen], categories[chosen])
            loss = binary_cross_entropy_with_logits(logits, labels[chosen])
        loss.backward()
        optimizer.step()

    return step


def dataloader(network: MLP, rows: Labelled, batch_size: int, epochs: int, watch: Stopwatch) -> None:
    """Lightning as its documentation shows it: a `DataLoader` over a `TensorDataset`, on the CPU."""
    tensors = (*(tensor.cpu() for tensor in rows.encoded.tensors), rows.targets.cpu())
    trainer = L.Trainer(
        max_epochs=epochs,
        accelerator="gpu" if watch.device.type == "cuda" else "cpu",
        devices=1,
        precision=lightning_precision("auto", "gpu" if watch.device.type == "cuda" else "cpu"),
        callbacks=[LambdaCallback(on_train_epoch_end=lambda trainer, module: watch.mark())],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    module = _Moving(network, objective("binary"), LEARNING_RATE, WEIGHT_DECAY)
    trainer.fit(module, DataLoader(TensorDataset(*tensors), batch_size, shuffle=True, collate_fn=_collate))


def _collate(rows: list[tuple[torch.Tensor, ...]]) -> Batch:
    *inputs, targets = default_collate(rows)
    return Batch(tuple(inputs), targets)


class _Moving(Learner):
    """Brings batches to the device as any LightningModule does."""

    transfer_batch_to_device = L.LightningModule.transfer_batch_to_device


def made_rows(num_rows: int) -> tuple[Labelled, TableInputs]:
    """Rows shaped like the encoded flights, with a label that can be learned from them."""
    generator = torch.Generator().manual_seed(0)
    numbers = torch.randn(num_rows, NUM_NUMBERS, generator=generator).clamp(-4, 4)
    categories = torch.stack([torch.randint(n, (num_rows,), generator=generator) for n in CARDINALITIES], dim=1)
    chances = (numbers[:, :3].sum(dim=1) + 0.1 * (categories[:, 0] - 9)).sigmoid()
    labels = torch.bernoulli(chances, generator=generator)
    edges = torch.special.ndtri(torch.linspace(0.001, 0.999, NUM_BINS + 1))
    return Labelled(Encoded((numbers, categories)), labels), TableInputs(
        (tuple(edges.tolist()),) * NUM_NUMBERS, CARDINALITIES
    )


def ways(device: torch.device) -> dict[str, Way]:
    """By their names; the hand-written one is the best that can be done on the device."""
    if device.type != "cuda":
        return {"ours": ours, "handwritten": handwritten, "dataloader": dataloader}
    return {"ours": ours, "handwritten": graphed, "dataloader": dataloader, "compiled": compiled, "copied": copied}


def _precision(device: torch.device) -> AbstractContextManager[object]:
    # As our training chooses it.
    is_mixed = lightning_precision("auto", "gpu" if device.type == "cuda" else "cpu") == "bf16-mixed"
    return torch.autocast("cuda", torch.bfloat16) if is_mixed else nullcontext()
