"""Checks of shares of rows: missing, unseen, out of range, repeated, and one value in place of many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.monitoring.quality.bounds import share_at_least
from models.monitoring.quality.check import Limits, QualityCheck
from models.monitoring.quality.expectations import Expectations
from models.monitoring.quality.histories import ColumnHistory, longest_streak
from models.monitoring.quality.profile import CategoryProfile, NumberProfile, Profile

A_WEEK = 7  # days
CONSTANT = 0.95  # of a day's rows: a column that reached this in training may well hold one value all day
RUN_SLACK = 3.0
MIN_RUN = 0.2  # of a day's rows


@dataclass(frozen=True)
class Counted:
    """Rows of one day with something, among `rows`; a day that is not whole is counted, and not judged by itself."""

    day: str
    count: int
    rows: int
    is_whole: bool = True


def check_share(name: str, column: str | None, days: Sequence[Counted], limit: float, note: str = "") -> QualityCheck:
    """Check a share of rows on each day, and over all of them, against a limit that chance alone does not pass.

    What is found is the highest share of a broken day; without one, that of all days together.
    """
    count, rows = sum(day.count for day in days), sum(day.rows for day in days)
    broken = [day for day in days if day.is_whole and _is_above(day, limit)]
    if broken:
        worst = max(day.count / day.rows for day in broken)
        return QualityCheck(name, column, worst, limit, True, tuple(day.day for day in broken), note)
    found = count / rows if rows else 0.0
    is_broken = _is_above(Counted("", count, rows), limit)
    over = tuple(day.day for day in days if day.count > limit * day.rows) if is_broken else ()
    return QualityCheck(name, column, found, limit, is_broken, over, note if is_broken else "")


def _is_above(day: Counted, limit: float) -> bool:
    return day.count > limit * day.rows and share_at_least(day.count, day.rows) > limit


def check_missing(profiles: Sequence[Profile], expected: Expectations, limits: Limits) -> list[QualityCheck]:
    """Missing values of each column."""
    return [
        check_share(
            "missing share",
            name,
            [Counted(day.day, day.column(name).missing, day.rows, day.is_complete) for day in profiles],
            history.missing_share + limits.missing_share,
        )
        for name, history in expected.columns.items()
    ]


def check_range(profiles: Sequence[Profile], expected: Expectations, limits: Limits) -> list[QualityCheck]:
    """Numbers further outside the training range than its own width."""
    return [
        check_share(
            "share far out of range",
            name,
            [Counted(day.day, day.numbers[name].far_out, day.rows, day.is_complete) for day in profiles],
            limits.out_of_range_share,
        )
        for name, layout in expected.layout.numbers.items()
        if layout.low is not None
    ]


def check_unseen(profiles: Sequence[Profile], expected: Expectations, limits: Limits) -> list[QualityCheck]:
    """Values that training did not have, beyond what was new on a training day too."""
    checks = []
    for name in expected.layout.categories:
        examples = dict.fromkeys(value for day in profiles for value in day.categories[name].examples)
        checks.append(
            check_share(
                "share of unseen values",
                name,
                [Counted(day.day, day.categories[name].unseen, day.rows, day.is_complete) for day in profiles],
                min(expected.columns[name].novelty + limits.unseen_share, 1.0),
                f"such as {', '.join(map(repr, list(examples)[:3]))}" if examples else "",
            )
        )
    return checks


def check_repeats(profiles: Sequence[Profile], expected: Expectations, limits: Limits) -> list[QualityCheck]:
    """Rows that repeat earlier ones: exactly, in all features, or in the same order."""
    known = expected.days
    if not known.num_days:
        return []
    kinds = {
        "share of rows with the time and features of another": (known.repeated, [day.repeated for day in profiles]),
        "share of rows with the features of an earlier one": (known.seen, [day.seen for day in profiles]),
        "share of rows in a sequence that came before": (known.resent, [day.resent for day in profiles]),
    }
    return [
        check_share(
            name,
            None,
            [Counted(day.day, count, day.rows, day.is_complete) for day, count in zip(profiles, counts, strict=True)],
            highest + limits.duplicate_share,
        )
        for name, (highest, counts) in kinds.items()
        if highest + limits.duplicate_share < 1
    ]


def check_frozen(profiles: Sequence[Profile], expected: Expectations) -> list[QualityCheck]:
    """One value in place of many: on a day, in consecutive rows, or on consecutive days.

    A column that held one value on a training day is checked for consecutive days only, and one that did so on many
    consecutive days will hardly be found frozen.
    """
    return [
        check
        for name, history in expected.columns.items()
        if history.num_days > 1
        for check in (
            _one_value(name, profiles, history),
            _one_run(name, profiles, history),
            _streak(name, profiles, history),
        )
        if check is not None
    ]


def _one_value(name: str, profiles: Sequence[Profile], history: ColumnHistory) -> QualityCheck | None:
    if history.top_share >= CONSTANT:
        return None
    columns = [(day, day.column(name)) for day in profiles]
    limit = (1 + history.top_share) / 2
    counted = [Counted(day.day, column.top, day.rows - column.missing) for day, column in columns]
    # Day by day only: over several days the most frequent values add up to nothing.
    broken = [day for day in counted if _is_above(day, limit)]
    found = max((day.count / day.rows for day in counted if day.rows), default=0.0)
    days = tuple(day.day for day in broken)
    values = {column.top_value for day, column in columns if day.day in days}
    note = f"nearly all rows hold {_shown(values.pop())}" if len(values) == 1 else ""
    if broken:
        found = max(day.count / day.rows for day in broken)
    return QualityCheck("share of one value", name, found, limit, bool(broken), days, note)


def _one_run(name: str, profiles: Sequence[Profile], history: ColumnHistory) -> QualityCheck | None:
    if history.top_share >= CONSTANT:
        return None
    worst = QualityCheck("longest share of rows on end with one value", name, 0.0, 1.0, False)
    broken = []
    for day in profiles:
        column = day.column(name)
        if not day.rows or not column.top:
            continue
        limit = min(_longest_run(column.top / day.rows, day.rows, history.longest_run) / day.rows, 1.0)
        found = column.longest_run / day.rows
        if found > limit and day.rows >= history.min_rows:
            broken.append(day.day)
        if found - limit > worst.found - worst.limit:
            worst = replace(worst, found=found, limit=limit)
    return replace(worst, is_broken=bool(broken), days=tuple(broken))


def _longest_run(top_share: float, rows: int, learned: int) -> float:
    """Rows on end with one value that may pass: as in training, or as a value so frequent makes by chance.

    The longest run of n independent rows is about log(n) / log(1 / p) (Schilling, College Math. Journal 1990).
    """
    by_chance = np.log(rows) / -np.log(min(top_share, 1 - 1e-9))
    return float(max(RUN_SLACK * learned, RUN_SLACK * by_chance, MIN_RUN * rows))


def _streak(name: str, profiles: Sequence[Profile], history: ColumnHistory) -> QualityCheck | None:
    limit = 3 * history.longest_days + A_WEEK  # a rare value may well stay away for some days
    held = [(day, day.column(name)) for day in profiles]
    tops = [_sole(day, column) for day, column in held]
    if len(tops) <= limit or history.num_days <= limit:
        return None
    found = longest_streak(tops)
    return QualityCheck("days on end with one value", name, found, limit, found > limit)


def _sole(day: Profile, column: NumberProfile | CategoryProfile) -> object:
    values = day.rows - column.missing
    return column.top_value if values and column.top >= CONSTANT * values else None


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else repr(value)
