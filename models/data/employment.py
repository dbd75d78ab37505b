"""US census employment in Massachusetts, 2015-2018, as bundled in nannyml: is a person employed?

The survey publishes the year only. Rows of a year are spread evenly over it in a fixed shuffled order, so that time
within a year carries no signal and the only real change is the one from year to year. `SEX` and `RAC1P` are there as
protected groups.
"""

from __future__ import annotations

import importlib.util
from datetime import datetime
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

ROW_ORDER_SEED = 2015
MODEL_OUTPUTS = ["prediction", "predicted_probability"]  # of another model, published with the data


class Employment:
    """277,677 rows as a source, read once a process."""

    def __call__(self, start: datetime, end: datetime) -> pd.DataFrame:
        """People whose event time lies in `[start, end)`, in that order."""
        people = _people()
        first, last = people["event_time"].searchsorted([pd.Timestamp(start), pd.Timestamp(end)])
        return people.iloc[first:last].reset_index(drop=True)


@cache
def _people() -> pd.DataFrame:
    package = importlib.util.find_spec("nannyml")
    if package is None or not package.submodule_search_locations:
        raise RuntimeError("the package nannyml is not installed; run pip install nannyml==0.13.1")
    folder = Path(package.submodule_search_locations[0]) / "datasets" / "data"
    reference, analysis, target = (
        pd.read_parquet(folder / f"employment_MA_{part}.pq") for part in ("reference", "analysis", "analysis_target")
    )
    people = pd.concat([reference, analysis.merge(target, on="id", validate="one_to_one")], ignore_index=True)
    return _spread_over_years(people.drop(columns=MODEL_OUTPUTS))


def _spread_over_years(people: pd.DataFrame) -> pd.DataFrame:
    people = people.iloc[np.random.default_rng(ROW_ORDER_SEED).permutation(len(people))]
    within_year = people.groupby("year")
    share = (within_year.cumcount() + 0.5) / within_year["id"].transform("size")
    first = pd.to_datetime(people["year"].astype(str), format="%Y", utc=True)
    next_first = pd.to_datetime((people["year"] + 1).astype(str), format="%Y", utc=True)
    people["event_time"] = (first + share * (next_first - first)).dt.floor("s")
    categories = people.select_dtypes("category").columns
    people[categories] = people[categories].astype("object").astype(str).where(people[categories].notna())
    return people.drop(columns="year").sort_values(["event_time", "id"], ignore_index=True)
