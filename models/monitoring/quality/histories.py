"""Histories: what one column, and whole days, looked like on the days of training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from models.monitoring.quality.distances import decile_distance, jensen_shannon, shares, total_variation
from models.monitoring.quality.layout import CategoryLayout, NumberLayout
from models.monitoring.quality.profile import CategoryProfile, NumberProfile, Profile
from models.monitoring.quality.tables import conditional_distance

MAX_LAG = 3  # days: a fault that began within a day leaves one odd day between the last sound one and the next
MIN_ROWS = 50  # of a day, for its deciles and shares to be compared with those of another
MIN_VALUES = 10  # of a day, for the share of its most frequent value to say something
MIN_DAYS = 10  # of training, to know how far apart days are
WEEK = 7
MAX_LISTED = 200  # values of a category whose shares on the last training days are kept


@dataclass(frozen=True)
class ColumnHistory:
    """One column on the training days.

    Args:
        num_days: days learned from.
        missing_share: the highest share of rows without a value on a day.
        top_share: the highest share of one value among the values of a day.
        longest_run: most consecutive rows with one value on a day; 0 when it was not learned.
        min_rows: values that a day needs to be compared with those of training: half of the fewest learned from.
        longest_days: most consecutive days on which one and the same value held nearly all rows.
        novelty: the highest share of rows of a day, of the later half, with a value that no earlier day had.
        counts: rows in each bin of all days.
        distances: Jensen-Shannon distance of each day to all others, oldest first.
        deciles: of all days (their mean); None for categories and without a value.
        recent: the deciles, or the shares of the values, of each of the last days, oldest first.
        scale: 10 % to 90 % of `deciles`, the unit of `level` and `step`.
        level: the largest distance of a day's deciles to `deciles`.
        step: the largest distance between two days up to three apart: deciles, or total variation of values.
        sorted_step: the same after both days' shares were sorted: what renaming cannot change.
        table: rows by value and group of the companion.
        conditional: the largest distance of a day's table to that of all, value by value.
        lowest, highest: of a label alone, on a day: the share of each of `CategoryLayout.values`, or the middle and
            the spread of a number (`middle_and_spread`).
    """

    num_days: int
    missing_share: float
    top_share: float = 1.0
    longest_run: int = 0
    min_rows: int = MIN_ROWS
    longest_days: int = 0
    novelty: float = 0.0
    counts: tuple[int, ...] = ()
    distances: tuple[float, ...] = ()
    deciles: tuple[float, ...] | None = None
    recent: tuple[tuple[float, ...], ...] = ()
    scale: float = 0.0
    level: float | None = None
    step: float | None = None
    sorted_step: float | None = None
    table: tuple[tuple[int, ...], ...] = ()
    conditional: float | None = None
    lowest: tuple[float, ...] = ()
    highest: tuple[float, ...] = ()


@dataclass(frozen=True)
class DayHistory:
    """All rows on the training days: what whole days held.

    Args:
        num_days: days learned from; 0 for versions that did not learn them.
        fewest, most: rows of a day.
        longest_gap: seconds without a row.
        repeated, seen, resent: the highest shares of rows of a day that repeat earlier ones.
        labelled_share: of all rows.
        positive_share: of labelled rows, None when labels are not 0 and 1.
        lowest_positive_share, highest_positive_share: of a day.
        lowest_weekly_share, highest_weekly_share: of seven days on end.
        last_day: ISO date.
    """

    num_days: int = 0
    fewest: int = 0
    most: int = 0
    longest_gap: float = 0.0
    repeated: float = 1.0
    seen: float = 1.0
    resent: float = 1.0
    labelled_share: float = 0.0
    positive_share: float | None = None
    lowest_positive_share: float = 0.0
    highest_positive_share: float = 1.0
    lowest_weekly_share: float = 0.0
    highest_weekly_share: float = 1.0
    last_day: str = ""


def bins(profile: NumberProfile | CategoryProfile, layout: NumberLayout | CategoryLayout) -> tuple[int, ...]:
    """Rows in each bin of a column: for a category its values, the rare ones together, and the unseen ones together."""
    if isinstance(profile, NumberProfile) or isinstance(layout, NumberLayout):
        assert isinstance(profile, NumberProfile)
        return profile.counts
    return (*(profile.counts.get(value, 0) for value in layout.values), profile.rare, profile.unseen)


def _share(count: int, rows: int) -> float:
    return count / rows if rows else 0.0


def day_history(profiles: Sequence[Profile]) -> DayHistory:
    """What the training days held altogether."""
    rows = sum(day.rows for day in profiles)
    return DayHistory(
        num_days=len(profiles),
        fewest=min((day.rows for day in profiles), default=0),
        most=max((day.rows for day in profiles), default=0),
        longest_gap=max((day.longest_gap for day in profiles), default=0.0),
        repeated=max((_share(day.repeated, day.rows) for day in profiles), default=1.0),
        seen=max((_share(day.seen, day.rows) for day in profiles), default=1.0),
        resent=max((_share(day.resent, day.rows) for day in profiles), default=1.0),
        labelled_share=_share(sum(day.labelled for day in profiles), rows),
        last_day=profiles[-1].day if profiles else "",
        **_label_rates([day for day in profiles if day.labelled]),
    )


def _label_rates(profiles: Sequence[Profile]) -> dict[str, float]:
    if not profiles or any(day.positives is None for day in profiles):
        return {}
    counts = np.array([[day.positives, day.labelled] for day in profiles], dtype=float)
    daily = counts[:, 0] / counts[:, 1]
    found = {
        "positive_share": float(counts[:, 0].sum() / counts[:, 1].sum()),
        "lowest_positive_share": float(daily.min()),
        "highest_positive_share": float(daily.max()),
    }
    if len(counts) >= WEEK:
        weeks = np.lib.stride_tricks.sliding_window_view(counts, WEEK, axis=0).sum(axis=-1)
        weekly = weeks[:, 0] / weeks[:, 1]
        found |= {"lowest_weekly_share": float(weekly.min()), "highest_weekly_share": float(weekly.max())}
    return found


def _common(columns: Sequence[NumberProfile | CategoryProfile], days: Sequence[Profile]) -> dict[str, Any]:
    pairs = list(zip(columns, days, strict=True))
    held = [(column, day.rows - column.missing) for column, day in pairs]
    return {
        "num_days": len(days),
        "missing_share": max((_share(column.missing, day.rows) for column, day in pairs), default=1.0),
        "top_share": max((column.top / values for column, values in held if values >= MIN_VALUES), default=1.0),
        "longest_run": max((column.longest_run for column in columns), default=0),
        "min_rows": max(MIN_ROWS, min((values for _, values in held if values >= MIN_ROWS), default=0) // 2),
        "longest_days": longest_streak(
            [column.top_value if values and column.top >= 0.95 * values else None for column, values in held]
        ),
    }


def longest_streak(values: Sequence[object]) -> int:
    """Most consecutive days with one and the same value; None is no value.

    >>> longest_streak(["Mon", "Mon", None, "Tue", "Tue", "Tue"])
    3
    """
    longest = length = 0
    for before, value in pairwise([None, *values]):
        length = 0 if value is None else length + 1 if value == before else 1
        longest = max(longest, length)
    return longest


def number_history(columns: Sequence[NumberProfile], days: Sequence[Profile]) -> ColumnHistory:
    """What one number column looked like on the training days, both oldest first."""
    deciles = [
        column.deciles
        for column, day in zip(columns, days, strict=True)
        if column.deciles is not None and day.rows - column.missing >= MIN_ROWS
    ]
    common = _common(columns, days) | _histograms([column.counts for column in columns])
    if not deciles:
        return ColumnHistory(**common)
    middle = np.mean(deciles, axis=0)
    scale = float(middle[-1] - middle[0])
    has_scale = scale > 0 and len(deciles) >= MIN_DAYS
    return ColumnHistory(
        **common,
        deciles=tuple(middle.tolist()),
        recent=tuple(deciles[-MAX_LAG:]),
        scale=scale,
        level=max(decile_distance(middle, day, scale) for day in deciles) if has_scale else None,
        step=max(decile_distance(one, other, scale) for one, other in _near(deciles)) if has_scale else None,
    )


def category_history(
    columns: Sequence[CategoryProfile], days: Sequence[Profile], layout: CategoryLayout
) -> ColumnHistory:
    """What one category column looked like on the training days, both oldest first."""
    counts = [bins(column, layout) for column in columns]
    daily = [shares(row) for row in counts if sum(row) >= MIN_ROWS]
    tables = [np.array(column.table) for column in columns if np.sum(column.table) >= MIN_ROWS]
    total = np.sum(tables, axis=0) if tables else np.zeros((0, 0), dtype=int)
    ordered, has_days = [np.sort(row) for row in daily], len(daily) >= MIN_DAYS
    return ColumnHistory(
        **_common(columns, days),
        **_histograms(counts),
        novelty=_novelty(columns, days),
        recent=tuple(tuple(row.tolist()) for row in daily[-MAX_LAG:]) if len(layout.values) <= MAX_LISTED else (),
        step=max(total_variation(one, other) for one, other in _near(daily)) if has_days else None,
        sorted_step=max(total_variation(one, other) for one, other in _near(ordered)) if has_days else None,
        table=tuple(tuple(row) for row in total.tolist()),
        conditional=max(conditional_distance(total, day) for day in tables) if len(tables) >= MIN_DAYS else None,
    )


def label_history(days: Sequence[Profile], layout: CategoryLayout | NumberLayout) -> ColumnHistory:
    """What labels of several classes, or a number, looked like on the training days that have any, oldest first."""
    days = [day for day in days if day.labelled and day.label]
    if isinstance(layout, CategoryLayout):
        classes = [day.label for day in days if isinstance(day.label, CategoryProfile)]
        counts = np.array([bins(each, layout)[: len(layout.values)] for each in classes], dtype=float)
        return _ranged(category_history(classes, days, layout), shares(counts) if len(counts) else counts)
    numbers = [day.label for day in days if isinstance(day.label, NumberProfile)]
    known = [each.deciles for each, day in zip(numbers, days, strict=True) if each.deciles and day.labelled >= MIN_ROWS]
    return _ranged(number_history(numbers, days), np.array([middle_and_spread(each) for each in known]))


def middle_and_spread(deciles: Sequence[float]) -> tuple[float, float]:
    """The median, and what lies between 10 % and 90 %.

    >>> middle_and_spread((1, 2, 3, 4, 5, 6, 7, 8, 9))
    (5, 8)
    """
    return deciles[4], deciles[8] - deciles[0]


def _ranged(history: ColumnHistory, daily: np.ndarray) -> ColumnHistory:
    if not len(daily):
        return history
    return replace(history, lowest=tuple(daily.min(axis=0).tolist()), highest=tuple(daily.max(axis=0).tolist()))


def _near(daily: Sequence[Any]) -> list[tuple[Any, Any]]:
    """All pairs of days up to three apart."""
    return [(daily[i], daily[i + lag]) for lag in range(1, MAX_LAG + 1) for i in range(len(daily) - lag)]


def _histograms(counts: Sequence[tuple[int, ...]]) -> dict[str, Any]:
    if not counts or not counts[0]:
        return {}
    table = np.array(counts)
    total = table.sum(axis=0)
    distances = [jensen_shannon(total - day, day) for day in table]
    return {
        "counts": tuple(total.tolist()),
        "distances": tuple(round(found, 6) for found in distances if found is not None),
    }


def _novelty(columns: Sequence[CategoryProfile], days: Sequence[Profile]) -> float:
    seen: set[str] = set()
    highest = 0.0
    for i, (column, day) in enumerate(zip(columns, days, strict=True)):
        new = sum(count for value, count in column.counts.items() if value not in seen)
        if i >= len(columns) // 2 and day.rows >= MIN_ROWS:
            highest = max(highest, new / day.rows)
        seen.update(column.counts)
    return highest
