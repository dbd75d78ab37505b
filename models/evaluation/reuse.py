"""How often the rows of a holdout have decided before, and whether a model has seen them in training."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd


def uses(ids: pd.Index, earlier: Iterable[pd.Index]) -> np.ndarray:
    """For each row, in how many earlier decisions it took part, shape (rows,).

    >>> uses(pd.Index(["a", "b"]), [pd.Index(["b", "c"]), pd.Index(["b"])])
    array([0, 2])
    """
    counts = np.zeros(len(ids), dtype=int)
    for rows in earlier:
        counts += ids.isin(rows)
    return counts


def overlap(ids: pd.Index, trained_on: Iterable[pd.Index]) -> pd.Index:
    """Those of the rows that were trained on, whatever their times say."""
    seen = np.zeros(len(ids), dtype=bool)
    for rows in trained_on:
        seen |= ids.isin(rows)
    return ids[seen]
