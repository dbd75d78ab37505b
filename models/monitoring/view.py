"""What a look has before it: the champion, its rows in their spans of time, and where results are kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from models.data.contract import Columns, days
from models.data.scores import as_sample, scores_in
from models.data.windows import between
from models.monitoring.business import Business
from models.monitoring.diagnosis import Rules
from models.monitoring.measures import Measures
from models.monitoring.memo import Fingerprints, HeldMemo, Memo
from models.monitoring.performance import Judged, slices_of
from models.monitoring.quality import Expectations, Limits

BEFORE = timedelta(days=3)  # days before the window that show whether something has changed since
A_WEEK = timedelta(days=7)  # in which a row may have been delivered before


@dataclass(frozen=True)
class Champion:
    """Who is watched, and what it was like when it was new.

    Attributes:
        id: its version.
        predict: scores of rows, shape (rows,), or (rows, classes) of a multiclass label.
        numbers: its number columns.
        categories: its category columns.
        expectations: what the days looked like on which it was trained.
        reference: rows it was not trained on, with labels and its scores as `put_scores` puts them.
    """

    id: str
    predict: Callable[[pd.DataFrame], np.ndarray]
    numbers: tuple[str, ...]
    categories: tuple[str, ...]
    expectations: Expectations
    reference: pd.DataFrame

    @property
    def features(self) -> tuple[str, ...]:
        """Its columns, numbers first."""
        return self.numbers + self.categories


@dataclass(frozen=True)
class Seen:
    """What there is to look at.

    Attributes:
        rows: of the source from `since` on, in time order; some days more than a window, to compare with.
        scored: those of them that the champion has scored, with its scores.
        logged: inputs as they were logged, with the logged scores; None where none were.
        since: first moment that was read.
        first: from here on the champion has scored.
        until: end of the newest rows.
        due: labels of rows before are due.
        by_others: ids of rows that another version has scored.
    """

    rows: pd.DataFrame
    scored: pd.DataFrame
    logged: pd.DataFrame | None
    since: datetime
    first: datetime
    until: datetime
    due: datetime
    by_others: pd.Index = field(default_factory=lambda: pd.Index([]))


@dataclass(frozen=True)
class Settings:
    """What a look is asked for, in plain values; see `configs.watch`."""

    rules: Rules = field(default_factory=Rules)
    limits: Limits = field(default_factory=Limits)
    window: timedelta = timedelta(days=14)
    drift_distance: float = 0.1
    slices: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    business: tuple[Business, ...] = ()
    jobs: int = 2  # threads of the classifiers; what they find does not depend on it


@dataclass(frozen=True)
class Day:
    """One local day of a span: its ordinal, and the part of it that lies in the span."""

    ordinal: int
    start: datetime
    end: datetime
    is_whole: bool

    @property
    def iso(self) -> str:
        """As it is written: 2013-03-01."""
        return str(np.datetime64(self.ordinal, "D"))


@dataclass(frozen=True)
class View:
    """The spans of one look, and the memo through which everything is computed.

    `faulty` are the days, as ISO dates, that an earlier look has found broken or served wrongly: what was measured on
    them says nothing of the model.
    """

    champion: Champion
    columns: Columns
    seen: Seen
    settings: Settings
    memo: Memo = field(default_factory=HeldMemo)
    faulty: frozenset[str] = frozenset()

    @property
    def measures(self) -> Measures:
        """What is measured of such a label."""
        return self.settings.rules.measures

    @property
    def start(self) -> datetime:
        """First moment of the newest window."""
        return max(self.seen.first, self.seen.until - self.settings.window)

    @property
    def profiled_from(self) -> datetime:
        """Days from here on are profiled: those of both windows, and some before."""
        return min(self.start, self.due_start) - BEFORE

    @property
    def due_start(self) -> datetime:
        """First moment of the window whose labels are due."""
        return max(self.seen.first, self.seen.due - self.settings.window)

    @cached_property
    def newest(self) -> Part:
        """Rows of the newest window, scored or not."""
        return self._part(self.seen.rows, self.start, self.seen.until)

    @cached_property
    def profiled(self) -> Part:
        """Rows of the newest window and of the days before it, with which its first days are compared."""
        return self._part(self.seen.rows, max(self.seen.since, self.profiled_from - A_WEEK), self.seen.until)

    @cached_property
    def scored(self) -> Part:
        """Rows of the newest window with a score."""
        return self._part(self.seen.scored, self.start, self.seen.until)

    @cached_property
    def due(self) -> Part:
        """Scored rows whose labels are due."""
        return self._part(self.seen.scored, self.due_start, max(self.seen.due, self.due_start))

    @cached_property
    def labelled(self) -> Part:
        """Those of them whose label has come."""
        is_known = self.due.frame[self.columns.label].notna().to_numpy()
        return self.due.only(is_known & ~self.due.is_on(self.faulty))

    @cached_property
    def logged(self) -> Part | None:
        """Inputs that were logged in the newest window; None where none were."""
        if self.seen.logged is None:
            return None
        part = self._part(self.seen.logged.sort_values(self.columns.time), self.start, self.seen.until)
        return part if len(part.frame) else None

    @cached_property
    def reference(self) -> Part:
        """Labelled rows on which the champion was new."""
        rows = self.champion.reference
        return Part(rows[rows[self.columns.label].notna()].reset_index(drop=True), self.columns, (), self.champion.id)

    def slices(self, part: Part) -> dict[str, np.ndarray]:
        """The rows of each watched slice, as masks."""
        edges = self.settings.slices
        return slices_of({name: part.frame[name].to_numpy() for name in edges if name in part.frame}, edges)

    def _part(self, frame: pd.DataFrame, start: datetime, end: datetime) -> Part:
        return part_of(frame, self.columns, start, end, self.champion.id)


@dataclass(frozen=True)
class Part:
    """Some rows in time order, the local days of their span, and digests of them."""

    frame: pd.DataFrame
    columns: Columns
    span: tuple[Day, ...]
    champion: str

    @cached_property
    def days(self) -> np.ndarray:
        """Ordinal of the local day of each row."""
        return days(self.frame[self.columns.time], self.columns.timezone)

    @cached_property
    def prints(self) -> Fingerprints:
        """Digests of the rows."""
        return Fingerprints(self.frame)

    @cached_property
    def inputs(self) -> Fingerprints:
        """Digests of the rows without their labels, which come later and change nothing of the inputs."""
        return Fingerprints(self.frame.drop(columns=self.columns.label))

    @property
    def judged(self) -> Judged:
        """Labels, scores and days; for rows with labels and scores."""
        return self.judged_as(())

    def judged_as(self, classes: tuple[str, ...]) -> Judged:
        """The same with the classes of a multiclass label in this order, so that two parts have the same."""
        sample = as_sample(self.columns.task, self.frame[self.columns.label], *scores_in(self.frame), onto=classes)
        return Judged(sample, self.days)

    @property
    def scores(self) -> np.ndarray:
        """The champion's, shape (rows,), or (rows, classes) of a multiclass label."""
        return scores_in(self.frame)[0]

    @property
    def classes(self) -> tuple[str, ...]:
        """Those that the champion knows of a multiclass label."""
        return scores_in(self.frame)[1]

    def key(self, *further: object) -> str:
        """Digest of all rows, the champion and whatever else a result depends on."""
        return self.prints.of(slice(None), self.champion, self.columns.timezone, *further)

    def input_key(self, *further: object) -> str:
        """The same, whatever the labels are."""
        return self.inputs.of(slice(None), self.champion, self.columns.timezone, *further)

    def is_on(self, days: Collection[str]) -> np.ndarray:
        """The rows of some days, given as ISO dates, as a mask."""
        ordinals = [np.datetime64(day, "D").astype(int) for day in days]
        return np.isin(self.days, np.array(ordinals, dtype=int))

    def day_key(self, day: Day, *further: object) -> str:
        """The same for the rows of one day."""
        return self.prints.of(self.rows_of(day), self.champion, day, *further)

    def week_key(self, day: Day, *further: object) -> str:
        """Digest of the rows of a day and of the week before it, and of the labels of the day alone."""
        labels = self.frame[self.columns.label].iloc[self.rows_of(day)]
        known = hashlib.sha256(pd.util.hash_pandas_object(labels, index=False).to_numpy().tobytes()).hexdigest()
        return self.inputs.of(self.rows_since(day.ordinal - A_WEEK.days, day), known, self.champion, day, *further)

    def rows_since(self, ordinal: int, day: Day) -> slice:
        """Where the rows from one day on to the end of another stand."""
        first, last = self.days.searchsorted([ordinal, day.ordinal + 1])
        return slice(int(first), int(last))

    def rows_of(self, day: Day) -> slice:
        """Where the rows of a day stand: they are in time order."""
        return self.rows_since(day.ordinal, day)

    def only(self, rows: np.ndarray) -> Part:
        """Some of the rows, given as a mask."""
        if rows.all():
            return self
        return Part(self.frame[rows].reset_index(drop=True), self.columns, self.span, self.champion)


def part_of(frame: pd.DataFrame, columns: Columns, start: datetime, end: datetime, champion: str) -> Part:
    """The rows of a frame in time order whose event lies in `[start, end)`."""
    span = tuple(local_days(start, end, columns.timezone))
    return Part(between(frame, columns.time, start, end), columns, span, champion)


def local_days(start: datetime, end: datetime, timezone: str) -> list[Day]:
    """The local days that `[start, end)` touches; the first and the last may be parts of a day.

    >>> noon, later = datetime(2025, 1, 1, 12, tzinfo=UTC), datetime(2025, 1, 3, tzinfo=UTC)
    >>> [(day.iso, day.is_whole) for day in local_days(noon, later, "UTC")]
    [('2025-01-01', False), ('2025-01-02', True)]
    """
    if start >= end:
        return []
    zone, found = ZoneInfo(timezone), []
    midnight = start.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    while midnight < end:
        # A day of summer or winter time has 23 or 25 hours.
        following = (midnight.replace(tzinfo=None) + timedelta(days=1)).replace(tzinfo=zone)
        first, last = midnight.astimezone(UTC), following.astimezone(UTC)
        ordinal = int(np.datetime64(midnight.replace(tzinfo=None), "D").astype(int))
        found.append(Day(ordinal, max(first, start), min(last, end), start <= first and last <= end))
        midnight = following
    return found
