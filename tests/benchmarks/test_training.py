"""The training benchmark: its parts that need no streams run by themselves, and end with one line of JSON."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.training import rates, resume
from benchmarks.training.__main__ import TRAINING
from benchmarks.training.ways import CARDINALITIES, NUM_NUMBERS, Stopwatch, made_rows

ROOT = Path(__file__).parents[2]


def test_every_part_has_a_module_with_a_quick_and_a_full_size() -> None:
    for part in ("rates", "resume"):
        assert part in TRAINING.parts
    for module in (rates, resume):
        assert type(module.QUICK) is type(module.FULL)


@pytest.mark.slow
def test_rates_are_measured_for_each_way_and_batch_size() -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        result = rates.run(rates.Size(2_000, (256, 8_192), num_repeats=1, seconds=0.02), jobs=1)
    finally:
        torch.set_num_threads(threads)
    assert set(result["rows_per_second"]) == {"256", "8192"}
    for found in result["rows_per_second"].values():
        assert set(found) == {"ours", "handwritten", "dataloader"}
        assert all(rate > 0 for rate in found.values())
    assert result["vs_handwritten"] > 0
    assert result["vs_dataloader"] > 0
    assert all(seconds >= 0 for seconds in result["startup_seconds"].values())


@pytest.mark.slow
def test_a_part_alone_ends_with_one_line_of_json() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.training", "--quick", "--only", "resume"],
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
    assert result["resume_identical"] == result["resume"]["kills"] == 20


def test_a_kill_is_one_by_the_signal(tmp_path: Path) -> None:
    assert resume._process(resume.CASES[0], tmp_path, 3) == -signal.SIGKILL
    assert not (tmp_path / "result").exists()


def test_made_rows_are_shaped_like_the_flights_and_can_be_learned_from() -> None:
    rows, inputs = made_rows(2_000)
    assert rows.encoded.tensors[0].shape == (2_000, NUM_NUMBERS) == (2_000, 15)
    assert rows.encoded.tensors[1].shape == (2_000, 6)
    assert inputs.cardinalities == CARDINALITIES
    assert (rows.encoded.tensors[1] < torch.tensor(CARDINALITIES)).all()
    late = rows.targets == 1
    assert rows.encoded.tensors[0][late, 0].mean() > rows.encoded.tensors[0][~late, 0].mean() + 0.3


def test_a_stopwatch_tells_the_epochs_from_the_start_up() -> None:
    watch = Stopwatch(torch.device("cpu"), started=10.0, ends=[13.0, 14.0, 15.0])
    assert watch.epoch_seconds == 1
    assert watch.startup_seconds == 2
