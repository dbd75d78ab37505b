"""How often the gate's test sees a real improvement, against the best that the same data allow.

The challenger's noise is smaller than the champion's by a dose. For each metric and dependence those doses are taken,
after a pilot run, whose closed form Phi(gain / deviation - z) is nearest to .5, .8 and .95; gain and deviation are the
true ones, by Monte Carlo. That is the z-test of an oracle that is told how far the measured gain scatters, which the
gate has to find out from the same rows. `ratio` is the gate's power over the oracle's. A target that no dose comes
near has no cell: nothing makes recall at a fixed threshold so much better.

Calibration error stands in the table but not in the headline: it is a guardrail, not a proper score, and a test of
superiority in it is far below its level (see `false_promotions`), which nothing here is to hide. Nor is the ladder,
whose price on independent rows is shown beside the grouping that knows them to be independent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import special

from benchmarks.gate import truth
from benchmarks.gate.verdicts import LEVEL, binary_metrics, superiority_of
from benchmarks.gate.worlds import SIGNAL, World
from benchmarks.work import cut, generator, spread_out
from models.evaluation.groups import Grouping, ladder
from models.evaluation.metrics.metric import Metric

CHAMPION_NOISE = 0.9
SMALLEST_DOSE, LARGEST_DOSE = 0.05, 1.0  # share of the champion's noise that the challenger is without
TARGETS = (0.5, 0.8, 0.95)
NEAR = 0.12  # to a target
SAME_IMPROVEMENT = 0.8  # power of log loss at which the metrics are compared
NOT_A_PRIMARY = "calibration_error"
ON_THE_LADDER = {f"{name}, ladder": name for name in ("log_loss", "auc", "accuracy")}

NUM_ROWS = 5_000
INDEPENDENT = "independent rows"
WORLDS = {
    INDEPENDENT: World("independent", "rows", NUM_ROWS, champion_noise=CHAMPION_NOISE),
    "autocorrelated, 50 days": World("autocorrelated", "days", NUM_ROWS, champion_noise=CHAMPION_NOISE),
    "autocorrelated, 14 days": World(
        "autocorrelated", "days", NUM_ROWS, champion_noise=CHAMPION_NOISE, rows_per_day=358
    ),
    "125 clusters": World("clustered", "clusters", NUM_ROWS, champion_noise=CHAMPION_NOISE),
}


@dataclass(frozen=True)
class Size:
    """How much is simulated: decisions a cell and in the pilot run a dose, doses, and which worlds."""

    num_decisions: int
    num_pilots: int
    num_doses: int
    worlds: tuple[str, ...] = tuple(WORLDS)


QUICK = Size(600, 100, 8, (INDEPENDENT, "autocorrelated, 14 days"))
FULL = Size(3_000, 200, 14)


@dataclass(frozen=True)
class Place:
    """One world at one dose."""

    name: str
    dose: float

    @property
    def world(self) -> World:
        """The law of its samples."""
        return replace(WORLDS[self.name], challenger_noise=CHAMPION_NOISE * (1 - self.dose))

    @property
    def true_gain(self) -> float:
        """In log loss, nats."""
        world = self.world
        noises = (world.champion_noise, world.challenger_noise)
        before, after = (truth.log_loss(world.prevalence, SIGNAL, noise) for noise in noises)
        return before - after


@dataclass(frozen=True)
class Piece:
    """Some decisions at one place, by the metrics that are asked for there."""

    place: Place
    metrics: tuple[str, ...]
    run: str
    number: int
    count: int


@dataclass(frozen=True)
class Found:
    """Gains measured in one metric, and which of them were promoted; shape (decisions,)."""

    gains: np.ndarray
    promoted: np.ndarray

    @property
    def best(self) -> float:
        """Power of a test that knows the true deviation of the gain, in closed form."""
        return float(special.ndtr(self.gains.mean() / self.gains.std() + special.ndtri(LEVEL)))

    @property
    def oracle(self) -> float:
        """The same, counted on the very gains that the gate saw."""
        return float((self.gains / self.gains.std() > -special.ndtri(LEVEL)).mean())

    @property
    def power(self) -> float:
        """Share that the gate promoted."""
        return float(self.promoted.mean())


Results = dict[Place, dict[str, Found]]


def run(size: Size, jobs: int) -> dict[str, Any]:
    """The tables, and the smallest ratio."""
    doses = np.geomspace(SMALLEST_DOSE, LARGEST_DOSE, size.num_doses).tolist()
    everywhere = {Place(name, dose): _metrics_of(name) for name in size.worlds for dose in doses}
    pilots = _simulated(everywhere, "pilot", size.num_pilots, jobs)
    chosen = {(name, metric, target): place for name, metric, target, place in _choices(size, pilots)}
    same = _nearest(pilots, INDEPENDENT, "log_loss", SAME_IMPROVEMENT)
    asked: dict[Place, list[str]] = {same: list(_metrics_of(INDEPENDENT))}
    for (_, metric, _), place in chosen.items():
        asked.setdefault(place, []).append(metric)
    found = _simulated(asked, "power", size.num_decisions, jobs)
    cells = [_cell(metric, target, place, found[place][metric]) for (_, metric, target), place in chosen.items()]
    counted = [cell["ratio"] for cell in cells if cell["counts"]]
    return {
        "power_ratio_min": min(counted, default=None),
        "power_ratio_mean": sum(counted) / len(counted) if counted else None,
        "num_rows": NUM_ROWS,
        "cells": cells,
        "same_improvement": {
            "world": INDEPENDENT,
            "true_log_loss_gain": same.true_gain,
            "power": {metric: each.power for metric, each in found[same].items()},
        },
    }


def _metrics_of(name: str) -> tuple[str, ...]:
    ours = tuple(binary_metrics(WORLDS[name].threshold))
    return ours + (tuple(ON_THE_LADDER) if name == INDEPENDENT else ())


def _choices(size: Size, pilots: Results) -> Iterator[tuple[str, str, float, Place]]:
    for name in size.worlds:
        for metric in _metrics_of(name):
            for target in TARGETS:
                # A metric on the ladder is tried where the metric itself is: what differs is the ladder's price.
                place = _nearest(pilots, name, ON_THE_LADDER.get(metric, metric), target)
                if abs(pilots[place][metric].best - target) < NEAR:
                    yield name, metric, target, place


def _nearest(pilots: Results, name: str, metric: str, target: float) -> Place:
    places = [place for place in pilots if place.name == name]
    return min(places, key=lambda place: abs(pilots[place][metric].best - target))


def _simulated(asked: dict[Place, Any], run: str, num_decisions: int, jobs: int) -> Results:
    pieces = [
        Piece(place, tuple(dict.fromkeys(metrics)), run, number, count)
        for place, metrics in asked.items()
        for number, count in enumerate(cut(num_decisions))
    ]
    parts: dict[Place, list[dict[str, Found]]] = {}
    for piece, found in zip(pieces, spread_out(simulate, pieces, jobs, run), strict=True):
        parts.setdefault(piece.place, []).append(found)
    return {place: _joined(found) for place, found in parts.items()}


def simulate(piece: Piece) -> dict[str, Found]:
    """What each metric measured and promoted."""
    world = piece.place.world
    tried = dict(_tried(world, piece.metrics))
    verdicts: dict[str, list[tuple[float, bool]]] = {name: [] for name in tried}
    for paired in world.samples(generator(piece.run, world, piece.number), piece.count):
        for name, (metric, grouping) in tried.items():
            verdict = superiority_of(metric, replace(paired, grouping=grouping))
            assert verdict.gain is not None, "1,500 positives are never refused"
            verdicts[name].append((verdict.gain, verdict.is_promoted))
    return {name: Found(*(np.array(each) for each in zip(*seen, strict=True))) for name, seen in verdicts.items()}


def _tried(world: World, names: tuple[str, ...]) -> Iterator[tuple[str, tuple[Metric, Grouping]]]:
    metrics, own, blocks = binary_metrics(world.threshold), world.grouping, ladder(world.num_rows)
    for name in names:
        is_on_ladder = name in ON_THE_LADDER
        yield name, (metrics[ON_THE_LADDER.get(name, name)], blocks if is_on_ladder else own)


def _joined(parts: list[dict[str, Found]]) -> dict[str, Found]:
    return {
        name: Found(
            np.concatenate([part[name].gains for part in parts]),
            np.concatenate([part[name].promoted for part in parts]),
        )
        for name in parts[0]
    }


def _cell(metric: str, target: float, place: Place, found: Found) -> dict[str, Any]:
    error = np.sqrt(found.power * (1 - found.power) / len(found.gains))
    return {
        "world": place.name,
        "metric": metric,
        "target": target,
        "dose": place.dose,
        "true_log_loss_gain": place.true_gain,
        "best": found.best,
        "oracle": found.oracle,
        "power": found.power,
        "ratio": found.power / found.best,
        "error": float(error / found.best),
        "decisions": len(found.gains),
        "counts": metric != NOT_A_PRIMARY and metric not in ON_THE_LADDER,
    }
