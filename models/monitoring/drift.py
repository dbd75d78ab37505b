"""Drift of each input column, by NannyML's Jensen-Shannon distance: it explains, and is never a trigger by itself."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from models.monitoring.nannyml_boundary import nannyml


@dataclass(frozen=True)
class ColumnDrift:
    """How far one column has moved: 0 is not at all, 1 is no overlap."""

    column: str
    distance: float
    has_moved: bool


def column_drift(
    reference: pd.DataFrame, current: pd.DataFrame, numbers: Sequence[str], categories: Sequence[str], threshold: float
) -> list[ColumnDrift]:
    """Jensen-Shannon distance of every column between two samples, furthest first.

    Columns that are empty in either sample are left to the quality checks.
    """
    names = [name for name in (*numbers, *categories) if reference[name].notna().any() and current[name].notna().any()]
    if not names:
        return []
    calculator = nannyml().UnivariateDriftCalculator(
        column_names=names,
        treat_as_categorical=[name for name in names if name in categories],
        continuous_methods=["jensen_shannon"],
        categorical_methods=["jensen_shannon"],
        chunk_number=1,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it advises on more chunks than one, whose thresholds are not used here
        calculator.fit(reference[names])
        result = calculator.calculate(current[names]).filter(period="analysis").to_df()
    distances = {name: float(result[(name, "jensen_shannon", "value")].iloc[0]) for name in names}
    return [
        ColumnDrift(name, distance, distance > threshold)
        for name, distance in sorted(distances.items(), key=lambda item: -item[1])
    ]
