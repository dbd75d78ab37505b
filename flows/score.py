"""Score what has come in since the last batch with the champion."""

from __future__ import annotations

from prefect import flow

from configs.schema import Moment, ProjectRef
from flows.command import run
from models.data.predictions import Batch
from tasks.predict import predict
from tasks.step import now


@flow(flow_run_name="score-{project.name}", validate_parameters=True)
def score(project: ProjectRef, as_of: Moment | None = None) -> Batch | None:
    """Score what came in since the last batch, once a row."""
    return predict(project, as_of or now())


if __name__ == "__main__":
    run(score)
