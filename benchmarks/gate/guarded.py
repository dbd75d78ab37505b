"""What guardrails cost: how often the default gate promotes a challenger that is truly better, beside its first test.

The challenger has less noise than the champion and is better in every metric. All of the gate's tests must hold, so a
holdout on which a guardrail cannot be shown to hold promotes nothing, however clear the gain in log loss is.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from benchmarks.gate import truth
from benchmarks.gate.verdicts import binary_metrics, default_gate, superiority_of
from benchmarks.gate.worlds import SIGNAL, World
from benchmarks.work import cut, error_of, generator, share, spread_out

BETTER_NOISE = 0.35  # of the challenger; the champion has .6
WORLDS = (
    World("independent", "rows", 2_000, 0.3, challenger_noise=BETTER_NOISE),
    World("independent", "rows", 5_000, 0.3, challenger_noise=BETTER_NOISE),
    World("autocorrelated", "days", 5_000, 0.3, challenger_noise=BETTER_NOISE),
    World("clustered", "clusters", 10_000, 0.3, challenger_noise=BETTER_NOISE),
    World("independent", "rows", 10_000, 0.03, challenger_noise=BETTER_NOISE),
)


@dataclass(frozen=True)
class Size:
    """How many decisions a world."""

    num_decisions: int


QUICK, FULL = Size(100), Size(1_000)


@dataclass(frozen=True)
class Piece:
    """Some decisions of one world."""

    world: World
    number: int
    count: int


def run(size: Size, jobs: int) -> dict[str, Any]:
    """The table: a row for each world."""
    pieces = [Piece(world, number, count) for world in WORLDS for number, count in enumerate(cut(size.num_decisions))]
    tallies: dict[World, Counter[str]] = {world: Counter() for world in WORLDS}
    for piece, found in zip(pieces, spread_out(simulate, pieces, jobs, "guarded"), strict=True):
        tallies[piece.world].update(found)
    return {"cells": [_cell(world, tally) for world, tally in tallies.items()]}


def simulate(piece: Piece) -> Counter[str]:
    """Count decisions: promoted by the gate, and better in log loss by its first test."""
    world, tally = piece.world, Counter[str]()
    log_loss = binary_metrics(world.threshold)["log_loss"]
    for paired in world.samples(generator("guarded", world, piece.number), piece.count):
        tally["made"] += 1
        tally["promoted"] += default_gate(paired).is_promoted
        tally["better"] += superiority_of(log_loss, paired).is_promoted
    return tally


def _cell(world: World, tally: Counter[str]) -> dict[str, Any]:
    rate = share(tally["promoted"], tally["made"])
    noises = (world.champion_noise, world.challenger_noise)
    before, after = (truth.log_loss(world.prevalence, SIGNAL, noise) for noise in noises)
    return {
        "dependence": world.dependence,
        "positives": world.prevalence,
        "num_rows": world.num_rows,
        "true_log_loss_gain": before - after,
        "power_of_gate": rate,
        "error": error_of(rate, tally["made"]),
        "power_of_log_loss": share(tally["better"], tally["made"]),
    }
