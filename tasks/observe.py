"""Watch the champion: gather the evidence, and say what it comes to."""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import pandas as pd

from configs.schema import Project
from models.data.contract import Columns, days, read
from models.data.predictions import SCORE, with_scores
from models.data.windows import between
from models.monitoring.diagnosis import Evidence, diagnose
from models.monitoring.drift import column_drift
from models.monitoring.estimation import estimate_auc
from models.monitoring.quality import Expectations, QualityCheck, check_quality, check_scored
from models.monitoring.realised import Realised, realised
from models.monitoring.reproduction import mismatch_share
from models.monitoring.watches import Watched
from models.registry.versions import Version
from tasks.ingest import limits_of
from tasks.step import columns_of, load_version, registry_of, step

logger = logging.getLogger(__name__)
REPLAY_ROWS = 2_000


@step
def observe(project: Project, as_of: datetime) -> Watched | None:
    """Look at what the champion scored in the last days before `as_of`. None when it has scored no batch.

    Quality, inputs and the estimate are those of the newest rows; performance is that of as many days whose labels are
    due, which lie further back by the label delay.
    """
    registry, columns = registry_of(project), replace(columns_of(project), other=())
    window, champion = timedelta(days=project.watch.window_days), registry.log.read().champion
    batches = [
        batch
        for batch in registry.predictions.overlapping(as_of - columns.label_delay - window, as_of)
        if batch.version == champion
    ]
    if champion is None or not batches:
        return None
    first, until = max(batches[0].start, as_of - columns.label_delay - window), min(batches[-1].end, as_of)
    frame = read(project.data.source.build(), columns, first, until, as_of)
    scored = pd.concat([registry.predictions.read(batch) for batch in batches], ignore_index=True)
    seen = Seen(
        rows=frame,
        scored=with_scores(frame, columns.id, scored),
        start=max(first, as_of - window),
        until=until,
        due=as_of - columns.label_delay,
    )
    evidence = _gather(project, columns, load_version(registry, champion), seen)
    watch = project.watch
    diagnosis = diagnose(
        evidence, watch.harm, watch.alpha, watch.min_mature_share, project.gate.minima.groups, watch.mismatch_share
    )
    logger.info("%s: %s", diagnosis.verdict, diagnosis.reason)
    num_rows = len(between(seen.scored, columns.time, seen.start, until))
    return Watched(as_of, seen.start, champion, num_rows, evidence, diagnosis)


@dataclass(frozen=True)
class Seen:
    """Rows of the source, those of them with the champion's score, and where the newest and the due ones lie."""

    rows: pd.DataFrame
    scored: pd.DataFrame
    start: datetime
    until: datetime
    due: datetime


def recall(project: Project, as_of: datetime) -> Watched | None:
    """The record of a look that was taken and published before, if there is one."""
    return registry_of(project).watches.find(as_of)


@step
def keep(project: Project, watched: Watched) -> Watched:
    """Keep the record, after everything that it gave rise to: a look that was killed before is taken again."""
    return registry_of(project).watches.add(watched)


def _gather(project: Project, columns: Columns, version: Version, seen: Seen) -> Evidence:
    reference = pd.read_parquet(io.BytesIO(version.extras["reference.parquet"]))
    newest = between(seen.rows, columns.time, seen.start, seen.until)
    scored = between(seen.scored, columns.time, seen.start, seen.until)
    window = timedelta(days=project.watch.window_days)
    due = between(seen.scored, columns.time, seen.due - window, seen.due)
    numbers, categories = tuple(version.model.encoder.numbers), tuple(version.model.encoder.categories)
    sample = scored.iloc[:: max(1, len(scored) // REPLAY_ROWS)]
    again = version.model.predict(sample)  # first: it says clearly when a column of the version is gone
    labels, scores = reference[columns.label].to_numpy(), reference[SCORE].to_numpy()
    has_reference, threshold = len(np.unique(labels)) == 2, project.watch.drift_distance
    return Evidence(
        quality=(*_quality(project, version, newest, seen), check_scored(len(newest), len(scored), limits_of(project))),
        drift=tuple(column_drift(reference, newest, numbers, categories, threshold)) if len(newest) else (),
        estimate=estimate_auc(labels, scores, scored[SCORE].to_numpy()) if has_reference and len(scored) else None,
        realised=_realised(columns, due, reference) if has_reference else None,
        labelled_share=float(due[columns.label].notna().mean()) if len(due) else None,
        mismatch_share=mismatch_share(sample[SCORE].to_numpy(), again),
    )


def _quality(project: Project, version: Version, newest: pd.DataFrame, seen: Seen) -> list[QualityCheck]:
    expected = Expectations.from_json(version.extras["expectations.json"].decode())
    num_days = (seen.until - seen.start) / timedelta(days=1)
    # Within a day there is night and noon: a span shorter than that says nothing of the rows a day.
    return check_quality(newest, len(newest) / num_days if num_days >= 1 else None, expected, limits_of(project))


def _realised(columns: Columns, due: pd.DataFrame, reference: pd.DataFrame) -> Realised | None:
    labelled = due[due[columns.label].notna()]
    if labelled[columns.label].nunique() < 2:
        return None
    return realised(
        labelled[columns.label].to_numpy(),
        labelled[SCORE].to_numpy(),
        days(labelled[columns.time], columns.timezone),
        reference[columns.label].to_numpy(),
        reference[SCORE].to_numpy(),
        days(reference[columns.time], columns.timezone),
    )
