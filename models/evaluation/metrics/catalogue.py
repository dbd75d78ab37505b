"""Metrics by their name in a project's YAML, with arguments that are checked when the metric is made."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from models.evaluation.metrics import calibration, decisions, proper, ranking, regression, value
from models.evaluation.metrics.metric import Measured, Metric, Sample, Task

BINARY: tuple[Task, ...] = ("binary",)
MULTICLASS: tuple[Task, ...] = ("multiclass",)
CLASSES: tuple[Task, ...] = ("binary", "multiclass")
REGRESSION: tuple[Task, ...] = ("regression",)


@dataclass(frozen=True)
class _Kind:
    """A function of labels, scores and arguments, and the label that its arguments are written into."""

    function: Callable[..., Measured]
    label: str
    better: Literal["higher", "lower"]
    tasks: tuple[Task, ...]
    within: tuple[int, ...] = ()

    @property
    def arguments(self) -> inspect.Signature:
        """What a user may set: what it takes beyond labels, scores, and the order of the rows, which is ours."""
        _, _, *further = inspect.signature(self.function).parameters.values()
        return inspect.Signature([parameter for parameter in further if parameter.name != "ties"])

    @property
    def ranks(self) -> bool:
        """Whether it can use the order of the rows that another metric has found."""
        return "ties" in inspect.signature(self.function).parameters


_KINDS: dict[str, tuple[_Kind, ...]] = {
    "accuracy": (_Kind(decisions.accuracy, "accuracy", "higher", CLASSES),),
    "auc": (_Kind(ranking.auc, "AUC", "higher", CLASSES, (0, 1)),),
    "average_precision": (_Kind(ranking.average_precision, "average precision", "higher", CLASSES, (1,)),),
    "balanced_accuracy": (_Kind(decisions.balanced_accuracy, "balanced accuracy", "higher", CLASSES, (0, 1)),),
    "brier": (_Kind(proper.brier, "Brier score", "lower", CLASSES),),
    "calibration_error": (_Kind(calibration.calibration_error, "calibration error", "lower", CLASSES),),
    "correlation": (_Kind(regression.correlation, "correlation", "higher", REGRESSION),),
    "expected_value": (
        _Kind(value.expected_value, "expected value per row", "higher", BINARY),
        _Kind(value.expected_value_of, "expected {column} per row", "higher", BINARY),
    ),
    "f1": (_Kind(decisions.f1, "F1", "higher", CLASSES, (1,)),),
    "log_loss": (_Kind(proper.log_loss, "log loss (nats)", "lower", CLASSES),),
    "mae": (_Kind(regression.mae, "mean absolute error", "lower", REGRESSION),),
    "mcc": (_Kind(decisions.mcc, "MCC", "higher", CLASSES, (0, 1)),),
    "pinball": (_Kind(regression.pinball, "pinball loss of quantile {quantile:g}", "lower", REGRESSION),),
    "precision": (_Kind(decisions.precision, "precision", "higher", CLASSES, (1,)),),
    "r2": (_Kind(regression.r2, "R2", "higher", REGRESSION),),
    "recall": (_Kind(decisions.recall, "recall", "higher", CLASSES, (1,)),),
    "rmse": (_Kind(regression.rmse, "RMSE", "lower", REGRESSION),),
    "squared_calibration_error": (
        _Kind(calibration.squared_calibration_error, "squared calibration error", "lower", CLASSES),
    ),
    "top_k": (_Kind(decisions.top_k, "top-{k} accuracy", "higher", MULTICLASS),),
}

NAMES = tuple(sorted(_KINDS))


def names_for(task: Task) -> tuple[str, ...]:
    """The names of the metrics that are defined for a kind of label.

    >>> names_for("regression")
    ('correlation', 'mae', 'pinball', 'r2', 'rmse')
    """
    return tuple(name for name in NAMES if any(task in kind.tasks for kind in _KINDS[name]))


def metric(name: str, **arguments: Any) -> Metric:
    """Make a metric by its name.

    Args:
        name: one of `NAMES`.
        arguments: of the metric's function, beyond labels and scores. `column` names one of `Sample.columns`.

    Raises:
        ValueError: for an unknown name, for arguments that the metric does not take or that it lacks, and for values
            that mean nothing; the message lists what is valid.

    >>> metric("f1", threshold=0.3).label
    'F1 at 0.3'
    >>> metric("f1", treshold=0.3)
    Traceback (most recent call last):
        ...
    ValueError: f1 takes (threshold=0.5), and was given treshold
    """
    if name not in _KINDS:
        raise ValueError(f"no metric is called {name!r}; choose one of {', '.join(NAMES)}")
    kind = _fitting(name, arguments)
    for argument, given in arguments.items():
        _check_argument(name, argument, given)
    columns = (arguments["column"],) if "column" in arguments else ()
    label, measure = _label(kind, arguments), _measure(name, kind, arguments)
    return Metric(name, label, kind.better, measure, columns, kind.tasks, kind.within)


def _fitting(name: str, arguments: dict[str, Any]) -> _Kind:
    for kind in _KINDS[name]:
        if _fits(kind.arguments, arguments):
            return kind
    valid = " or ".join(_listed(kind.arguments) for kind in _KINDS[name])
    raise ValueError(f"{name} takes {valid}, and was given {', '.join(arguments) or 'nothing'}")


def _fits(signature: inspect.Signature, arguments: dict[str, Any]) -> bool:
    try:
        signature.bind(**arguments)
    except TypeError:
        return False
    return True


def _listed(signature: inspect.Signature) -> str:
    plain = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in signature.parameters.values()]
    return f"({', '.join(str(parameter) for parameter in plain)})" if plain else "no arguments"


def _label(kind: _Kind, arguments: dict[str, Any]) -> str:
    readable = {key: given.replace("_", " ") if isinstance(given, str) else given for key, given in arguments.items()}
    threshold = arguments.get("threshold", decisions.THRESHOLD)
    return kind.label.format(**readable) + (f" at {threshold:g}" if threshold != decisions.THRESHOLD else "")


def _measure(name: str, kind: _Kind, arguments: dict[str, Any]) -> Callable[[Sample], Measured]:
    ranks = kind.ranks

    def measure(sample: Sample) -> Measured:
        if ranks:
            return kind.function(sample.labels, sample.scores, **arguments, ties=sample.ties)
        if "column" not in arguments:
            return kind.function(sample.labels, sample.scores, **arguments)
        column = arguments["column"]
        if column not in sample.columns:
            known = ", ".join(sample.columns) or "none"
            raise ValueError(f"{name} needs the column {column!r}, and the sample has {known}")
        return kind.function(sample.labels, sample.scores, **arguments | {"column": sample.columns[column]})

    return measure


def _check_argument(name: str, argument: str, given: Any) -> None:
    holds, expected = _ARGUMENTS.get(argument, (_is_number, "a finite number"))
    if not holds(given):
        raise ValueError(f"{argument}={given!r} of {name} means nothing; give {expected}")


def _is_number(given: Any) -> bool:
    return isinstance(given, int | float) and not isinstance(given, bool) and math.isfinite(given)


_ARGUMENTS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "threshold": (lambda given: _is_number(given) and 0 <= given <= 1, "a number from 0 to 1"),
    "quantile": (lambda given: _is_number(given) and 0 < given < 1, "a number between 0 and 1"),
    "k": (lambda given: _is_number(given) and isinstance(given, int) and given >= 1, "a whole number from 1"),
    "column": (lambda given: isinstance(given, str) and bool(given), "the name of a column"),
}

ACCURACY = metric("accuracy")
AUC = metric("auc")
AVERAGE_PRECISION = metric("average_precision")
BALANCED_ACCURACY = metric("balanced_accuracy")
BRIER = metric("brier")
CALIBRATION_ERROR = metric("calibration_error")
CORRELATION = metric("correlation")
F1 = metric("f1")
LOG_LOSS = metric("log_loss")
MAE = metric("mae")
MCC = metric("mcc")
PRECISION = metric("precision")
R2 = metric("r2")
RECALL = metric("recall")
RMSE = metric("rmse")
SQUARED_CALIBRATION_ERROR = metric("squared_calibration_error")

METRICS: dict[str, Metric] = {
    name: metric(name) for name, kinds in _KINDS.items() if any(_fits(kind.arguments, {}) for kind in kinds)
}
