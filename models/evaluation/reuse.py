"""How often the rows of a holdout have decided before, and whether a model has seen them in training.

Ids are compared as text: what was a whole number in one version of the source may be a float or text in another.
"""

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
        counts += _is_among(ids, rows)
    return counts


def overlap(ids: pd.Index, trained_on: Iterable[pd.Index]) -> pd.Index:
    """Those of the rows that were trained on, whatever their times say; as the holdout has their ids."""
    seen = np.zeros(len(ids), dtype=bool)
    for rows in trained_on:
        seen |= _is_among(ids, rows)
    return ids[seen]


def _is_among(ids: pd.Index, rows: pd.Index) -> np.ndarray:
    is_alike = ids.dtype == rows.dtype and (ids.dtype != object or ids.inferred_type == rows.inferred_type == "string")
    return ids.isin(rows) if is_alike else _as_text(ids).isin(_as_text(rows))


def _as_text(ids: pd.Index) -> pd.Index:
    """1, 1.0 and "1" are all "1"."""
    if ids.inferred_type in ("integer", "string"):
        return pd.Index(ids.astype(str), dtype=object)
    return pd.Index([_text(each) for each in ids], dtype=object)


def _text(value: object) -> str:
    return str(int(value)) if isinstance(value, float | np.floating) and value.is_integer() else str(value)
