"""Score what has come in since the last batch with the champion."""

from __future__ import annotations

from prefect import flow

from configs.schema import Moment, ProjectRef
from flows.command import run
from models.data.predictions import Batch
from tasks.predict import predict
from tasks.step import moment_of


@flow(flow_run_name="score-{project.name}")
def score(project: ProjectRef, as_of: Moment | None = None) -> Batch | None:
    """Score what came in since the last batch, once a row."""
    return predict(project, moment_of(as_of))


if __name__ == "__main__":
    run(score)
