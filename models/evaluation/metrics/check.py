"""Refuse samples that no metric should see, cheaply: only the smallest and largest values are looked at while all is
well, and rows are counted when something is wrong.
"""

from __future__ import annotations

import numpy as np

from models.evaluation.metrics.metric import Sample, Task

SUM_TOLERANCE = 1e-3  # float16 softmax sums to 1 within 5e-4


def check(sample: Sample, task: Task, name: str) -> None:
    """Refuse labels, scores and columns that do not fit each other or the task.

    Args:
        sample: the rows.
        task: what its labels should be.
        name: whose scores they are, as messages should call it, such as "champion".

    Raises:
        ValueError: stating the value, how many rows are wrong and the first of them, and what was expected.

    >>> check(Sample(np.array([0.0, 1.0]), np.array([0.2, 1.5])), "binary", "champion")
    Traceback (most recent call last):
        ...
    ValueError: champion has 1 scores that are no probabilities, first 1.5 in row 1; give values from 0 to 1
    """
    _check_shapes(sample, task, name)
    if task == "regression":
        _check_finite(sample.labels, "labels", "keep immature rows out of a comparison")
        _check_finite(sample.scores, f"scores of {name}", "a model that predicts them must not be compared")
        return
    _check_probabilities(sample.scores, name)
    if task == "multiclass":
        _check_sums(sample.scores, name)
        _check_classes(sample.labels, sample.scores.shape[1])
    else:
        _check_binary(sample.labels)


def _check_shapes(sample: Sample, task: Task, name: str) -> None:
    arrays = {"labels": sample.labels, f"scores of {name}": sample.scores}
    for what, array in arrays.items():
        if array.dtype.kind not in "biuf":
            raise ValueError(f"{what} are of type {array.dtype}; give numbers")
    num_dimensions = 2 if task == "multiclass" else 1
    if sample.labels.ndim != 1 or sample.scores.ndim != num_dimensions:
        expected = "(rows, classes)" if task == "multiclass" else "(rows,)"
        raise ValueError(
            f"scores of {name} have the shape {sample.scores.shape} and labels {sample.labels.shape}; "
            f"for a {task} task give {expected} and (rows,)"
        )
    if task == "multiclass" and sample.scores.shape[1] < 2:
        raise ValueError(f"scores of {name} have {sample.scores.shape[1]} columns; give one for each class, at least 2")
    lengths = {what: len(array) for what, array in (arrays | dict(sample.columns)).items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{what} {length}" for what, length in lengths.items())
        raise ValueError(f"{name} has unequal numbers of rows: {listed}; a comparison needs the same rows")
    if not len(sample.labels):
        raise ValueError(f"{name} has no rows; give at least one")


def _check_binary(labels: np.ndarray) -> None:
    is_label = (labels == 0) | (labels == 1)
    if not is_label.all():
        _refuse("labels must be 0 or 1; keep immature rows out of a comparison", "rows differ", labels, ~is_label)


def _check_probabilities(scores: np.ndarray, name: str) -> None:
    if scores.min() >= 0 and scores.max() <= 1:  # False for NaN too
        return
    wrong = ~((scores >= 0) & (scores <= 1))
    rows, value = np.flatnonzero(wrong if wrong.ndim == 1 else wrong.any(axis=1)), scores[wrong][0]
    raise ValueError(
        f"{name} has {wrong.sum()} scores that are no probabilities, first {value} in row {rows[0]}; "
        "give values from 0 to 1"
    )


def _check_sums(scores: np.ndarray, name: str) -> None:
    sums = scores @ np.ones(scores.shape[1])
    if sums.min() < 1 - SUM_TOLERANCE or sums.max() > 1 + SUM_TOLERANCE:
        wrong = np.abs(sums - 1) > SUM_TOLERANCE
        _refuse(f"scores of {name} must sum to 1 in each row, within {SUM_TOLERANCE:g}", "rows do not", sums, wrong)


def _check_classes(labels: np.ndarray, num_classes: int) -> None:
    if labels.min() >= 0 and labels.max() < num_classes and (labels.dtype.kind in "iu" or _whole(labels).all()):
        return
    wrong = ~((labels >= 0) & (labels < num_classes) & _whole(labels))
    _refuse(
        f"labels must be the index of a class, 0 to {num_classes - 1} for {num_classes} columns of scores",
        "rows differ",
        labels,
        wrong,
    )


def _check_finite(values: np.ndarray, what: str, remedy: str) -> None:
    if not (np.isfinite(values.min()) and np.isfinite(values.max())):
        _refuse(f"{what} must be finite; {remedy}", "rows are not", values, ~np.isfinite(values))


def _whole(labels: np.ndarray) -> np.ndarray:
    return labels == np.floor(labels)


def _refuse(expected: str, how: str, values: np.ndarray, wrong: np.ndarray) -> None:
    rows = np.flatnonzero(wrong)
    raise ValueError(f"{expected}: {len(rows)} {how}, first {values[rows[0]]} in row {rows[0]}")
