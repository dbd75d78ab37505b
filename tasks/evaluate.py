"""Put rows and scores together for the gate: on which rows is judged, and what the models say of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np
import pandas as pd

from configs.schema import Project
from models.data.contract import Columns, days
from models.data.scores import Scores, aligned, as_sample, places, union
from models.data.snapshots import Snapshot
from models.data.windows import Windows, between
from models.evaluation import groups
from models.evaluation.comparison import Paired
from models.evaluation.gate import Size
from models.evaluation.metrics.metric import Sample
from models.evaluation.reuse import overlap, uses
from models.registry import history
from models.registry.log import State
from models.registry.registry import Registry
from models.registry.versions import Version, VersionId
from tasks.step import columns_of, load_version, memory_of

RECENT_HOLDOUTS = 4
Before = Callable[[datetime, datetime, tuple[str, ...] | None], pd.DataFrame]


@dataclass(frozen=True)
class Bench:
    """The rows that a decision is made on, the same for every challenger.

    Attributes:
        project, registry, state: whose they are, and the log when they were taken.
        holdout: labelled rows that no model has seen and that have decided less often than the project allows.
        before: gives rows before the embargo: a window of them, with these columns at least, or all.
        windows: how the snapshot was cut.
        num_used_up: rows of the holdout that were left out because they have decided often enough.
    """

    project: Project
    registry: Registry
    state: State
    holdout: pd.DataFrame
    before: Before
    windows: Windows
    num_used_up: int

    @property
    def columns(self) -> Columns:
        """The meaning of the columns."""
        return columns_of(self.project)

    @property
    def ids(self) -> pd.Index:
        """Of the holdout's rows."""
        return pd.Index(self.holdout[self.columns.id])

    @cached_property
    def labels(self) -> np.ndarray:
        """Of the holdout as floats, shape (rows,): of a multiclass label the places among the classes that occur."""
        labels = self.holdout[self.columns.label]
        is_text = self.columns.task == "multiclass"
        return places(labels, union(labels=labels)) if is_text else labels.to_numpy(dtype=float)

    @cached_property
    def grouping(self) -> groups.Grouping:
        """Which rows of the holdout depend on one another."""
        by = self.project.gate.groups
        if by == "ladder":
            return groups.ladder(len(self.holdout))
        if by == "day":
            return groups.by_key(days(self.holdout[self.columns.time], self.columns.timezone), "days")
        return groups.by_key(self.holdout[by].astype(str).to_numpy(), f"values of {by}")

    @property
    def size(self) -> Size:
        """How much there is to judge by."""
        return Size.of(self.labels, self.grouping, self.columns.task)

    @property
    def recent(self) -> pd.DataFrame:
        """The rows of some holdouts' length before the embargo: by them is told what a holdout ought to contain."""
        length = RECENT_HOLDOUTS * timedelta(days=self.project.gate.holdout_days)
        return self.before(self.windows.train_end - length, self.windows.train_end, None)

    def pair(self, champion: Scores, challenger: Scores) -> Paired:
        """Two models' scores of the holdout, with what metrics may need of its rows.

        Of a multiclass label they are compared on all classes that either knows or that occur.
        """
        gate, task, labels = self.project.gate, self.columns.task, self.holdout[self.columns.label]
        needed = {ref.init_args.get("column") for ref in (gate.primary, *gate.guardrails) if ref.metric}
        columns = {name: self.holdout[name].to_numpy(dtype=float) for name in needed if name}
        if task != "multiclass":
            return Paired(self.labels, champion.values, challenger.values, self.grouping, columns, task)
        known = union(champion.classes, challenger.classes, labels=labels)
        before, after = (aligned(each.values, each.classes, known) for each in (champion, challenger))
        return Paired(places(labels, known), before, after, self.grouping, columns, task)

    def sample(self, scores: Scores) -> Sample:
        """The holdout as one model sees it."""
        return as_sample(self.columns.task, self.holdout[self.columns.label], scores.values, scores.classes)

    def scores(self, version: Version, rows: pd.DataFrame) -> Scores:
        """What a version says of rows. Raises `ValueError` when it was trained for another kind of label."""
        return scores_of(self.project, version, rows)

    def baseline(self) -> Scores:
        """What has to be beaten where there is no champion: a forecast that needs no model.

        Raises:
            ValueError: for a baseline that does not give the classes of a multiclass label.
        """
        columns = self.columns
        forecast = self.project.gate.first.baseline.build()
        start, end = self.project.schedule.start, self.windows.train_end
        seen = self.before(start, end, (columns.time, columns.label))
        said = forecast(seen, self.holdout.drop(columns=columns.label), columns.label, columns.time)
        if columns.task != "multiclass":
            return Scores(np.asarray(said, dtype=float))
        if not isinstance(said, pd.DataFrame):
            raise ValueError(
                f"gate.first.baseline gives {type(said).__name__}; of a multiclass label give a frame of probabilities "
                "with a row for each row, and a column for each class"
            )
        return Scores(said.to_numpy(dtype=float), tuple(map(str, said.columns)))


@dataclass(frozen=True)
class Contest:
    """A challenger against the champion, or against the baseline where there is none, on the bench's rows."""

    bench: Bench
    champion: Version | None
    challenger: Version

    @cached_property
    def paired(self) -> Paired:
        """Both models' scores of the holdout."""
        before = self.bench.scores(self.champion, self.bench.holdout) if self.champion else self.bench.baseline()
        return self.bench.pair(before, self.after)

    @cached_property
    def after(self) -> Scores:
        """What the challenger says of the holdout."""
        return self.bench.scores(self.challenger, self.bench.holdout)

    @cached_property
    def spoilt(self) -> list[str]:
        """Why the holdout is not unseen, in words: rows that a model was trained on, or an embargo not kept.

        Rows are found by their ids and not by trust in times; the embargo is a matter of times.
        """
        bench, found, checked = self.bench, [], set[VersionId]()
        embargo = timedelta(days=bench.project.embargo_days)
        for version in (self.champion, self.challenger):
            if version and version.trained_until + embargo > bench.windows.holdout_start:
                found.append(f"Rows of this holdout, or of the embargo before it, were used to train {version.id}")
            line = [each for each in line_of(bench, version.id) if each not in checked] if version else []
            rows = overlap(bench.ids, (ids for each in line for ids in trained_on(bench, each)))
            if version and len(rows):
                found.append(
                    f"{len(rows):,} rows of the holdout, such as {rows.tolist()[0]!r}, were used to train {version.id}"
                )
            checked.update(line)
        return found


def scores_of(project: Project, version: Version, rows: pd.DataFrame) -> Scores:
    """What a version says of rows. Raises `ValueError` when it was trained for another kind of label."""
    target, task = version.model.target, project.data.task
    if target.task != task:
        raise ValueError(
            f"version {version.id} was trained for a {target.task} label, and data.task={task}; set data.task to "
            f"{target.task}, or give the project another name"
        )
    return Scores(version.model.predict(rows), target.classes)


def set_up(project: Project, registry: Registry, snapshot: Snapshot, state: State) -> Bench:
    """Take the rows of a snapshot, without those that have decided as often as the project allows."""
    columns, windows = columns_of(project), snapshot.windows
    if memory_of(project) is None:
        frame = registry.snapshots.read(snapshot)
        holdout = windows.holdout(frame, columns.time)
        before = _cut_from(frame, columns.time)
    else:
        before = _read_from(registry, snapshot, columns.time)
        holdout = before(windows.holdout_start, windows.holdout_end, None)
    earlier = (pd.Index(registry.holdouts.read(name)["id"]) for name in history.holdouts(state))
    is_fresh = uses(pd.Index(holdout[columns.id]), earlier) < project.gate.max_uses
    return Bench(
        project=project,
        registry=registry,
        state=state,
        holdout=holdout[is_fresh].reset_index(drop=True),
        before=before,
        windows=windows,
        num_used_up=int((~is_fresh).sum()),
    )


def _cut_from(frame: pd.DataFrame, time: str) -> Before:
    return lambda start, end, columns: between(frame, time, start, end)


def _read_from(registry: Registry, snapshot: Snapshot, time: str) -> Before:
    return lambda start, end, columns: registry.snapshots.window(snapshot.id, columns, time, start, end)


def compete(bench: Bench, champion: VersionId | None, challenger: VersionId) -> Contest:
    """Load both versions, checked against their manifests."""
    registry = bench.registry
    return Contest(bench, load_version(registry, champion) if champion else None, load_version(registry, challenger))


def line_of(bench: Bench, version: VersionId | None) -> Iterator[VersionId]:
    """A version, and those that it was continued from: what they were trained on, it was too."""
    while version:
        yield version
        version = bench.registry.versions.lineage(version)["parent"]


def trained_on(bench: Bench, version: VersionId) -> Iterator[pd.Index]:
    """Ids of the rows that one version was trained on, without what its parents were, some at a time."""
    lineage = bench.registry.versions.lineage(version)
    start, end = (datetime.fromisoformat(lineage[name]) for name in ("trained_from", "trained_until"))
    named = lineage["config"]["data"]  # the columns as they were called then
    return bench.registry.snapshots.ids_in_pieces(lineage["snapshot"], named["id"], named["time"], start, end)
