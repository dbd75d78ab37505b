"""The domain classifier against NannyML's: seconds, and how often each sees a change of the inputs.

Chunks of 16 numbers are drawn around one reference. In some nothing changes; in others two columns become correlated,
or the sign of one follows another (XOR), which no margin shows, or one margin shifts. Every method's alarm is set where
one quiet chunk in ten raises it, so that detection is compared at the same rate of false alarms. NannyML's error of
reconstruction after PCA is there as the cheap alternative. Then all are timed on a larger table.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.work import generator, spread_out
from models.monitoring.estimation.domain import fit_domain
from models.monitoring.nannyml_boundary import nannyml

NUM_COLUMNS = 16
COLUMNS = tuple(f"number_{place}" for place in range(NUM_COLUMNS))
FALSE_ALARMS = 0.1
METHODS = ("ours", "nannyml", "pca")
THEIR_PARAMETERS = {
    "verbose": -1,
    "random_state": 0,
    "deterministic": True,
    "force_row_wise": True,
    "n_jobs": 1,
}


@dataclass(frozen=True)
class Change:
    """What is different in a chunk: nothing, a correlation, signs that agree, or a shifted mean, and how much of it."""

    kind: str
    size: float


QUIET = Change("none", 0.0)
CHANGES = (
    *(Change("correlation", size) for size in (0.15, 0.25, 0.4)),
    *(Change("xor", size) for size in (0.15, 0.3, 0.5)),
    *(Change("shift", size) for size in (0.05, 0.1, 0.2)),
)


@dataclass(frozen=True)
class Size:
    """Rows of the reference and of a chunk, chunks a change, and rows of each side where only time is taken."""

    reference_rows: int
    chunk_rows: int
    num_quiet: int
    num_changed: int
    timed_rows: int
    changes: tuple[Change, ...] = CHANGES


QUICK = Size(8_000, 4_000, 12, 2, 50_000, (CHANGES[1], CHANGES[4], CHANGES[7]))
FULL = Size(40_000, 20_000, 60, 20, 200_000)  # the classifier of ours looks at half of this reference


@dataclass(frozen=True)
class Piece:
    """One chunk, and the reference that it is compared with."""

    size: Size
    change: Change
    number: int


@dataclass(frozen=True)
class Seen:
    """What each method found in a chunk, and in how many seconds."""

    change: Change
    statistics: dict[str, float]
    seconds: dict[str, float]
    p_value: float


def run(size: Size, jobs: int) -> dict[str, Any]:
    """Speed, detection by change and size, and the level of our own p on quiet chunks."""
    counts = {QUIET: size.num_quiet, **dict.fromkeys(size.changes, size.num_changed)}
    pieces = [Piece(size, change, number) for change, count in counts.items() for number in range(count)]
    found = spread_out(look, pieces, jobs, "multivariate")
    quiet = [seen for seen in found if seen.change == QUIET]
    limits = {name: _limit([seen.statistics[name] for seen in quiet]) for name in METHODS}
    timed = _timed(size)
    cells = [_cell(change, [seen for seen in found if seen.change == change], limits) for change in size.changes]
    return {
        "multivariate_speedup": timed["nannyml"] / timed["ours"],
        "speedup_on_chunks": _mean_seconds(found, "nannyml") / _mean_seconds(found, "ours"),
        "seconds_on_chunks": {name: _mean_seconds(found, name) for name in METHODS},
        "timed_rows_a_side": size.timed_rows,
        "seconds_on_timed_rows": timed,
        "false_alarms_of_p_05": float(np.mean([seen.p_value <= 0.05 for seen in quiet])),
        "num_quiet": len(quiet),
        "detection": cells,
        "mean_detection": {name: float(np.mean([cell[name] for cell in cells])) for name in METHODS},
    }


def look(piece: Piece) -> Seen:
    """One chunk by every method; the reference is another in each, so that its own chance counts too."""
    draws = generator("multivariate", piece.change, piece.number)
    reference = world(draws, piece.size.reference_rows, QUIET)
    chunk = world(draws, piece.size.chunk_rows, piece.change)
    domain, own_seconds = _clocked(lambda: fit_domain(reference, chunk, COLUMNS, (), jobs=1, seed=piece.number))
    theirs, their_seconds = _clocked(lambda: by_nannyml(reference, chunk))
    pca, pca_seconds = _clocked(lambda: by_pca(reference, chunk))
    return Seen(
        piece.change,
        {"ours": domain.auc, "nannyml": theirs, "pca": pca},
        {"ours": own_seconds, "nannyml": their_seconds, "pca": pca_seconds},
        domain.p_value,
    )


def world(draws: np.random.Generator, num_rows: int, change: Change) -> pd.DataFrame:
    """Independent standard normal columns, but for the change."""
    rows = draws.normal(size=(num_rows, NUM_COLUMNS))
    if change.kind == "correlation":
        rows[:, 1] = change.size * rows[:, 0] + np.sqrt(1 - change.size**2) * rows[:, 1]
    elif change.kind == "xor":
        agree = draws.random(num_rows) < change.size
        rows[agree, 3] = np.abs(rows[agree, 3]) * np.sign(rows[agree, 2])
    elif change.kind == "shift":
        rows[:, 4] += change.size
    return pd.DataFrame(rows, columns=list(COLUMNS))


def by_nannyml(reference: pd.DataFrame, chunk: pd.DataFrame) -> float:
    """AUC of NannyML's domain classifier: LightGBM, five folds."""
    calculator = nannyml().DomainClassifierCalculator(
        feature_column_names=list(COLUMNS), chunk_number=1, hyperparameters=THEIR_PARAMETERS
    )
    return _values(calculator, reference, chunk, "domain_classifier_auroc")[-1]


def by_pca(reference: pd.DataFrame, chunk: pd.DataFrame) -> float:
    """How far the reconstruction error of NannyML's PCA is from that of the reference, in either direction."""
    calculator = nannyml().DataReconstructionDriftCalculator(column_names=list(COLUMNS), chunk_number=1)
    before, now = _values(calculator, reference, chunk, "reconstruction_error")
    return abs(now - before)


def _values(calculator: Any, reference: pd.DataFrame, chunk: pd.DataFrame, name: str) -> list[float]:
    """The statistic of the reference and that of the chunk."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it advises on more chunks than one, whose thresholds are not used here
        calculator.fit(reference)
        result = calculator.calculate(chunk).to_df()
    return [float(value) for value in result[name, "value"]]


def _clocked(action: Callable[[], Any]) -> tuple[Any, float]:
    begun = time.perf_counter()
    return action(), time.perf_counter() - begun


def _limit(quiet: list[float]) -> float:
    """The value that one quiet chunk in ten exceeds."""
    return float(np.quantile(quiet, 1 - FALSE_ALARMS))


def _cell(change: Change, found: list[Seen], limits: dict[str, float]) -> dict[str, Any]:
    detected = {name: float(np.mean([seen.statistics[name] > limits[name] for seen in found])) for name in METHODS}
    return {"change": change.kind, "size": change.size, "num_chunks": len(found), **detected}


def _mean_seconds(found: list[Seen], name: str) -> float:
    return float(np.mean([seen.seconds[name] for seen in found]))


def _timed(size: Size) -> dict[str, float]:
    """Seconds of one look at a large table, by each method on one thread."""
    draws = generator("multivariate", "timed")
    reference, chunk = (world(draws, size.timed_rows, QUIET) for _ in range(2))
    actions = {
        "ours": lambda: fit_domain(reference, chunk, COLUMNS, (), jobs=1),
        "nannyml": lambda: by_nannyml(reference, chunk),
        "pca": lambda: by_pca(reference, chunk),
    }
    return {name: _clocked(action)[1] for name, action in actions.items()}
