"""Realised performance on the rows whose labels have arrived, against the champion's own reference."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from models.evaluation.groups import by_key
from models.evaluation.metrics.calibration import calibration_error
from models.evaluation.metrics.proper import log_loss
from models.evaluation.metrics.ranking import auc
from models.evaluation.spread import GroupedSpread


@dataclass(frozen=True)
class Realised:
    """What labelled rows say, and how likely so large a rise of log loss is when nothing has changed."""

    num_rows: int
    num_groups: int
    positive_share: float
    log_loss: float
    auc: float
    calibration_error: float
    reference_log_loss: float
    reference_auc: float
    rise: float
    p_value: float


def realised(
    labels: np.ndarray,
    scores: np.ndarray,
    groups: np.ndarray,
    reference_labels: np.ndarray,
    reference_scores: np.ndarray,
    reference_groups: np.ndarray,
) -> Realised:
    """Compare labelled rows with the reference: Welch's t on log loss, with standard errors grouped by day.

    The samples are different rows, so the errors add up; degrees of freedom are the smaller number of groups - 1.
    Both samples need both classes.
    """
    now, before = log_loss(labels, scores), log_loss(reference_labels, reference_scores)
    error = math.hypot(
        GroupedSpread.of(now.value, now.influence, by_key(groups, "days")).standard_error,
        GroupedSpread.of(before.value, before.influence, by_key(reference_groups, "days")).standard_error,
    )
    freedom = min(len(np.unique(groups)), len(np.unique(reference_groups))) - 1
    rise = now.value - before.value
    return Realised(
        num_rows=len(labels),
        num_groups=len(np.unique(groups)),
        positive_share=float(labels.mean()),
        log_loss=now.value,
        auc=auc(labels, scores).value,
        calibration_error=calibration_error(labels, scores).value,
        reference_log_loss=before.value,
        reference_auc=auc(reference_labels, reference_scores).value,
        rise=rise,
        p_value=float(stats.t.sf(rise / error, freedom)) if error > 0 and freedom > 0 else 1.0,
    )
