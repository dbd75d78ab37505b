"""Read rows and freeze what a retrain will use."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta

import pandas as pd

from configs.schema import Project
from models.data.contract import Columns, require_rows
from models.data.snapshots import Snapshot
from models.data.windows import between, plan_windows
from models.monitoring.quality import Expectations, QualityCheck, check_days, check_label_values, profile_days
from models.monitoring.view import A_WEEK, BEFORE, local_days
from models.registry.registry import Registry
from models.registry.versions import VersionId
from tasks.fetch import fetch
from tasks.observe import limits_of
from tasks.step import columns_of, load_version, registry_of, step


@step
def ingest(project: Project, champion: VersionId | None, as_of: datetime) -> Snapshot:
    """Freeze the rows that are labelled at `as_of`, cut into training, validation, embargo and holdout.

    What the days of the training window look like, labelled or not, is learned here and kept for the version.
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
    frame = fetch(project, windows.train_start, windows.holdout_end, as_of, selected_until=windows.validation_start)
    require_rows(frame, windows.train_start, windows.holdout_end, "for training; check schedule.start and the source")
    snapshot = registry.snapshots.freeze(frame, windows, columns, pd.Timestamp(seen_until) if seen_until else None)
    _learn(registry, columns, snapshot, lambda: frame)
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
    frame = fetch(project, max(start - A_WEEK, windows.train_start), windows.holdout_end, as_of, other=())
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
    registry = registry_of(project)
    # Of all rows, as `ingest` has learned them; of the labelled ones alone if what it kept is gone.
    return _learn(registry, columns_of(project), snapshot, lambda: registry.snapshots.read(snapshot))


def _learn(registry: Registry, columns: Columns, snapshot: Snapshot, rows: Callable[[], pd.DataFrame]) -> Expectations:
    windows = snapshot.windows
    key = hashlib.sha256(f"{snapshot.id} {windows}".encode()).hexdigest()[:24]
    return registry.memo.once(
        "expectations",
        key,
        Expectations,
        lambda: Expectations.learn(
            between(rows(), columns.time, windows.train_start, windows.train_end),
            columns,
            windows.train_start,
            windows.train_end,
        ),
    )
