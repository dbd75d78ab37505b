"""Drift of each input column: how far it has moved, and what that alone would cost. It explains, and never triggers."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from models.monitoring.nannyml_boundary import nannyml

NUM_BINS = 10
FEWEST_ROWS = 30  # of the reference in a bin: the mean loss of fewer is noise
HEAVIEST = 10.0  # times: a value that has become more frequent than that has too few reference rows to speak for it


@dataclass(frozen=True)
class ColumnDrift:
    """How far one column has moved, and the harm that this explains.

    Attributes:
        column: its name.
        distance: Jensen-Shannon distance of its values from the reference: 0 is not at all, 1 is no overlap.
        has_moved: whether it lies above the distance that matters.
        harm: expected rise of the loss if nothing but this column had moved, in its unit.
    """

    column: str
    distance: float
    has_moved: bool
    harm: float = 0.0


def column_drift(
    reference: pd.DataFrame,
    current: pd.DataFrame,
    numbers: Sequence[str],
    categories: Sequence[str],
    threshold: float,
    losses: np.ndarray | None = None,
) -> list[ColumnDrift]:
    """Distance of every column between two samples by NannyML, those that explain the most harm first.

    Columns that are empty in either sample are left to the quality checks.

    Args:
        reference: rows on which the champion was new.
        current: rows in question.
        numbers: number columns.
        categories: category columns.
        threshold: distance from which a column has moved.
        losses: the champion's loss on each row of the reference, shape (reference rows,); NaN where it is not known.
    """
    names = [name for name in (*numbers, *categories) if reference[name].notna().any() and current[name].notna().any()]
    if not names:
        return []
    distances = _distances(reference[names], current[names], [name for name in names if name in categories])
    found = [
        ColumnDrift(
            name,
            distance,
            distance > threshold,
            0.0 if losses is None else harm_of_margin(reference[name], current[name], losses),
        )
        for name, distance in distances.items()
    ]
    return sorted(found, key=lambda column: (not column.has_moved, -column.harm, -column.distance))


def harm_of_margin(reference: pd.Series, current: pd.Series, losses: np.ndarray) -> float:
    """Expected rise of the mean loss if one column alone had moved: the reference, reweighted to its new margin.

    Formula: sum over bins b of (p_current(b) - p_reference(b)) * mean loss of the reference in b, with ten bins of
    equal size for numbers, one for each value of a category, and one for what is missing. Bins of the reference with
    fewer than 30 rows cannot say what a row in them costs and are left out, and a bin counts for at most ten times what
    it was. Assumes that the loss depends on the column in the same way as on the reference: it explains the harm of a
    shift, and sees nothing of a change of concept. Reference: the "marginal" term of a post-stratification (Little
    1993, "Post-stratification: a modeler's perspective").

    Args:
        reference: the column on rows with a known loss, in the order of `losses`.
        current: the same column now.
        losses: shape (reference rows,).
    """
    is_known = np.isfinite(losses)
    before, after = _binned(reference[is_known], current)
    if not len(before) or not len(after):
        return 0.0
    num_bins = int(max(before.max(), after.max())) + 1
    counts = np.bincount(before, minlength=num_bins)
    sums = np.bincount(before, weights=losses[is_known], minlength=num_bins)
    speaks = counts >= FEWEST_ROWS
    share = counts / len(before)
    now = np.minimum(np.bincount(after, minlength=num_bins) / len(after), HEAVIEST * share)
    means = np.divide(sums, counts, out=np.zeros(num_bins), where=counts > 0)
    usual = losses[is_known].mean()
    return float(((now - share) * (means - usual))[speaks].sum())


def _distances(reference: pd.DataFrame, current: pd.DataFrame, categories: Sequence[str]) -> dict[str, float]:
    calculator = nannyml().UnivariateDriftCalculator(
        column_names=list(reference.columns),
        treat_as_categorical=list(categories),
        continuous_methods=["jensen_shannon"],
        categorical_methods=["jensen_shannon"],
        chunk_number=1,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it advises on more chunks than one, whose thresholds are not used here
        calculator.fit(reference)
        result = calculator.calculate(current).filter(period="analysis").to_df()
    return {name: float(result[(name, "jensen_shannon", "value")].iloc[0]) for name in reference.columns}


def _binned(reference: pd.Series, current: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """The bin of each row, 0 for what is missing."""
    if pd.api.types.is_numeric_dtype(reference):
        inner = np.linspace(0, 1, NUM_BINS + 1)[1:-1]
        edges = np.unique(np.nanquantile(reference, inner)) if len(reference) else np.empty(0)
        return _bin_of(reference.to_numpy(), edges), _bin_of(current.to_numpy(), edges)
    codes = {value: place + 1 for place, value in enumerate(reference.dropna().unique())}
    unseen = len(codes) + 1
    return (
        reference.map(codes).fillna(0).to_numpy(dtype=int),
        current.map(lambda value: codes.get(value, unseen), na_action="ignore").fillna(0).to_numpy(dtype=int),
    )


def _bin_of(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(values), 0, np.searchsorted(edges, values, side="right") + 1)
