"""Watch the champion: gather the evidence, and say what it comes to."""

from __future__ import annotations

import io
import logging
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from configs.schema import Project
from models.data.contract import Columns, days, is_mature, read
from models.monitoring.diagnosis import Evidence, diagnose
from models.monitoring.drift import column_drift
from models.monitoring.estimation import estimate_auc
from models.monitoring.quality import Expectations, check_quality
from models.monitoring.realised import Realised, realised
from models.monitoring.watches import Watched
from models.registry.registry import Registry
from models.registry.versions import Version, VersionId
from tasks.ingest import limits_of
from tasks.step import columns_of, load_version, registry_of, step

logger = logging.getLogger(__name__)
REPLAY_ROWS = 2_000


@step
def observe(project: Project, as_of: datetime) -> Watched | None:
    """Look at what the champion scored in the last days before `as_of`. None when it has scored nothing."""
    registry, columns = registry_of(project), columns_of(project)
    champion = registry.log.read().champion
    scored = _scored(registry, champion, as_of - timedelta(days=project.watch.window_days), as_of) if champion else None
    if champion is None or scored is None:
        return None
    start = scored["event_time"].min().to_pydatetime()
    frame = read(project.data.source.build(), columns, start, as_of, as_of)
    version = load_version(registry, champion)
    evidence = _gather(project, columns, version, frame, scored, start, as_of)
    diagnosis = diagnose(
        evidence, project.watch.harm, project.watch.alpha, project.watch.min_mature_share, project.gate.min_groups
    )
    logger.info("%s: %s", diagnosis.verdict, diagnosis.reason)
    return Watched(as_of, start, champion, len(scored), evidence, diagnosis)


def recall(project: Project, as_of: datetime) -> Watched | None:
    """The record of a look that was taken and published before, if there is one."""
    return registry_of(project).watches.find(as_of)


@step
def keep(project: Project, watched: Watched) -> Watched:
    """Keep the record, after everything that it gave rise to: a look that was killed before is taken again."""
    return registry_of(project).watches.add(watched)


def _scored(registry: Registry, champion: VersionId, start: datetime, end: datetime) -> pd.DataFrame | None:
    batches = [batch for batch in registry.predictions.overlapping(start, end) if batch.version == champion]
    if not any(batch.num_rows for batch in batches):
        return None
    rows = pd.concat([registry.predictions.read(batch) for batch in batches], ignore_index=True)
    rows = rows[(rows["event_time"] >= pd.Timestamp(start)) & (rows["event_time"] < pd.Timestamp(end))]
    return rows if len(rows) else None


def _gather(
    project: Project,
    columns: Columns,
    version: Version,
    frame: pd.DataFrame,
    scored: pd.DataFrame,
    start: datetime,
    as_of: datetime,
) -> Evidence:
    reference = pd.read_parquet(io.BytesIO(version.extras["reference.parquet"]))
    expected = Expectations.from_json(version.extras["expectations.json"].decode())
    both = frame.merge(
        scored[["id", "score"]], left_on=columns.id, right_on="id", how="inner", suffixes=("", "_scored")
    )
    sample = both.iloc[:: max(1, len(both) // REPLAY_ROWS)]
    due = both[is_mature(both, columns, as_of)]
    watch, has_reference = project.watch, reference[columns.label].nunique() == 2
    return Evidence(
        quality=tuple(check_quality(frame, (as_of - start) / timedelta(days=1), expected, limits_of(project))),
        drift=tuple(
            column_drift(reference, frame, columns.numbers, columns.categories, watch.drift_distance)
            if len(frame)
            else ()
        ),
        estimate=estimate_auc(
            reference[columns.label].to_numpy(), reference["score"].to_numpy(), scored["score"].to_numpy()
        )
        if has_reference
        else None,
        realised=_realised(columns, due, reference) if has_reference else None,
        labelled_share=float(due[columns.label].notna().mean()) if len(due) else None,
        replay_difference=float(np.abs(version.model.predict(sample) - sample["score"]).max()) if len(sample) else 0.0,
    )


def _realised(columns: Columns, due: pd.DataFrame, reference: pd.DataFrame) -> Realised | None:
    labelled = due[due[columns.label].notna()]
    if labelled[columns.label].nunique() < 2:
        return None
    return realised(
        labelled[columns.label].to_numpy(),
        labelled["score"].to_numpy(),
        days(labelled[columns.time], columns.timezone),
        reference[columns.label].to_numpy(),
        reference["score"].to_numpy(),
        days(reference[columns.time], columns.timezone),
    )
