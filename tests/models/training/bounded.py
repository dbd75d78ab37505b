"""From a source to a trained model in a process that may grow by so much memory: run by `test_bounded`."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.training.tables import MIB, Memory, warm_up
from models.data.contract import Columns
from models.data.parts import slices
from models.data.snapshots import Snapshots
from models.data.table import Table
from models.data.windows import Windows
from models.monitoring.quality.in_pieces import learn_in_pieces
from models.networks.mlp import MLP
from models.registry.storage import Storage
from models.training import recipes
from models.training.histories import history
from models.training.known import Filed, Held
from models.training.settings import FitSettings

START = datetime(2024, 1, 1, tzinfo=UTC)
WINDOWS = Windows(*(START + timedelta(days=days) for days in (0, 180, 190, 190, 200)))
NUMBERS, CATEGORIES = tuple(f"number {place}" for place in range(10)), ("place",)
COLUMNS = Columns("id", "time", "label", NUMBERS, CATEGORIES)


def source(rows_a_day: int, start: datetime, end: datetime) -> pd.DataFrame:
    """Rows of some days, made anew at each call."""
    first, last = (round((moment - START) / timedelta(days=1) * rows_a_day) for moment in (start, end))
    random, places = np.random.default_rng(first), np.arange(first, last)
    numbers = random.normal(size=(len(NUMBERS), len(places)))
    times = pd.Timestamp(START) + pd.to_timedelta(places * (86_400e9 / rows_a_day), unit="ns").ceil("us")
    return pd.DataFrame(
        {"id": places, "time": times}
        | dict(zip(NUMBERS, numbers, strict=True))
        | {"place": random.choice(np.array(["here", "there"], dtype=object), len(places))}
        | {"label": (numbers[0] > 0).astype(float)}
    )


def run(folder: Path, way: str, rows_a_day: int, allowed_mib: int, memory_mib: int) -> dict[str, float]:
    """Gather, freeze, learn and train, held or streamed."""
    warm_up()
    learn_in_pieces(partial(source, 100), 2_000, COLUMNS, START, START + timedelta(days=20), MIB)  # and scipy
    read, memory = partial(source, rows_a_day), Memory()
    memory.allow(allowed_mib * MIB)
    kept = Snapshots(Storage(folder), "project")
    known: Held | Filed
    if way == "held":
        frame = read(WINDOWS.train_start, WINDOWS.holdout_end)
        snapshot = kept.freeze(frame, WINDOWS, COLUMNS, None)
        known = Held(frame, "time", "label")
    else:
        with kept.gathering(COLUMNS, memory_mib * MIB) as parts:
            for rows in slices(read, WINDOWS.train_start, WINDOWS.holdout_end, memory_mib * MIB):
                parts.add(rows)
            snapshot = kept.freeze_parts(parts, WINDOWS, None)
            learn_in_pieces(
                parts.between, len(parts), COLUMNS, WINDOWS.train_start, WINDOWS.train_end, memory_mib * MIB
            )
        known = Filed(Table(kept.file(snapshot.id), "label", "time", START, WINDOWS.train_end), memory_mib * MIB)
    trained = recipes.cook(
        recipes.recipe("scratch", epochs=1),
        partial(MLP, width=8),
        None,
        known.material(history("fading", half_life_days=90), None, WINDOWS.validation_start),
        known.after(WINDOWS.validation_start),
        recipes.Columns("label", NUMBERS, CATEGORIES),
        FitSettings(epochs=1, batch_size=256, accelerator="cpu"),
    )
    loss = trained.history[-1]["validation_loss"]
    return {"rows": snapshot.num_rows, "trained_on": trained.num_rows, "loss": loss, "peak_mib": memory.peak_mib}


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    print(json.dumps(run(Path(given.pop("folder")), **given)))
