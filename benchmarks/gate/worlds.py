"""Worlds in which the truth is known: rows, and two models that see the true log-odds through noise.

A row's true log-odds are normal; what a model says is the probability of those log-odds plus its own noise. Two models
with equal noise are exchangeable: in every metric the true gain is exactly 0. More noise is a worse model, less noise
a better one, by an amount that `truth` knows in closed form.

Dependence lies in the noise of both models and in the residual of the label (a Gaussian copula), so that it is the
paired differences of the losses that depend on one another, which is what a test must cope with.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special
from scipy.signal import lfilter

from benchmarks.gate import truth
from models.evaluation.comparison import Paired
from models.evaluation.groups import Grouping, by_key, ladder
from models.evaluation.metrics.metric import Task

Dependence = Literal["independent", "autocorrelated", "clustered"]
Unit = Literal["rows", "days", "clusters", "ladder"]

SIGNAL = 1.5  # deviation of the true log-odds; AUC of a model with the usual noise is about .80
USUAL_NOISE = 0.6  # deviation of a model's log-odds around the true ones
CORRELATION = 0.6  # between the noises of the two models: they call 9 % of rows differently at 30 % positives
AUTOCORRELATION = 0.9  # from one row to the next
ROWS_PER_CLUSTER = 40
SHARED_NOISE, SHARED_RESIDUAL = 0.8, 0.5  # share of the variance that the rows of a cluster have in common
ROWS_PER_DAY = {500: 50, 2_000: 100, 5_000: 100, 10_000: 200}  # 10, 20, 50, 50 days
NUM_CLASSES = 4
VALUES_AT_ONCE = 500_000  # rows of all samples that are drawn together: fits in a cache, and is worth a numpy call


@dataclass(frozen=True)
class World:
    """A law of samples.

    Attributes:
        dependence: of rows on one another.
        unit: what the gate is told of it: what a group is.
        num_rows: of a sample.
        prevalence: share of positives; binary labels only.
        challenger_noise: deviation of the challenger's noise; equal to `champion_noise` it is no better and no worse.
        correlation: between the noises of the two models, on the same row.
        task: binary; multiclass has four classes, and regression normal residuals of deviation 1.
    """

    dependence: Dependence
    unit: Unit
    num_rows: int
    prevalence: float = 0.3
    champion_noise: float = USUAL_NOISE
    challenger_noise: float = USUAL_NOISE
    correlation: float = CORRELATION
    task: Task = "binary"
    rows_per_day: int | None = None

    @property
    def intercept(self) -> float:
        """Mean of the true log-odds."""
        return truth.intercept(self.prevalence, SIGNAL)

    @property
    def threshold(self) -> float:
        """The score that calls as many rows positive as there are positives, in expectation, for the champion."""
        return truth.threshold(self.prevalence, SIGNAL, self.champion_noise)

    @property
    def grouping(self) -> Grouping:
        """Which rows the gate takes for dependent on one another."""
        rows = np.arange(self.num_rows)
        if self.unit == "ladder":
            return ladder(self.num_rows)
        if self.unit == "days":
            return by_key(rows // (self.rows_per_day or ROWS_PER_DAY[self.num_rows]), "days")
        return by_key(rows if self.unit == "rows" else self._clusters, self.unit)

    def samples(self, random: np.random.Generator, count: int) -> Iterator[Paired]:
        """So many independent samples, drawn some at a time."""
        at_once = max(1, VALUES_AT_ONCE // self.num_rows)
        grouping = self.grouping
        for first in range(0, count, at_once):
            yield from self._draw(random, min(at_once, count - first), grouping)

    def _draw(self, random: np.random.Generator, count: int, grouping: Grouping) -> Iterator[Paired]:
        draw = {"binary": self._binary, "multiclass": self._multiclass, "regression": self._regression}[self.task]
        labels, champion, challenger = draw(random, count)
        for sample in range(count):
            yield Paired(labels[sample], champion[sample], challenger[sample], grouping, task=self.task)

    def _binary(self, random: np.random.Generator, count: int) -> tuple[np.ndarray, ...]:
        shape = (count, self.num_rows)
        odds = self.intercept + SIGNAL * random.standard_normal(shape)
        labels = (self._residual(random, shape) < special.ndtri(special.expit(odds))).astype(float)
        return labels, *(special.expit(odds + noise) for noise in self._noises(random, shape))

    def _multiclass(self, random: np.random.Generator, count: int) -> tuple[np.ndarray, ...]:
        shape, classes = (count, self.num_rows), (NUM_CLASSES, count, self.num_rows)
        odds = np.linspace(0, 1, NUM_CLASSES)[:, None, None] + SIGNAL * random.standard_normal(classes)
        limits = np.cumsum(special.softmax(odds, axis=0), axis=0)[:-1]
        labels = (special.ndtr(self._residual(random, shape)) > limits).sum(axis=0)
        champion, challenger = np.empty(classes), np.empty(classes)
        for label in range(NUM_CLASSES):
            champion[label], challenger[label] = self._noises(random, shape)
        scores = (special.softmax(odds + noise, axis=0) for noise in (champion, challenger))
        return labels, *(np.ascontiguousarray(np.moveaxis(each, 0, -1)) for each in scores)

    def _regression(self, random: np.random.Generator, count: int) -> tuple[np.ndarray, ...]:
        shape = (count, self.num_rows)
        means = SIGNAL * random.standard_normal(shape)
        return means + self._residual(random, shape), *(means + noise for noise in self._noises(random, shape))

    def _residual(self, random: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
        return self._field(random, shape, SHARED_RESIDUAL)

    def _noises(self, random: np.random.Generator, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        common = np.sqrt(self.correlation) * self._field(random, shape, SHARED_NOISE)
        own = np.sqrt(1 - self.correlation)
        return (
            self.champion_noise * (common + own * self._field(random, shape, SHARED_NOISE)),
            self.challenger_noise * (common + own * self._field(random, shape, SHARED_NOISE)),
        )

    def _field(self, random: np.random.Generator, shape: tuple[int, int], shared: float) -> np.ndarray:
        """Standard normal values with the world's dependence along the rows."""
        values = random.standard_normal(shape)
        if self.dependence == "autocorrelated":
            return autocorrelated(values)
        if self.dependence == "clustered":
            clusters = self._clusters
            common = random.standard_normal((shape[0], clusters[-1] + 1))
            return np.sqrt(shared) * common[:, clusters] + np.sqrt(1 - shared) * values
        return values

    @property
    def _clusters(self) -> np.ndarray:
        # What is left over at the end joins the last whole cluster.
        return np.minimum(np.arange(self.num_rows) // ROWS_PER_CLUSTER, self.num_rows // ROWS_PER_CLUSTER - 1)


def autocorrelated(values: np.ndarray) -> np.ndarray:
    """Independent standard normal values, shape (samples, rows), as a stationary AR(1) along the rows."""
    innovations = np.sqrt(1 - AUTOCORRELATION**2) * values[:, 1:]
    first = values[:, :1]
    rest, _ = lfilter([1.0], [1.0, -AUTOCORRELATION], innovations, axis=1, zi=AUTOCORRELATION * first)
    return np.concatenate((first, rest), axis=1)
