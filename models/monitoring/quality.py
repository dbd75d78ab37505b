"""Data quality: is the feed what it was when the champion was trained? Asked before anything else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Self

import numpy as np
import pandas as pd

RANGE_SLACK = 1.0  # in training ranges: a season moves a column by less, another unit by more


@dataclass(frozen=True)
class Expectations:
    """What the training rows looked like; stored with the version."""

    rows_per_day: float
    missing_share: dict[str, float]
    ranges: dict[str, tuple[float, float]]
    values: dict[str, tuple[str, ...]]

    @classmethod
    def learn(cls, frame: pd.DataFrame, rows_per_day: float, numbers: Sequence[str], categories: Sequence[str]) -> Self:
        """Learn from training rows; `rows_per_day` counts those without a label too."""
        return cls(
            rows_per_day=rows_per_day,
            missing_share={name: float(frame[name].isna().mean()) for name in (*numbers, *categories)},
            ranges={
                name: (float(frame[name].min()), float(frame[name].max()))
                for name in numbers
                if frame[name].notna().any()
            },
            values={name: tuple(sorted(frame[name].dropna().unique())) for name in categories},
        )

    def to_json(self) -> str:
        """As text; `from_json` gives back equal expectations."""
        return json.dumps(asdict(self), indent=1, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote."""
        content = json.loads(text)
        content["ranges"] = {name: (low, high) for name, (low, high) in content["ranges"].items()}
        content["values"] = {name: tuple(values) for name, values in content["values"].items()}
        return cls(**content)


@dataclass(frozen=True)
class Limits:
    """How far from the expectations is broken; shares are of rows."""

    missing_share: float
    unseen_share: float
    out_of_range_share: float
    volume_ratio: float
    unscored_share: float = 1.0


@dataclass(frozen=True)
class QualityCheck:
    """One check of one column, or of the whole batch when `column` is None."""

    name: str
    column: str | None
    found: float
    limit: float
    is_broken: bool

    @property
    def sentence(self) -> str:
        """What was found, for a person."""
        return f"{self.name}{f' of {self.column}' if self.column else ''} is {self.found:.3g} (limit {self.limit:.3g})"


def check_quality(
    frame: pd.DataFrame, rows_per_day: float | None, expected: Expectations, limits: Limits
) -> list[QualityCheck]:
    """Check rows against what training looked like: their number, and every check of every column.

    Args:
        frame: the rows; a column that training did not have is not checked.
        rows_per_day: their number a day, labelled or not; None when the span is too short to say.
        expected: what training looked like.
        limits: how far from it is broken.

    Raises:
        ValueError: when a column that training had is gone.
    """
    gone = [name for name in expected.missing_share if name not in frame.columns]
    if gone:
        raise ValueError(
            f"rows have no column {', '.join(map(repr, gone))}, which the champion was trained with; "
            "name it again under data.numbers or data.categories"
        )
    checks = []
    if rows_per_day is not None:
        checks += [
            _above("rows a day", None, rows_per_day, expected.rows_per_day * limits.volume_ratio),
            _below("rows a day", None, rows_per_day, expected.rows_per_day / limits.volume_ratio),
        ]
    if frame.empty:
        return checks
    for name, share in expected.missing_share.items():
        checks.append(_above("missing share", name, float(frame[name].isna().mean()), share + limits.missing_share))
    for name, (low, high) in expected.ranges.items():
        slack = RANGE_SLACK * (high - low if high > low else max(abs(high), 1.0))
        outside = (frame[name] < low - slack) | (frame[name] > high + slack)
        checks.append(_above("share far out of range", name, float(outside.mean()), limits.out_of_range_share))
    for name, values in expected.values.items():
        unseen = frame[name].notna() & ~frame[name].isin(values)
        checks.append(_above("share of unseen values", name, float(unseen.mean()), limits.unseen_share))
    return checks


def check_scored(num_rows: int, num_scored: int, limits: Limits) -> QualityCheck:
    """Check how many rows of windows that were scored have no prediction: they arrived too late, or were lost."""
    share = 1 - num_scored / num_rows if num_rows else 0.0
    return _above("share of rows without a prediction", None, share, limits.unscored_share)


def _above(name: str, column: str | None, found: float, limit: float) -> QualityCheck:
    return QualityCheck(name, column, found, limit, bool(found > limit))


def _below(name: str, column: str | None, found: float, limit: float) -> QualityCheck:
    return QualityCheck(name, column, found, limit, bool(found < limit or not np.isfinite(found)))
