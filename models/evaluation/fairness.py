"""Fairness across protected groups: gaps between groups as metrics, which a challenger may not widen.

A gap is the largest difference of a rate between any two groups; which two they are is taken as given by the sample,
so the gap is biased upwards for small groups, for both models alike (Hardt, Price & Srebro 2016 for the criteria).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from models.evaluation.comparison import Paired
from models.evaluation.guardrails import NoWorse
from models.evaluation.metrics.calibration import calibration_error
from models.evaluation.metrics.metric import Measured, Metric, Sample, Undefined
from models.evaluation.slices import Slice
from models.evaluation.testing import Test, untested

Criterion = Literal["demographic_parity", "equal_opportunity", "equalised_odds", "calibration"]
LEFT_OUT = -1  # number of the group of rows that belong to none


@dataclass(frozen=True)
class Fairness:
    """Guardrails on the gaps between the groups of one protected column.

    Attributes:
        column: its name.
        groups: the groups that are compared, each of which must be large enough.
        margins: how much wider than the champion's the gap of each criterion may be.
        min_rows: smallest group; a group that ought to be there and is smaller leaves every criterion open.
        threshold: score from which a row counts as called positive.
    """

    column: str
    groups: tuple[Slice, ...]
    margins: dict[Criterion, float]
    min_rows: int
    threshold: float = 0.5

    def tests(self, paired: Paired, level: float) -> list[Test]:
        """One test of non-inferiority for each criterion."""
        small = [group for group in self.groups if group.rows.sum() < self.min_rows]
        numbers = np.full(paired.num_rows, LEFT_OUT)
        for number, group in enumerate(self.groups):
            numbers[group.rows] = number
        marked = replace(paired, columns={**paired.columns, self.column: numbers})
        return [self._test(criterion, marked, level, small) for criterion in self.margins]

    def _test(self, criterion: Criterion, paired: Paired, level: float, small: list[Slice]) -> Test:
        metric, margin = gap(criterion, self.column, self.threshold), self.margins[criterion]
        scope = f"groups of {self.column}"
        if small or len(self.groups) < 2:
            sizes = ", ".join(f"{group.name} has {int(group.rows.sum()):,}" for group in small)
            why = f"{self.min_rows:,} rows needed in each group: {sizes}" if small else "fewer than two groups"
            return untested(metric.label, scope, "non-inferiority", why, margin)
        try:
            return NoWorse(metric, margin).test(paired, level, scope)
        except Undefined as reason:
            return untested(metric.label, scope, "non-inferiority", str(reason), margin)


def gap(criterion: Criterion, column: str, threshold: float = 0.5) -> Metric:
    """The gap of a criterion between the groups of `column`, whose `Sample.columns` hold numbers from 0 on.

    demographic_parity: of the share called positive. equal_opportunity: of that share among positives.
    equalised_odds: the larger of that among positives and that among negatives. calibration: the expected calibration
    error of the group where it is largest.
    """
    measure = {
        "demographic_parity": lambda sample: _rate_gap(sample, column, threshold, np.ones(len(sample.labels), bool)),
        "equal_opportunity": lambda sample: _rate_gap(sample, column, threshold, sample.labels == 1),
        "equalised_odds": lambda sample: max(
            (_rate_gap(sample, column, threshold, sample.labels == label) for label in (0.0, 1.0)),
            key=lambda measured: measured.value,
        ),
        "calibration": lambda sample: _worst_calibration(sample, column),
    }[criterion]
    label = {
        "demographic_parity": "demographic parity gap",
        "equal_opportunity": "equal opportunity gap",
        "equalised_odds": "equalised odds gap",
        "calibration": "worst calibration error",
    }[criterion]
    return Metric(criterion, label, "lower", measure, columns=(column,))


def _rate_gap(sample: Sample, column: str, threshold: float, of: np.ndarray) -> Measured:
    called = (sample.scores >= threshold).astype(float)
    rates = _by_group(sample, column, lambda group: _rate(called, of & group, len(called)))
    low, high = (pick(rates, key=lambda measured: measured.value) for pick in (min, max))
    return Measured(high.value - low.value, high.influence - low.influence)


def _rate(called: np.ndarray, of: np.ndarray, num_rows: int) -> Measured:
    if not of.any():
        raise Undefined("a group has no row of the class whose rate is compared")
    rate = float(called[of].mean())
    return Measured(rate, of * (called - rate) * (num_rows / of.sum()))


def _worst_calibration(sample: Sample, column: str) -> Measured:
    def of_group(group: np.ndarray) -> Measured:
        within = calibration_error(sample.labels[group], sample.scores[group])
        influence = np.zeros(len(group))
        influence[group] = within.influence * (len(group) / group.sum())
        return Measured(within.value, influence)

    return max(_by_group(sample, column, of_group), key=lambda measured: measured.value)


def _by_group(sample: Sample, column: str, measure: Callable[[np.ndarray], Measured]) -> list[Measured]:
    numbers = sample.columns[column]
    return [measure(numbers == number) for number in np.unique(numbers[numbers != LEFT_OUT])]
