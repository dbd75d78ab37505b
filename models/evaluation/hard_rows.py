"""A regression suite of rows that champions got wrong with confidence; it grows from decision to decision."""

from __future__ import annotations

import numpy as np
import pandas as pd

from models.evaluation.testing import Test, limit


def hardest(
    rows: pd.DataFrame, labels: np.ndarray, scores: np.ndarray, threshold: float, num_rows: int
) -> pd.DataFrame:
    """The rows that were called wrong and on which the score was farthest from the label, at most `num_rows`."""
    is_wrong = (scores >= threshold) != (labels == 1)
    distance = np.where(is_wrong, np.abs(labels - scores), -1.0)
    order = np.argsort(-distance, kind="stable")[:num_rows]
    return rows.iloc[np.sort(order[is_wrong[order]])]


def regression(
    labels: np.ndarray, champion: np.ndarray, challenger: np.ndarray, threshold: float, margin: float
) -> Test:
    """Whether the challenger loses at most `margin` of the known-hard rows that the champion now calls right.

    It guards what was learned against a relapse; rows that the champion still calls wrong ask nothing. The rows are a
    fixed list and no sample, so the share is taken as it is, without a test. Every row must have a label.
    """
    was_right, is_right = ((scores >= threshold) == (labels == 1) for scores in (champion, challenger))
    lost = float((~is_right[was_right]).mean()) if was_right.any() else 0.0
    note = f"the champion calls {int(was_right.sum()):,} of {len(labels):,} rows right"
    return limit("known-hard rows lost (share)", 0.0, lost, margin, note=note)
