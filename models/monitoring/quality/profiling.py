"""Profiling: count the rows of each local day once, column by column."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import numpy as np
import pandas as pd

from models.data.contract import Columns, days
from models.data.windows import between
from models.monitoring.quality.companions import MAX_ROWS
from models.monitoring.quality.layout import CategoryLayout, Layout, NumberLayout
from models.monitoring.quality.profile import CategoryProfile, NumberProfile, Profile
from models.monitoring.quality.repeats import Repeats, find_repeats, mix

RANGE_SLACK = 1.0  # in training ranges: a season moves a column by less, another unit by more
DECILES = np.linspace(0.1, 0.9, 9)
NUM_EXAMPLES = 3
EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class Spread:
    """Where each local day lies among rows in time order: ordinals, ascending, and `bounds` of shape (days + 1,)."""

    ordinals: np.ndarray
    bounds: np.ndarray

    @property
    def index(self) -> np.ndarray:
        """Position among the days of each row, shape (rows,)."""
        return np.repeat(np.arange(len(self.ordinals)), np.diff(self.bounds))

    def count(self, marked: np.ndarray) -> np.ndarray:
        """Marked rows of each day, shape (days,)."""
        return np.diff(np.concatenate([[0], np.cumsum(marked)])[self.bounds])

    def table(self, codes: np.ndarray, num_codes: int) -> np.ndarray:
        """Rows of each day with each code, shape (days, num_codes); codes below zero are not counted."""
        kept = codes >= 0
        flat = self.index[kept] * num_codes + codes[kept]
        return np.bincount(flat, minlength=len(self.ordinals) * num_codes).reshape(len(self.ordinals), num_codes)

    def longest_runs(self, codes: np.ndarray) -> np.ndarray:
        """Most consecutive rows of each day with one code, shape (days,); codes that are NaN or below zero break it."""
        longest = np.zeros(len(self.ordinals), dtype=int)
        if not len(codes):
            return longest
        is_new = np.concatenate([[True], codes[1:] != codes[:-1]])
        is_new[self.bounds[:-1][np.diff(self.bounds) > 0]] = True
        starts = np.flatnonzero(is_new)
        lengths = np.diff(np.concatenate([starts, [len(codes)]]))
        has_value = ~np.isnan(codes[starts]) if codes.dtype.kind == "f" else codes[starts] >= 0
        np.maximum.at(longest, self.index[starts[has_value]], lengths[has_value])
        return longest


def profile_days(
    frame: pd.DataFrame, layout: Layout, columns: Columns, start: datetime, end: datetime
) -> list[Profile]:
    """Profile each local day that `[start, end)` touches, oldest first; a whole day without rows has a profile too.

    Rows are known to repeat earlier ones only as far as those are in `frame`: let it begin seven days before `start`.

    Args:
        frame: rows as `contract.read` returns them; those before `start` are there to be repeated and are not counted.
        layout: how the champion's training days were counted.
        columns: the meaning of the columns that are no features.
        start, end: the span that was read.

    Raises:
        ValueError: when a column that training had is gone.
    """
    gone = [name for name in (*layout.numbers, *layout.categories, *layout.uncounted) if name not in frame.columns]
    if gone:
        raise ValueError(
            f"rows have no column {', '.join(map(repr, gone))}, which the champion was trained with; "
            "name it again under data.numbers or data.categories"
        )
    frame = between(frame, columns.time, frame[columns.time].min() if len(frame) else start, end)
    ordinal = days(frame[columns.time], columns.timezone)
    if len(ordinal) and (np.diff(ordinal) < 0).any():  # clocks that are put back over midnight
        order = np.argsort(ordinal, kind="stable")
        frame, ordinal = frame.iloc[order], ordinal[order]
    ticks = _ticks(frame[columns.time])
    repeats, waits = find_repeats(row_hashes(frame, layout), ticks, ordinal), np.diff(ticks, prepend=ticks[:1]) / 1e9
    counted = (frame[columns.time] >= pd.Timestamp(start)).to_numpy()
    frame, ordinal, repeats, waits = frame[counted], ordinal[counted], repeats.of(counted), waits[counted]
    midnights = _midnights(start, end, columns.timezone)
    ordinals = np.arange(len(midnights) - 1) + (midnights[0].date() - EPOCH).days
    spread = Spread(ordinals, np.searchsorted(ordinal, np.append(ordinals, ordinals[-1] + 1)))
    is_complete = _is_complete(midnights, columns.timezone, start, end)
    profiles = _profiles(frame, layout, columns, spread, repeats, waits, is_complete)
    return [profile for profile in profiles if profile.rows or profile.is_complete]


def row_hashes(frame: pd.DataFrame, layout: Layout) -> np.ndarray:
    """One `uint64` for the features of each row, shape (rows,): rows that are equal in all of them share it."""
    hashes = np.zeros(len(frame), dtype=np.uint64)
    for name in layout.numbers:
        hashes = mix(hashes, pd.util.hash_array(frame[name].to_numpy(dtype=float) + 0.0))  # -0.0 becomes 0.0
    for name in (*layout.categories, *layout.uncounted):
        codes, uniques = pd.factorize(frame[name])
        hashes = mix(hashes, np.append(pd.util.hash_array(np.asarray(uniques, dtype=object)), np.uint64(0))[codes])
    return hashes


def _ticks(times: pd.Series) -> np.ndarray:
    """Nanoseconds since 1970."""
    return times.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy().astype("datetime64[ns]").astype(np.int64)


def _midnights(start: datetime, end: datetime, timezone: str) -> list[pd.Timestamp]:
    """Local midnights, without zone, from that before `start` to that after `end`."""
    first = pd.Timestamp(start).tz_convert(timezone).tz_localize(None).normalize()
    last = (pd.Timestamp(end) - pd.Timedelta(1, "ns")).tz_convert(timezone).tz_localize(None).normalize()
    return list(pd.date_range(first, max(first, last) + timedelta(days=1), freq="D"))


def _is_complete(midnights: list[pd.Timestamp], timezone: str, start: datetime, end: datetime) -> list[bool]:
    edges = [edge.tz_localize(timezone, ambiguous=True, nonexistent="shift_forward") for edge in midnights]
    return [bool(edge >= pd.Timestamp(start) and following <= pd.Timestamp(end)) for edge, following in pairwise(edges)]


def _profiles(
    frame: pd.DataFrame,
    layout: Layout,
    columns: Columns,
    spread: Spread,
    repeats: Repeats,
    waits: np.ndarray,
    is_complete: list[bool],
) -> list[Profile]:
    labels, ticks = frame[columns.label], _ticks(frame[columns.time])
    numbers = {
        name: _number(frame[name].to_numpy(dtype=float), number, spread) for name, number in layout.numbers.items()
    }
    categories: dict[str, list[CategoryProfile]] = {}
    for name, category in layout.categories.items():
        codes, uniques = pd.factorize(frame[name])
        groups = category.companion.codes(frame, columns) if category.companion else None
        categories[name] = _category(codes, [str(value) for value in uniques], category, groups, spread)
    gaps = _longest_gaps(waits, spread)
    repeated, seen, resent = (spread.count(marked) for marked in (repeats.exact, repeats.seen, repeats.in_sequence))
    labelled, positives = spread.count(labels.notna().to_numpy()), spread.count((labels == 1.0).to_numpy())
    of_label = _of_label(labels, layout, spread)
    return [
        Profile(
            day=(EPOCH + timedelta(days=int(ordinal))).isoformat(),
            rows=int(spread.bounds[i + 1] - spread.bounds[i]),
            first=_moment(ticks[spread.bounds[i] : spread.bounds[i + 1]][:1]),
            last=_moment(ticks[spread.bounds[i] : spread.bounds[i + 1]][-1:]),
            longest_gap=float(gaps[i]),
            labelled=int(labelled[i]),
            positives=int(positives[i]) if layout.has_binary_label else None,
            repeated=int(repeated[i]),
            seen=int(seen[i]),
            resent=int(resent[i]),
            is_complete=is_complete[i],
            numbers={name: column[i] for name, column in numbers.items()},
            categories={name: column[i] for name, column in categories.items()},
            label=of_label[i] if of_label else None,
        )
        for i, ordinal in enumerate(spread.ordinals)
    ]


def _of_label(labels: pd.Series, layout: Layout, spread: Spread) -> list[NumberProfile] | list[CategoryProfile] | None:
    if isinstance(layout.label, NumberLayout):
        return _number(labels.to_numpy(dtype=float), layout.label, spread)
    if layout.label is None:
        return None
    codes, uniques = pd.factorize(labels)
    return _category(codes, [str(value) for value in uniques], layout.label, None, spread)


def _longest_gaps(waits: np.ndarray, spread: Spread) -> np.ndarray:
    """Longest time without a row in seconds, counted to the day on which it ended, shape (days,).

    `waits` is the time since the row before, of each row: that may be a row of a day that is not counted.
    """
    longest = np.zeros(len(spread.ordinals))
    np.maximum.at(longest, spread.index, waits)
    return longest


def _moment(ticks: np.ndarray) -> str | None:
    return datetime.fromtimestamp(int(ticks[0]) / 1e9, UTC).isoformat() if len(ticks) else None


def _number(values: np.ndarray, layout: NumberLayout, spread: Spread) -> list[NumberProfile]:
    missing = np.isnan(values)
    codes = np.where(missing, -1, np.searchsorted(layout.edges, values, side="right"))
    counts = spread.table(codes, layout.num_bins) if layout.edges else np.zeros((len(spread.ordinals), 0), dtype=int)
    gone, far, runs = spread.count(missing), spread.count(_is_far(values, layout)), spread.longest_runs(values)
    profiles = []
    for i, (first, last) in enumerate(zip(spread.bounds[:-1], spread.bounds[1:], strict=True)):
        top, top_value, distinct, deciles = _ordered(np.sort(values[first:last])[: last - first - gone[i]])
        profiles.append(
            NumberProfile(
                missing=int(gone[i]),
                counts=tuple(counts[i].tolist()),
                far_out=int(far[i]),
                deciles=deciles,
                top=top,
                top_value=top_value,
                distinct=distinct,
                longest_run=int(runs[i]),
            )
        )
    return profiles


def _is_far(values: np.ndarray, layout: NumberLayout) -> np.ndarray:
    if layout.low is None or layout.high is None:
        return np.zeros(len(values), dtype=bool)
    width = layout.high - layout.low if layout.high > layout.low else max(abs(layout.high), 1.0)
    far: np.ndarray = (values < layout.low - RANGE_SLACK * width) | (values > layout.high + RANGE_SLACK * width)
    return far


def _ordered(values: np.ndarray) -> tuple[int, float | None, int, tuple[float, ...] | None]:
    """Rows with the most frequent of sorted values, that value, the number of different values, and the deciles."""
    if not len(values):
        return 0, None, 0, None
    starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    lengths = np.diff(np.append(starts, len(values)))
    top = int(lengths.argmax())
    # Deciles of the sorted values without np.quantile, which would sort them again.
    position = DECILES * (len(values) - 1)
    below = position.astype(int)
    above = np.minimum(below + 1, len(values) - 1)
    deciles = values[below] + (position - below) * (values[above] - values[below])
    return int(lengths[top]), float(values[starts[top]]), len(starts), tuple(deciles.tolist())


def _category(
    codes: np.ndarray, uniques: list[str], layout: CategoryLayout, groups: np.ndarray | None, spread: Spread
) -> list[CategoryProfile]:
    counts = spread.table(codes, max(len(uniques), 1))
    known = {value: code for code, value in enumerate(uniques)}
    listed = [(value, known[value]) for value in layout.values if value in known]
    is_rare = np.isin(uniques, layout.rare)
    is_unseen = ~is_rare & ~np.isin(uniques, layout.values)
    missing, runs = spread.count(codes < 0), spread.longest_runs(codes)
    tables = _tables(codes, uniques, layout, groups, spread)
    profiles = []
    for i, row in enumerate(counts[:, : len(uniques)]):
        top = int(row.argmax()) if row.sum() else -1
        profiles.append(
            CategoryProfile(
                missing=int(missing[i]),
                unseen=int(row[is_unseen].sum()) if uniques else 0,
                examples=_examples(row, uniques, is_unseen),
                rare=int(row[is_rare].sum()) if uniques else 0,
                counts={value: int(row[code]) for value, code in listed if row[code]},
                table=tables[i],
                top=int(row[top]) if top >= 0 else 0,
                top_value=uniques[top] if top >= 0 else None,
                longest_run=int(runs[i]),
            )
        )
    return profiles


def _examples(row: np.ndarray, uniques: list[str], is_unseen: np.ndarray) -> tuple[str, ...]:
    found = [code for code in np.argsort(-row, kind="stable").tolist() if row[code] and is_unseen[code]]
    return tuple(uniques[code] for code in found[:NUM_EXAMPLES])


def _tables(
    codes: np.ndarray, uniques: list[str], layout: CategoryLayout, groups: np.ndarray | None, spread: Spread
) -> list[tuple[tuple[int, ...], ...]]:
    if layout.companion is None or groups is None:
        return [() for _ in spread.ordinals]
    rows, num_groups = layout.values[:MAX_ROWS], layout.companion.num_groups
    place = {value: row for row, value in enumerate(rows)}
    row_of = np.array([place.get(value, -1) for value in uniques] + [-1])[codes]  # the last is for missing values
    flat = np.where(row_of < 0, -1, row_of * num_groups + groups)
    tables = spread.table(flat, len(rows) * num_groups).reshape(-1, len(rows), num_groups)
    return [tuple(tuple(row) for row in table.tolist()) for table in tables]
