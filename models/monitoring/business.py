"""Numbers of the business: the mean of an expression over the rows of a day, or a ratio of two sums."""

from __future__ import annotations

import ast
import math
from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Business:
    """A number of the business.

    Attributes:
        name: as triggers call it.
        value: an expression over columns, as `DataFrame.eval` reads it.
        per: the sum of `value` is divided by the sum of this; by the number of rows if it is None.
    """

    name: str
    value: str
    per: str | None = None

    @property
    def columns(self) -> frozenset[str]:
        """The columns that it needs."""
        return names_in(self.value) | (names_in(self.per) if self.per else frozenset())


def names_in(expression: str) -> frozenset[str]:
    """The names in an expression over columns. Raises `ValueError` when it is not one.

    >>> sorted(names_in("(price - cost) * (late == 0)"))
    ['cost', 'late', 'price']
    """
    try:
        tree = ast.parse(expression, mode="eval")
    except SyntaxError as error:
        raise ValueError(
            f"{expression!r} is no expression over columns: {error.msg}; write one such as clicked"
        ) from None
    return frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))


def daily(business: Business, frame: pd.DataFrame, days: np.ndarray, label: str) -> dict[int, float]:
    """The number of each day that gives it a value.

    Rows without a label do not count where the expression needs one.

    Args:
        business: what is computed.
        frame: rows.
        days: of each row, shape (rows,).
        label: the column of labels.

    Raises:
        ValueError: when the expression gives no number for each row.
    """
    if label in business.columns:
        is_known = frame[label].notna().to_numpy()
        frame, days = frame[is_known], days[is_known]
    above = _evaluated(frame, business.value, business.name)
    below = _evaluated(frame, business.per, business.name) if business.per else np.ones(len(frame))
    usable = np.isfinite(above) & np.isfinite(below)
    found = {}
    for day in np.unique(days[usable]):
        rows = usable & (days == day)
        if below[rows].sum() != 0 and math.isfinite(value := float(above[rows].sum() / below[rows].sum())):
            found[int(day)] = value
    return found


def _evaluated(frame: pd.DataFrame, expression: str, name: str) -> np.ndarray:
    try:
        values = np.asarray(frame.eval(expression, engine="python"), dtype=float)
    except Exception as error:  # whatever an expression of the user's raises is the user's to mend
        raise ValueError(f"watch.business {name}: {expression!r} gives no numbers: {error}") from error
    return np.broadcast_to(values, (len(frame),))
