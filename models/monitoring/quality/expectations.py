"""Expectations: what the days of a training window looked like, one statistic after the other."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Self

import numpy as np
import pandas as pd

from models.data.contract import Columns
from models.monitoring.quality.distances import jensen_shannon
from models.monitoring.quality.histories import (
    ColumnHistory,
    DayHistory,
    bins,
    category_history,
    day_history,
    label_history,
    number_history,
)
from models.monitoring.quality.layout import CategoryLayout, Layout, NumberLayout
from models.monitoring.quality.profile import Profile
from models.monitoring.quality.profiling import profile_days

MAX_DAYS = 60  # of training, the newest: older ones say less of what is ordinary now


@dataclass(frozen=True)
class Expectations:
    """What the training rows looked like; stored with the version. What an older version did not learn is empty."""

    rows_per_day: float
    layout: Layout
    columns: Mapping[str, ColumnHistory]
    days: DayHistory = field(default_factory=DayHistory)
    label: ColumnHistory | None = None  # of a number or of several classes

    @classmethod
    def learn(cls, frame: pd.DataFrame, columns: Columns, start: datetime, end: datetime) -> Self:
        """Learn from all rows of the training window `[start, end)`, labelled or not."""
        layout = Layout.learn(frame, columns)
        return cls.of_days(profile_days(frame, layout, columns, start, end), layout)

    @classmethod
    def of_days(cls, profiles: Sequence[Profile], layout: Layout) -> Self:
        """Learn from the profiles of the training days; days that are not whole count only when no other are there."""
        whole = [profile for profile in profiles if profile.is_complete] or list(profiles)
        newest = whole[-MAX_DAYS:]
        rows = [profile.rows for profile in whole]
        return cls(
            rows_per_day=float(np.mean(rows)) if rows else 0.0,
            layout=layout,
            columns={name: number_history([day.numbers[name] for day in newest], newest) for name in layout.numbers}
            | {
                name: category_history([day.categories[name] for day in newest], newest, category)
                for name, category in layout.categories.items()
            },
            days=day_history(newest),
            label=label_history(newest, layout.label) if layout.label else None,
        )

    def to_json(self) -> str:
        """As text; `from_json` gives back equal expectations."""
        return json.dumps(asdict(self), allow_nan=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `to_json` wrote, or what versions wrote that were trained before days were profiled."""
        content = json.loads(text)
        if "layout" not in content:
            return cls._from_first_form(content)
        return cls(
            rows_per_day=content["rows_per_day"],
            layout=Layout.from_dict(content["layout"]),
            columns={name: ColumnHistory(**_tuples(column)) for name, column in content["columns"].items()},
            days=DayHistory(**content["days"]),
            label=ColumnHistory(**_tuples(content["label"])) if content.get("label") else None,
        )

    @classmethod
    def _from_first_form(cls, content: Mapping[str, Any]) -> Self:
        numbers = [name for name in content["missing_share"] if name not in content["values"]]
        ranges = {name: content["ranges"].get(name, (None, None)) for name in numbers}
        return cls(
            rows_per_day=content["rows_per_day"],
            layout=Layout(
                {name: NumberLayout((), low, high) for name, (low, high) in ranges.items()},
                {name: CategoryLayout(tuple(values)) for name, values in content["values"].items()},
            ),
            columns={name: ColumnHistory(0, share) for name, share in content["missing_share"].items()},
        )


def distance(profiles: Sequence[Profile], expected: Expectations, column: str) -> float | None:
    """Jensen-Shannon distance of the rows of some days to those of training, in [0, 1].

    None when either has no value, or when the version did not learn bins.
    """
    layout = expected.layout.numbers.get(column) or expected.layout.categories[column]
    reference = expected.columns[column].counts
    if not reference or not profiles:
        return None
    return jensen_shannon(reference, np.sum([bins(day.column(column), layout) for day in profiles], axis=0))


def _tuples(content: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: tuple(tuple(item) if isinstance(item, list) else item for item in value)
        if isinstance(value, list)
        else value
        for name, value in content.items()
    }
