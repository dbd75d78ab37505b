"""What a change of concept costs apart from the shift of inputs, once labels have come: reverse concept drift."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import lightgbm
import numpy as np
import pandas as pd
from scipy import stats

from models.evaluation.metrics import Sample
from models.monitoring.estimation.estimate import NOMINAL_LEVEL
from models.monitoring.estimation.expected import by_class, expected
from models.monitoring.estimation.features import Vocabulary
from models.monitoring.estimation.rows import spread_rows

NUM_PARTS = 5
ROW_CAP = 20_000
NUM_TREES = 40
SMALLEST_CHANCE = 1e-4  # where the concept models begin: a champion that is sure of itself must not hold them back
PARAMETERS = {
    "objective": "binary",
    "learning_rate": 0.15,
    "num_leaves": 7,
    "min_data_in_leaf": 50,
    "lambda_l2": 10.0,
    "max_bin": 63,
    "verbose": -1,
    "deterministic": True,
    "force_row_wise": True,
}


@dataclass(frozen=True)
class ConceptCost:
    """By how much a metric of the champion changes on reference inputs when labels follow the new concept.

    Attributes:
        metric: "log_loss" or "auc".
        value: metric under the new concept less that under the old one; positive log loss is damage.
        lower: end of the interval of 95 %, as is `upper`.
        upper: the other end.
        standard_error: over independent parts of the data.
        p_value: two-sided p of "the concept has not changed" in this metric.
    """

    metric: str
    value: float
    lower: float
    upper: float
    standard_error: float
    p_value: float


def concept_cost(
    reference: pd.DataFrame,
    reference_sample: Sample,
    current: pd.DataFrame,
    current_sample: Sample,
    numbers: Sequence[str],
    categories: Sequence[str],
    reference_days: np.ndarray | None = None,
    current_days: np.ndarray | None = None,
    jobs: int = 2,
    seed: int = 0,
) -> dict[str, ConceptCost]:
    """Learn the label anew from new rows and from reference rows, and judge the champion on reference inputs by both.

    Formula: either side is cut into 5 parts, days whole where they are given. For each part k a pair of boosted trees,
    of as many rows each, learns the label from inputs and score, beginning at the champion's log odds; the champion's
    expected log loss and AUC on the reference inputs outside part k, under the one and under the other, differ by
    delta_k. The cost is their mean, its error sd / sqrt(5), with Student's t of 4 degrees of freedom, since no two
    deltas share a row that was learnt from. What both learners smooth away alike cancels; what is new and they do not
    find in a fifth of the rows is missed, so the cost leans to zero. Assumes that reference inputs lie where the new
    rows are: elsewhere the concept is extrapolated. Reference: NannyML's "reverse concept drift" (documentation, 2023).

    Args:
        reference: inputs of labelled rows that the champion was not trained on.
        reference_sample: their labels, 0 or 1, and the champion's probabilities.
        current: inputs of newly labelled rows.
        current_sample: their labels and probabilities.
        numbers: columns of numbers.
        categories: columns of text.
        reference_days: the day of each reference row, shape (reference rows,).
        current_days: of each current row.
        jobs: threads; the result does not depend on them.
        seed: of the parts, where no days are given.

    Raises:
        ValueError: for fewer than 5 rows, or days, on a side.
    """
    rows = spread_rows(len(reference), ROW_CAP), spread_rows(len(current), ROW_CAP)
    before, now = reference.iloc[rows[0]], current.iloc[rows[1]]
    old, new = (
        Sample(sample.labels[places], sample.scores[places].astype(float))
        for sample, places in zip((reference_sample, current_sample), rows, strict=True)
    )
    vocabulary = Vocabulary.of(before, numbers, categories)
    inputs = [_inputs(vocabulary, frame, side.scores) for frame, side in ((before, old), (now, new))]
    parts = (
        _parts(len(before), reference_days if reference_days is None else reference_days[rows[0]], seed),
        _parts(len(now), current_days if current_days is None else current_days[rows[1]], seed),
    )
    deltas: dict[str, list[float]] = {"log_loss": [], "auc": []}
    for part in range(NUM_PARTS):
        learnt = [np.flatnonzero(of_row == part) for of_row in parts]
        size = min(map(len, learnt))
        outside = parts[0] != part
        chances = []
        for matrix, side, places in zip(inputs, (old, new), learnt, strict=True):
            some = places[spread_rows(len(places), size)]
            booster = _learn(matrix[some], side.labels[some], side.scores[some], vocabulary, jobs)
            chances.append(_chances(booster, inputs[0][outside], old.scores[outside], jobs))
        for metric, found in deltas.items():
            values = [expected(metric, by_class(each), old.scores[outside]).value for each in chances]
            found.append(values[1] - values[0])
    return {metric: _cost(metric, np.array(found)) for metric, found in deltas.items()}


def _inputs(vocabulary: Vocabulary, frame: pd.DataFrame, scores: np.ndarray) -> np.ndarray:
    return np.column_stack((vocabulary.matrix(frame), _log_odds(scores)))


def _log_odds(scores: np.ndarray) -> np.ndarray:
    chances = np.clip(scores, SMALLEST_CHANCE, 1 - SMALLEST_CHANCE)
    return np.log(chances / (1 - chances))


def _parts(num_rows: int, days: np.ndarray | None, seed: int) -> np.ndarray:
    """A number from 0 to 4 for each row: days by turns, or rows at random."""
    units = np.arange(num_rows) if days is None else np.unique(days, return_inverse=True)[1]
    num_units = int(units.max()) + 1 if num_rows else 0
    if num_units < NUM_PARTS:
        unit = "rows" if days is None else "days"
        raise ValueError(f"{num_units} {unit} cannot be cut into {NUM_PARTS} parts; wait for more labels")
    turns = np.arange(num_units) % NUM_PARTS
    return (np.random.default_rng(seed).permutation(turns) if days is None else turns)[units]


def _learn(
    matrix: np.ndarray, labels: np.ndarray, scores: np.ndarray, vocabulary: Vocabulary, jobs: int
) -> lightgbm.Booster:
    parameters = PARAMETERS | {"num_threads": jobs}
    data = lightgbm.Dataset(
        matrix, labels, init_score=_log_odds(scores), categorical_feature=vocabulary.categorical, params=parameters
    )
    return lightgbm.train(parameters, data, num_boost_round=NUM_TREES)


def _chances(booster: lightgbm.Booster, matrix: np.ndarray, scores: np.ndarray, jobs: int) -> np.ndarray:
    raw = np.asarray(booster.predict(matrix, raw_score=True, num_threads=jobs)) + _log_odds(scores)
    return 1 / (1 + np.exp(-raw))


def _cost(metric: str, deltas: np.ndarray) -> ConceptCost:
    value, error = float(deltas.mean()), float(deltas.std(ddof=1) / np.sqrt(len(deltas)))
    freedom = len(deltas) - 1
    reach = float(stats.t.isf((1 - NOMINAL_LEVEL) / 2, freedom)) * error
    p_value = float(2 * stats.t.sf(abs(value) / error, freedom)) if error > 0 else float(value == 0)
    return ConceptCost(metric, value, value - reach, value + reach, error, p_value)
