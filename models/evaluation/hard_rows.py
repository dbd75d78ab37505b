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
    """Whether the challenger calls wrong no larger a share of the known-hard rows than the champion, plus a margin.

    The rows are a fixed list and no sample, so the shares are compared as they are, without a test.
    """
    before, after = (float(((scores >= threshold) != (labels == 1)).mean()) for scores in (champion, challenger))
    return limit("known-hard rows called wrong (share)", before, after, min(before + margin, 1.0), note=f"{len(labels):,} rows")
