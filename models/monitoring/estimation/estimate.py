"""A performance that was estimated without labels, and how sure it is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np

from models.distributions import normal_quantile
from models.evaluation.metrics import METRICS, Sample

NOMINAL_LEVEL = 0.95
FEWEST_OF_A_CLASS = 50.0  # expected positives and negatives, below which no estimate should be believed


@dataclass(frozen=True)
class Estimate:
    """A metric expected on rows without labels; `dataclasses.asdict` makes it JSON.

    Attributes:
        estimator: "cbpe", "dle" or "weighted".
        metric: as in `models.evaluation.metrics.NAMES`.
        value: what is expected.
        lower: end of the interval that should hold the realised value in 95 % of cases, as should `upper`.
        upper: the other end.
        standard_error: of the realised value about the estimate when nothing but the inputs changed: the sampling error
            of the chunk, and that of the reference rows which the estimate rests on.
        reference: the value realised on the reference rows.
        is_reliable: False where the rows themselves say that the estimate should not be used.
        note: why not, in one sentence; else empty.
    """

    estimator: str
    metric: str
    value: float
    lower: float
    upper: float
    standard_error: float
    reference: float
    is_reliable: bool = True
    note: str = ""

    @classmethod
    def of(
        cls, estimator: str, metric: str, value: float, errors: tuple[float, ...], reference: float, note: str = ""
    ) -> Self:
        """With the normal interval of 95 %, from independent standard errors; a note makes it unreliable.

        >>> round(Estimate.of("cbpe", "auc", 0.7, (0.003, 0.004), 0.72).standard_error, 6)
        0.005
        """
        error = math.hypot(*errors)
        lower, upper = within_range(metric, value, float(normal_quantile((1 + NOMINAL_LEVEL) / 2)) * error)
        return cls(estimator, metric, float(value), lower, upper, error, float(reference), not note, note)


def within_range(metric: str, value: float, reach: float) -> tuple[float, float]:
    """The ends `value` ± `reach`, cut at the ends of the metric's range.

    >>> within_range("auc", 0.95, 0.1)[1]
    1.0
    """
    highest = 1.0 if metric in ("auc", "accuracy", "f1") else math.inf
    return max(float(value - reach), 0.0), min(float(value + reach), highest)


def realised_on(reference: Sample, metric: str) -> tuple[float, float]:
    """A metric on labelled rows, and its standard error as that of a mean of influence values."""
    measured = METRICS[metric].measure(reference)
    return measured.value, float(measured.influence.std() / math.sqrt(len(measured.influence)))


def second_share(chances: np.ndarray) -> float:
    """Expected share of the second most frequent class; chances have the shape (rows, classes).

    Of two classes that is the rarer one. Of several, a rare one alone takes nothing from the others.
    """
    return float(np.sort(chances.mean(axis=0))[-2])


def too_few(expected_of_class: float, num_rows: int) -> str:
    """A sentence when a class is expected too seldom for an estimate to be believed, else nothing."""
    rarest = min(expected_of_class, num_rows - expected_of_class)
    if rarest >= FEWEST_OF_A_CLASS:
        return ""
    return (
        f"too few rows: {rarest:.0f} of a class are expected among {num_rows:,}, and {FEWEST_OF_A_CLASS:.0f} are needed"
    )
