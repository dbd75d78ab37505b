"""How often the gate promotes what is worse by half a point of accuracy; beside it, by half a point of AUC.

The challenger's noise is larger by as much as costs .005 of accuracy at the operating threshold, which calls as many
rows positive as there are; at 30 % positives the correlation of the two models is such that they call 10 % of the rows
differently (at 3 %, where so few are called positive, it is left as it is). The headline is over these worlds. Where
positives are rare half a point of accuracy is much, so the same is reported for challengers that lose .005 of AUC,
which is little: too little for any test at a level of 5 % to notice on 60 positives.

The gate is the one that a project has by default: log loss at .05 and a gain of .002 or more, AUC and squared
calibration error guarded. Reported beside it: the test of the primary metric alone, without a smallest gain, and the
comparison of point estimates that the gate replaces.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.gate import false_promotions, truth
from benchmarks.gate.verdicts import binary_metrics, default_gate, superiority_of
from benchmarks.gate.worlds import SIGNAL, World
from benchmarks.work import cut, error_of, generator, share, spread_out

LOSS = 0.005
DISAGREEMENT = 0.1
RARE = 0.1  # share of positives below which half a point of AUC is tried too
BESIDE = ("log_loss", "accuracy", "auc")


@dataclass(frozen=True)
class Piece:
    """Some decisions of one world, whose challenger is worse."""

    world: World
    number: int
    count: int


QUICK, FULL = false_promotions.QUICK, false_promotions.FULL


def run(size: false_promotions.Size, jobs: int) -> dict[str, Any]:
    """The table, and the largest rate under the default gate."""
    equal, num_decisions = false_promotions.worlds(replace(size, has_other_tasks=False)), size.num_decisions
    in_accuracy = {worse(world): "accuracy" for world in equal}
    worlds = in_accuracy | {worse_in_auc(world): "AUC" for world in equal if world.prevalence < RARE}
    pieces = [Piece(world, number, count) for world in worlds for number, count in enumerate(cut(num_decisions))]
    tallies: dict[World, Counter[str]] = {world: Counter() for world in worlds}
    for piece, found in zip(pieces, spread_out(simulate, pieces, jobs, "harmful challengers"), strict=True):
        tallies[piece.world].update(found)
    cells = [_cell(world, worlds[world], tally) for world, tally in tallies.items()]
    return {
        "harmful_promotion_max": _largest(cells, "accuracy"),
        "max_worse_in_auc": _largest(cells, "AUC"),
        "cells": cells,
    }


def worse(world: World) -> World:
    """The same world with a challenger that is half a point of accuracy worse."""
    share, noise = world.prevalence, world.champion_noise
    more = truth.noise_worse_in_accuracy(share, SIGNAL, noise, LOSS)
    if share < RARE:
        return replace(world, challenger_noise=more)
    correlation = truth.correlation_of(share, SIGNAL, (noise, more), world.threshold, DISAGREEMENT)
    return replace(world, challenger_noise=more, correlation=correlation)


def worse_in_auc(world: World) -> World:
    """The same world with a challenger that is half a point of AUC worse."""
    noise = truth.noise_worse_in_auc(world.prevalence, SIGNAL, world.champion_noise, LOSS)
    return replace(world, challenger_noise=noise)


def _largest(cells: list[dict[str, Any]], worse_in: str) -> float | None:
    rates = [cell["rate"] for cell in cells if cell["rate"] is not None and cell["worse_in"] == worse_in]
    return max(rates, default=None)


def simulate(piece: Piece) -> Counter[str]:
    """Count decisions: refused, promoted by the gate, by one test, by a point estimate."""
    world, tally = piece.world, Counter[str]()
    metrics = {name: each for name, each in binary_metrics(world.threshold).items() if name in BESIDE}
    for paired in world.samples(generator("harmful", world, piece.number), piece.count):
        by_gate = default_gate(paired)
        tally["made"] += 1
        tally["refused"] += by_gate.is_refused
        tally["promoted"] += by_gate.is_promoted
        for name, metric in metrics.items():
            verdict = superiority_of(metric, paired)
            tally[f"test of {name}"] += verdict.is_promoted
            tally[f"point estimate of {name}"] += verdict.gain is not None and verdict.gain > 0
    return tally


def _cell(world: World, worse_in: str, tally: Counter[str]) -> dict[str, Any]:
    judged = tally["made"] - tally["refused"]
    is_refused = 2 * tally["refused"] > tally["made"]
    rate = None if is_refused else share(tally["promoted"], judged)
    beside = {name: share(count, judged) for name, count in tally.items() if name.startswith(("test", "point"))}
    noises = (world.champion_noise, world.challenger_noise)
    return {
        "dependence": world.dependence,
        "groups": world.unit,
        "positives": world.prevalence,
        "num_rows": world.num_rows,
        "worse_by": LOSS,
        "worse_in": worse_in,
        "disagreement": truth.disagreement(world.prevalence, SIGNAL, noises, world.correlation, world.threshold),
        "true_log_loss_gain": truth.log_loss(world.prevalence, SIGNAL, noises[0])
        - truth.log_loss(world.prevalence, SIGNAL, noises[1]),
        "decisions": tally["made"],
        "refused": tally["refused"],
        "is_refused": is_refused,
        "rate": rate,
        "error": error_of(rate, judged),
        **({} if is_refused else beside),
    }
