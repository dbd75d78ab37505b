"""Realised performance: metrics of rows whose labels have arrived, day by day, and against the champion's reference."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from models.distributions import t_point
from models.evaluation.groups import by_key
from models.evaluation.metrics.metric import Measured, Metric, Sample, Undefined
from models.evaluation.spread import GroupedSpread

CONFIDENCE = 0.95
FEWEST_SLICE_ROWS = 200  # of the reference and of a window: of a smaller slice nothing is measured
MIN_CLASS_ROWS = 10  # of either class in a day: an AUC of fewer says nothing


@dataclass(frozen=True)
class Judged:
    """Labelled rows of one span: what happened, what was said, and on which day; each of shape (rows,)."""

    sample: Sample
    days: np.ndarray

    @property
    def num_days(self) -> int:
        """Days with a labelled row."""
        return len(np.unique(self.days))

    def take(self, rows: np.ndarray) -> Judged:
        """Some of the rows, given as a mask."""
        columns = {name: values[rows] for name, values in self.sample.columns.items()}
        return Judged(Sample(self.sample.labels[rows], self.sample.scores[rows], columns), self.days[rows])


@dataclass(frozen=True)
class Change:
    """One metric on some of the rows, against the reference.

    `worse` is above zero when the metric got worse, whatever its direction, in its unit; `lower` and `upper` are its
    95 % interval, infinite where there are too few days to say.
    """

    metric: str
    label: str
    scope: str
    num_rows: int
    num_days: int
    value: float
    reference: float
    worse: float
    lower: float | None
    upper: float | None


@dataclass(frozen=True)
class Realised:
    """What labelled rows say: as a whole, and of each watched slice. Only a binary label has a `positive_share`."""

    num_rows: int
    num_days: int
    positive_share: float | None
    changes: tuple[Change, ...]

    def of(self, metric: str, scope: str = "all rows") -> Change | None:
        """The change of one metric, if it could be measured."""
        return next((each for each in self.changes if (each.metric, each.scope) == (metric, scope)), None)


def change(metric: Metric, current: Judged, reference: Judged, scope: str = "all rows") -> Change | None:
    """How much worse a metric is than on the reference; None where either sample gives it no value.

    The samples are different rows, so their errors add up: se = hypot(se_current, se_reference), each by days, and the
    interval is Student's with the smaller number of days - 1 degrees of freedom (a conservative Welch).
    """
    try:
        now, before = metric.measure(current.sample), metric.measure(reference.sample)
    except Undefined:
        return None
    worse = metric.sign * (before.value - now.value)
    reach = _reach(_error(now, current), _error(before, reference), min(current.num_days, reference.num_days) - 1)
    return Change(
        metric=metric.name,
        label=metric.label,
        scope=scope,
        num_rows=len(current.days),
        num_days=current.num_days,
        value=now.value,
        reference=before.value,
        worse=worse,
        lower=None if reach is None else worse - reach,
        upper=None if reach is None else worse + reach,
    )


def by_day(metric: Metric, judged: Judged) -> dict[int, float]:
    """The metric of each day that gives it a value: a day with few rows of a class gives none to a ranking."""
    found = {}
    for day in np.unique(judged.days):
        part = judged.take(judged.days == day)
        if metric.within and min(_class_sizes(part.sample.labels)) < MIN_CLASS_ROWS:
            continue
        try:
            value = metric.measure(part.sample).value
        except Undefined:
            continue
        if math.isfinite(value):
            found[int(day)] = value
    return found


def slices_of(columns: Mapping[str, np.ndarray], edges: Mapping[str, tuple[float, ...]]) -> dict[str, np.ndarray]:
    """The rows of each slice, as masks: one for each value of a column, or for each range between its edges.

    >>> {name: rows.tolist() for name, rows in slices_of({"age": np.array([1.0, 9.0])}, {"age": (5.0,)}).items()}
    {'age below 5': [True, False], 'age from 5': [False, True]}
    """
    found = dict[str, np.ndarray]()
    for column, values in columns.items():
        if not (cuts := edges.get(column)):
            present = [value for value in values if value is not None and value == value]
            found |= {f"{column}={value}": values == value for value in sorted(set(present), key=str)}
            continue
        bounds = [-math.inf, *cuts, math.inf]
        for low, high in pairwise(bounds):
            found[_range(column, low, high)] = (values >= low) & (values < high)
    return found


def _range(column: str, low: float, high: float) -> str:
    if low == -math.inf:
        return f"{column} below {high:g}"
    return f"{column} from {low:g}" if high == math.inf else f"{column} from {low:g} to {high:g}"


def _class_sizes(labels: np.ndarray) -> tuple[int, int]:
    num_positives = int((labels == 1).sum())
    return num_positives, len(labels) - num_positives


def _error(measured: Measured, judged: Judged) -> float:
    return GroupedSpread.of(measured.value, measured.influence, by_key(judged.days, "days")).standard_error


def _reach(now: float, before: float, freedom: int) -> float | None:
    error = math.hypot(now, before)
    if freedom < 1 or not math.isfinite(error):
        return None
    return float(t_point((1 - CONFIDENCE) / 2, freedom)) * error
