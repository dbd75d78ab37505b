"""A regression suite of rows that champions got wrong with confidence; it grows from decision to decision."""

from __future__ import annotations

import numpy as np
import pandas as pd

from models.evaluation.metrics.decisions import is_right
from models.evaluation.testing import Test, limit


def hardest(
    rows: pd.DataFrame, labels: np.ndarray, scores: np.ndarray, threshold: float, num_rows: int
) -> pd.DataFrame:
    """The rows that were called wrong and to whose class the least probability was given, at most `num_rows`.

    Args:
        rows: what is kept of them.
        labels: as `Sample.labels`, of one class or another.
        scores: as `Sample.scores`.
        threshold: score from which a row of a binary label is called positive.
        num_rows: at most so many are kept.
    """
    is_wrong = ~is_right(labels, scores, threshold)
    happened = scores if scores.ndim == 1 else scores[np.arange(len(labels)), labels.astype(np.intp)]
    distance = np.where(is_wrong, np.abs((labels if scores.ndim == 1 else 1.0) - happened), -1.0)
    order = np.argsort(-distance, kind="stable")[:num_rows]
    return rows.iloc[np.sort(order[is_wrong[order]])]


def regression(
    labels: np.ndarray, champion: np.ndarray, challenger: np.ndarray, threshold: float, margin: float
) -> Test:
    """Whether the challenger loses at most `margin` of the known-hard rows that the champion now calls right.

    It guards what was learned against a relapse; rows that the champion still calls wrong ask nothing. The rows are a
    fixed list and no sample, so the share is taken as it is, without a test. Every row must have a label.
    """
    was_right, stays_right = (is_right(labels, scores, threshold) for scores in (champion, challenger))
    lost = float((~stays_right[was_right]).mean()) if was_right.any() else 0.0
    note = f"the champion calls {int(was_right.sum()):,} of {len(labels):,} rows right"
    return limit("known-hard rows lost (share)", 0.0, lost, margin, note=note)
