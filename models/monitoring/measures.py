"""What a look measures of a champion, one table entry for each kind of label, so that nothing else asks which it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from models.evaluation.metrics import catalogue
from models.evaluation.metrics.metric import Metric, Sample, Task
from models.evaluation.metrics.proper import log_losses


@dataclass(frozen=True)
class Measures:
    """The metrics of one kind of label.

    Attributes:
        loss: the mean of what rows cost; it has a value on every day, and on every slice of a day.
        second: what is watched beside it, of all rows.
        further: what is measured over a window alone.
        losses: what each row of a sample costs, shape (rows,): the values whose mean is `loss`.
        scale: the difference between two scores that is as large as they differ at all: 1 between probabilities.
    """

    loss: Metric
    second: Metric
    further: tuple[Metric, ...]
    losses: Callable[[Sample], np.ndarray]
    scale: Callable[[Sample], float]

    @property
    def watched(self) -> tuple[Metric, Metric]:
        """Those that have a series of all rows."""
        return self.loss, self.second

    def words(self, name: str) -> str:
        """How a metric is called within a sentence, without its unit.

        >>> BINARY.words("log_loss"), BINARY.words("auc")
        ('log loss', 'AUC')
        """
        metric = next((each for each in (*self.watched, *self.further) if each.name == name), None)
        return metric.label.partition(" (")[0] if metric else name.replace("_", " ")

    @property
    def unit(self) -> str:
        """Of the loss; empty if nobody has named it.

        >>> BINARY.unit
        'nats'
        """
        return self.unit_of(self.loss.name)

    def unit_of(self, name: str) -> str:
        """Of a metric; empty if it has none, or nobody has named it."""
        metric = next((each for each in (*self.watched, *self.further) if each.name == name), None)
        return metric.label.partition(" (")[2].removesuffix(")") if metric else ""

    def amount(self, name: str, value: float, sign: str = "") -> str:
        """A value of a metric within a sentence. Nats are left out: log loss has no other unit.

        >>> BINARY.amount("log_loss", 0.5), measures_of("regression", "minutes").amount("rmse", 2.5, sign="+")
        ('0.500', '+2.500 minutes')
        """
        unit = self.unit_of(name)
        return f"{value:{sign}z.3f}" + (f" {unit}" if unit not in ("", "nats") else "")


def measures_of(task: Task, unit: str | None = None) -> Measures:
    """Those of a kind of label; `unit` is that of a number, in words.

    >>> measures_of("regression", "minutes").loss.label
    'mean absolute error (minutes)'
    """
    found = _MEASURES[task]
    if task != "regression" or not unit:
        return found
    loss, second = (replace(metric, label=f"{metric.label} ({unit})") for metric in found.watched)
    return replace(found, loss=loss, second=second)


def _absolute_errors(sample: Sample) -> np.ndarray:
    return np.abs(sample.labels - sample.scores)


def _log_losses(sample: Sample) -> np.ndarray:
    return log_losses(sample.labels, sample.scores)


def _one(_: Sample) -> float:
    return 1.0


def _spread(sample: Sample) -> float:
    return float(sample.labels.std()) or 1.0 if len(sample.labels) else 1.0


BINARY = Measures(
    loss=catalogue.LOG_LOSS,
    second=catalogue.AUC,
    further=(catalogue.CALIBRATION_ERROR,),
    losses=_log_losses,
    scale=_one,
)
_MEASURES: dict[Task, Measures] = {
    "binary": BINARY,
    # AUC of several classes has no value on a day, or in a reference, that lacks one of them.
    "multiclass": replace(BINARY, second=catalogue.ACCURACY),
    # The absolute error stands for a row; its square, which training makes small, is ruled by the worst rows of a day.
    "regression": Measures(
        loss=catalogue.MAE, second=catalogue.RMSE, further=(), losses=_absolute_errors, scale=_spread
    ),
}
