"""One paired comparison of champion and challenger: the gain, how sure it is, and what can be said of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np

from models.evaluation.groups import Grouping
from models.evaluation.metrics.check import check
from models.evaluation.metrics.metric import Metric, Sample, Task
from models.evaluation.spread import GroupedSpread, Within


@dataclass(frozen=True)
class Paired:
    """The same rows as two models see them, checked when it is made.

    Attributes:
        labels: what happened, as `Sample.labels`.
        champion, challenger: what each said of it, as `Sample.scores`.
        grouping: which rows may depend on one another.
        columns: further values of each row that a metric may need.
        task: what the labels are.

    Raises:
        ValueError: for unequal lengths, and for labels or scores that `metrics.check` refuses.
    """

    labels: np.ndarray
    champion: np.ndarray
    challenger: np.ndarray
    grouping: Grouping
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)
    task: Task = "binary"

    def __post_init__(self) -> None:
        lengths = {len(self.labels), len(self.champion), len(self.challenger), self.grouping.num_rows}
        if len(lengths) > 1:
            raise ValueError(
                f"labels, champion, challenger and groups have {len(self.labels)}, {len(self.champion)}, "
                f"{len(self.challenger)} and {self.grouping.num_rows} rows; a paired comparison needs the same rows"
            )
        check(Sample(self.labels, self.champion, self.columns), self.task, "champion")
        check(Sample(self.labels, self.challenger), self.task, "challenger")

    @cached_property
    def samples(self) -> tuple[Sample, Sample]:
        """The rows as the champion sees them, and as the challenger does."""
        before, after = (Sample(self.labels, scores, self.columns) for scores in (self.champion, self.challenger))
        return before, after

    @property
    def num_rows(self) -> int:
        """Rows that are compared."""
        return len(self.labels)

    def take(self, rows: np.ndarray) -> Paired:
        """Some of the rows, given as a mask or as positions."""
        return Paired(
            self.labels[rows],
            self.champion[rows],
            self.challenger[rows],
            self.grouping.take(rows),
            {name: values[rows] for name, values in self.columns.items()},
            self.task,
        )


class Spread(Protocol):
    """How far a gain that was measured may lie from the true one."""

    @property
    def standard_error(self) -> float:
        """Of the gain."""

    def p_above(self, threshold: float) -> float:
        """One-sided p of "the true gain is at most `threshold`"."""

    def p_below(self, threshold: float) -> float:
        """One-sided p of "the true gain is at least `threshold`"."""

    def interval(self, level: float) -> tuple[float, float]:
        """Two-sided confidence interval of the gain: the thresholds that neither one-sided test refuses."""


@dataclass(frozen=True)
class Comparison:
    """The gain of the challenger in one metric; positive is better, whatever the metric's direction.

    `champion_error` is the standard error of the champion's own value, which is known before a challenger is.
    """

    label: str
    champion: float
    challenger: float
    gain: float
    spread: Spread
    num_rows: int
    num_groups: int
    champion_error: float

    @property
    def standard_error(self) -> float:
        """Of the gain."""
        return self.spread.standard_error


class WholeMetric(Protocol):
    """A metric that is known as a whole only, and finds out by itself how sure a gain in it is."""

    @property
    def name(self) -> str:
        """As in a project's YAML."""

    @property
    def label(self) -> str:
        """As a person reads it, the unit in brackets."""

    def compare(self, paired: Paired, handicap: float = 0.0) -> Comparison:
        """The gain on these rows; `handicap` as in `compare` below. Raises `Undefined` where there is no value."""


def compare(metric: Metric | WholeMetric, paired: Paired, handicap: float = 0.0) -> Comparison:
    """Compare two models on the same rows, allowing any dependence within a group.

    With influence values psi of each model, the gain is that of the values and its spread that of the group sums of
    d = sign * (psi_challenger - psi_champion). With a `handicap` h the champion's value counts as (1 - sign * h) times
    what it is, so that a gain above 0 says "not worse by the share h" without pretending to know the champion's value.

    Raises:
        Undefined: when the metric has no value on these rows.
    """
    if not isinstance(metric, Metric):
        return metric.compare(paired, handicap)
    before, after = (metric.measure(sample) for sample in paired.samples)
    weight = 1 - metric.sign * handicap
    gain, within = metric.sign * (after.value - weight * before.value), _within(metric, paired)
    difference = metric.sign * (after.influence - weight * before.influence)
    return Comparison(
        label=metric.label,
        champion=before.value,
        challenger=after.value,
        gain=gain,
        spread=GroupedSpread.of(gain, difference, paired.grouping, within),
        num_rows=paired.num_rows,
        num_groups=paired.grouping.num_groups,
        champion_error=GroupedSpread.of(before.value, before.influence, paired.grouping, within).standard_error,
    )


def against_number(metric: Metric, paired: Paired, number: float) -> Comparison:
    """The challenger's own value against a fixed number instead of a champion, such as a floor."""
    after = metric.measure(paired.samples[1])
    gain = metric.sign * (after.value - number)
    return Comparison(
        label=metric.label,
        champion=number,
        challenger=after.value,
        gain=gain,
        spread=GroupedSpread.of(gain, metric.sign * after.influence, paired.grouping, _within(metric, paired)),
        num_rows=paired.num_rows,
        num_groups=paired.grouping.num_groups,
        champion_error=0.0,
    )


def _within(metric: Metric, paired: Paired) -> Within | None:
    if not metric.within or paired.task == "regression":
        return None
    if paired.task == "binary":
        return Within(paired.labels, metric.within)
    num_classes = paired.champion.shape[1]  # a mean over all classes, each of which may be few rows
    return Within(paired.labels, tuple(range(num_classes)), num_classes)
