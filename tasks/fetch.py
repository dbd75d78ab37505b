"""Fetch rows of a project's source, checked, and as they were known at a moment."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pandas as pd

from configs.schema import Project
from models.data.contract import read
from models.data.given_labels import GivenLabels, fill
from models.data.parts import Read
from tasks.step import columns_of
from tasks.store import storage_of


def fetch(
    project: Project,
    start: datetime,
    end: datetime,
    as_of: datetime,
    other: tuple[str, ...] | None = None,
    selected_until: datetime | None = None,
) -> pd.DataFrame:
    """Rows with event time in `[start, end)`, as `contract.read` gives them, with the labels that people gave.

    A label that was given counts from its arrival, whatever the label delay, until the source has one, which wins.

    Args:
        project: whose source is read.
        start: first moment.
        end: where the rows end.
        as_of: labels that had not arrived by then are null.
        other: which columns beside the features are read; all of data.other, if not given. What is kept for judging
            alone may come with the labels, and scoring does not wait for it.
        selected_until: a label given for a row that was picked for being hard counts if its event lies before this;
            by default for none. Such rows may train a model; a model judged by them would look worse than it is.
    """
    return reader(project, as_of, other, selected_until)(start, end)


def reader(
    project: Project, as_of: datetime, other: tuple[str, ...] | None = None, selected_until: datetime | None = None
) -> Read:
    """`fetch` as a function of start and end alone, to be called for one slice of time after another."""
    columns = columns_of(project)
    if other is not None:
        columns = replace(columns, other=other)
    source, given = project.data.source.build(), given_labels_of(project).known(as_of)

    def rows(start: datetime, end: datetime) -> pd.DataFrame:
        return fill(read(source, columns, start, end, as_of), columns, given, selected_until)

    return rows


def given_labels_of(project: Project) -> GivenLabels:
    """What people were asked, and the labels that they gave."""
    return GivenLabels(storage_of(project), project.name, project.data.task)
