"""Read rows and freeze what a retrain will use."""

from __future__ import annotations

from datetime import datetime, timedelta

import pandas as pd

from configs.schema import Project
from models.data.contract import read, require_rows
from models.data.snapshots import Snapshot
from models.data.windows import plan_windows
from models.monitoring.quality import Expectations, Limits, QualityCheck, check_quality
from models.registry.versions import VersionId
from tasks.step import columns_of, load_version, registry_of, step


@step
def ingest(project: Project, champion: VersionId | None, as_of: datetime) -> Snapshot:
    """Freeze the rows that are labelled at `as_of`, cut into training, validation, embargo and holdout."""
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
    frame = read(project.data.source.build(), columns, windows.train_start, windows.holdout_end, as_of)
    require_rows(frame, windows.train_start, windows.holdout_end, "for training; check schedule.start and the source")
    return registry.snapshots.freeze(frame, windows, columns, pd.Timestamp(seen_until) if seen_until else None)


@step
def inspect(project: Project, snapshot: Snapshot, champion: VersionId | None) -> list[QualityCheck]:
    """Checks of the rows new since the champion that would spoil a retrain: a fault in them passes every later test."""
    if champion is None:
        return []
    registry, columns = registry_of(project), columns_of(project)
    version = load_version(registry, champion)
    frame = registry.snapshots.read(snapshot)
    new = frame[frame[columns.time] >= pd.Timestamp(version.trained_until)]
    expected = Expectations.from_json(version.extras["expectations.json"].decode())
    checks = check_quality(new, snapshot.new_rows_per_day, expected, limits_of(project))
    return [check for check in checks if check.is_broken]


def limits_of(project: Project) -> Limits:
    """What the project calls broken."""
    watch = project.watch
    return Limits(
        missing_share=watch.missing_share,
        unseen_share=watch.unseen_share,
        out_of_range_share=watch.out_of_range_share,
        volume_ratio=watch.volume_ratio,
        unscored_share=watch.unscored_share,
    )
