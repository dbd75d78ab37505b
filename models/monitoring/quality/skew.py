"""Train/serve skew: are the inputs that were scored those that the source holds for the same rows?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from models.monitoring.quality.bounds import share_at_least
from models.monitoring.quality.check import QualityCheck

TOLERANCE = 1e-6  # relative: float32 on the way, and back


def check_skew(
    logged: pd.DataFrame, source: pd.DataFrame, id: str, features: Sequence[str], limit: float
) -> list[QualityCheck]:
    """Share of rows, found in both by their id, whose logged input is not what the source holds now, by column.

    Rows that were corrected since count too: hence a limit. Raises `ValueError` when a column was not logged, or an id
    occurs twice in the source.
    """
    gone = [name for name in (id, *features) if name not in logged.columns]
    if gone:
        raise ValueError(
            f"the logged inputs have no column {', '.join(map(repr, gone))}; log every feature with its id"
        )
    last = logged.drop_duplicates(id, keep="last")  # a row whose time was corrected may be in two batches
    both = last[[id, *features]].merge(source[[id, *features]], on=id, suffixes=("", " now"), validate="one_to_one")
    checks = []
    for name in features:
        differs = _differs(both[name], both[f"{name} now"])
        count, rows = int(differs.sum()), len(both)
        found = count / rows if rows else 0.0
        checks.append(
            QualityCheck("train/serve skew", name, found, limit, found > limit and share_at_least(count, rows) > limit)
        )
    return checks


def _differs(logged: pd.Series, now: pd.Series) -> np.ndarray:
    if pd.api.types.is_numeric_dtype(logged) and pd.api.types.is_numeric_dtype(now):
        first, second = logged.to_numpy(dtype=float), now.to_numpy(dtype=float)
        return ~np.isclose(first, second, rtol=TOLERANCE, atol=0.0, equal_nan=True)
    both_missing = (logged.isna() & now.isna()).to_numpy()
    return (logged.astype(object) != now.astype(object)).to_numpy() & ~both_missing
