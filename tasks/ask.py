"""Ask people for the labels that would teach most, and take in what they answer."""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from configs.schema import Project
from models.data.answers import read_answers
from models.data.contract import Columns, days
from models.data.given_labels import Taken
from models.data.predictions import with_scores
from models.data.scores import Scores, scores_in, union
from models.monitoring.estimation.domain import fit_domain
from models.monitoring.estimation.errors import expected_errors
from models.monitoring.labelling import as_if_even, was_selected, worth_labelling
from models.registry.registry import Registry
from models.registry.versions import Version, VersionId
from tasks.fetch import fetch, given_labels_of
from tasks.step import columns_of, load_version, registry_of, step

logger = logging.getLogger(__name__)
FEWEST_ROWS = 50  # on either side, for a classifier to learn what is new


@step
def ask_for_labels(project: Project, as_of: datetime, champion: VersionId) -> str | None:
    """List the rows of the watch window that are worth a label, as CSV and Parquet. None when none is without one.

    Args:
        project: who asks.
        as_of: the moment of the look; a list that was made for it before stays.
        champion: whose scores are looked at.
    """
    given = given_labels_of(project)
    if earlier := given.asked(as_of):
        return earlier
    registry, columns = registry_of(project), replace(columns_of(project), other=())
    rows = _open_rows(project, registry, columns, as_of, champion)
    if rows.empty:
        return None
    version = load_version(registry, champion)
    listed = worth_labelling(
        rows,
        Scores(*scores_in(rows)),
        _other_scores(registry, columns, rows, as_of, champion),
        _shift_chances(version, columns, rows),
        project.watch.asking.rows,
        project.watch.asking.random_share,
        columns,
        _expected_errors(version, columns, rows),
    )
    path = given.ask(as_of, listed, listed[columns.id], was_selected(listed))
    logger.info("%s rows worth a label: %s", f"{len(listed):,}", path)
    return path


@step
def take_labels(project: Project, file: Path, arrived: datetime, new_classes: Sequence[str] = ()) -> Taken:
    """Keep the labels in a file that a person has filled in. Raises `ValueError`, and keeps nothing, if one is wrong.

    Args:
        project: whose rows they are of.
        file: CSV or Parquet with columns named after data.id and data.label; others are passed over.
        arrived: from here on they are known.
        new_classes: of a multiclass label, those that no row has had so far; another one is taken for a mistake.
    """
    if new_classes and project.data.task != "multiclass":
        raise ValueError(
            f"new_classes={', '.join(new_classes)} are of a label of several classes, and data.task is "
            f"{project.data.task}; leave them out"
        )
    if not file.is_file():
        raise ValueError(f"file={str(file)!r} does not exist; name a CSV or Parquet of ids and labels")
    answers = read_answers(str(file), file.read_bytes(), project.data.id, project.data.label)
    rows = fetch(project, project.schedule.start, arrived, arrived, other=())
    classes = union((), labels=rows[project.data.label]) if project.data.task == "multiclass" else ()
    taken = given_labels_of(project).take(answers, arrived, rows[project.data.id], union(classes, new_classes))
    logger.info("labels taken in: %s", taken.sentence)
    return taken


def _open_rows(
    project: Project, registry: Registry, columns: Columns, as_of: datetime, champion: VersionId
) -> pd.DataFrame:
    """Rows of the watch window that the champion has scored and that nobody has labelled, with its scores."""
    start = as_of - timedelta(days=project.watch.window_days)
    batches = [batch for batch in registry.predictions.overlapping(start, as_of) if batch.version == champion]
    if not batches:
        return pd.DataFrame()
    # Whoever was labelled for being hard is labelled too, and not asked for again.
    frame = fetch(project, start, as_of, as_of, other=(), selected_until=as_of)
    scored = with_scores(frame, columns.id, pd.concat(map(registry.predictions.read, batches), ignore_index=True))
    return scored[scored[columns.label].isna()].reset_index(drop=True)


def _other_scores(
    registry: Registry, columns: Columns, rows: pd.DataFrame, as_of: datetime, champion: VersionId
) -> Scores | None:
    """Scores of the newest version of that moment beside the champion, if there is one that takes the same columns."""
    registered = (
        VersionId(entry.version)
        for entry in reversed(registry.log.read().entries)
        if entry.kind == "registered" and entry.version and datetime.fromisoformat(entry.as_of) <= as_of
    )
    newest = next((version for version in registered if version != champion), None)
    if newest is None:
        return None
    try:
        version = load_version(registry, newest)
    except ValueError as error:  # a comparison that is nice to have must not stand in the way of the champion's list
        logger.warning("%s is not compared with the champion: %s", newest, error)
        return None
    encoder = version.model.encoder
    fits = set(encoder.numbers) <= set(columns.measured) and set(encoder.categories) <= set(columns.categories)
    target = version.model.target
    return Scores(version.model.predict(rows), target.classes) if fits and target.task == columns.task else None


def _expected_errors(champion: Version, columns: Columns, rows: pd.DataFrame) -> np.ndarray | None:
    """How far off the champion is likely to be, as a share of the largest; None of classes."""
    if columns.task != "regression":
        return None
    reference = pd.read_parquet(io.BytesIO(champion.extras["reference.parquet"]))
    reference = reference[reference[columns.label].notna()].reset_index(drop=True)
    if len(reference) < FEWEST_ROWS:
        return np.zeros(len(rows))
    predictions, encoder = scores_in(reference)[0], champion.model.encoder
    errors = np.abs(reference[columns.label].to_numpy() - predictions)
    numbers = [name for name in encoder.numbers if name in columns.measured]
    categories = [name for name in encoder.categories if name in columns.categories]
    found = expected_errors(reference, errors, predictions, rows, scores_in(rows)[0], numbers, categories)
    return found / (found.max() or 1.0)


def _shift_chances(champion: Version, columns: Columns, rows: pd.DataFrame) -> np.ndarray | None:
    """How surely each row is of a population that the champion's reference rows are not of, NaN where not known."""
    reference = pd.read_parquet(io.BytesIO(champion.extras["reference.parquet"]))
    if min(len(reference), len(rows)) < FEWEST_ROWS:
        return None
    encoder = champion.model.encoder
    domain = fit_domain(
        reference,
        rows,
        [name for name in encoder.numbers if name in columns.measured],
        [name for name in encoder.categories if name in columns.categories],
        days(reference[columns.time], columns.timezone),
        days(rows[columns.time], columns.timezone),
    )
    chances = np.full(len(rows), np.nan)
    chances[domain.current_rows] = as_if_even(
        domain.current_chances, len(domain.reference_rows), len(domain.current_rows)
    )
    return chances
