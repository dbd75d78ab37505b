"""Write the pages that a person reads."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd

from configs.schema import Project
from models.data.contract import Columns
from models.data.predictions import Batch, with_scores
from models.data.scores import SCORE, as_sample, put_scores, scores_in
from models.evaluation.metrics.catalogue import ACCURACY, AUC, LOG_LOSS, RMSE
from models.evaluation.metrics.metric import Metric, Undefined
from models.monitoring.measures import measures_of
from models.monitoring.watches import Watched
from models.registry.log import Entry
from models.registry.registry import Registry
from models.reporting.pages import data_file, decision_file, decision_page, watch_file, watch_page, year_page
from models.reporting.records import decision_json
from models.reporting.year import Loss, Period, Year
from tasks.fetch import fetch
from tasks.step import columns_of, load_version, registry_of, step
from tasks.store import storage_of

LOOKS_SHOWN = 400
CONTENT_TYPES = {".html": "text/html; charset=utf-8", ".json": "application/json"}  # what a browser is told
STATIC = "__static"  # what the first champion says, had it never been retrained


@step
def write_decision(project: Project, entry: Entry) -> Path:
    """The page of one decision, and the same as JSON beside it."""
    # The page comes last: one that exists says that everything before it was done.
    _write(project, data_file(entry), decision_json(entry, project.name))
    return _write(project, decision_file(entry), decision_page(entry, project.name))


def has_page(project: Project, entry: Entry) -> bool:
    """Whether the page of a decision was written, by this machine or another."""
    return storage_of(project).exists(_path(project, decision_file(entry)))


def link_to(project: Project, page: str) -> str:
    """A URL of a page: of the file, or of the object where the storage is a bucket."""
    place = storage_of(project).place(_path(project, page))
    return place if storage_of(project).is_remote else Path(place).absolute().as_uri()


@step
def write_watch(project: Project, watched: Watched) -> Path:
    """The monitoring page: this look and those before it. It is written anew by each watch."""
    registry = registry_of(project)
    before = (look for look in registry.watches.backwards(watched.as_of) if look.as_of < watched.as_of)
    looks = [watched, *itertools.islice(before, LOOKS_SHOWN - 1)][::-1]
    measures = measures_of(project.data.task, project.data.unit)
    page = watch_page(project.name, project.data.label, looks, registry.log.read().entries, measures)
    return _write(project, watch_file(), page)


@step
def write_year(project: Project, year: Year) -> Path:
    """The report of a replay."""
    return _write(project, "index.html", year_page(year))


@step
def summarise(project: Project, end: datetime, seconds: float | None) -> Year:
    """What the replay came to, judged once every label has arrived, against the first champion never retrained."""
    registry, columns = registry_of(project), columns_of(project)
    state, batches = registry.log.read(), registry.predictions.overlapping(project.schedule.first_champion, end)
    if state.first_champion is None or not batches:
        reasons = [entry.reason for entry in state.entries if entry.kind != "registered"]
        raise ValueError(f"no model of {project.name} passed the gate in the whole replay: {reasons[-1]}")
    frame = fetch(project, batches[0].start, end, end + 2 * columns.label_delay + timedelta(1))
    scored = pd.concat([registry.predictions.read(batch) for batch in batches], ignore_index=True)
    frame = with_scores(frame, columns.id, scored)
    first = load_version(registry, state.first_champion).model
    frame = put_scores(frame, first.predict(frame), first.target, STATIC)
    labelled = frame[frame[columns.label].notna()].reset_index(drop=True)
    loss = RMSE if columns.task == "regression" else LOG_LOSS
    return Year(
        project=project.name,
        label=columns.label,
        periods=tuple(_period(registry, columns, batch, labelled, state.entries) for batch in batches),
        entries=state.entries,
        loss=math.nan if (own := _measured(loss, columns, labelled, SCORE)) is None else own,
        static_loss=math.nan if (static := _measured(loss, columns, labelled, STATIC)) is None else static,
        seconds=seconds,
        of=Loss("RMSE", project.data.unit or "") if columns.task == "regression" else Loss(),
        second=second.label if (second := _second(columns)) else "AUC",
    )


def _period(
    registry: Registry, columns: Columns, batch: Batch, labelled: pd.DataFrame, entries: Sequence[Entry]
) -> Period:
    watched = registry.watches.find(batch.end)
    second = _second(columns)
    estimate = watched.evidence.estimate(second.name) if watched and second else None
    times = labelled[columns.time]
    rows = labelled[(times >= pd.Timestamp(batch.start)) & (times < pd.Timestamp(batch.end))]
    loss = RMSE if columns.task == "regression" else LOG_LOSS
    decisions = [entry for entry in entries if entry.as_of == batch.end.isoformat() and entry.kind != "registered"]

    return Period(
        start=batch.start,
        end=batch.end,
        num_rows=batch.num_rows,
        champion=batch.version,
        estimated_second=estimate.value if estimate else None,
        estimated_lower=estimate.lower if estimate else None,
        estimated_upper=estimate.upper if estimate else None,
        realised_second=_measured(second, columns, rows, SCORE),
        realised_loss=_measured(loss, columns, rows, SCORE),
        static_second=_measured(second, columns, rows, STATIC),
        static_loss=_measured(loss, columns, rows, STATIC),
        diagnosis=watched.diagnosis.verdict if watched else "not watched",
        diagnosis_reason=watched.diagnosis.reason if watched else "",
        decision=decisions[0] if decisions else None,
    )


def _second(columns: Columns) -> Metric | None:
    """What is told beside the loss; an AUC of several classes has no estimate, and of a number there is none."""
    return {"binary": AUC, "multiclass": ACCURACY, "regression": None}[columns.task]


def _measured(metric: Metric | None, columns: Columns, rows: pd.DataFrame, name: str) -> float | None:
    """The value on labelled rows with the scores called `name`; None where there is none."""
    if metric is None or rows.empty:
        return None
    try:
        return metric.measure(as_sample(columns.task, rows[columns.label], *scores_in(rows, name))).value
    except Undefined:
        return None


def _path(project: Project, page: str) -> str:
    return f"reports/{project.name}/{page}"


def _write(project: Project, page: str, text: str) -> Path:
    """Put a page into the storage, and return where it lies on this machine: there, or as a copy if it is a bucket."""
    path, storage = project.work / _path(project, page), storage_of(project)
    if storage.is_remote:
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = path.with_suffix(f".{os.getpid()}.tmp")
        whole.write_text(text, encoding="utf-8")
        whole.replace(path)
    storage.replace(_path(project, page), text.encode(), CONTENT_TYPES[path.suffix])
    return path if storage.is_remote else Path(storage.place(_path(project, page)))
