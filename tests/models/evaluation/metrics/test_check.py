"""What no metric should see is refused with its value, its count, its first row, and what was expected."""

from __future__ import annotations

import numpy as np
import pytest

from models.evaluation.metrics.check import check
from models.evaluation.metrics.metric import Sample, Task
from tests.models.evaluation.metrics.samples import binary, multiclass, regression

ROWS = np.array([[0.5, 0.3, 0.2], [0.2, 0.5, 0.3], [0.0, 0.0, 1.0]])
SCORES = np.array([0.2, 0.7, 0.9])


@pytest.mark.parametrize(
    ("task", "sample"),
    [("binary", binary(50, 1)), ("multiclass", multiclass(50, 1)), ("regression", regression(50, 1))],
)
def test_good_samples_pass_in_any_precision(task: Task, sample: Sample) -> None:
    check(sample, task, "champion")
    check(Sample(sample.labels.astype(np.float32), sample.scores.astype(np.float32)), task, "champion")
    if task != "regression":
        check(Sample(sample.labels.astype(int), sample.scores), task, "champion")


@pytest.mark.parametrize("extreme", [0.0, 1.0])
def test_probabilities_of_zero_and_one_pass(extreme: float) -> None:
    check(Sample(np.array([0.0, 1.0]), np.array([extreme, extreme])), "binary", "champion")


@pytest.mark.parametrize(
    ("task", "labels", "scores", "message"),
    [
        (
            "binary",
            [0, 1, 1],
            [0.2, np.nan, 2],
            r"^champion has 2 scores that are no probabilities, first nan in row 1; g",
        ),
        (
            "binary",
            [0, 1, 1],
            [0.2, 0.3, -1e-9],
            "champion has 1 scores that are no probabilities, first -1e-09 in row 2",
        ),
        (
            "binary",
            [0, 1, 1],
            [0.2, np.inf, 0.1],
            "champion has 1 scores that are no probabilities, first inf in row 1",
        ),
        (
            "binary",
            [0, np.nan, 2],
            SCORES,
            r"^labels must be 0 or 1; keep immature rows out of a comparison: 2 rows differ, first nan in row 1$",
        ),
        (
            "binary",
            [0, 1, 1],
            ROWS,
            r"scores of champion have the shape \(3, 3\) and labels \(3,\); for a binary task give",
        ),
        (
            "binary",
            [0, 1],
            SCORES,
            "champion has unequal numbers of rows: labels 2, scores of champion 3; a comparison",
        ),
        ("binary", [], [], "champion has no rows; give at least one"),
        ("binary", ["no", "yes", "yes"], SCORES, "labels are of type <U3; give numbers"),
        ("multiclass", [0, 1, 2], SCORES, r"have the shape \(3,\) .* for a multiclass task give \(rows, classes\)"),
        (
            "multiclass",
            [0, 1, 2],
            np.ones((3, 1)),
            "scores of champion have 1 columns; give one for each class, at least 2",
        ),
        ("multiclass", [0, 1, 2], ROWS - [0, 0.4, 0], "champion has 2 scores that are no probabilities, first -0.1"),
        (
            "multiclass",
            [0, 1, 2],
            ROWS * [[1], [0.9], [1]],
            "must sum to 1 in each row, within 0.001: 1 rows do not, first 0.9",
        ),
        ("multiclass", [0, 1, 2], ROWS * [[1.25], [1], [1]], "sum to 1 .* 1 rows do not, first 1.25 in row 0"),
        ("multiclass", [0, 1, 2], ROWS * [[1], [1], [0.998]], "sum to 1 .* 1 rows do not, first 0.998 in row 2"),
        (
            "multiclass",
            [0, 3, -1],
            ROWS,
            "labels must be the index of a class, 0 to 2 for 3 columns of scores: 2 rows differ, first 3 in row 1",
        ),
        ("multiclass", [0, 1, 3], ROWS, "index of a class, .*: 1 rows differ, first 3 in row 2"),
        ("multiclass", [0, 1, 1.5], ROWS, "index of a class, .*: 1 rows differ, first 1.5 in row 2"),
        ("multiclass", [0, 1, np.nan], ROWS, "index of a class, .*: 1 rows differ, first nan in row 2"),
        (
            "regression",
            [0, np.inf, 2],
            SCORES,
            "labels must be finite; keep immature rows out .*: 1 rows are not, first inf",
        ),
        ("regression", [0, 1, 2], [0.1, 0.2, np.nan], "scores of champion must be finite; .* first nan in row 2"),
    ],
)
def test_wrong_samples_are_refused(task: Task, labels: list[float], scores: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check(Sample(np.asarray(labels), np.asarray(scores)), task, "champion")


def test_sums_within_the_tolerance_pass() -> None:
    check(Sample(np.array([0, 1, 2]), ROWS * 0.9995), "multiclass", "champion")


def test_a_column_of_another_length_is_refused() -> None:
    sample = Sample(np.array([0.0, 1.0, 1.0]), SCORES, {"profit": np.zeros(2)})
    with pytest.raises(
        ValueError, match="champion has unequal numbers of rows: labels 3, scores of champion 3, profit 2"
    ):
        check(sample, "binary", "champion")
