"""What holds for every metric: the influence of a row is what the row changes, and it belongs to the row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from models.evaluation.metrics.catalogue import METRICS, metric
from models.evaluation.metrics.metric import Measured, Metric, Sample
from tests.models.evaluation.metrics.samples import binary, multiclass, regression

MAKE: dict[str, Callable[[int, int], Sample]] = {"binary": binary, "multiclass": multiclass, "regression": regression}
WITH_ARGUMENTS = (
    metric("top_k", k=2),
    metric("pinball", quantile=0.8),
    metric("f1", threshold=0.4),
    metric("expected_value", true_positive=5, false_positive=-2, true_negative=1, false_negative=-3, threshold=0.4),
    metric("expected_value", column="profit", threshold=0.3),
)
CASES = [
    pytest.param(case, task, id=f"{case.label}, {task}")
    for case in (*METRICS.values(), *WITH_ARGUMENTS)
    for task in case.tasks
    if task != "multiclass" or case.label != "F1 at 0.4"
]
WITHOUT_BIAS = ("squared_calibration_error",)  # no function of the shares of rows alone: copies change it
PLAIN = [case for case in CASES if case.values[0].name not in WITHOUT_BIAS]  # type: ignore[union-attr]
MEANS = ("accuracy", "log_loss", "brier", "top_k", "expected_value", "mae", "pinball")
RANGES = {
    "log_loss": (0, 16.2),
    "squared_calibration_error": (-0.1, 1),
    "brier": (0, 2),
    "expected_value": (-30, 30),
    "mcc": (-1, 1),
    "r2": (-np.inf, 1),
    "rmse": (0, np.inf),
    "mae": (0, np.inf),
    "pinball": (0, np.inf),
}


def subset(sample: Sample, rows: np.ndarray) -> Sample:
    """Those rows, repeated where they are named again."""
    columns = {name: column[rows] for name, column in sample.columns.items()}
    return Sample(sample.labels[rows], sample.scores[rows], columns)


def standard_error(measured: Measured) -> float:
    return float(measured.influence.std(ddof=1) / np.sqrt(len(measured.influence)))


def jackknife(case: Metric, sample: Sample) -> float:
    """Standard error from leaving each row out once."""
    rows = np.arange(len(sample.labels))
    values = np.array([case.measure(subset(sample, rows[rows != row])).value for row in rows])
    return float(np.sqrt((len(rows) - 1) / len(rows) * ((values - values.mean()) ** 2).sum()))


def influence_by_copies(case: Metric, sample: Sample, copies: int) -> np.ndarray:
    """The derivative of the metric in the weight of each row: of many copies of it, one more and one less."""
    rows = np.tile(np.arange(len(sample.labels)), copies)
    with_one_more = [case.measure(subset(sample, np.append(rows, row))).value for row in range(len(sample.labels))]
    with_one_less = [case.measure(subset(sample, np.delete(rows, row))).value for row in range(len(sample.labels))]
    return (np.array(with_one_more) - np.array(with_one_less)) * len(rows) / 2


@pytest.mark.parametrize(("case", "task"), PLAIN)
def test_the_influence_of_a_row_is_the_derivative_in_its_weight(case: Metric, task: str) -> None:
    sample = MAKE[task](36, 4)
    measured = case.measure(sample)
    expected = influence_by_copies(case, sample, copies=60)
    # One copy of 60 is a small step, not an infinitesimal one: a rare class bends the metric by 1e-4 of the derivative.
    np.testing.assert_allclose(measured.influence, expected - expected.mean(), atol=2e-4 * np.abs(expected).max())


@pytest.mark.parametrize(("case", "task"), CASES)
def test_influence_values_reproduce_the_jackknife(case: Metric, task: str) -> None:
    sample = MAKE[task](250, 2)
    tolerance = 1e-9 if case.name in MEANS else 0.03
    assert standard_error(case.measure(sample)) == pytest.approx(jackknife(case, sample), rel=tolerance)


@pytest.mark.parametrize(("case", "task"), CASES)
def test_influence_values_have_mean_zero_in_any_precision(case: Metric, task: str) -> None:
    sample = MAKE[task](2000, 3)
    for kind in (np.float64, np.float32):
        columns = {name: column.astype(kind) for name, column in sample.columns.items()}
        measured = case.measure(Sample(sample.labels.astype(kind), sample.scores.astype(kind), columns))
        assert measured.influence.shape == sample.labels.shape
        assert measured.influence.mean() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("case", "task"), CASES)
def test_rows_in_another_order_take_their_influence_with_them(case: Metric, task: str) -> None:
    sample = MAKE[task](200, 5)
    order = np.random.default_rng(0).permutation(200)
    before, after = case.measure(sample), case.measure(subset(sample, order))
    assert after.value == pytest.approx(before.value, abs=1e-12)
    np.testing.assert_allclose(after.influence, before.influence[order], atol=1e-10)


@pytest.mark.parametrize(("case", "task"), PLAIN)
def test_copies_of_all_rows_leave_the_value_and_the_influence_as_they_are(case: Metric, task: str) -> None:
    sample = MAKE[task](60, 6)
    once, twice = case.measure(sample), case.measure(subset(sample, np.tile(np.arange(60), 2)))
    assert twice.value == pytest.approx(once.value, abs=1e-12)
    np.testing.assert_allclose(twice.influence, np.tile(once.influence, 2), atol=1e-10)


@pytest.mark.parametrize(("case", "task"), CASES)
@pytest.mark.parametrize("seed", range(5))
def test_values_stay_in_their_range(case: Metric, task: str, seed: int) -> None:
    lowest, highest = RANGES.get(case.name, (0, 1))
    assert lowest <= case.measure(MAKE[task](40, seed)).value <= highest


@pytest.mark.parametrize(
    "case", [case for case in (*METRICS.values(), metric("top_k", k=2)) if case.tasks[0] != "regression"]
)
def test_the_right_answer_beats_every_other_in_the_direction_that_is_better(case: Metric) -> None:
    sample = MAKE[case.tasks[-1]](100, 7)
    perfect = np.eye(3)[sample.labels.astype(int)] if sample.scores.ndim == 2 else sample.labels
    gain = case.measure(replace(sample, scores=perfect)).value - case.measure(sample).value
    assert case.sign * gain > 0
