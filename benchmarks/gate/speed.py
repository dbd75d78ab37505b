"""What a large gate costs: a million rows, six metrics, 20 slices, days as groups; and the bootstrap it replaces.

Six metrics are compared on all rows and in each slice: by the values of columns with 10, 6 and 4 of them, so that each
row lies in three slices. `seconds_1e6` is the median of three runs. It is set against `scipy.stats.bootstrap` with 999
paired resamples of the difference of AUC alone, on the same rows in the same run, with an AUC that costs one sort.

Memory is the peak of a fresh process beyond the inputs that it has loaded, and growth the time at ten times more and
ten times fewer rows. A quick run has 100,000 rows, 99 resamples and no larger size; its headline numbers are those of
that run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
from scipy import special, stats

from benchmarks.work import generator
from models.evaluation.comparison import Comparison, Paired, compare
from models.evaluation.groups import by_key
from models.evaluation.metrics.catalogue import ACCURACY, AUC, AVERAGE_PRECISION, BRIER, F1, LOG_LOSS
from models.evaluation.metrics.metric import Metric
from models.evaluation.slices import Slice, by_value

METRICS = (LOG_LOSS, BRIER, AUC, AVERAGE_PRECISION, ACCURACY, F1)
VALUES = {"region": 10, "product": 6, "channel": 4}
NUM_DAYS = 100
NUM_THREADS = 2
LEVEL = 0.05
FEWEST_ROWS = 1_000  # of a slice
MIB = 1024 * 1024


@dataclass(frozen=True)
class Size:
    """Rows of the headline, sizes of the growth, resamples of the bootstrap, and repeats."""

    num_rows: int
    growth: tuple[int, ...]
    num_resamples: int
    num_repeats: int = 3


QUICK = Size(100_000, (10_000, 100_000), 99)
FULL = Size(1_000_000, (100_000, 1_000_000, 10_000_000), 999)


@dataclass(frozen=True)
class Inputs:
    """What the gate is given: labels, two scores, days, and the columns that slices are cut by."""

    labels: np.ndarray
    champion: np.ndarray
    challenger: np.ndarray
    days: np.ndarray
    columns: dict[str, np.ndarray]


def run(size: Size, jobs: int) -> dict[str, Any]:
    """Everything measured, and the three headline numbers."""
    inputs = made(size.num_rows)
    say("speed: the gate")
    threaded = [_timed(lambda: everything(inputs, NUM_THREADS)) for _ in range(size.num_repeats)]
    alone = _timed(lambda: everything(inputs, 1))
    say(f"speed: {median(threaded):.2f} s; growth and memory")
    memory = {str(num_rows): extra_gib(num_rows) for num_rows in dict.fromkeys((size.num_rows, size.growth[-1]))}
    growth = {num_rows: _timed_at(num_rows) for num_rows in size.growth if num_rows != size.num_rows}
    growth[size.num_rows] = median(threaded)
    say(f"speed: the bootstrap, {size.num_resamples} resamples")
    bootstrap = _timed(lambda: bootstrap_of_auc(inputs, size.num_resamples))
    first, last = size.growth[0], size.growth[-1]
    return {
        "speedup_vs_bootstrap": bootstrap / median(threaded),
        "seconds_1e6": median(threaded),
        "extra_gib_1e6": memory[str(size.num_rows)],
        "num_rows": size.num_rows,
        "num_metrics": len(METRICS),
        "num_slices": sum(VALUES.values()),
        "num_threads": NUM_THREADS,
        "seconds_of_repeats": threaded,
        "seconds_one_thread": alone,
        "num_resamples": size.num_resamples,
        "seconds_bootstrap_auc": bootstrap,
        "speedup_one_thread": bootstrap / alone,
        "extra_gib": memory,
        "seconds_by_rows": {str(num_rows): growth[num_rows] for num_rows in size.growth},
        f"growth_{first:.0e}_to_{last:.0e}".replace("e+0", "e"): growth[last] / growth[first],
        "n_log_n_growth": last * np.log(last) / (first * np.log(first)),
    }


def made(num_rows: int) -> Inputs:
    """Rows in time order, whose two models see the true log-odds through noise."""
    random = generator("speed", num_rows)
    odds = 1.5 * random.standard_normal(num_rows) - 1.2
    labels = (random.random(num_rows) < special.expit(odds)).astype(float)
    noise = 0.4 * random.standard_normal(num_rows)
    scores = [special.expit(odds + noise + spread * random.standard_normal(num_rows)) for spread in (0.4, 0.35)]
    columns = {name: random.integers(count, size=num_rows) for name, count in VALUES.items()}
    return Inputs(labels, scores[0], scores[1], np.arange(num_rows) * NUM_DAYS // num_rows, columns)


def everything(inputs: Inputs, num_threads: int) -> list[Comparison]:
    """Six metrics on all rows and in each slice, each with its test."""
    paired = Paired(inputs.labels, inputs.champion, inputs.challenger, by_key(inputs.days, "days"))
    slices = [each for name, values in inputs.columns.items() for each in _slices(name, values)]
    with ThreadPoolExecutor(num_threads) as pool:  # numpy lets go of the interpreter while it sorts and adds
        whole = pool.map(lambda metric: _tested(metric, paired), METRICS)
        parts = pool.map(lambda each: _in_slice(paired, each), slices)
        return [*whole, *(comparison for part in parts for comparison in part)]


def _slices(name: str, values: np.ndarray) -> list[Slice]:
    column = pd.Series(values)
    return by_value(name, column, column, FEWEST_ROWS)


def _in_slice(paired: Paired, each: Slice) -> list[Comparison]:
    part = paired.take(each.rows)
    return [_tested(metric, part) for metric in METRICS]


def _tested(metric: Metric, paired: Paired) -> Comparison:
    comparison = compare(metric, paired)
    comparison.spread.p_above(0.0)
    comparison.spread.interval(1 - 2 * LEVEL)
    return comparison


def bootstrap_of_auc(inputs: Inputs, num_resamples: int) -> tuple[float, float]:
    """The interval of the difference of AUC that scipy finds by resampling rows: what is done without influence."""
    positions = np.arange(len(inputs.labels))

    def difference(rows: np.ndarray) -> float:
        labels = inputs.labels[rows] == 1
        return auc_by_ranks(labels, inputs.challenger[rows]) - auc_by_ranks(labels, inputs.champion[rows])

    found = stats.bootstrap(
        (positions,), difference, n_resamples=num_resamples, batch=1, vectorized=False, method="percentile", rng=0
    ).confidence_interval
    return float(found.low), float(found.high)


def auc_by_ranks(is_positive: np.ndarray, scores: np.ndarray) -> float:
    """AUC from the sum of the positives' ranks, by one sort; ties in resampled scores share their mean rank.

    Negatives below a positive are counted from the sorted rows; of rows with the same score, which a resample is full
    of, half the negatives count.
    """
    order = scores.argsort()
    ordered, positives = scores[order], is_positive[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    in_group = np.add.reduceat(positives, starts, dtype=np.int64)
    sizes = np.diff(np.append(starts, len(ordered)))
    negatives = sizes - in_group
    below = np.cumsum(negatives) - negatives / 2
    num_positives = in_group.sum()
    return float(in_group @ below / num_positives / (len(ordered) - num_positives))


def extra_gib(num_rows: int) -> float:
    """Peak resident memory of a fresh process beyond its inputs, in GiB."""
    with tempfile.TemporaryDirectory() as folder:
        inputs = made(num_rows)
        fields = {"labels": inputs.labels, "champion": inputs.champion, "challenger": inputs.challenger}
        for name, values in (fields | {"days": inputs.days} | inputs.columns).items():
            np.save(Path(folder) / f"{name}.npy", values)
        del inputs, fields
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.gate.speed", folder],
            cwd=Path(__file__).parents[2],
            env=os.environ,
            capture_output=True,
            text=True,
            check=True,
        )
    return float(json.loads(done.stdout)["extra_gib"])


def _measure_memory(folder: Path) -> float:
    """The same, in this process: the peak after the work, less what is resident before it."""
    arrays = {path.stem: np.load(path) for path in folder.glob("*.npy")}
    columns = {name: arrays[name] for name in VALUES}
    inputs = Inputs(arrays["labels"], arrays["champion"], arrays["challenger"], arrays["days"], columns)
    before = _resident_kib("VmRSS")
    everything(inputs, NUM_THREADS)
    return max(0, _resident_kib("VmHWM") - before) / MIB


def _resident_kib(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def _timed_at(num_rows: int) -> float:
    inputs = made(num_rows)
    repeats = 3 if num_rows <= FULL.num_rows else 1
    return median(_timed(lambda: everything(inputs, NUM_THREADS)) for _ in range(repeats))


def _timed(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def say(line: str) -> None:
    """How it goes, on stderr."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    print(json.dumps({"extra_gib": _measure_memory(Path(sys.argv[1]))}))
