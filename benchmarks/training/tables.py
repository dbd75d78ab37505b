"""Made tables of any length, shaped like the flights, and what a process takes of memory."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from models.data.batches import Labelled, Rows
from models.features.encoder import Encoder
from models.networks.mlp import MLP
from models.training.fit import fit
from models.training.objectives import objective
from models.training.settings import FitSettings

MIB = 2**20
CARDINALITIES = (16, 3, 105, 7, 35, 6)  # of the flights: carrier, origin, destination, weekday, manufacturer, engine
NUMBERS = tuple(f"number_{place}" for place in range(15))
CATEGORIES = tuple(f"category_{place}" for place in range(len(CARDINALITIES)))
GROUP_ROWS = 65_536
START = 1_704_067_200_000_000  # microseconds: 2024-01-01


def write(path: Path, num_rows: int, num_numbers: int = len(NUMBERS), num_categories: int = len(CATEGORIES)) -> int:
    """Write a table in pieces and return its size in bytes.

    Its numbers are random and of full precision, so that compression takes little from them; its categories are text;
    its label follows some of both.
    """
    names, categories = NUMBERS[:num_numbers], CATEGORIES[:num_categories]
    cardinalities = CARDINALITIES[:num_categories]
    values = [pa.array([f"value {number}" for number in range(count)]) for count in cardinalities]
    schema = pa.schema(
        [("event_time", pa.timestamp("us", "UTC"))]
        + [(name, pa.float64()) for name in names]
        + [(name, pa.string()) for name in categories]
        + [("label", pa.float64())]
    )
    # Numbers that hardly repeat gain nothing from a dictionary: they would be in the file twice.
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=list(categories)) as writer:
        for place, start in enumerate(range(0, num_rows, GROUP_ROWS)):
            random, count = np.random.default_rng((1, place)), min(GROUP_ROWS, num_rows - start)
            numbers = random.standard_normal((num_numbers, count))
            codes = [random.integers(0, cardinality, count) for cardinality in cardinalities]
            chances = 1 / (1 + np.exp(-(numbers[:3].sum(axis=0) + 0.1 * (codes[0] - 8))))
            columns = [
                pa.array(START + 1_000_000 * np.arange(start, start + count), pa.timestamp("us", "UTC")),
                *map(pa.array, numbers),
                *(known.take(pa.array(code)) for known, code in zip(values, codes, strict=True)),
                pa.array((random.random(count) < chances).astype(float)),
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
    return path.stat().st_size


def in_a_process(
    module: str,
    arguments: Mapping[str, Any],
    environment: Mapping[str, str] | None = None,
    stack_kib: int | None = None,
) -> dict[str, Any]:
    """What a module that is run with arguments in JSON, and variables beside ours, prints as its last line.

    `stack_kib` is the size of the stack of each of its threads. The system's limit for the first thread is what glibc
    gives every other, and it is read when a program starts.
    """
    command = [sys.executable, "-m", module, json.dumps(arguments)]
    if stack_kib is not None:
        command = ["sh", "-c", f'ulimit -S -s {stack_kib} && exec "$@"', "sh", *command]
    variables = os.environ | dict(environment or {})
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=variables)
    if done.returncode:
        raise RuntimeError(f"{module} with {json.dumps(arguments)} failed:\n{done.stderr[-4_000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def one_pass(network: MLP, rows: Rows, batch_size: int) -> float:
    """Train on each row once, as a project does, and return the loss."""
    settings = FitSettings(epochs=1, batch_size=batch_size, accelerator="cpu")
    return fit(network, objective("binary"), rows, None, settings).history[0]["train_loss"]


def warm_up() -> None:
    """A training of a few rows: what is imported and started late is there from then on."""
    encoder = Encoder({}, {"category": ("a",)})
    rows = encoder.transform(pd.DataFrame({"category": ["a", "b"] * 8}))
    one_pass(MLP(encoder.inputs), Labelled(rows, torch.zeros(16)), 8)


class Memory:
    """Memory of this process over what it had when this was made, which is when all that it needs was imported."""

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
        self._resident, self._data = _status("VmRSS"), _status("VmData")

    def allow(self, num_bytes: int) -> None:
        """From now on an allocation that makes the process larger than that fails."""
        limit = self._data + num_bytes
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))

    @property
    def peak_mib(self) -> float:
        """The most that was resident at any time since, beyond the start."""
        return (_status("VmHWM") - self._resident) / MIB


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))
