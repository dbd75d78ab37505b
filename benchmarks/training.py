"""Rows per second of our training against a hand-written loop and against Lightning with a DataLoader.

    python -m benchmarks.training [--quick] [--device auto]

The three ways train the same network on the same made rows, shaped like the flights, with the same AdamW, in one
process and in turns, so that a busy machine slows all of them. A rate is that of whole epochs after the first one;
what a call costs before its first epoch is reported apart, as start-up. Medians over the repeats.

Where other work keeps the cores busy, set OMP_NUM_THREADS=1: threads of torch that wait for one another by spinning
are many times slower there, for all three ways alike.

Needs torch, lightning, torchmetrics, numpy, pandas, pyarrow and rtdl_num_embeddings, and nothing else: on a machine
that has not got the last one, `pip download --no-deps rtdl_num_embeddings` elsewhere and bring the wheel along.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import platform
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from statistics import median

import lightning as L
import torch
from lightning.pytorch.callbacks import LambdaCallback
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.data import DataLoader, TensorDataset

from models.data.batches import Labelled
from models.features.encoder import NUM_BINS
from models.networks.inputs import Encoded, Inputs
from models.networks.mlp import MLP
from models.training.fit import FitSettings, fit, seeded
from models.training.module import BinaryClassifier

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
    fit(network, rows, None, settings, on_epoch=lambda numbers: watch.mark())


def handwritten(network: MLP, rows: Labelled, batch_size: int, epochs: int, watch: Stopwatch) -> None:
    """The least that trains: no loss is kept, nothing is said."""
    network.to(watch.device).train()
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=watch.device.type == "cuda"
    )
    numbers, categories, labels = rows.encoded.numbers, rows.encoded.categories, rows.labels
    generator = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        order = torch.randperm(len(rows), generator=generator).to(watch.device)
        for chosen in torch.split(order, batch_size):
            optimizer.zero_grad()
            logits = network(numbers[chosen], categories[chosen])
            binary_cross_entropy_with_logits(logits, labels[chosen]).backward()
            optimizer.step()
        watch.mark()


def dataloader(network: MLP, rows: Labelled, batch_size: int, epochs: int, watch: Stopwatch) -> None:
    """Lightning as its documentation shows it: a `DataLoader` over a `TensorDataset`, on the CPU."""
    tensors = (rows.encoded.numbers.cpu(), rows.encoded.categories.cpu(), rows.labels.cpu())
    trainer = L.Trainer(
        max_epochs=epochs,
        accelerator="gpu" if watch.device.type == "cuda" else "cpu",
        devices=1,
        callbacks=[LambdaCallback(on_train_epoch_end=lambda trainer, module: watch.mark())],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    module = BinaryClassifier(network, LEARNING_RATE, WEIGHT_DECAY)
    trainer.fit(module, DataLoader(TensorDataset(*tensors), batch_size, shuffle=True))


WAYS: dict[str, Way] = {"ours": ours, "handwritten": handwritten, "dataloader": dataloader}


def main(arguments: list[str] | None = None) -> None:
    """Measure, say how it goes on stderr, and print the result as JSON, last, on stdout."""
    options = _parser().parse_args(arguments)
    device = _device(options.device)
    size = QUICK if options.quick else FULL
    if options.rows:
        size = replace(size, num_rows=options.rows, seconds=size.seconds * options.rows / size.num_rows)
    rows, inputs = made_rows(size.num_rows)
    rows = rows.to(device)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"lightning\..*")
    rates: dict[int, dict[str, list[float]]] = {}
    startups: dict[str, list[float]] = {name: [] for name in WAYS}
    for batch_size in size.batch_sizes:
        watches = compare(rows, inputs, batch_size, size, device)
        rates[batch_size] = {name: [len(rows) / watch.epoch_seconds for watch in watches[name]] for name in WAYS}
        for name in WAYS:
            startups[name] += [watch.startup_seconds for watch in watches[name]]
    result = {
        "benchmark": "training",
        "quick": options.quick,
        "device": _name(device),
        "torch": torch.__version__,
        "lightning": L.__version__,
        "cpu_count": os.cpu_count(),
        "num_rows": len(rows),
        "rows_per_second": {
            str(batch_size): {name: round(median(found)) for name, found in by_way.items()}
            for batch_size, by_way in rates.items()
        },
        "startup_seconds": {name: round(median(found), 3) for name, found in startups.items()},
        "vs_handwritten": round(_ratio(rates[BATCH_SIZE_OF_THE_CLAIM], "handwritten"), 3),
        "vs_dataloader": round(_ratio(rates[BATCH_SIZE_OF_THE_CLAIM], "dataloader"), 3),
    }
    print(json.dumps(result))


def compare(
    rows: Labelled, inputs: Inputs, batch_size: int, size: Size, device: torch.device
) -> dict[str, list[Stopwatch]]:
    """Run the ways in turns; a first run of each warms up, and says how many epochs last long enough."""
    epochs = {
        name: 1 + math.ceil(size.seconds / _run(way, rows, inputs, batch_size, 2, device).epoch_seconds)
        for name, way in WAYS.items()
    }
    watches: dict[str, list[Stopwatch]] = {name: [] for name in WAYS}
    for repeat in range(size.num_repeats):
        for name, way in WAYS.items():
            watches[name].append(_run(way, rows, inputs, batch_size, epochs[name], device))
        said = ", ".join(f"{name} {len(rows) / watches[name][-1].epoch_seconds / 1000:,.0f}k" for name in WAYS)
        print(f"batch {batch_size:,}, {repeat + 1} of {size.num_repeats}: {said} rows/s", file=sys.stderr, flush=True)
    return watches


def made_rows(num_rows: int) -> tuple[Labelled, Inputs]:
    """Rows shaped like the encoded flights, with a label that can be learned from them."""
    generator = torch.Generator().manual_seed(0)
    numbers = torch.randn(num_rows, NUM_NUMBERS, generator=generator).clamp(-4, 4)
    categories = torch.stack([torch.randint(n, (num_rows,), generator=generator) for n in CARDINALITIES], dim=1)
    chances = (numbers[:, :3].sum(dim=1) + 0.1 * (categories[:, 0] - 9)).sigmoid()
    labels = torch.bernoulli(chances, generator=generator)
    edges = torch.special.ndtri(torch.linspace(0.001, 0.999, NUM_BINS + 1))
    return Labelled(Encoded(numbers, categories), labels), Inputs((tuple(edges.tolist()),) * NUM_NUMBERS, CARDINALITIES)


def _run(way: Way, rows: Labelled, inputs: Inputs, batch_size: int, epochs: int, device: torch.device) -> Stopwatch:
    with seeded(0):
        network = MLP(inputs)
        watch = Stopwatch(device)
        way(network, rows, batch_size, epochs, watch)
    return watch


def _ratio(rates: dict[str, list[float]], other: str) -> float:
    # Within a repeat, so that a machine that slows down in the middle slows both sides of the fraction.
    return median(mine / theirs for mine, theirs in zip(rates["ours"], rates[other], strict=True))


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device("cuda:0" if name == "cuda" else name)


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="under a minute on two cores")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"], help="auto takes a GPU if any")
    parser.add_argument("--rows", type=int, help=f"made rows, by default {FULL.num_rows:,}, quick {QUICK.num_rows:,}")
    return parser


if __name__ == "__main__":
    main()
