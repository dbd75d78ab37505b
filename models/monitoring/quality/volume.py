"""Checks of how many rows come, and when."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from models.monitoring.quality.bounds import mean_at_least, mean_at_most
from models.monitoring.quality.check import Limits, QualityCheck
from models.monitoring.quality.expectations import Expectations
from models.monitoring.quality.profile import Profile

RHYTHM_SLACK = 1.5  # of the fewest and most rows of a training day
MIN_GAP = 6 * 3600.0  # seconds: a batch that is late is no gap
MIN_GAP_DAYS = 7  # of training, to know a weekly rhythm


def check_volume(whole: Sequence[Profile], expected: Expectations, limits: Limits) -> list[QualityCheck]:
    """Rows of each of some whole days, and of a mean day, against training; nothing when there is none.

    A day may be as small or large as the ratio allows around the mean of training, or as its own days were: a weekly
    rhythm is no fault. It must be less or more than chance (a Poisson number of rows) makes of a usual day.
    """
    if not whole:
        return []
    low, high = expected.rows_per_day / limits.volume_ratio, expected.rows_per_day * limits.volume_ratio
    known = expected.days
    day_low = min(low, known.fewest / RHYTHM_SLACK) if known.num_days else low
    day_high = max(high, known.most * RHYTHM_SLACK)
    usual_low = min(expected.rows_per_day, known.fewest) if known.num_days else expected.rows_per_day
    usual_high = max(expected.rows_per_day, known.most)
    few = [day for day in whole if day.rows < day_low and mean_at_most(day.rows) < usual_low]
    many = [day for day in whole if day.rows > day_high and mean_at_least(day.rows) > usual_high]
    if few:
        return [_rows(min(day.rows for day in few), day_low, few)]
    if many:
        return [_rows(max(day.rows for day in many), day_high, many)]
    total = sum(day.rows for day in whole)
    mean = total / len(whole)
    if mean < low and mean_at_most(total) < expected.rows_per_day * len(whole):
        return [_rows(mean, low, whole)]
    if mean > high and mean_at_least(total) > expected.rows_per_day * len(whole):
        return [_rows(mean, high, whole)]
    return [QualityCheck("rows a day", None, mean, low if mean < expected.rows_per_day else high, False)]


def check_gaps(
    profiles: Sequence[Profile], expected: Expectations, limits: Limits, until: datetime | None
) -> list[QualityCheck]:
    """Hours without a row, between two rows and from the last one to `until`."""
    known = expected.days
    if known.num_days < MIN_GAP_DAYS:
        return []
    limit = max(limits.gap_ratio * known.longest_gap, MIN_GAP)
    broken = [day for day in profiles if day.longest_gap > limit]
    longest = max((day.longest_gap for day in profiles), default=0.0)
    checks = [_hours("hours between rows", longest, limit, [day.day for day in broken])]
    last = [day.last for day in profiles if day.last]
    if until is not None and last:
        since = (until - datetime.fromisoformat(last[-1])).total_seconds()
        checks.append(_hours("hours since the last row", since, limit, []))
    return checks


def _rows(found: float, limit: float, days: Sequence[Profile]) -> QualityCheck:
    return QualityCheck("rows a day", None, float(found), limit, True, tuple(day.day for day in days))


def _hours(name: str, seconds: float, limit: float, days: Sequence[str]) -> QualityCheck:
    return QualityCheck(name, None, seconds / 3600, limit / 3600, seconds > limit, tuple(days))
