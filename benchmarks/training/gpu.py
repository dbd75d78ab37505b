"""How busy a GPU is while it trains, and how fast rows come to it from a file."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.training.tables import CATEGORIES, MIB, NUMBERS, write
from benchmarks.training.ways import Stopwatch, made_rows
from models.data.batches import Labelled
from models.data.learning import fit_in_pieces
from models.data.streaming import Streamed
from models.data.table import Table
from models.networks.inputs import TableInputs
from models.networks.mlp import MLP
from models.training.fit import fit
from models.training.objectives import objective
from models.training.settings import FitSettings, seeded

STREAM_MIB = 256
EPOCHS_OF_A_DRAW = 100


def shares(inputs: TableInputs, batch_size: int, rows_per_second: float, device: torch.device) -> dict[str, float]:
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


def drawn(rows: Labelled, inputs: TableInputs, batch_size: int, device: torch.device) -> dict[str, float]:
    """Energy that a million rows took by the driver's counter, and the share of the time in which a kernel ran."""
    import pynvml  # the driver's own library

    pynvml.nvmlInit()
    handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
    busy: list[float] = []

    def look(numbers: dict[str, float]) -> None:
        if numbers["epoch"] > EPOCHS_OF_A_DRAW / 2:  # the driver looks back over up to a second
            busy.append(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100)

    settings = FitSettings(EPOCHS_OF_A_DRAW, batch_size, accelerator="gpu")
    with seeded(0):
        network = MLP(inputs)
        before = pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)
        fit(network, objective("binary"), rows, None, settings, on_epoch=look)
        joules = (pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) - before) / 1e3
    return {"joules_a_million_rows": joules / (EPOCHS_OF_A_DRAW * len(rows) / 1e6), "busy": median(busy)}


def streamed(num_rows: int, batch_size: int, device: torch.device) -> float:
    """Rows a second of an epoch that is read from a Parquet file, decoded and encoded while the GPU trains."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.parquet"
        write(path, num_rows)
        table = Table(path, "label")
        encoder, target = fit_in_pieces(table, NUMBERS, CATEGORIES, "binary", memory=STREAM_MIB * MIB)
        with seeded(0):
            network = MLP(encoder.inputs)
        watch, settings = Stopwatch(device), FitSettings(2, batch_size, accelerator="gpu")
        rows = Streamed(table, encoder, target, STREAM_MIB * MIB)
        fit(network, objective("binary"), rows, None, settings, on_epoch=lambda numbers: watch.mark())
    return num_rows / watch.epoch_seconds
