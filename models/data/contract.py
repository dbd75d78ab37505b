"""The data contract: what every frame that enters Perennial has been checked for, and what it may not know yet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.api.types import infer_dtype

from models.data.source import Source
from models.evaluation.metrics.metric import Task


class BrokenContract(ValueError):
    """Rows are not what a project's YAML says of them: a column is gone, has another type, or ids repeat."""


@dataclass(frozen=True)
class Columns:
    """The meaning of a project's columns, what its label is, and the delay after which a label counts as known."""

    id: str
    time: str
    label: str
    numbers: tuple[str, ...]
    categories: tuple[str, ...]
    other: tuple[str, ...] = ()
    label_time: str | None = None
    label_delay: timedelta = timedelta(0)
    timezone: str = "UTC"
    task: Task = "binary"
    texts: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    image_folder: str | None = None

    @property
    def features(self) -> tuple[str, ...]:
        """All feature columns, numbers first."""
        return self.numbers + self.categories + self.texts + self.images

    @property
    def measured(self) -> tuple[str, ...]:
        """The number columns that are watched: those of a table, and the length of each text or image."""
        return (*self.numbers, *map(length_of, self.texts + self.images))

    @property
    def all(self) -> tuple[str, ...]:
        """Every column that is read."""
        label_time = [self.label_time] if self.label_time else []
        return (self.id, self.time, *self.features, *self.other, self.label, *label_time)


def length_of(name: str) -> str:
    """The column that says how long the texts or images of another are.

    >>> length_of("comment")
    'length of comment'
    """
    return f"length of {name}"


def read(source: Source, columns: Columns, start: datetime, end: datetime, as_of: datetime) -> pd.DataFrame:
    """Rows with event time in `[start, end)` as they were known at `as_of`.

    Returns:
        Columns `columns.all` alone, in time order: time as UTC, numbers as float64, categories and texts as text or
        None, images as bytes, as a path from the working directory, or None, other columns as number or text, the label
        as 0.0 or 1.0 (binary), a float (regression) or text (multiclass). A label that had not arrived at `as_of` is
        NaN, or None for text, whatever the source already knows. A further column has the length of each text or
        image: characters, bytes, or 1 for a path; NaN for a missing one.

    Raises:
        BrokenContract: with the value, what was expected and where to change it. An empty window is no error here: the
            caller knows whether it needs rows (`require_rows`).
    """
    end = min(end, as_of)
    frame = source(start, end)
    _check_columns(frame, columns)
    frame = frame[list(columns.all)].reset_index(drop=True)
    frame[columns.time] = _utc(frame[columns.time], columns.time)
    _check_rows(frame, columns, start, end)
    for name in columns.numbers:
        frame[name] = _number(frame[name])
    for name in columns.categories:
        frame[name] = _category(frame[name])
    for name in columns.texts:
        frame[name] = _free_text(frame[name])
        frame[length_of(name)] = frame[name].str.len().astype("float64")
    for name in columns.images:
        frame[name] = _image(frame[name], columns.image_folder)
        frame[length_of(name)] = frame[name].map(_size, na_action="ignore").astype("float64")
    for name in columns.other:
        frame[name] = _other(frame[name])
    labels, missing = _LABELS[columns.task](frame[columns.label]), None if columns.task == "multiclass" else np.nan
    frame[columns.label] = labels.where(is_mature(frame, columns, as_of), missing)
    return frame


def is_mature(frame: pd.DataFrame, columns: Columns, as_of: datetime) -> pd.Series:
    """For each row, whether its label is due at `as_of`: arrived, or the configured delay has passed."""
    due = frame[columns.time] + columns.label_delay
    if columns.label_time:
        arrived = pd.to_datetime(frame[columns.label_time], utc=True)
        due = arrived.where(arrived.notna(), due)
    return due <= pd.Timestamp(as_of)


def days(times: pd.Series, timezone: str) -> np.ndarray:
    """Ordinal of the local day of each event, shape (rows,): the groups within which rows depend on one another."""
    return (
        times.dt.tz_convert(timezone).dt.tz_localize(None).dt.floor("D").to_numpy().astype("datetime64[D]").astype(int)
    )


def require_rows(frame: pd.DataFrame, start: datetime, end: datetime, purpose: str) -> None:
    """Raise `ValueError` when the window holds no row."""
    if frame.empty:
        raise ValueError(
            f"the source has no rows from {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC, needed {purpose}"
        )


def _check_columns(frame: pd.DataFrame, columns: Columns) -> None:
    missing = [name for name in columns.all if name not in frame.columns]
    if missing:
        raise BrokenContract(
            f"the source has no column {', '.join(map(repr, missing))}; it has {', '.join(map(str, frame.columns))}. "
            "Change data.label, data.numbers, data.categories or data.other, or the source"
        )


def _utc(times: pd.Series, name: str) -> pd.Series:
    if not isinstance(times.dtype, pd.DatetimeTZDtype):
        raise BrokenContract(
            f"column {name!r} is {times.dtype}, expected timestamps with a time zone; change the source"
        )
    if times.isna().any():
        raise BrokenContract(f"column {name!r} is null in {times.isna().sum()} rows; every row needs its event time")
    return times.dt.tz_convert("UTC")


def _check_rows(frame: pd.DataFrame, columns: Columns, start: datetime, end: datetime) -> None:
    times = frame[columns.time]
    outside = frame[(times < pd.Timestamp(start)) | (times >= pd.Timestamp(end))]
    if len(outside):
        raise BrokenContract(
            f"the source returned {len(outside)} rows outside [{start}, {end}), first {columns.id}="
            f"{outside[columns.id].tolist()[0]!r} at {outside[columns.time].iloc[0]}"
        )
    backwards = np.flatnonzero(times.diff() < pd.Timedelta(0))
    if len(backwards):
        row = backwards[0]
        raise BrokenContract(
            f"rows are not in time order: {columns.id}={frame[columns.id].tolist()[row]!r} at {times.iloc[row]} "
            f"follows {times.iloc[row - 1]}; sort the source by {columns.time!r}"
        )
    repeated = frame[columns.id].duplicated()
    if repeated.any():
        raise BrokenContract(
            f"{repeated.sum()} rows repeat an id, first {columns.id}={frame[columns.id][repeated].tolist()[0]!r}; "
            f"ids must be unique, or set data.id to another column"
        )


def _number(values: pd.Series) -> pd.Series:
    try:
        numbers = pd.to_numeric(values).astype("float64")
    except (ValueError, TypeError) as error:
        text: Sequence[object] = values[pd.to_numeric(values, errors="coerce").isna() & values.notna()].tolist()
        found = text[0] if text else values.dtype
        raise BrokenContract(
            f"feature {values.name!r} was a number and holds {found!r}; mend the feed, "
            "or list the column under data.categories"
        ) from error
    return numbers.replace([np.inf, -np.inf], np.nan)


def _free_text(values: pd.Series) -> pd.Series:
    wrong = values.notna() & ~values.map(lambda value: isinstance(value, str)).astype(bool)
    if wrong.any():
        raise BrokenContract(
            f"column {values.name!r} of texts holds {values[wrong].tolist()[0]!r}; mend the feed, "
            "or list the column under data.categories or data.numbers"
        )
    return values.astype("object").where(values.notna(), None)


def _image(values: pd.Series, folder: str | None) -> pd.Series:
    def located(value: object) -> object:
        if isinstance(value, str):
            return str(Path(folder or ".") / value)
        return bytes(value) if isinstance(value, bytes | bytearray | memoryview) else value

    found = values.astype("object").where(values.notna(), None).map(located, na_action="ignore")
    wrong = found.notna() & ~found.map(lambda value: isinstance(value, str | bytes)).astype(bool)
    if wrong.any():
        raise BrokenContract(
            f"column {values.name!r} of images holds {values[wrong].tolist()[0]!r}; "
            "mend the feed: give paths relative to data.image_folder, or bytes"
        )
    return found


def _size(image: str | bytes) -> int:
    return len(image) if isinstance(image, bytes) else 1  # a file is read when it is scored, and not for its size


def _other(values: pd.Series) -> pd.Series:
    """What is kept for judging: numbers as float64, truth as 0 and 1, everything else as text or None."""
    if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        return values.astype("Float64").astype("float64")
    return _category(values)


def _category(values: pd.Series) -> pd.Series:
    """Text or None."""
    found = values.astype("object").where(values.notna(), None)
    if infer_dtype(found, skipna=True) == "string":  # which has nothing to be made into text
        return found
    return found.map(_text, na_action="ignore")


def _text(value: object) -> str:
    # Integer codes come as floats from a window in which some are null; they must not become other values by that.
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _outcome(values: pd.Series) -> pd.Series:
    labels = pd.to_numeric(values, errors="coerce").astype("float64")
    _refuse_labels(
        values,
        ~labels.isin([0.0, 1.0]),
        "0, 1 or null; change the source, or set data.task to multiclass or regression",
    )
    return labels


def _value(values: pd.Series) -> pd.Series:
    labels = pd.to_numeric(values, errors="coerce").astype("float64")
    _refuse_labels(
        values, ~np.isfinite(labels), "a finite number or null; change the source, or set data.task to multiclass"
    )
    return labels


def _refuse_labels(values: pd.Series, is_wrong: pd.Series, expected: str) -> None:
    wrong = values[values.notna() & is_wrong]
    if len(wrong):
        raise BrokenContract(f"label {values.name!r} holds {wrong.tolist()[0]!r}, expected {expected}")


_LABELS = {"binary": _outcome, "multiclass": _category, "regression": _value}
