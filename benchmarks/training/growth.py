"""Seconds and memory of a training from 1e5 to 1e7 rows: both grow with the rows and no faster.

Each size is measured in a process of its own, from a Parquet file to a network that has been trained for one pass over
all rows in batches of 8,192: in memory (read, fit the encoder, encode, train) and streamed (fit the encoder in pieces,
train), with 64 MiB allowed to the stream. The table is narrower than that of the other parts, 5 numbers and 2
categories, and so is the network, 64 units, so that ten million rows take a minute. What importing takes is left
out.

`growth` compares the largest size with the smallest: seconds and memory beyond the start, as a multiple. As many times
more rows is linear; less means that a part of the cost is the same at any size.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from benchmarks.training.tables import CATEGORIES, MIB, NUMBERS, Memory, in_a_process, one_pass, warm_up, write
from models.data.batches import Rows
from models.data.learning import fit_in_pieces
from models.data.streaming import Streamed
from models.data.table import Table
from models.features.encoder import Encoder
from models.features.target import Target
from models.model import Model
from models.networks.mlp import MLP
from models.training.settings import seeded

NUM_NUMBERS, NUM_CATEGORIES, WIDTH, BATCH_SIZE = 5, 2, 64, 8_192
STREAM_MIB = 64
WAYS = ("memory", "stream")


@dataclass(frozen=True)
class Size:
    """Numbers of rows, from few to many."""

    rows: tuple[int, ...]


QUICK, FULL = Size((30_000, 300_000)), Size((100_000, 1_000_000, 10_000_000))


def run(size: Size, jobs: int) -> dict[str, Any]:
    """Measure each size both ways, and compare the largest with the smallest."""
    table: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for num_rows in size.rows:
            path = Path(folder) / f"{num_rows}.parquet"
            write(path, num_rows, NUM_NUMBERS, NUM_CATEGORIES)
            for way in WAYS:
                found = in_a_process("benchmarks.training.growth", {"way": way, "path": str(path)})
                table.append({"rows": num_rows, "way": way} | found)
                said = f"{num_rows:,} rows, {way}: {found['seconds']:.1f} s, {found['peak_mib']:.0f} MiB"
                print(f"growth: {said}", file=sys.stderr, flush=True)
            path.unlink()
    return {
        "growth": {"rows": size.rows[-1] / size.rows[0]} | {way: _growth(table, way) for way in WAYS},
        "numbers": NUM_NUMBERS,
        "categories": NUM_CATEGORIES,
        "batch_size": BATCH_SIZE,
        "stream_mib": STREAM_MIB,
        "table": table,
    }


def measure(way: str, path: Path) -> dict[str, Any]:
    """Seconds and memory of one training."""
    warm_up()
    memory, begun = Memory(), time.monotonic()
    numbers, categories = NUMBERS[:NUM_NUMBERS], CATEGORIES[:NUM_CATEGORIES]
    rows: Rows
    if way == "memory":
        frame = pd.read_parquet(path)
        encoder = Encoder.fit(frame, numbers, categories)
    else:
        table = Table(path, "label")
        encoder, target = fit_in_pieces(table, numbers, categories, "binary", memory=STREAM_MIB * MIB)
    with seeded(0):
        network = MLP(encoder.inputs, width=WIDTH)
    if way == "memory":
        rows = Model(encoder, network, Target()).label(frame, frame["label"])
        del frame
    else:
        rows = Streamed(table, encoder, target, STREAM_MIB * MIB)
    encoded = time.monotonic()
    loss = one_pass(network, rows, BATCH_SIZE)
    ended = time.monotonic()
    return {
        "seconds": ended - begun,
        "seconds_before_training": encoded - begun,
        "peak_mib": memory.peak_mib,
        "loss": loss,
        "threads": torch.get_num_threads(),
    }


def _growth(table: list[dict[str, Any]], way: str) -> dict[str, float]:
    found = [row for row in table if row["way"] == way]
    return {
        "seconds_ratio": found[-1]["seconds"] / found[0]["seconds"],
        "memory_ratio": found[-1]["peak_mib"] / found[0]["peak_mib"],
    }


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    print(json.dumps(measure(given["way"], Path(given["path"]))))
