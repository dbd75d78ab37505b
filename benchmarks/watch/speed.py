"""One whole look at many rows: seconds, and the memory that it takes beyond the rows themselves.

`python -m benchmarks.watch --only speed`. A process of its own draws 1,000,000 rows with 15 numbers and 5 categories
over 14 days, a reference of 20,000, and 30 training days to expect from; then it times one look with everything in it:
quality by day, drift of each column, joint drift, both estimates, realised performance, the watched series, and the
replay of logged inputs. The model that replays is a product of weights: what a network costs is its own affair. Labels
of all rows have come. A second look at the same rows, with what the first has kept, is timed too.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from models.data.contract import Columns
from models.data.predictions import SCORE
from models.monitoring.look import look
from models.monitoring.memo import StoredMemo
from models.monitoring.quality import Expectations, Limits
from models.monitoring.view import Champion, Seen, Settings, View
from models.registry.storage import Storage

NUMBERS = tuple(f"number_{place}" for place in range(15))
CATEGORIES = tuple(f"category_{place}" for place in range(5))
COLUMNS = Columns("id", "event_time", "label", NUMBERS, CATEGORIES)
START = datetime(2025, 1, 1, tzinfo=UTC)
TRAINING_DAYS, REFERENCE_DAYS, WINDOW_DAYS = 30, 14, 14
REFERENCE_ROWS, LOGGED_ROWS = 20_000, 2_000 * WINDOW_DAYS
GIB = 2**30
SETTINGS = Settings(limits=Limits(volume_ratio=30.0))  # the training days are a tenth as large, to save memory


@dataclass(frozen=True)
class Size:
    """Rows of the watched window."""

    rows: int


QUICK, FULL = Size(rows=200_000), Size(rows=1_000_000)


def run(size: Size, jobs: int) -> dict[str, Any]:
    """Time a look in a process of its own, so that its memory is its own."""
    command = [sys.executable, "-m", "benchmarks.watch.speed", str(size.rows)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    is_full = size.rows == FULL.rows
    return found | {
        "seconds_1e6": found["seconds"] if is_full else None,
        "peak_gib_1e6": found["peak_gib"] if is_full else None,
    }


def measure(num_rows: int) -> dict[str, Any]:
    """Seconds and memory of one look, and of a second one at the same rows."""
    a_day = num_rows // WINDOW_DAYS
    training = rows(0, TRAINING_DAYS, a_day // 10)
    first = START + timedelta(days=TRAINING_DAYS)
    expectations = Expectations.learn(training, COLUMNS, START, first)
    reference = rows(TRAINING_DAYS, REFERENCE_DAYS, REFERENCE_ROWS // REFERENCE_DAYS)
    watched = rows(TRAINING_DAYS + REFERENCE_DAYS, WINDOW_DAYS, a_day)
    until = START + timedelta(days=TRAINING_DAYS + REFERENCE_DAYS + WINDOW_DAYS)
    champion = Champion("champion", score, NUMBERS, CATEGORIES, expectations, _scored(reference))
    scored = _scored(watched)
    logged = scored.iloc[:: max(1, num_rows // LOGGED_ROWS)].drop(columns="label")
    seen = Seen(watched, scored, logged, until - timedelta(days=WINDOW_DAYS), START, until, until)
    before = _peak()
    with tempfile.TemporaryDirectory() as folder:
        seconds = []
        for _ in range(2):
            memo = StoredMemo(Storage(Path(folder)), "speed")
            begun = time.monotonic()
            found = look(View(champion, COLUMNS, seen, SETTINGS, memo))
            seconds.append(time.monotonic() - begun)
    assert found.evidence.realised is not None and found.evidence.estimates
    return {
        "rows": len(watched),
        "columns": len(NUMBERS) + len(CATEGORIES),
        "seconds": seconds[0],
        "seconds_again": seconds[1],
        "peak_gib": _peak() / GIB,
        "peak_gib_before": before / GIB,
        "broken": [check.sentence for check in found.evidence.quality if check.is_broken],
    }


def rows(first_day: int, num_days: int, a_day: int) -> pd.DataFrame:
    """Rows of some days: numbers of several shapes, categories of 3 to 50 values, and a label that follows some."""
    random, num_rows = np.random.default_rng(first_day), num_days * a_day
    seconds = np.sort(random.uniform(0, num_days * 86_400, num_rows))
    times = pd.Timestamp(START) + pd.Timedelta(days=first_day) + pd.to_timedelta(seconds, unit="s")
    columns: dict[str, Any] = {"id": np.arange(num_rows) + first_day * 10_000_000, "event_time": times}
    for place, name in enumerate(NUMBERS):
        shape = (random.normal, random.exponential, random.uniform)[place % 3]
        columns[name] = shape(size=num_rows).round(6)
    for place, name in enumerate(CATEGORIES):
        values = np.array([f"value {number}" for number in range((3, 5, 10, 20, 50)[place])], dtype=object)
        columns[name] = values[(random.beta(1, 3, num_rows) * len(values)).astype(int)]
    frame = pd.DataFrame(columns)
    return frame.assign(label=(random.uniform(size=num_rows) < score(frame)).astype(float))


def score(frame: pd.DataFrame) -> np.ndarray:
    """The chance of 1: logistic in five of the numbers."""
    total = frame[list(NUMBERS[:5])].to_numpy(dtype=float) @ np.array([1.0, -0.5, 0.3, 0.8, -0.7])
    return 1 / (1 + np.exp(1 - total))


def _scored(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(**{SCORE: score(frame)})


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))
