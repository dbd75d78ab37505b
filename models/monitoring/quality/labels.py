"""Checks of labels: how many are positive, and how many may be flipped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from models.monitoring.quality.bounds import share_at_least, share_at_most
from models.monitoring.quality.check import Limits, QualityCheck
from models.monitoring.quality.expectations import Expectations
from models.monitoring.quality.histories import WEEK
from models.monitoring.quality.profile import Profile

MIN_ARRIVED = 0.5  # of the share labelled in training: labels that arrive early may be of one class
CONFIDENT = 0.1  # of the reference rows, those whose score is nearest to 0 or 1
COVERAGE = 0.95


class Unsure(ValueError):
    """There is no row of whose label the champion is sure."""


@dataclass(frozen=True)
class LabelNoise:
    """Estimated share of flipped labels, and its 95 % interval, all in [0, 0.5]."""

    share: float
    lower: float
    upper: float
    num_rows: int


def check_label_rate(profiles: Sequence[Profile], expected: Expectations, limits: Limits) -> list[QualityCheck]:
    """Share of positive labels: broken when all are of one class as chance cannot explain, or beyond the ratio if any.

    Only days on which about as many labels have arrived as in training count. A rate that moved is otherwise a shift
    that a model may have to learn, and is only reported.
    """
    known = expected.days
    days = [day for day in profiles if day.rows and day.labelled >= MIN_ARRIVED * known.labelled_share * day.rows]
    days = [day for day in days if day.labelled and day.positives is not None]
    if known.positive_share is None or not days:
        return []
    labelled, positives = sum(day.labelled for day in days), sum(day.positives or 0 for day in days)
    lowest, highest = known.lowest_positive_share, known.highest_positive_share
    lowest_week, highest_week = known.lowest_weekly_share, known.highest_weekly_share
    one_class = [day for day in days if _is_one_class(day.positives or 0, day.labelled, lowest, highest)]
    is_one_class = len(days) >= WEEK and _is_one_class(positives, labelled, lowest_week, highest_week)
    if one_class or is_one_class:
        at_fault = one_class or days
        found = sum(day.positives or 0 for day in at_fault) / sum(day.labelled for day in at_fault)
        return [
            _rate(
                found,
                lowest if 2 * found < 1 else highest,
                True,
                [day.day for day in at_fault],
                "all labels are of one class",
            )
        ]
    found, ratio = positives / labelled, limits.label_rate_ratio
    if ratio is None:
        return [_rate(found, lowest if found < known.positive_share else highest, False, [], "only reported")]
    low, high = known.positive_share / ratio, known.positive_share * ratio
    is_broken = share_at_most(positives, labelled) < low or share_at_least(positives, labelled) > high
    return [_rate(found, low if found < known.positive_share else high, is_broken, [])]


def _is_one_class(positives: int, labelled: int, lowest: float, highest: float) -> bool:
    if positives == 0:
        return share_at_most(0, labelled) < lowest
    return positives == labelled and share_at_least(labelled, labelled) > highest


def _rate(found: float, limit: float, is_broken: bool, days: Sequence[str], note: str = "") -> QualityCheck:
    return QualityCheck("label rate", None, found, limit, is_broken, tuple(days), note)


def label_noise(
    labels: npt.ArrayLike, scores: npt.ArrayLike, reference_labels: npt.ArrayLike, reference_scores: npt.ArrayLike
) -> LabelNoise:
    """Estimate the share of labels flipped at random from the rows of which the champion is surest.

    Of the tenth of the reference rows whose score is nearest to 0 or 1 a share e was on the other side; flipping a
    share q of labels makes that e + q (1 - 2e), which is solved for q. A concept that changed in just those rows looks
    the same: this is an upper bound rather than a verdict. Natarajan et al., NeurIPS 2013, for the model of noise.

    Args:
        labels, scores: labelled rows of now, labels 0 or 1, scores in [0, 1].
        reference_labels, reference_scores: rows that are known to be sound, such as the holdout of the promotion.

    Raises:
        Unsure: when either has no row of which the champion is sure.

    >>> scores = np.array([0.01, 0.99] * 200)
    >>> noise = label_noise(np.tile([0, 1, 0, 1, 1, 1, 0, 0], 50), scores, scores > 0.5, scores)
    >>> round(noise.share, 2), noise.lower < 0.25 < noise.upper
    (0.25, True)
    """
    certainty = np.minimum(np.asarray(reference_scores, dtype=float), 1 - np.asarray(reference_scores, dtype=float))
    threshold = float(np.quantile(certainty, CONFIDENT)) if len(certainty) else 0.0
    wrong, rows = _wrong(labels, scores, threshold)
    reference_wrong, reference_rows = _wrong(reference_labels, reference_scores, threshold)
    if not rows or not reference_rows:
        raise Unsure(f"{rows} rows now and {reference_rows} of the reference are sure; label noise needs both")
    slope = 1 - 2 * min(reference_wrong, 0.49)
    share = (wrong - reference_wrong) / slope
    # With (x + 2) / (n + 4) the error is not zero when no row was wrong (Agresti & Coull, Am. Stat. 1998).
    error = np.sqrt(sum(_variance(p, n) for p, n in ((wrong, rows), (reference_wrong, reference_rows)))) / slope
    half = float(norm.ppf((1 + COVERAGE) / 2) * error)
    low, middle, high = (float(np.clip(value, 0.0, 0.5)) for value in (share - half, share, share + half))
    return LabelNoise(middle, low, high, rows)


def check_label_noise(noise: LabelNoise, limits: Limits) -> QualityCheck:
    """The estimate as a check: broken when all of its interval lies above the limit, if there is one."""
    limit = 0.5 if limits.label_noise is None else limits.label_noise
    note = (
        f"between {noise.lower:.3g} and {noise.upper:.3g}, from {noise.num_rows:,} rows of which the champion is sure"
    )
    return QualityCheck("estimated share of flipped labels", None, noise.share, limit, noise.lower > limit, (), note)


def _wrong(labels: npt.ArrayLike, scores: npt.ArrayLike, threshold: float) -> tuple[float, int]:
    """Share of sure rows on the other side, and their number."""
    scores, labels = np.asarray(scores, dtype=float), np.asarray(labels, dtype=float)
    sure = np.minimum(scores, 1 - scores) <= threshold
    wrong = (scores[sure] > 0.5) != (labels[sure] == 1)
    return (float(wrong.mean()), len(wrong)) if len(wrong) else (0.0, 0)


def _variance(share: float, rows: int) -> float:
    adjusted = (share * rows + 2) / (rows + 4)
    return adjusted * (1 - adjusted) / (rows + 4)
