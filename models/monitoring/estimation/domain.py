"""Can current rows be told from reference rows? One classifier answers, and everything else is read off it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from models.distributions import t_point, t_tail
from models.evaluation.metrics import auc
from models.monitoring.estimation.features import Vocabulary
from models.monitoring.estimation.rows import spread_rows

ROW_CAP = 20_000
NUM_TREES = 60
PARAMETERS = {
    "objective": "binary",
    "learning_rate": 0.15,
    "num_leaves": 15,
    "min_data_in_leaf": 50,
    "max_bin": 63,
    "bin_construct_sample_cnt": 5_000,  # a third of the time went into looking for edges of bins
    "min_data_per_group": 50,
    "verbose": -1,
    "deterministic": True,
    "force_row_wise": True,
    "feature_pre_filter": False,
}
SMALLEST_CHANCE = 0.05  # of being a reference row: a weight is cut at 19 times the ratio of rows
SMALLEST_WEIGHT = 0.001
LARGEST_AUC = 0.95
SMALLEST_EFFECTIVE_SHARE = 0.1
LEVEL = 0.95


@dataclass(frozen=True)
class Domain:
    """What a classifier of reference = 0 against current = 1 says of rows it was not fitted on.

    Attributes:
        auc: mean over the two folds of the area under its curve: 0.5 is no difference, 1 is no overlap.
        lower: end of the interval of 95 %, as is `upper`.
        upper: the other end.
        p_value: one-sided p of "the rows cannot be told apart".
        unit: what was taken as independent: "rows", or "days".
        importance: share of each column in what the trees gained, largest first.
        reference_rows: positions of the reference rows that were used, in order.
        current_rows: of the current rows.
        reference_chances: the chance of being a current row, shape (reference rows used,).
        current_chances: shape (current rows used,).
    """

    auc: float
    lower: float
    upper: float
    p_value: float
    unit: str
    importance: dict[str, float]
    reference_rows: np.ndarray
    current_rows: np.ndarray
    reference_chances: np.ndarray
    current_chances: np.ndarray

    @cached_property
    def weights(self) -> np.ndarray:
        """How much more often a current row is like this reference row, mean 1, shape (reference rows used,).

        Formula: w = (n_reference / n_current) g / max(.05, 1 - g), at least .001, over their mean; g is the chance of
        being current (Bialek et al. 2024, arXiv 2401.08348).
        """
        ratio = len(self.reference_rows) / len(self.current_rows)
        chances = self.reference_chances
        raw = np.maximum(ratio * chances / np.maximum(SMALLEST_CHANCE, 1 - chances), SMALLEST_WEIGHT)
        return raw / raw.mean()

    @property
    def effective_share(self) -> float:
        """Kish's effective number of weighted rows over their number: (sum w)^2 / (n sum w^2); 1 is flat."""
        return float(self.weights.sum() ** 2 / (len(self.weights) * (self.weights**2).sum()))

    @property
    def floor_share(self) -> float:
        """Share of the reference rows whose weight was lifted to the floor: nothing current is like them."""
        ratio, chances = len(self.reference_rows) / len(self.current_rows), self.reference_chances
        return float((ratio * chances / (1 - chances) <= SMALLEST_WEIGHT).mean())

    @property
    def no_overlap(self) -> str:
        """One sentence when reference rows cannot stand for current ones, else nothing."""
        if self.auc > LARGEST_AUC:
            return f"no overlap: a classifier tells current from reference rows with an AUC of {self.auc:.3f}"
        if self.effective_share < SMALLEST_EFFECTIVE_SHARE:
            share = f"{self.effective_share:.1%}"
            return f"no overlap: weighted to look like current rows, the reference is worth {share} of its rows"
        return ""


def fit_domain(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    numbers: Sequence[str],
    categories: Sequence[str],
    reference_days: np.ndarray | None = None,
    current_days: np.ndarray | None = None,
    row_cap: int = ROW_CAP,
    jobs: int = 2,
    seed: int = 0,
) -> Domain:
    """Fit two small boosted classifiers, each on one half of the rows, and let each judge the other half.

    Formula: AUC is the mean over the two halves; its error is that of its influence values (DeLong et al. 1988) with
    days as groups, and p comes from Student's t with one degree less than the smaller number of days. Days, where they
    are given, stay together when rows are halved: rows of one day share its weather and news, and a classifier that has
    seen a day recognises its other rows though nothing has drifted. Each side should have at least ten. Range of AUC:
    0 to 1; below 0.5 is chance. Reference: Lopez-Paz & Oquab 2017, "Revisiting classifier two-sample tests".

    Args:
        reference: rows before, with all columns.
        current: rows now.
        numbers: columns of numbers, which may be missing.
        categories: columns of text. What the reference never held is one further value.
        reference_days: the day, or whatever else rows share, of each reference row, shape (reference rows,).
        current_days: of each current row.
        row_cap: rows of each side that are used at most, evenly spread over their order.
        jobs: threads; the result does not depend on them.
        seed: of the halves, where no days are given.

    Raises:
        ValueError: for fewer than 4 rows on a side, no columns, or days of one side only.
    """
    if (reference_days is None) != (current_days is None):
        raise ValueError("days are given for one side only; give reference_days and current_days, or neither")
    if min(len(reference), len(current)) < 4 or not (numbers or categories):
        raise ValueError(
            f"a domain classifier needs 4 rows a side and a column; there are {len(reference)} and {len(current)} rows "
            f"and {len(numbers) + len(categories)} columns"
        )
    rows = spread_rows(len(reference), row_cap), spread_rows(len(current), row_cap)
    before, now = reference.iloc[rows[0]], current.iloc[rows[1]]
    vocabulary = Vocabulary.of(before, numbers, categories)
    matrix = np.concatenate((vocabulary.matrix(before), vocabulary.matrix(now)))
    is_current = np.repeat((0.0, 1.0), (len(before), len(now)))
    days = half = None
    if reference_days is not None and current_days is not None:
        days = np.concatenate((reference_days[rows[0]], current_days[rows[1]]))
        half = _halves_of_days(days, is_current)
    if half is None:
        half = _halves_of_rows(is_current, seed)
    chances, gains = _cross_fit(matrix, is_current, half, vocabulary, jobs, seed)
    return Domain(
        *_separation(is_current, chances, half, days),
        importance=_shares(vocabulary.columns, gains),
        reference_rows=rows[0],
        current_rows=rows[1],
        reference_chances=chances[: len(before)],
        current_chances=chances[len(before) :],
    )


def _cross_fit(
    matrix: np.ndarray, is_current: np.ndarray, half: np.ndarray, vocabulary: Vocabulary, jobs: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Each row's chance of being current by the classifier of the other half, and what columns gained in both."""
    import lightgbm  # here: it takes a second to load, which not every run that knows of this module has to pay

    parameters = PARAMETERS | {"num_threads": jobs, "seed": seed}
    whole = lightgbm.Dataset(
        matrix, label=is_current, categorical_feature=vocabulary.categorical, params=parameters, free_raw_data=False
    ).construct()  # binned once for both
    chances, gains = np.empty(len(matrix)), np.zeros(matrix.shape[1])
    for number in (0, 1):
        # `lightgbm.train` sets categories anew, which a subset refuses.
        booster = lightgbm.Booster(parameters, whole.subset(np.flatnonzero(half != number).tolist()))
        for _ in range(NUM_TREES):
            booster.update()
        chances[half == number] = booster.predict(matrix[half == number], num_threads=jobs)
        gains += booster.feature_importance("gain")
    return chances, gains


def _halves_of_rows(is_current: np.ndarray, seed: int) -> np.ndarray:
    """0 or 1 for each row, at random, as many of each within each side."""
    half, generator = np.empty(len(is_current), dtype=int), np.random.default_rng(seed)
    for side in (is_current == 0, is_current == 1):
        half[side] = generator.permutation(np.arange(side.sum()) % 2)
    return half


def _halves_of_days(days: np.ndarray, is_current: np.ndarray) -> np.ndarray | None:
    """0 or 1 for each row by turns of its day; None where a half would lack a side."""
    half = np.unique(days, return_inverse=True)[1] % 2
    has_all = all(np.any((half == number) & (is_current == side)) for number in (0, 1) for side in (0, 1))
    return half if has_all else None


def _separation(
    is_current: np.ndarray, chances: np.ndarray, half: np.ndarray, days: np.ndarray | None
) -> tuple[float, float, float, float, str]:
    """AUC, its interval, the p of no difference, and what was taken as independent."""
    value, influence = 0.0, np.empty(len(chances))
    for number in (0, 1):
        inside = half == number
        measured = auc(is_current[inside], chances[inside])
        value += measured.value / 2
        influence[inside] = measured.influence * (len(chances) / (2 * inside.sum()))
    groups = np.arange(len(chances)) if days is None else days
    error, freedom = _error(influence, groups, is_current)
    if not np.isfinite(error):
        return value, 0.0, 1.0, 1.0, "rows" if days is None else "days"
    reach = float(t_point((1 - LEVEL) / 2, freedom)) * error
    p_value = float(t_tail((value - 0.5) / error, freedom)) if error > 0 else float(value <= 0.5)
    return value, max(value - reach, 0.0), min(value + reach, 1.0), p_value, "rows" if days is None else "days"


def _error(influence: np.ndarray, groups: np.ndarray, is_current: np.ndarray) -> tuple[float, float]:
    """Standard error of a mean of influence values over two samples of groups, and Welch's degrees of freedom."""
    squares, shares = 0.0, 0.0
    for side in (is_current == 0, is_current == 1):
        sums = np.bincount(np.unique(groups[side], return_inverse=True)[1], weights=influence[side])
        if len(sums) < 2:
            return float("inf"), 1.0
        square = len(sums) * float(sums.var(ddof=1)) / len(influence) ** 2
        squares, shares = squares + square, shares + square**2 / (len(sums) - 1)
    return float(np.sqrt(squares)), squares**2 / shares if shares > 0 else 1.0


def _shares(columns: Sequence[str], gains: np.ndarray) -> dict[str, float]:
    total = float(gains.sum())
    shares = gains / total if total > 0 else gains
    return {columns[place]: float(shares[place]) for place in np.argsort(-shares, kind="stable")}
