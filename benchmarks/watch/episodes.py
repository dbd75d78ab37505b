"""Episodes: a champion in its first weeks, on real rows whose days were shuffled, into which one thing is put.

The days of a bundled stream are permuted, each kept whole with its weather, its crowd and its order of rows. What was
drift in the stream is gone by that, while days still differ from one another as real days do: so whatever changes in an
episode is what was put into it. A model learns from every other week of the stream, and episodes are made of the rest.

    30 days of expectations | 28 days of reference | 7 quiet days | 35 days with the injection

Labels take two days. Streams with several classes or a quantity as label are asked a yes-or-no question instead: is it
the commonest class, is the value above the median.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np
import pandas as pd

from benchmarks.watch.streams import learn, stream
from benchmarks.work import generator
from models.data.contract import Columns
from models.data.predictions import SCORE
from models.evaluation.metrics import Sample, auc
from models.evaluation.metrics.proper import log_loss
from models.monitoring.memo import HeldMemo
from models.monitoring.quality import Expectations
from models.monitoring.view import Champion, Seen, Settings, View

START = datetime(2025, 1, 1, tzinfo=UTC)
TRAIN_DAYS, REFERENCE_DAYS, QUIET_DAYS, CHANGED_DAYS = 30, 28, 7, 35
NUM_DAYS = TRAIN_DAYS + REFERENCE_DAYS + QUIET_DAYS + CHANGED_DAYS
LABEL_DELAY = timedelta(days=2)
ROWS_A_DAY = {"california": 60, "work_from_home": 165, "car_price": 250}  # theirs have 24, 41 and 2,553
MOST_ROWS_A_DAY = 500
WHOLE = 0.5  # of the usual rows: a file that begins at noon begins with half a day
BROKEN_DAYS = {("flights", 16_070)}  # 2013-12-31: no weather was recorded, as the watch says too
LOGGED_ROWS = 2_000


@dataclass(frozen=True)
class Pool:
    """Whole days of one stream, and a model that has never seen them.

    Attributes:
        name: of the stream.
        days: the rows of each day, in time order: id, seconds since midnight, features, label.
        numbers: number columns.
        categories: category columns.
        predict: the chance of 1 for any rows.
    """

    name: str
    days: tuple[pd.DataFrame, ...]
    numbers: tuple[str, ...]
    categories: tuple[str, ...]
    predict: Callable[[pd.DataFrame], np.ndarray]

    @property
    def columns(self) -> Columns:
        """What the columns mean."""
        return Columns("id", "event_time", "label", self.numbers, self.categories, label_delay=LABEL_DELAY)


@cache
def pool(name: str) -> Pool:
    """The days of a stream's odd weeks, and trees that have learned from its even ones; made once a process."""
    found = stream(name)
    frame = found.frame.rename(columns={found.label: "label"})
    frame["label"] = _question(frame["label"], found.task)
    ordinal = _ordinals(frame["event_time"], name)
    week = ordinal // 7
    is_learned = week % 2 == 0
    predict = learn(frame[is_learned], found.numbers, found.categories, "label")
    seconds = _seconds(frame["event_time"], ordinal, name)
    rest = frame.assign(__day=ordinal, __seconds=seconds)[~is_learned]
    usual = rest.groupby("__day").size().median()
    days = tuple(
        _thinned(day.drop(columns="__day"))
        for ordinal, day in rest.groupby("__day")
        if len(day) >= WHOLE * usual and (name, ordinal) not in BROKEN_DAYS
    )
    return Pool(name, days, found.numbers, found.categories, predict)


@dataclass(frozen=True)
class World:
    """One episode before anything is put into it.

    Attributes:
        pool: where its days are from.
        frame: all rows in time order, with a score in the column `SCORE`.
        spare: rows of its last days and of days that it does not use: what rows with other frequencies are drawn from.
        change: from this moment on something is different.
        end: of the rows.
    """

    pool: Pool
    frame: pd.DataFrame
    spare: pd.DataFrame
    change: datetime
    end: datetime

    @property
    def is_changed(self) -> np.ndarray:
        """Rows from the change on, as a mask."""
        return (self.frame["event_time"] >= pd.Timestamp(self.change)).to_numpy()


@dataclass(frozen=True)
class Episode:
    """What the watch gets to see.

    Attributes:
        world: the rows as they truly are.
        kind: what was put in.
        size: of it, in words.
        delivered: rows as the feed delivers them, with labels as they will be known.
        scored: ids and scores as they were logged.
        logged: inputs as they were logged, with the scores.
        has_label_at: when each label of `delivered` arrives.
        auc_fall: how far AUC falls in truth, where rows or labels were changed.
        loss_rise: how far log loss rises in truth.
    """

    world: World
    kind: str
    size: str
    delivered: pd.DataFrame
    logged: pd.DataFrame
    has_label_at: pd.Series
    auc_fall: float = 0.0
    loss_rise: float = 0.0


def world(name: str, number: int) -> World:
    """The days of one episode, drawn without repeats in an order of their own."""
    random, source = generator("world", name, number), pool(name)
    chosen = random.choice(len(source.days), NUM_DAYS, replace=False)
    parts = []
    for place, day in enumerate(chosen):
        rows = source.days[day]
        times = pd.Timestamp(START) + pd.Timedelta(days=place) + pd.to_timedelta(rows["__seconds"], unit="s")
        parts.append(rows.drop(columns="__seconds").assign(event_time=times))
    frame = pd.concat(parts, ignore_index=True)
    frame["id"] = np.arange(len(frame))
    frame[SCORE] = source.predict(frame)
    change = START + timedelta(days=TRAIN_DAYS + REFERENCE_DAYS + QUIET_DAYS)
    used = set(chosen[:-CHANGED_DAYS].tolist())
    spare = pd.concat([rows for day, rows in enumerate(source.days) if day not in used], ignore_index=True)
    spare[SCORE] = source.predict(spare)
    return World(source, frame, spare, change, START + timedelta(days=NUM_DAYS))


def champion(world: World) -> Champion:
    """The champion on its first day: what it expects, and rows it was not trained on."""
    frame, source = world.frame, world.pool
    learned = frame[frame["event_time"] < pd.Timestamp(START + timedelta(days=TRAIN_DAYS))]
    first = START + timedelta(days=TRAIN_DAYS + REFERENCE_DAYS)
    reference = frame[
        (frame["event_time"] >= learned["event_time"].iloc[-1]) & (frame["event_time"] < pd.Timestamp(first))
    ]
    return Champion(
        id="champion",
        predict=source.predict,
        numbers=source.numbers,
        categories=source.categories,
        expectations=Expectations.learn(
            learned.drop(columns=SCORE).reset_index(drop=True),
            source.columns,
            START,
            START + timedelta(days=TRAIN_DAYS),
        ),
        reference=reference.reset_index(drop=True),
    )


def views(episode: Episode, of: Champion, as_ofs: Sequence[datetime]) -> Iterator[tuple[datetime, View]]:
    """What the watch has before it at each moment: rows until then, with the labels that had arrived."""
    first, memo = START + timedelta(days=TRAIN_DAYS + REFERENCE_DAYS), HeldMemo()
    for as_of in as_ofs:
        rows = episode.delivered
        until = min(as_of, episode.world.end)
        is_here = (rows["event_time"] >= pd.Timestamp(first)) & (rows["event_time"] < pd.Timestamp(until))
        rows = rows[is_here].reset_index(drop=True)
        arrived = episode.has_label_at[is_here].reset_index(drop=True) <= pd.Timestamp(as_of)
        rows["label"] = rows["label"].where(arrived)
        logged = episode.logged[episode.logged["event_time"] < pd.Timestamp(until)]
        seen = Seen(
            rows=rows.drop(columns=SCORE),
            scored=rows[rows[SCORE].notna()].reset_index(drop=True),
            logged=logged.reset_index(drop=True),
            since=first,
            first=first,
            until=until,
            due=as_of - LABEL_DELAY,
        )
        yield as_of, View(of, episode.world.pool.columns, seen, Settings(jobs=1), memo)


def plain(world: World, kind: str = "nothing", size: str = "", **changes: object) -> Episode:
    """An episode whose feed delivers and logs what is true; `changes` replace parts of it."""
    found = Episode(
        world,
        kind,
        size,
        delivered=world.frame,
        logged=log_of(world.frame),
        has_label_at=world.frame["event_time"] + LABEL_DELAY,
    )
    return replace(found, **changes)  # type: ignore[arg-type]


def log_of(frame: pd.DataFrame) -> pd.DataFrame:
    """The sample of inputs and scores that scoring keeps."""
    places = np.unique(np.linspace(0, len(frame) - 1, min(LOGGED_ROWS * 4, len(frame))).astype(int))
    return frame.iloc[places].drop(columns="label")


def truth(before: pd.DataFrame, after: pd.DataFrame) -> tuple[float, float]:
    """How far AUC falls and log loss rises from some labelled rows to others."""
    first, second = (Sample(frame["label"].to_numpy(), frame[SCORE].to_numpy()) for frame in (before, after))
    fall = auc(first.labels, first.scores).value - auc(second.labels, second.scores).value
    return fall, log_loss(second.labels, second.scores).value - log_loss(first.labels, first.scores).value


def _question(label: pd.Series, task: str) -> pd.Series:
    if task == "binary":
        return label
    asked = label == label.mode()[0] if task == "multiclass" else label > label.median()
    return asked.astype(float)


def _ordinals(times: pd.Series, name: str) -> np.ndarray:
    if name in ROWS_A_DAY:
        return np.arange(len(times)) // ROWS_A_DAY[name]
    return times.dt.tz_localize(None).to_numpy().astype("datetime64[D]").astype(int)


def _seconds(times: pd.Series, ordinal: np.ndarray, name: str) -> np.ndarray:
    if name in ROWS_A_DAY:
        return (np.arange(len(times)) % ROWS_A_DAY[name] + 0.5) / ROWS_A_DAY[name] * 86_400
    seconds: np.ndarray = (times - times.dt.floor("D")).dt.total_seconds().to_numpy()
    return seconds


def _thinned(day: pd.DataFrame) -> pd.DataFrame:
    """At most so many rows of a day, evenly spread: more would only cost time."""
    step = max(1, -(-len(day) // MOST_ROWS_A_DAY))
    return day.iloc[::step].reset_index(drop=True)
