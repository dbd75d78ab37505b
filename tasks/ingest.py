"""Read rows and freeze what a retrain will use."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta

import pandas as pd

from configs.schema import Project
from models.data.contract import Columns, require_rows
from models.data.parts import Read, slices
from models.data.snapshots import Snapshot
from models.data.windows import Windows, between, plan_windows
from models.monitoring.quality import Expectations, QualityCheck, check_days, check_label_values, profile_days
from models.monitoring.quality.in_pieces import learn_in_pieces, profile_in_pieces
from models.monitoring.view import A_WEEK, BEFORE, local_days
from models.registry.registry import Registry
from models.registry.versions import VersionId
from tasks.fetch import reader
from tasks.observe import limits_of
from tasks.step import columns_of, load_version, memory_of, registry_of, step


@step
def ingest(project: Project, champion: VersionId | None, as_of: datetime) -> Snapshot:
    """Freeze the rows that are labelled at `as_of`, cut into training, validation, embargo and holdout.

    What the days of the training window look like, labelled or not, is learned here and kept for the version. With
    `training.memory_mib` the source is read one slice of time after another.
    """
    registry, columns = registry_of(project), columns_of(project)
    seen_until = registry.versions.trained_until(champion) if champion else None
    windows = plan_windows(
        as_of=as_of,
        start=project.schedule.start,
        label_delay=columns.label_delay,
        holdout=timedelta(days=project.gate.holdout_days),
        embargo=timedelta(days=project.embargo_days),
        validation=timedelta(days=project.training.validation_days),
        champion_trained_until=seen_until,
    )
    rows = reader(project, as_of, selected_until=windows.validation_start)
    span, new_from = (windows.train_start, windows.holdout_end), pd.Timestamp(seen_until) if seen_until else None
    purpose = "for training; check schedule.start and the source"
    if (memory := memory_of(project)) is not None:
        with registry.snapshots.gathering(columns, memory) as parts:
            for slice_ in slices(rows, *span, memory):
                parts.add(slice_)
            require_rows(next(parts.frames(), pd.DataFrame()), *span, purpose)
            snapshot = registry.snapshots.freeze_parts(parts, windows, new_from)
            _once(registry, snapshot, lambda: _learn_in_pieces(parts.between, len(parts), columns, windows, memory))
            return snapshot
    frame = rows(*span)
    require_rows(frame, *span, purpose)
    snapshot = registry.snapshots.freeze(frame, windows, columns, new_from)
    _once(registry, snapshot, lambda: _learn(frame, columns, windows))
    return snapshot


@step
def inspect(project: Project, snapshot: Snapshot, champion: VersionId | None, as_of: datetime) -> list[QualityCheck]:
    """Checks of the rows that would spoil a retrain: a fault that training rows and holdout share passes every test.

    What is new since the champion is compared with the days that the champion was trained on; for a first champion, the
    holdout with the training rows before it. Rows without a label count too.
    """
    registry, windows = registry_of(project), snapshot.windows
    if champion is None:
        since, expected = windows.train_end, expectations_of(project, snapshot)
    else:
        version = load_version(registry, champion)
        since, expected = version.trained_until, Expectations.from_json(version.extras["expectations.json"].decode())
    columns, start = columns_of(project), max(since - BEFORE, windows.train_start)
    rows, earliest = reader(project, as_of, other=()), max(start - A_WEEK, windows.train_start)
    if memory_of(project) is not None:
        profiles = profile_in_pieces(rows, expected.layout, columns, start, windows.holdout_end, earliest)
    else:
        frame = rows(earliest, windows.holdout_end)
        profiles = profile_days(frame, expected.layout, columns, start, windows.holdout_end)
    first = local_days(since, windows.holdout_end, columns.timezone)[0].iso
    new, earlier = ([day for day in profiles if (day.day >= first) == is_new] for is_new in (True, False))
    limits = limits_of(project)
    checks = [
        *check_days(new, expected, limits, earlier),
        *check_label_values(new, expected, limits, columns.label),
    ]
    return [check for check in checks if check.is_broken]


def expectations_of(project: Project, snapshot: Snapshot) -> Expectations:
    """What the days of a snapshot's training window look like."""
    registry, columns, windows = registry_of(project), columns_of(project), snapshot.windows

    def learned() -> Expectations:
        # Of all rows, as `ingest` has learned them; of the labelled ones alone if what it kept is gone.
        if (memory := memory_of(project)) is None:
            return _learn(registry.snapshots.read(snapshot), columns, windows)
        read = registry.snapshots.reader(snapshot, columns.time)
        return _learn_in_pieces(read, snapshot.num_rows, columns, windows, memory)

    return _once(registry, snapshot, learned)


def _once(registry: Registry, snapshot: Snapshot, learn: Callable[[], Expectations]) -> Expectations:
    key = hashlib.sha256(f"{snapshot.id} {snapshot.windows}".encode()).hexdigest()[:24]
    return registry.memo.once("expectations", key, Expectations, learn)


def _learn(frame: pd.DataFrame, columns: Columns, windows: Windows) -> Expectations:
    rows = between(frame, columns.time, windows.train_start, windows.train_end)
    return Expectations.learn(rows, columns, windows.train_start, windows.train_end)


def _learn_in_pieces(read: Read, num_rows: int, columns: Columns, windows: Windows, memory: int) -> Expectations:
    return learn_in_pieces(read, num_rows, columns, windows.train_start, windows.train_end, memory)
