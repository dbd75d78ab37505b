"""How many labels may be flipped: estimated from the rows of which the champion is surest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.distributions import normal_quantile
from models.monitoring.quality.check import Limits, QualityCheck

CONFIDENT = 0.1  # of the reference rows, those whose likeliest class is the most probable
COVERAGE = 0.95
NOT_OF_A_NUMBER = (
    "noise in the labels of a number, a wilder world and a change of concept all look alike: rows that lie farther "
    "from what is predicted"
)


class Unsure(ValueError):
    """There is no row of whose label the champion is sure."""


@dataclass(frozen=True)
class LabelNoise:
    """Estimated share of flipped labels, and its 95 % interval, all in [0, `most`], where labels say nothing any more.

    With K classes `most` is (K - 1) / K: 0.5 of 0 and 1.
    """

    share: float
    lower: float
    upper: float
    num_rows: int
    most: float = 0.5


def label_noise(
    labels: npt.ArrayLike, scores: npt.ArrayLike, reference_labels: npt.ArrayLike, reference_scores: npt.ArrayLike
) -> LabelNoise:
    """Estimate the share of labels flipped at random from the rows of which the champion is surest.

    Formula: of the tenth of the reference rows whose likeliest class is the most probable a share e was of another
    class. Replacing a share q of the labels by another of K classes, each as likely, makes that
    e + q (1 - e K / (K - 1)), which is solved for q. Assumes that flips rest neither on the inputs nor on the class
    (where they do, the share is that among sure rows), and that the reference is sound: noise that it has too is not
    seen. A concept that changed in just those rows looks the same: this is an upper bound rather than a verdict.
    Reference: Natarajan et al., NeurIPS 2013, and Patrini et al., CVPR 2017, for the model of noise.

    Args:
        labels, scores: labelled rows of now: labels 0 or 1 and the probability of 1, shape (rows,); or the index of the
            class, and the probability of each, shape (rows, classes). Rows of a class that the champion does not know
            are to be left out.
        reference_labels, reference_scores: rows that are known to be sound, such as the holdout of the promotion.

    Raises:
        Unsure: when either has no row of which the champion is sure.

    >>> scores = np.array([0.01, 0.99] * 200)
    >>> noise = label_noise(np.tile([0, 1, 0, 1, 1, 1, 0, 0], 50), scores, scores > 0.5, scores)
    >>> round(noise.share, 2), noise.lower < 0.25 < noise.upper
    (0.25, True)
    >>> sure = np.tile([[0.98, 0.01, 0.01], [0.01, 0.98, 0.01]], (200, 1))
    >>> noise = label_noise(np.tile([0, 1, 0, 1, 0, 1, 0, 2], 50), sure, np.tile([0, 1], 200), sure)
    >>> round(noise.share, 3), round(noise.most, 3)
    (0.125, 0.667)
    """
    now, before = _probabilities(scores), _probabilities(reference_scores)
    doubt = 1 - before.max(axis=1)
    threshold = float(np.quantile(doubt, CONFIDENT)) if len(doubt) else 0.0
    wrong, rows = _wrong(labels, now, threshold)
    reference_wrong, reference_rows = _wrong(reference_labels, before, threshold)
    if not rows or not reference_rows:
        raise Unsure(f"{rows} rows now and {reference_rows} of the reference are sure; label noise needs both")
    most = 1 - 1 / now.shape[1]
    slope = 1 - min(reference_wrong, 0.98 * most) / most
    share = (wrong - reference_wrong) / slope
    # With (x + 2) / (n + 4) the error is not zero when no row was wrong (Agresti & Coull, Am. Stat. 1998).
    error = np.sqrt(sum(_variance(p, n) for p, n in ((wrong, rows), (reference_wrong, reference_rows)))) / slope
    half = float(normal_quantile((1 + COVERAGE) / 2) * error)
    low, middle, high = (float(np.clip(value, 0.0, most)) for value in (share - half, share, share + half))
    return LabelNoise(middle, low, high, rows, most)


def check_label_noise(noise: LabelNoise, limits: Limits) -> QualityCheck:
    """The estimate as a check: broken when all of its interval lies above the limit, if there is one."""
    limit = noise.most if limits.label_noise is None else limits.label_noise
    note = (
        f"between {noise.lower:.3g} and {noise.upper:.3g}, from {noise.num_rows:,} rows of which the champion is sure"
    )
    return QualityCheck("estimated share of flipped labels", None, noise.share, limit, noise.lower > limit, (), note)


def _probabilities(scores: npt.ArrayLike) -> np.ndarray:
    """Of each class, shape (rows, classes)."""
    found = np.asarray(scores, dtype=float)
    return found if found.ndim == 2 else np.column_stack((1 - found, found))


def _wrong(labels: npt.ArrayLike, probabilities: np.ndarray, threshold: float) -> tuple[float, int]:
    """Share of sure rows that are of another class than the likeliest, and the number of sure rows."""
    sure = 1 - probabilities.max(axis=1) <= threshold
    wrong = probabilities[sure].argmax(axis=1) != np.asarray(labels, dtype=float)[sure]
    return (float(wrong.mean()), len(wrong)) if len(wrong) else (0.0, 0)


def _variance(share: float, rows: int) -> float:
    adjusted = (share * rows + 2) / (rows + 4)
    return adjusted * (1 - adjusted) / (rows + 4)
