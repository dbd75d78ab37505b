"""Fairness across protected groups: gaps between groups as metrics, which a challenger may not widen.

A gap is the largest difference of a rate between any two groups; which two they are is taken as given by the sample,
so the gap is biased upwards, and most for the fairer model (Hardt, Price & Srebro 2016 for the criteria). A challenger
whose gap in demographic parity is wider by exactly the margin was shown to hold in 8 to 11 % of holdouts at level .05,
so margins should lie well above the noise of the groups' rates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from models.evaluation.comparison import Paired
from models.evaluation.guardrails import NoWorse
from models.evaluation.metrics.calibration import squared_calibration_error
from models.evaluation.metrics.metric import Measured, Metric, Sample, Undefined
from models.evaluation.slices import Slice
from models.evaluation.testing import Test, untested

Criterion = Literal["demographic_parity", "equal_opportunity", "equalised_odds", "calibration"]
CLASSES_OF: dict[Criterion, dict[str, int]] = {  # those among which a criterion compares rates
    "equal_opportunity": {"positives": 1},
    "equalised_odds": {"positives": 1, "negatives": 0},
}
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
        min_of_class: fewest positives of a group for equal opportunity, and positives and negatives for equalised odds.
        left_out: names of groups that are not compared, as they were too small before and still are; told in the notes.
    """

    column: str
    groups: tuple[Slice, ...]
    margins: dict[Criterion, float]
    min_rows: int
    threshold: float = 0.5
    min_of_class: int = 50
    left_out: tuple[str, ...] = ()

    def tests(self, paired: Paired, level: float) -> list[Test]:
        """One test of non-inferiority for each criterion."""
        small = [group for group in self.groups if group.rows.sum() < self.min_rows]
        numbers = np.full(paired.num_rows, LEFT_OUT)
        for number, group in enumerate(self.groups):
            numbers[group.rows] = number
        marked = replace(paired, columns={**paired.columns, self.column: numbers})
        found = [self._test(criterion, marked, level, small) for criterion in self.margins]
        if not self.left_out:
            return found
        said = f"left out as too small before and now: {', '.join(self.left_out)}"
        return [replace(test, note=f"{test.note}; {said}" if test.note else said) for test in found]

    def _test(self, criterion: Criterion, paired: Paired, level: float, small: list[Slice]) -> Test:
        metric, margin = gap(criterion, self.column, self.threshold), self.margins[criterion]
        scope = f"groups of {self.column}"
        if small or len(self.groups) < 2:
            sizes = ", ".join(f"{group.name} has {int(group.rows.sum()):,}" for group in small)
            why = f"{self.min_rows:,} rows needed in each group: {sizes}" if small else "fewer than two groups"
            return untested(metric.label, scope, "non-inferiority", why, margin)
        if lacking := self._lacking(criterion, paired.labels):
            return untested(metric.label, scope, "non-inferiority", lacking, margin)
        try:
            return NoWorse(metric, margin).test(paired, level, scope)
        except Undefined as reason:
            return untested(metric.label, scope, "non-inferiority", str(reason), margin)

    def _lacking(self, criterion: Criterion, labels: np.ndarray) -> str:
        """Which groups have too few rows of a class whose rate is compared, in words; empty when none has."""
        said = []
        for name, label in CLASSES_OF.get(criterion, {}).items():
            counts = {group.name: int((labels[group.rows] == label).sum()) for group in self.groups}
            few = ", ".join(f"{group} has {count:,}" for group, count in counts.items() if count < self.min_of_class)
            said += [f"{self.min_of_class:,} {name} needed in each group: {few}"] if few else []
        return "; ".join(said)


def gap(criterion: Criterion, column: str, threshold: float = 0.5) -> Metric:
    """The gap of a criterion between the groups of `column`, whose `Sample.columns` hold numbers from 0 on.

    demographic_parity: of the share called positive. equal_opportunity: of that share among positives.
    equalised_odds: the larger of that among positives and that among negatives. calibration: the squared calibration
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
        "calibration": "worst squared calibration error",
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
        within = squared_calibration_error(sample.labels[group], sample.scores[group])
        influence = np.zeros(len(group))
        influence[group] = within.influence * (len(group) / group.sum())
        return Measured(within.value, influence)

    return max(_by_group(sample, column, of_group), key=lambda measured: measured.value)


def _by_group(sample: Sample, column: str, measure: Callable[[np.ndarray], Measured]) -> list[Measured]:
    numbers = sample.columns[column]
    return [measure(numbers == number) for number in np.unique(numbers[numbers != LEFT_OUT])]
