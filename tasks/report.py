"""Write the pages that a person reads."""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd

from configs.schema import Project
from models.data.contract import Columns
from models.data.predictions import SCORE, Batch, with_scores
from models.evaluation.metrics.proper import log_loss
from models.evaluation.metrics.ranking import auc
from models.monitoring.watches import Watched
from models.registry.log import Entry
from models.registry.registry import Registry
from models.reporting.pages import data_file, decision_file, decision_page, watch_file, watch_page, year_page
from models.reporting.records import decision_json
from models.reporting.year import Period, Year
from tasks.fetch import fetch
from tasks.step import columns_of, load_version, registry_of, step

LOOKS_SHOWN = 400
STATIC = "__static"  # the score of the first champion, had it never been retrained


@step
def write_decision(project: Project, entry: Entry) -> Path:
    """The page of one decision, and the same as JSON beside it."""
    # The page comes last: one that exists says that everything before it was done.
    _write(_folder(project) / data_file(entry), decision_json(entry, project.name))
    return _write(decision_path(project, entry), decision_page(entry, project.name))


def decision_path(project: Project, entry: Entry) -> Path:
    """Where the page of a decision lies."""
    return _folder(project) / decision_file(entry)


@step
def write_watch(project: Project, watched: Watched) -> Path:
    """The monitoring page: this look and those before it. It is written anew by each watch."""
    registry = registry_of(project)
    before = (look for look in registry.watches.backwards(watched.as_of) if look.as_of < watched.as_of)
    looks = [watched, *itertools.islice(before, LOOKS_SHOWN - 1)][::-1]
    page = watch_page(project.name, project.data.label, looks, registry.log.read().entries)
    return _write(_folder(project) / watch_file(), page)


@step
def write_year(project: Project, year: Year) -> Path:
    """The report of a replay."""
    return _write(_folder(project) / "index.html", year_page(year))


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
    frame[STATIC] = load_version(registry, state.first_champion).model.predict(frame)
    labelled = frame[frame[columns.label].notna()]
    labels = labelled[columns.label].to_numpy()
    return Year(
        project=project.name,
        label=columns.label,
        periods=tuple(_period(registry, columns, batch, labelled, state.entries) for batch in batches),
        entries=state.entries,
        log_loss=log_loss(labels, labelled[SCORE].to_numpy()).value,
        static_log_loss=log_loss(labels, labelled[STATIC].to_numpy()).value,
        seconds=seconds,
    )


def _period(
    registry: Registry, columns: Columns, batch: Batch, labelled: pd.DataFrame, entries: Sequence[Entry]
) -> Period:
    watched = registry.watches.find(batch.end)
    estimate = watched.evidence.estimate("auc") if watched else None
    times = labelled[columns.time]
    rows = labelled[(times >= pd.Timestamp(batch.start)) & (times < pd.Timestamp(batch.end))]
    labels, both = rows[columns.label].to_numpy(), rows[columns.label].nunique() == 2
    decisions = [entry for entry in entries if entry.as_of == batch.end.isoformat() and entry.kind != "registered"]

    def loss(column: str) -> float | None:
        return log_loss(labels, rows[column].to_numpy()).value if len(rows) else None

    def area(column: str) -> float | None:
        return auc(labels, rows[column].to_numpy()).value if both else None

    return Period(
        start=batch.start,
        end=batch.end,
        num_rows=batch.num_rows,
        champion=batch.version,
        estimated_auc=estimate.value if estimate else None,
        estimated_lower=estimate.lower if estimate else None,
        estimated_upper=estimate.upper if estimate else None,
        realised_auc=area(SCORE),
        realised_log_loss=loss(SCORE),
        static_auc=area(STATIC),
        static_log_loss=loss(STATIC),
        diagnosis=watched.diagnosis.verdict if watched else "not watched",
        diagnosis_reason=watched.diagnosis.reason if watched else "",
        decision=decisions[0] if decisions else None,
    )


def _folder(project: Project) -> Path:
    return Path(project.storage) / "reports" / project.name


def _write(path: Path, page: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = path.with_suffix(f".{os.getpid()}.tmp")
    whole.write_text(page, encoding="utf-8")
    whole.replace(path)
    return path
