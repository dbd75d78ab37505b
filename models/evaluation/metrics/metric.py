"""Metrics as a value and the influence of each row on it.

With influence values every comparison, group and interval is arithmetic on the difference of two vectors: the
standard error of a metric is that of the mean of its influence values (Hampel 1974, "The influence curve and its role
in robust estimation").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

from models.evaluation.metrics.ties import TieGroups, tie_groups

Task = Literal["binary", "multiclass", "regression"]


class Undefined(ValueError):
    """The metric has no value on these rows: one class only, or no row that is called positive."""


@dataclass(frozen=True)
class Measured:
    """A metric on one sample: its value, and each row's influence on it, shape (rows,), mean 0."""

    value: float
    influence: np.ndarray


@dataclass(frozen=True)
class Sample:
    """Rows with what happened and what a model said of them.

    Attributes:
        labels: shape (rows,). Binary: 0.0 or 1.0. Multiclass: the index of the class. Regression: the value.
        scores: binary: the probability of 1, shape (rows,). Multiclass: of each class, shape (rows, classes).
            Regression: the prediction, shape (rows,).
        columns: further values of each row that some metrics need, such as a protected group or what a row is worth.
    """

    labels: np.ndarray
    scores: np.ndarray
    columns: Mapping[str, np.ndarray] = field(default_factory=dict)

    @cached_property
    def ties(self) -> TieGroups | None:
        """The rows in the order of their scores, sorted once for every metric of ranking; binary labels only."""
        return tie_groups(self.labels == 1, self.scores) if self.scores.ndim == 1 else None


@dataclass(frozen=True)
class Metric:
    """A named metric and the direction in which it is better.

    Attributes:
        name: as in a project's YAML.
        label: as a person reads it, the unit in brackets: "log loss (nats)".
        better: the direction.
        measure: value and influence on a sample; raises `Undefined` where the sample gives it no value.
        columns: names of `Sample.columns` that it needs.
        tasks: for which kinds of label it is defined.
        within: the classes of binary labels whose rows it averages, of which a group may hold a large share where they
            are rare; empty for an average over all rows.
    """

    name: str
    label: str
    better: Literal["higher", "lower"]
    measure: Callable[[Sample], Measured]
    columns: tuple[str, ...] = ()
    tasks: tuple[Task, ...] = ("binary",)
    within: tuple[int, ...] = ()

    @property
    def sign(self) -> int:
        """+1 when higher is better, -1 when lower is."""
        return 1 if self.better == "higher" else -1
