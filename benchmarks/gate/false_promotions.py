"""How often the gate promotes what is no better: champion and challenger are exchangeable, so every true gain is 0.

Each cell is a metric as the primary one x how rows depend on one another x the share of positives x the number of
rows. The data of a cell are drawn once and judged by every metric. A rate is over the decisions that the minima did
not refuse; a cell of which more than half were refused has none. One Monte Carlo error stands with each rate.

Four classes and quantities are tried with one generator each, up to 2,000 rows.

Reported beside it: how often a comparison of point estimates would promote, and what the test of log loss does on
dependent rows that it takes for independent ones, or that it groups by the ladder because it has no key. `curse` is the
other table of this part.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.gate import curse
from benchmarks.gate.verdicts import binary_metrics, multiclass_metrics, regression_metrics, superiority_of
from benchmarks.gate.worlds import Dependence, Unit, World
from benchmarks.work import cut, error_of, generator, share, spread_out
from models.evaluation.comparison import Paired
from models.evaluation.metrics.metric import Metric, Task

GROUPED: tuple[tuple[Dependence, Unit], ...] = (
    ("independent", "rows"),
    ("independent", "ladder"),
    ("autocorrelated", "days"),
    ("clustered", "clusters"),
)
OTHER_TASKS: tuple[Task, ...] = ("multiclass", "regression")
MOST_ROWS_OF_OTHER_TASKS = 2_000  # beyond, they cost more than they tell
MOST_REFUSED = 0.5  # a cell of which more was refused has no rate
BESIDE: dict[str, Unit] = {"log_loss, rows taken for independent": "rows", "log_loss, ladder": "ladder"}


@dataclass(frozen=True)
class Size:
    """How much is simulated: decisions a cell, and which cells."""

    num_decisions: int
    num_rows: tuple[int, ...]
    prevalences: tuple[float, ...]
    dependences: tuple[tuple[Dependence, Unit], ...] = GROUPED
    has_other_tasks: bool = True


QUICK = Size(1_000, (500, 2_000), (0.3,), has_other_tasks=False)
FULL = Size(5_000, (500, 2_000, 10_000), (0.3, 0.03))


@dataclass(frozen=True)
class Piece:
    """Some decisions of one world."""

    world: World
    number: int
    count: int


def run(size: Size, jobs: int) -> dict[str, Any]:
    """The two tables, and the headline numbers."""
    equal = equal_challengers(size, jobs)
    rates = [cell["rate"] for cell in equal["cells"] if cell["counts"]]
    return {
        "false_promotion_max": max(rates, default=None),
        "false_promotion_mean": sum(rates) / len(rates) if rates else None,
        "equal": equal,
        "winners_curse": curse.run(size.num_decisions, jobs),
    }


def equal_challengers(size: Size, jobs: int) -> dict[str, Any]:
    """The table of challengers that are no better."""
    pieces = [
        Piece(world, number, count) for world in worlds(size) for number, count in enumerate(cut(size.num_decisions))
    ]
    tallies: dict[World, dict[str, Counter[str]]] = {}
    for piece, found in zip(pieces, spread_out(simulate, pieces, jobs, "equal challengers"), strict=True):
        of_world = tallies.setdefault(piece.world, {})
        for name, tally in found.items():
            of_world.setdefault(name, Counter()).update(tally)
    cells = [_cell(world, name, tally) for world, found in tallies.items() for name, tally in found.items()]
    return {"cells": cells, "worst": sorted(filter(_counts, cells), key=lambda cell: -cell["rate"])[:10]}


def worlds(size: Size) -> list[World]:
    """Every world of the size."""
    found = []
    for dependence, unit in size.dependences:
        for num_rows in size.num_rows:
            found += [World(dependence, unit, num_rows, prevalence) for prevalence in size.prevalences]
            if size.has_other_tasks and unit != "ladder" and num_rows <= MOST_ROWS_OF_OTHER_TASKS:
                found += [World(dependence, unit, num_rows, task=task) for task in OTHER_TASKS]
    return found


def metrics_of(world: World) -> dict[str, Metric]:
    """The primary metrics that are tried in a world."""
    if world.task == "multiclass":
        return multiclass_metrics()
    return binary_metrics(world.threshold) if world.task == "binary" else regression_metrics()


def simulate(piece: Piece) -> dict[str, Counter[str]]:
    """Count decisions for each metric: made, refused, promoted, better in the point estimate."""
    world, metrics = piece.world, metrics_of(piece.world)
    has_beside = world.task == "binary" and world.dependence != "independent"
    beside = {name: replace(world, unit=unit).grouping for name, unit in BESIDE.items() if has_beside}
    tallies = {name: Counter[str]() for name in (*metrics, *beside)}
    for paired in world.samples(generator("equal", world, piece.number), piece.count):
        for name, metric in metrics.items():
            _count(tallies[name], metric, paired)
        for name, grouping in beside.items():
            _count(tallies[name], metrics["log_loss"], replace(paired, grouping=grouping))
    return tallies


def _count(tally: Counter[str], metric: Metric, paired: Paired) -> None:
    verdict = superiority_of(metric, paired)
    tally["made"] += 1
    tally["refused"] += verdict.is_refused
    tally["promoted"] += verdict.is_promoted
    tally["better"] += verdict.gain is not None and verdict.gain > 0


def _cell(world: World, name: str, tally: Counter[str]) -> dict[str, Any]:
    judged = tally["made"] - tally["refused"]
    is_refused = tally["refused"] > MOST_REFUSED * tally["made"]
    rate = None if is_refused else share(tally["promoted"], judged)
    return {
        "metric": name,
        "task": world.task,
        "dependence": world.dependence,
        "groups": world.unit,
        "positives": world.prevalence if world.task == "binary" else None,
        "num_rows": world.num_rows,
        "num_groups": world.grouping.num_groups,
        "decisions": tally["made"],
        "refused": tally["refused"],
        "is_refused": is_refused,
        "rate": rate,
        "error": error_of(rate, judged),
        "point_rate": None if is_refused else share(tally["better"], judged),
        "counts": not is_refused and name not in BESIDE,
    }


def _counts(cell: dict[str, Any]) -> bool:
    return bool(cell["counts"])
