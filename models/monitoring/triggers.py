"""When a retrain is to be tried: harm was shown, or the calendar says so."""

from __future__ import annotations

from datetime import datetime, timedelta

from models.monitoring.diagnosis import Diagnosis


def retrain_trigger(
    diagnosis: Diagnosis | None, last_attempt: datetime | None, as_of: datetime, baseline: timedelta
) -> str | None:
    """Why a retrain is to be tried at `as_of`, or None.

    Args:
        diagnosis: of the watch at `as_of`; None when there was nothing to watch.
        last_attempt: when the last retrain was tried, whatever came of it.
        as_of: now, in the data's time.
        baseline: how long after the last attempt the next is due anyway.
    """
    if diagnosis and diagnosis.warrants_retrain:
        return diagnosis.verdict
    if last_attempt is None or as_of - last_attempt >= baseline:
        return "scheduled"
    return None
