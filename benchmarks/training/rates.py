"""Rows per second of our training against a hand-written loop and against Lightning with a DataLoader.

All ways train the same network on the same made rows, shaped like the flights, with the same AdamW and precision, in
one process and in turns, so that a busy machine slows all of them. A rate is that of whole epochs after the first one;
what a call costs before its first epoch is reported apart, as start-up. Medians over the repeats; `vs_handwritten` and
`vs_dataloader` are at batches of 8,192.

With a GPU the hand-written loop is a CUDA graph of the whole step, replayed, since nothing else keeps the GPU busy with
a small network; `gpu` has the share of the device's throughput that our training uses at least: multiplications of the
layers against a large matrix product, and the bytes that must be read and written against a large copy, both measured
in the same run.

Where other work keeps the cores busy, set OMP_NUM_THREADS=1: threads of torch that wait for one another by spinning
are many times slower there, for all ways alike.
"""

from __future__ import annotations

import logging
import math
import platform
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import LambdaCallback
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.data import DataLoader, TensorDataset, default_collate
from torch.utils.flop_counter import FlopCounterMode

from models.data.batches import Batch, Labelled
from models.features.encoder import NUM_BINS
from models.networks.inputs import Encoded, TableInputs
from models.networks.mlp import MLP
from models.training.devices import lightning_precision
from models.training.fit import fit
from models.training.module import Learner
from models.training.objectives import objective
from models.training.settings import FitSettings, seeded

NUM_NUMBERS = 15
CARDINALITIES = (18, 5, 107, 9, 37, 8)  # of the flights: carrier, origin, destination, weekday, manufacturer, engine
LEARNING_RATE, WEIGHT_DECAY = 1e-3, 1e-4
BATCH_SIZE_OF_THE_CLAIM = 8_192


@dataclass(frozen=True)
class Size:
    """How much is measured: rows, batch sizes, repeats, and the seconds that one run should last."""

    num_rows: int
    batch_sizes: tuple[int, ...]
    num_repeats: int
    seconds: float


QUICK = Size(49_152, (1_024, 8_192), num_repeats=4, seconds=0.5)
FULL = Size(524_288, (1_024, 8_192, 65_536), num_repeats=7, seconds=2.0)


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
    settings = FitSettings(
        epochs, batch_size, LEARNING_RATE, WEIGHT_DECAY, accelerator="gpu" if watch.device.type == "cuda" else "cpu"
    )
    fit(network, objective("binary"), rows, None, settings, on_epoch=lambda numbers: watch.mark())


def handwritten(network: MLP, rows: Labelled, batch_size: int, epochs: int, watch: Stopwatch) -> None:
    """The least that trains: no loss is kept, nothing is said."""
    network.to(watch.device).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True)
    numbers, categories, labels = *rows.encoded.tensors, rows.targets
    generator = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        order = torch.randperm(len(rows), generator=generator).to(watch.device)
        for chosen in torch.split(order, batch_size):
            optimizer.zero_grad()
            with _precision(watch.device):
                logits = network(numbers[chosen], categories[chosen])
                loss = binary_cross_entropy_with_logits(logits, labels[chosen])
            loss.backward()
            optimizer.step()
        watch.mark()


def graphed(network: MLP, rows: Labelled, batch_size: int, epochs: int, watch: Stopwatch) -> None:
    """The same on a GPU, with the whole step as one CUDA graph; the last batch of an epoch goes without."""
    network.to(watch.device).train()
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True, capturable=True
    )
    numbers, categories, labels = *rows.encoded.tensors, rows.targets

    def step(chosen: torch.Tensor) -> None:
        optimizer.zero_grad()
        with _precision(watch.device):
            logits = network(numbers[chosen], categories[chosen])
            loss = binary_cross_entropy_with_logits(logits, labels[chosen])
        loss.backward()
        optimizer.step()

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
    generator = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        for chosen in torch.randperm(len(rows), generator=generator).to(watch.device).split(batch_size):
            if len(chosen) == batch_size:
                places.copy_(chosen)
                graph.replay()
            else:
                step(chosen)
        watch.mark()


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


def ways(device: torch.device) -> dict[str, Way]:
    """By their names; the hand-written one is the best that can be done on the device."""
    best = graphed if device.type == "cuda" else handwritten
    return {"ours": ours, "handwritten": best, "dataloader": dataloader}


def run(size: Size, jobs: int) -> dict[str, Any]:
    """Measure on the GPU if there is one; how it goes is said on stderr."""
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    rows, inputs = made_rows(size.num_rows)
    rows = rows.to(device)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"lightning\..*")
    names = tuple(ways(device))
    rates: dict[int, dict[str, list[float]]] = {}
    startups: dict[str, list[float]] = {name: [] for name in names}
    for batch_size in size.batch_sizes:
        watches = compare(rows, inputs, batch_size, size, device)
        rates[batch_size] = {name: [len(rows) / watch.epoch_seconds for watch in watches[name]] for name in names}
        for name in names:
            startups[name] += [watch.startup_seconds for watch in watches[name]]
    medians = {
        str(batch_size): {name: round(median(found)) for name, found in by_way.items()}
        for batch_size, by_way in rates.items()
    }
    gpu = {}
    if device.type == "cuda":
        gpu["gpu"] = {each: _gpu(inputs, int(each), found["ours"], device) for each, found in medians.items()}
    return {
        "vs_handwritten": _ratio(rates[BATCH_SIZE_OF_THE_CLAIM], "handwritten"),
        "vs_dataloader": _ratio(rates[BATCH_SIZE_OF_THE_CLAIM], "dataloader"),
        "by_batch_size": {
            str(batch_size): {f"vs_{name}": _ratio(found, name) for name in names[1:]}
            for batch_size, found in rates.items()
        },
        "rows_per_second": medians,
        "startup_seconds": {name: median(found) for name, found in startups.items()},
        "num_rows": len(rows),
        "device": _name(device),
        "torch": torch.__version__,
        "lightning": L.__version__,
        **gpu,
    }


def compare(
    rows: Labelled, inputs: TableInputs, batch_size: int, size: Size, device: torch.device
) -> dict[str, list[Stopwatch]]:
    """Run the ways in turns; a first run of each warms up, and says how many epochs last long enough."""
    epochs = {
        name: 1 + math.ceil(size.seconds / _run(way, rows, inputs, batch_size, 2, device).epoch_seconds)
        for name, way in ways(device).items()
    }
    watches: dict[str, list[Stopwatch]] = {name: [] for name in epochs}
    for repeat in range(size.num_repeats):
        for name, way in ways(device).items():
            watches[name].append(_run(way, rows, inputs, batch_size, epochs[name], device))
        said = ", ".join(f"{name} {len(rows) / watches[name][-1].epoch_seconds / 1000:,.0f}k" for name in epochs)
        print(f"batch {batch_size:,}, {repeat + 1} of {size.num_repeats}: {said} rows/s", file=sys.stderr, flush=True)
    return watches


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


def _run(
    way: Way, rows: Labelled, inputs: TableInputs, batch_size: int, epochs: int, device: torch.device
) -> Stopwatch:
    with seeded(0):
        network = MLP(inputs)
        watch = Stopwatch(device)
        way(network, rows, batch_size, epochs, watch)
    return watch


def _ratio(rates: dict[str, list[float]], other: str) -> float:
    # Within a repeat, so that a machine that slows down in the middle slows both sides of the fraction.
    return median(mine / theirs for mine, theirs in zip(rates["ours"], rates[other], strict=True))


def _precision(device: torch.device) -> AbstractContextManager[object]:
    # As our training chooses it.
    is_mixed = lightning_precision("auto", "gpu" if device.type == "cuda" else "cpu") == "bf16-mixed"
    return torch.autocast("cuda", torch.bfloat16) if is_mixed else nullcontext()


def _gpu(inputs: TableInputs, batch_size: int, rows_per_second: float, device: torch.device) -> dict[str, float]:
    """Shares of what the device reaches at its best that a training at this rate needs at least."""
    rows, _ = made_rows(batch_size)
    network = MLP(inputs)
    with FlopCounterMode(display=False) as counter:
        binary_cross_entropy_with_logits(network(*rows.encoded.tensors), rows.targets).backward()
    steps = rows_per_second / batch_size
    weights = sum(weight.nbytes for weight in network.parameters())
    # Read rows and weights; gradients are written and read, weights and both moments read and written.
    least_bytes = sum(tensor.nbytes for tensor in rows.tensors) + 9 * weights
    return {
        "share_of_matrix_throughput": steps * counter.get_total_flops() / _matrix_throughput(device),
        "share_of_bandwidth": steps * least_bytes / _bandwidth(device),
    }


def _matrix_throughput(device: torch.device, size: int = 8_192, repeats: int = 20) -> float:
    matrix = torch.randn(size, size, device=device, dtype=torch.bfloat16)
    return 2 * size**3 / _seconds(lambda: matrix @ matrix, repeats, device)


def _bandwidth(device: torch.device, num_bytes: int = 2**30, repeats: int = 20) -> float:
    source = torch.zeros(num_bytes, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return 2 * num_bytes / _seconds(lambda: target.copy_(source), repeats, device)


def _seconds(work: Callable[[], object], repeats: int, device: torch.device) -> float:
    work()
    torch.cuda.synchronize(device)
    started = time.perf_counter()
    for _ in range(repeats):
        work()
    torch.cuda.synchronize(device)
    return (time.perf_counter() - started) / repeats


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads"
