"""Splits by time: training ends before the holdout begins, with an embargo between them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd


@dataclass(frozen=True)
class Windows:
    """Five moments that cut a history: train, validate, embargo, holdout; each window is `[from, to)`.

    Training from scratch is stopped by the rows of `[validation_start, train_end)`; a fine-tune trains on them too.
    """

    train_start: datetime
    validation_start: datetime
    train_end: datetime
    holdout_start: datetime
    holdout_end: datetime

    def train(self, frame: pd.DataFrame, time: str) -> pd.DataFrame:
        """Rows before the validation rows."""
        return between(frame, time, self.train_start, self.validation_start)

    def validation(self, frame: pd.DataFrame, time: str) -> pd.DataFrame:
        """The last rows before the embargo."""
        return between(frame, time, self.validation_start, self.train_end)

    def holdout(self, frame: pd.DataFrame, time: str) -> pd.DataFrame:
        """Rows that neither the champion nor the challenger has seen."""
        return between(frame, time, self.holdout_start, self.holdout_end)


def plan_windows(
    as_of: datetime,
    start: datetime,
    label_delay: timedelta,
    holdout: timedelta,
    embargo: timedelta,
    validation: timedelta,
    champion_trained_until: datetime | None,
) -> Windows:
    """Cut the history known at `as_of`, the holdout being the newest rows with mature labels.

    The champion's training counts too: the holdout begins an embargo after whatever it has seen.

    Raises:
        ValueError: when nothing is left to train on.
    """
    holdout_end = as_of - label_delay
    holdout_start = holdout_end - holdout
    if champion_trained_until is not None:
        holdout_start = max(holdout_start, champion_trained_until + embargo)
    if holdout_start >= holdout_end:
        raise ValueError(
            f"no rows are left to judge by: labels are known until {holdout_end:%Y-%m-%d %H:%M}, and the champion was "
            f"trained until {champion_trained_until:%Y-%m-%d %H:%M}; wait for labels"
        )
    train_end = holdout_start - embargo
    validation_start = train_end - validation
    if validation_start <= start:
        raise ValueError(
            f"nothing is left to train on: {validation.days} days of validation, {embargo.days} of embargo, "
            f"{holdout.days} of holdout and {label_delay.days} of label delay before {as_of:%Y-%m-%d} reach back to "
            f"{validation_start:%Y-%m-%d}, and schedule.start is {start:%Y-%m-%d}; wait, or shorten gate.holdout_days"
        )
    return Windows(start, validation_start, train_end, holdout_start, holdout_end)


def between(frame: pd.DataFrame, time: str, start: datetime, end: datetime) -> pd.DataFrame:
    """Rows of a frame in time order whose event lies in `[start, end)`."""
    first, last = frame[time].searchsorted([pd.Timestamp(start), pd.Timestamp(end)])
    if first == 0 and last == len(frame) and isinstance(frame.index, pd.RangeIndex) and frame.index.start == 0:
        return frame  # rows are never written to, so that all of them need no copy
    return frame.iloc[first:last].reset_index(drop=True)
