"""The winner's curse: what is promoted was partly lucky, so its measured gain is too large on average.

Challengers with a small true gain in log loss; among those that were promoted, the mean of the measured gain and of
the corrected one (`models.evaluation.shrinkage`), each over the true gain, which is known.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from benchmarks.gate import truth
from benchmarks.gate.verdicts import LEVEL, binary_metrics, superiority_of
from benchmarks.gate.worlds import SIGNAL, World
from benchmarks.work import cut, generator, share, spread_out
from models.evaluation.shrinkage import shrink

GAINS = (0.002, 0.004, 0.008)  # nats
WORLDS = (World("independent", "rows", 2_000), World("autocorrelated", "days", 5_000))


@dataclass(frozen=True)
class Piece:
    """Some decisions of one world, whose challenger is better by `gain`."""

    world: World
    gain: float
    number: int
    count: int


@dataclass(frozen=True)
class Sums:
    """Of the promoted: how many, and their gains as measured and as corrected."""

    judged: int = 0
    promoted: int = 0
    measured: float = 0.0
    corrected: float = 0.0

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            self.judged + other.judged,
            self.promoted + other.promoted,
            self.measured + other.measured,
            self.corrected + other.corrected,
        )


def run(num_decisions: int, jobs: int) -> list[dict[str, Any]]:
    """A row for each world and true gain."""
    pieces = [
        Piece(better(world, gain), gain, number, count)
        for world in WORLDS
        for gain in GAINS
        for number, count in enumerate(cut(num_decisions))
    ]
    sums: dict[tuple[World, float], Sums] = {}
    for piece, found in zip(pieces, spread_out(simulate, pieces, jobs, "winner's curse"), strict=True):
        key = (piece.world, piece.gain)
        sums[key] = sums.get(key, Sums()) + found
    return [_row(world, gain, found) for (world, gain), found in sums.items()]


def better(world: World, gain: float) -> World:
    """The same world with a challenger that is better by `gain` nats."""
    less = truth.noise_better_in_log_loss(world.prevalence, SIGNAL, world.champion_noise, gain)
    return replace(world, challenger_noise=less)


def simulate(piece: Piece) -> Sums:
    """Add up what is promoted."""
    metric, sums = binary_metrics(piece.world.threshold)["log_loss"], Sums()
    for paired in piece.world.samples(generator("curse", piece.world, piece.number), piece.count):
        verdict = superiority_of(metric, paired)
        if verdict.gain is None or verdict.standard_error is None:
            continue
        if verdict.is_promoted:
            sums += Sums(1, 1, verdict.gain, shrink(verdict.gain, verdict.standard_error, LEVEL))
        else:
            sums += Sums(judged=1)
    return sums


def _row(world: World, gain: float, sums: Sums) -> dict[str, Any]:
    return {
        "dependence": world.dependence,
        "groups": world.unit,
        "num_rows": world.num_rows,
        "true_gain": gain,
        "power": share(sums.promoted, sums.judged),
        "promoted": sums.promoted,
        "measured_over_true": share(sums.measured, sums.promoted * gain),
        "corrected_over_true": share(sums.corrected, sums.promoted * gain),
    }
