"""The training benchmark runs by itself and ends with one line of JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.training import CARDINALITIES, NUM_NUMBERS, Stopwatch, made_rows

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_tiny_run_ends_with_one_line_of_json() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.training", "--quick", "--rows", "2000", "--device", "cpu"],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    (line,) = done.stdout.splitlines()
    result = json.loads(line)
    assert result["benchmark"] == "training"
    assert result["quick"] is True
    assert result["num_rows"] == 2_000
    assert set(result["rows_per_second"]) == {"1024", "8192"}
    for rates in result["rows_per_second"].values():
        assert set(rates) == {"ours", "handwritten", "dataloader"}
        assert all(rate > 0 for rate in rates.values())
    assert result["vs_handwritten"] > 0
    assert result["vs_dataloader"] > 0
    assert all(seconds >= 0 for seconds in result["startup_seconds"].values())
    assert {"device", "torch", "lightning", "cpu_count"} <= set(result)
    assert "batch 8,192, " in done.stderr


def test_made_rows_are_shaped_like_the_flights_and_can_be_learned_from() -> None:
    rows, inputs = made_rows(2_000)
    assert rows.encoded.numbers.shape == (2_000, NUM_NUMBERS) == (2_000, 15)
    assert rows.encoded.categories.shape == (2_000, 6)
    assert inputs.cardinalities == CARDINALITIES
    assert (rows.encoded.categories < torch.tensor(CARDINALITIES)).all()
    late = rows.labels == 1
    assert rows.encoded.numbers[late, 0].mean() > rows.encoded.numbers[~late, 0].mean() + 0.3


def test_a_stopwatch_tells_the_epochs_from_the_start_up() -> None:
    watch = Stopwatch(torch.device("cpu"), started=10.0, ends=[13.0, 14.0, 15.0])
    assert watch.epoch_seconds == 1
    assert watch.startup_seconds == 2
