"""What days look like, read some days at a time: for rows that are not to be held all at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from models.data.contract import Columns
from models.monitoring.quality.expectations import Expectations
from models.monitoring.quality.layout import Layout
from models.monitoring.quality.profile import Profile
from models.monitoring.quality.profiling import profile_days
from models.monitoring.quality.repeats import LOOKBACK_DAYS

Read = Callable[[datetime, datetime], pd.DataFrame]  # the rows of `[start, end)`, labelled or not
DAYS_AT_ONCE = 7  # and as many before them, which their rows may repeat
SAMPLE_ROWS = 200_000
SHARE_OF_SAMPLE, BYTES_A_VALUE = 0.25, 64  # of the memory, of which a text takes so much


def learn_in_pieces(
    read: Read, num_rows: int, columns: Columns, start: datetime, end: datetime, memory: int
) -> Expectations:
    """As `Expectations.learn` of all rows of `[start, end)`, and the same for up to 200,000 rows that memory holds.

    Of more, ranges and counts of values are those of all rows; bins between, and companions of categories, come from
    every so-manieth row. Each row is read three times at most, and two weeks of rows are held beside the sample.

    Args:
        read: gives rows of the window.
        num_rows: how many it has, about.
        columns: the meaning of the columns.
        start, end: the training window.
        memory: bytes, of which the sample takes a quarter.
    """
    num_columns = len({columns.time, columns.label, *columns.measured, *columns.categories})
    sample_rows = min(SAMPLE_ROWS, max(1, int(memory * SHARE_OF_SAMPLE / (num_columns * BYTES_A_VALUE))))
    layout = _layout(read, num_rows, columns, start, end, sample_rows)
    return Expectations.of_days(profile_in_pieces(read, layout, columns, start, end), layout)


def profile_in_pieces(
    read: Read, layout: Layout, columns: Columns, start: datetime, end: datetime, earliest: datetime | None = None
) -> list[Profile]:
    """As `profile_days` of all rows of `[start, end)`, of which a week and the week before it are held.

    Args:
        read: gives rows.
        layout: how the champion's training days were counted.
        columns: the meaning of the columns that are no features.
        start, end: the span to profile.
        earliest: rows before `start` are read from here on, to be repeated; by default none are.
    """
    found = []
    earliest = start if earliest is None else earliest
    for first, last in _spans(start, end, columns.timezone):
        before = max(earliest, first - timedelta(days=LOOKBACK_DAYS + 1))  # a day may have 25 hours
        found += profile_days(read(before, last), layout, columns, first, last)
    return found


def _spans(start: datetime, end: datetime, timezone: str) -> Iterator[tuple[datetime, datetime]]:
    """`[start, end)` in spans of some days that meet at local midnights."""
    first = pd.Timestamp(start)
    while first < pd.Timestamp(end):
        days_later = first.tz_convert(timezone).tz_localize(None).normalize() + timedelta(days=DAYS_AT_ONCE)
        midnight = days_later.tz_localize(timezone, ambiguous=True, nonexistent="shift_forward")
        last = min(midnight.tz_convert("UTC"), pd.Timestamp(end))
        yield first.to_pydatetime(), last.to_pydatetime()
        first = last


def _layout(read: Read, num_rows: int, columns: Columns, start: datetime, end: datetime, sample_rows: int) -> Layout:
    texts = (*columns.categories, *([columns.label] if columns.task == "multiclass" else []))
    numbers = (*columns.measured, *([columns.label] if columns.task == "regression" else []))
    used = list(dict.fromkeys((columns.time, *columns.measured, *columns.categories, columns.label)))
    counts: dict[str, Counter[str]] = {name: Counter() for name in texts}
    step, skip, sample, extremes = max(1, -(-num_rows // sample_rows)), 0, [], []
    for first, last in _spans(start, end, columns.timezone):
        frame = read(first, last)
        for name in texts:
            counts[name].update(frame[name].value_counts(dropna=True).to_dict())
        # A copy: a view of them would hold the others too.
        sample.append(frame[used].iloc[skip::step].copy())
        skip = (skip - len(frame)) % step
        if step > 1:
            extremes.append(_extremes(frame[used], numbers))
    rows = pd.concat([each for each in (*sample, *extremes) if len(each)] or sample, ignore_index=True)
    return Layout.learn(rows, columns, counts)


def _extremes(frame: pd.DataFrame, numbers: tuple[str, ...]) -> pd.DataFrame:
    """The rows with the lowest and the highest value of each number."""
    known = [values for name in numbers if not np.isnan(values := frame[name].to_numpy(dtype=float)).all()]
    places = {int(place(values)) for values in known for place in (np.nanargmin, np.nanargmax)}
    return frame.iloc[sorted(places)]
