"""What a change of concept costs apart from the shift of inputs, once labels have come: reverse concept drift."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from models.distributions import t_point, t_tail
from models.evaluation.metrics import Sample
from models.evaluation.metrics.metric import Task
from models.monitoring.estimation.concepts import CONCEPTS, SAID, Rows
from models.monitoring.estimation.estimate import NOMINAL_LEVEL
from models.monitoring.estimation.features import Vocabulary
from models.monitoring.estimation.rows import spread_rows

NUM_PARTS = 5
ROW_CAP = 20_000


@dataclass(frozen=True)
class ConceptCost:
    """By how much a metric of the champion changes on reference inputs when labels follow the new concept.

    Attributes:
        metric: "log_loss" or "auc"; of several classes "log_loss" or "accuracy", of a number "mae" or "rmse".
        value: metric under the new concept less that under the old one; a loss or an error above zero is damage.
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
    task: Task = "binary",
    jobs: int = 2,
    seed: int = 0,
) -> dict[str, ConceptCost]:
    """Learn the concept anew from new rows and from reference rows, and judge the champion on reference inputs by both.

    Formula: either side is cut into 5 parts, days whole where they are given. For each part k a pair of boosted trees,
    of as many rows each, learns the label from inputs and score, beginning at the champion's log odds (of a number:
    what the champion costs); the champion's expected metrics on the reference inputs outside part k, under the one and
    under the other, differ by delta_k. The cost is their mean, its error sd / sqrt(5), with Student's t of 4 degrees of
    freedom, since no two deltas share a row that was learnt from. What both learners smooth away alike cancels; what is
    new and they do not find in a fifth of the rows is missed, so the cost leans to zero. Assumes that reference inputs
    lie where the new rows are: elsewhere the concept is extrapolated. Reference: NannyML's "reverse concept drift"
    (documentation, 2023).

    Args:
        reference: inputs of labelled rows that the champion was not trained on.
        reference_sample: their labels, and the champion's scores.
        current: inputs of newly labelled rows.
        current_sample: their labels and scores; of several classes in the columns of the reference.
        numbers: columns of numbers.
        categories: columns of text.
        reference_days: the day of each reference row, shape (reference rows,).
        current_days: of each current row.
        task: what the label is: it says which metrics there are.
        jobs: threads; the result does not depend on them.
        seed: of the parts, where no days are given.

    Raises:
        ValueError: for fewer than 5 rows, or days, on a side.

    >>> random = np.random.default_rng(0)
    >>> sides = [pd.DataFrame({"x": random.normal(size=1_000)}) for _ in range(2)]
    >>> off = [random.normal(size=1_000), random.normal(size=1_000) + 2]  # the same inputs now mean 2 more
    >>> old, new = (Sample(side["x"].to_numpy() + by, side["x"].to_numpy()) for side, by in zip(sides, off))
    >>> cost = concept_cost(sides[0], old, sides[1], new, ("x",), (), task="regression", jobs=1)["rmse"]
    >>> cost.lower < 5**0.5 - 1 < cost.upper
    True
    """
    places = spread_rows(len(reference), ROW_CAP), spread_rows(len(current), ROW_CAP)
    before, now = reference.iloc[places[0]], current.iloc[places[1]]
    vocabulary = Vocabulary.of(before, numbers, categories)
    samples = (
        Sample(sample.labels[some], sample.scores[some].astype(float))
        for sample, some in zip((reference_sample, current_sample), places, strict=True)
    )
    old, new = (
        Rows(np.column_stack((vocabulary.matrix(frame), SAID[task](side.scores))), side, vocabulary.categorical, jobs)
        for frame, side in zip((before, now), samples, strict=True)
    )
    parts = (
        _parts(len(before), reference_days if reference_days is None else reference_days[places[0]], seed),
        _parts(len(now), current_days if current_days is None else current_days[places[1]], seed),
    )
    deltas: dict[str, list[float]] = {}
    for part in range(NUM_PARTS):
        learnt = [np.flatnonzero(of_row == part) for of_row in parts]
        size, asked = min(map(len, learnt)), old.take(parts[0] != part)
        under_old, under_new = (
            CONCEPTS[task](side.take(some[spread_rows(len(some), size)]), asked)
            for side, some in zip((old, new), learnt, strict=True)
        )
        for metric, value in under_new.items():
            deltas.setdefault(metric, []).append(value - under_old[metric])
    return {metric: _cost(metric, np.array(found)) for metric, found in deltas.items()}


def _parts(num_rows: int, days: np.ndarray | None, seed: int) -> np.ndarray:
    """A number from 0 to 4 for each row: days by turns, or rows at random."""
    units = np.arange(num_rows) if days is None else np.unique(days, return_inverse=True)[1]
    num_units = int(units.max()) + 1 if num_rows else 0
    if num_units < NUM_PARTS:
        unit = "rows" if days is None else "days"
        raise ValueError(f"{num_units} {unit} cannot be cut into {NUM_PARTS} parts; wait for more labels")
    turns = np.arange(num_units) % NUM_PARTS
    return (np.random.default_rng(seed).permutation(turns) if days is None else turns)[units]


def _cost(metric: str, deltas: np.ndarray) -> ConceptCost:
    value, error = float(deltas.mean()), float(deltas.std(ddof=1) / np.sqrt(len(deltas)))
    freedom = len(deltas) - 1
    reach = float(t_point((1 - NOMINAL_LEVEL) / 2, freedom)) * error
    p_value = float(2 * t_tail(abs(value) / error, freedom)) if error > 0 else float(value == 0)
    return ConceptCost(metric, value, value - reach, value + reach, error, p_value)
