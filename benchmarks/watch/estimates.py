"""Estimates without labels against the truth, on every bundled stream in the order of time, bad results and all.

Three estimators of each metric: NannyML's (CBPE, or DLE where the label is a number), the one with weights from a
domain classifier, and assuming that nothing has changed. Errors are in units of the sampling error of the difference
between two samples of that size, so that 0.8 is what chance alone leaves. An interval counts as right when it holds the
realised value; the widened one has learnt from the chunks before it, and from the first chunk on it counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.watch.streams import Stream, stream
from benchmarks.work import spread_out
from models.evaluation.metrics import Task
from models.monitoring.estimation.cbpe import cbpe
from models.monitoring.estimation.dle import dle
from models.monitoring.estimation.domain import Domain, fit_domain
from models.monitoring.estimation.estimate import Estimate, realised_on
from models.monitoring.estimation.track_record import Matured, trust, widened
from models.monitoring.estimation.weighted import weighted

# Longest first. "work_from_home" has the labels and scores of "car_loan" row for row, and would count them twice.
STREAMS = ("flights", "employment", "car_price", "credit_cards", "car_loan", "california")
METRICS: dict[Task, tuple[str, ...]] = {
    "binary": ("auc", "log_loss", "accuracy"),
    "multiclass": ("auc", "accuracy"),
    "regression": ("rmse", "mae"),
}
ESTIMATORS = ("nannyml", "weighted", "unchanged")
COUNTED = ("nannyml", "weighted")
LAG = 2  # chunks that labels come late, in the second coverage


@dataclass(frozen=True)
class Size:
    """Which streams, and how many chunks of each; None for its own number."""

    streams: tuple[str, ...]
    num_chunks: int | None


QUICK, FULL = Size(STREAMS, 8), Size(STREAMS, None)


@dataclass(frozen=True)
class Piece:
    """One stream."""

    name: str
    num_chunks: int | None


@dataclass(frozen=True)
class Met:
    """An estimate of one chunk and what came of it.

    Attributes:
        stream: its name.
        estimator: one of `ESTIMATORS`.
        estimate: made without labels.
        truth: realised.
        sampling_error: of the difference between reference and chunk, from labels.
        domain_auc: how well rows of the chunk can be told from the reference.
    """

    stream: str
    estimator: str
    estimate: Estimate
    truth: float
    sampling_error: float
    domain_auc: float

    @property
    def error(self) -> float:
        """Distance from the truth, in sampling errors."""
        return abs(self.estimate.value - self.truth) / self.sampling_error

    def is_within(self, estimate: Estimate) -> bool:
        """Whether an interval held the truth."""
        return estimate.lower <= self.truth <= estimate.upper


def run(size: Size, jobs: int) -> dict[str, Any]:
    """The table, a row for each stream and metric, and the coverage of widened intervals over all."""
    pieces = [Piece(name, size.num_chunks) for name in size.streams]
    found = [met for each in spread_out(measure, pieces, jobs, "estimates") for met in each]
    series = _series(found)
    counted = [(mets, _widened(mets)) for (_, estimator, _), mets in series.items() if estimator in COUNTED]
    return {
        "coverage": _coverage(counted),
        "raw_coverage": _coverage([(mets, [met.estimate for met in mets]) for mets, _ in counted]),
        "coverage_when_labels_are_2_chunks_late": _coverage([(mets, _widened(mets, LAG)) for mets, _ in counted]),
        "num_intervals": sum(len(mets) for mets, _ in counted),
        "streams": _table(series),
    }


def measure(piece: Piece) -> list[Met]:
    """Every estimator on every chunk of one stream."""
    data = stream(piece.name)
    return [met for chunk in data.chunks(piece.num_chunks) for met in _meet(data, chunk)]


def _meet(data: Stream, chunk: slice) -> list[Met]:
    reference, current = data.sample(data.reference), data.sample(chunk)
    domain = _domain(data, chunk)
    names = METRICS[data.task]
    estimates = {
        "nannyml": _nannyml(data, chunk, names),
        "weighted": weighted(reference, current.scores, domain, names),
    }
    estimates["unchanged"] = {name: _unchanged(estimates["nannyml"][name]) for name in names}
    found = []
    for name in names:
        (truth, error), (_, reference_error) = realised_on(current, name), realised_on(reference, name)
        errors = math.hypot(error, reference_error)
        found += [Met(data.name, each, estimates[each][name], truth, errors, domain.auc) for each in ESTIMATORS]
    return found


def _domain(data: Stream, chunk: slice) -> Domain:
    reference, current = data.frame.iloc[data.reference], data.frame.iloc[chunk]
    before, now = (frame["event_time"].dt.floor("D").to_numpy() for frame in (reference, current))
    return fit_domain(reference, current, data.numbers, data.categories, before, now, jobs=1)


def _nannyml(data: Stream, chunk: slice, metrics: Sequence[str]) -> dict[str, Estimate]:
    reference, scores = data.sample(data.reference), data.score[chunk]
    if data.task != "regression":
        return cbpe(reference, scores, metrics)
    inputs = data.frame.iloc[data.reference], data.frame.iloc[chunk]
    return dle(inputs[0], reference, inputs[1], scores, data.numbers, data.categories, metrics, jobs=1)


def _unchanged(estimate: Estimate) -> Estimate:
    return Estimate.of("unchanged", estimate.metric, estimate.reference, (estimate.standard_error,), estimate.reference)


def _series(found: Sequence[Met]) -> dict[tuple[str, str, str], list[Met]]:
    """The chunks of a stream in order of time, for each estimator and metric."""
    series: dict[tuple[str, str, str], list[Met]] = {}
    for met in found:
        series.setdefault((met.stream, met.estimator, met.estimate.metric), []).append(met)
    return series


def _widened(mets: Sequence[Met], lag: int = 0) -> list[Estimate]:
    """Each estimate with what was known by then: the truth of earlier chunks, but for the last `lag` of them."""
    past = [Matured.of(met.estimate, met.truth) for met in mets]
    return [widened(met.estimate, trust(past[: max(place - lag, 0)])) for place, met in enumerate(mets)]


def _coverage(counted: Sequence[tuple[Sequence[Met], Sequence[Estimate]]]) -> float:
    return float(
        np.mean([met.is_within(each) for mets, given in counted for met, each in zip(mets, given, strict=True)])
    )


def _table(series: dict[tuple[str, str, str], list[Met]]) -> list[dict[str, Any]]:
    cells: dict[tuple[str, str], dict[str, Any]] = {}
    for (name, estimator, metric), mets in series.items():
        cell = cells.setdefault(
            (name, metric),
            {
                "stream": name,
                "metric": metric,
                "num_chunks": len(mets),
                "domain_auc": float(np.mean([met.domain_auc for met in mets])),
            },
        )
        cell[estimator] = _cell(mets)
    return list(cells.values())


def _cell(mets: Sequence[Met]) -> dict[str, Any]:
    wide = _widened(mets)
    record = trust([Matured.of(met.estimate, met.truth) for met in mets])
    return {
        "mean_error": float(np.mean([met.error for met in mets])),
        "raw_coverage": _coverage([(mets, [met.estimate for met in mets])]),
        "coverage": _coverage([(mets, wide)]),
        "raw_width": float(np.median([met.estimate.upper - met.estimate.lower for met in mets])),
        "width": float(np.median([each.upper - each.lower for each in wide])),
        "unreliable_share": float(np.mean([not met.estimate.is_reliable for met in mets])),
        "is_silenced": record.is_silenced,
        "record": record.sentence,
    }
