"""Rows per second of our training against a hand-written loop and against Lightning with a DataLoader.

All ways train the same network on the same made rows, shaped like the flights, with the same AdamW and precision, in
one process and in turns, so that a busy machine slows all of them. A rate is that of whole epochs after the first one;
what a call costs before its first epoch is reported apart, as start-up, and so is that of the first call, in which
libraries are loaded and code is compiled. Medians over the repeats; `vs_handwritten` and `vs_dataloader` are at batches
of 8,192.

With a GPU the hand-written loop is a CUDA graph of the whole step, replayed, since nothing else keeps the GPU busy with
a small network, and two more ways are measured: `compiled` (`compile: true`) and `copied` (rows that stay in the memory
of the CPU). `gpu` has the share of the device's throughput that our training uses at least: multiplications of the
layers against a large matrix product, and the bytes that must be read and written against a large copy, both measured
in the same run; at batches of 8,192 also the share of the time in which it ran anything and the energy of a million
rows, as the driver tells them, and the rate of rows that are read from a Parquet file.

Where other work keeps the cores busy, set OMP_NUM_THREADS=1: threads of torch that wait for one another by spinning
are many times slower there, for all ways alike.
"""

from __future__ import annotations

import logging
import math
import platform
import sys
import warnings
from dataclasses import dataclass
from statistics import median
from typing import Any

import lightning as L
import torch

from benchmarks.training.ways import Stopwatch, Way, made_rows, ways
from models.data.batches import Labelled
from models.networks.inputs import Encoded, TableInputs
from models.networks.mlp import MLP
from models.training.settings import seeded

BATCH_SIZE_OF_THE_CLAIM = 8_192
MOST_ROWS_IN_A_DATALOADER = 131_072  # beside a GPU: it is so slow that no more fit into the time


@dataclass(frozen=True)
class Size:
    """How much is measured: rows, batch sizes, repeats, and the seconds that one run should last."""

    num_rows: int
    batch_sizes: tuple[int, ...]
    num_repeats: int
    seconds: float


QUICK = Size(49_152, (1_024, 8_192), num_repeats=4, seconds=0.5)
FULL = Size(524_288, (1_024, 8_192, 65_536), num_repeats=7, seconds=2.0)
FULL_ON_A_GPU = Size(524_288, (1_024, 8_192, 65_536), num_repeats=3, seconds=0.5)


@dataclass(frozen=True)
class Rates:
    """Of one way at one batch size: rows a second and seconds before the first epoch, a repeat each, and the first."""

    rates: tuple[float, ...]
    startups: tuple[float, ...]
    first_startup: float


def run(size: Size, jobs: int) -> dict[str, Any]:
    """Measure on the GPU if there is one; how it goes is said on stderr."""
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    if device.type == "cuda" and size == FULL:
        size = FULL_ON_A_GPU
    rows, inputs = made_rows(size.num_rows)
    rows = rows.to(device)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"lightning\..*")
    names = tuple(ways(device))
    found = {batch_size: compare(rows, inputs, batch_size, size, device) for batch_size in size.batch_sizes}
    medians = {
        str(batch_size): {name: round(median(each.rates)) for name, each in by_way.items()}
        for batch_size, by_way in found.items()
    }
    return {
        "vs_handwritten": _ratio(found[BATCH_SIZE_OF_THE_CLAIM], "handwritten"),
        "vs_dataloader": _ratio(found[BATCH_SIZE_OF_THE_CLAIM], "dataloader"),
        "by_batch_size": {
            str(batch_size): {f"vs_{name}": _ratio(by_way, name) for name in names[1:]}
            for batch_size, by_way in found.items()
        },
        "rows_per_second": medians,
        "startup_seconds": {name: _startup([by_way[name] for by_way in found.values()]) for name in names},
        "first_startup_seconds": {name: max(each[name].first_startup for each in found.values()) for name in names},
        "num_rows": len(rows),
        "num_repeats": size.num_repeats,
        "device": _name(device),
        "torch": torch.__version__,
        "lightning": L.__version__,
        **({"gpu": _gpu(rows, inputs, medians, size, device)} if device.type == "cuda" else {}),
    }


def compare(rows: Labelled, inputs: TableInputs, batch_size: int, size: Size, device: torch.device) -> dict[str, Rates]:
    """Run the ways in turns; a first run of each warms up, and says how many epochs last long enough."""
    few = _first(rows, MOST_ROWS_IN_A_DATALOADER) if device.type == "cuda" else rows
    given = {name: few if name == "dataloader" else rows for name in ways(device)}
    first = {name: _run(way, given[name], inputs, batch_size, 2, device) for name, way in ways(device).items()}
    epochs = {name: 1 + math.ceil(size.seconds / watch.epoch_seconds) for name, watch in first.items()}
    watches: dict[str, list[Stopwatch]] = {name: [] for name in epochs}
    for repeat in range(size.num_repeats):
        for name, way in ways(device).items():
            watches[name].append(_run(way, given[name], inputs, batch_size, epochs[name], device))
        rates = {name: len(given[name]) / each[-1].epoch_seconds / 1000 for name, each in watches.items()}
        said = ", ".join(f"{name} {rate:,.0f}k" for name, rate in rates.items())
        print(f"batch {batch_size:,}, {repeat + 1} of {size.num_repeats}: {said} rows/s", file=sys.stderr, flush=True)
    return {
        name: Rates(
            tuple(len(given[name]) / watch.epoch_seconds for watch in each),
            tuple(watch.startup_seconds for watch in each),
            first[name].startup_seconds,
        )
        for name, each in watches.items()
    }


def _run(
    way: Way, rows: Labelled, inputs: TableInputs, batch_size: int, epochs: int, device: torch.device
) -> Stopwatch:
    with seeded(0):
        network = MLP(inputs)
        watch = Stopwatch(device)
        way(network, rows, batch_size, epochs, watch)
    return watch


def _first(rows: Labelled, number: int) -> Labelled:
    return Labelled(Encoded(tuple(tensor[:number] for tensor in rows.encoded.tensors)), rows.targets[:number])


def _ratio(found: dict[str, Rates], other: str) -> float:
    # Within a repeat, so that a machine that slows down in the middle slows both sides of the fraction.
    pairs = zip(found["ours"].rates, found[other].rates, strict=True)
    return median(mine / theirs for mine, theirs in pairs)


def _startup(found: list[Rates]) -> float:
    return median(seconds for each in found for seconds in each.startups)


def _gpu(
    rows: Labelled, inputs: TableInputs, medians: dict[str, dict[str, int]], size: Size, device: torch.device
) -> dict[str, Any]:
    from benchmarks.training.gpu import drawn, shares, streamed  # reads files with more libraries than a rate needs

    by_batch_size = {each: shares(inputs, int(each), rates["ours"], device) for each, rates in medians.items()}
    rate = streamed(size.num_rows, BATCH_SIZE_OF_THE_CLAIM, device)
    used = drawn(rows, inputs, BATCH_SIZE_OF_THE_CLAIM, device)
    return {**used, "shares": by_batch_size, "streamed_rows_per_second": round(rate)}


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads"
