"""Take in the labels of a file, such as a list of wanted rows that was filled in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from prefect import flow

from configs.schema import Moment, ProjectRef
from flows.command import run
from models.data.given_labels import Taken
from tasks.ask import take_labels
from tasks.step import moment_of


@flow(flow_run_name="label-{project.name}")
def label(
    project: ProjectRef,
    file: str,
    as_of: Moment | None = None,
    new_classes: Annotated[str, "classes that no row has had so far, with commas between"] = "",
) -> Taken:
    """Take in labels that were asked for."""
    return take_labels(
        project, Path(file), moment_of(as_of), [each.strip() for each in new_classes.split(",") if each.strip()]
    )


if __name__ == "__main__":
    run(label)
