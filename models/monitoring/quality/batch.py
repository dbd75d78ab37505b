"""All checks of the days of a window, in one table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from models.monitoring.quality.check import Limits, QualityCheck
from models.monitoring.quality.expectations import Expectations
from models.monitoring.quality.label_rates import check_label_rate
from models.monitoring.quality.profile import Profile
from models.monitoring.quality.remapping import check_remapping
from models.monitoring.quality.row_shares import (
    check_frozen,
    check_missing,
    check_range,
    check_repeats,
    check_unseen,
)
from models.monitoring.quality.units import check_units
from models.monitoring.quality.volume import check_gaps, check_volume


def check_days(
    profiles: Sequence[Profile],
    expected: Expectations,
    limits: Limits,
    earlier: Sequence[Profile] = (),
    until: datetime | None = None,
) -> list[QualityCheck]:
    """Check the days of a window against those of training: one check for each name and column, broken ones first.

    Args:
        profiles: the days, oldest first, profiled by the layout of `expected`.
        expected: what training looked like.
        limits: how far from it is broken.
        earlier: the days just before, so that a change from one day to the next is seen on the first day too.
        until: end of the span that was read, to see how long no row has come.
    """
    # What is judged day by day needs the whole day: by night a column may hold one value, or none.
    whole, whole_before = ([day for day in days if day.is_complete] for days in (profiles, earlier))
    day_by_day = [
        *check_volume(whole, expected, limits),
        *check_units(whole, expected, whole_before),
        *check_remapping(whole, expected, whole_before),
        *check_frozen(whole, expected),
        *check_label_rate(whole, expected, limits),
    ]
    checks = [
        *(day_by_day if whole else []),
        *check_gaps(profiles, expected, limits, until),
        *check_missing(profiles, expected, limits),
        *check_range(profiles, expected, limits),
        *check_unseen(profiles, expected, limits),
        *check_repeats(profiles, expected, limits),
    ]
    return sorted(checks, key=lambda check: not check.is_broken)


def check_scoring(hours: float, usual_hours: float) -> QualityCheck:
    """Check how long ago the last batch ended: twice the longest batch and a day is a service that has stopped."""
    limit = 2 * usual_hours + 24
    return QualityCheck("hours since the last batch was scored", None, hours, limit, hours > limit)


def check_scored(num_rows: int, num_scored: int, limits: Limits) -> QualityCheck:
    """Check how many rows of windows that were scored have no prediction: they arrived too late, or were lost."""
    share = 1 - num_scored / num_rows if num_rows else 0.0
    limit = limits.unscored_share
    return QualityCheck("share of rows without a prediction", None, share, limit, share > limit)
