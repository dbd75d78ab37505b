"""Score what has come in since the last batch with the champion."""

from __future__ import annotations

from datetime import datetime

from prefect import flow

from configs.schema import ProjectRef
from flows.command import run
from models.data.predictions import Batch
from tasks.predict import predict
from tasks.step import now


@flow(flow_run_name="score-{project.name}", validate_parameters=True)
def score(project: ProjectRef, as_of: datetime | None = None) -> Batch | None:
    """Score what came in since the last batch, each row once."""
    return predict(project, as_of or now())


if __name__ == "__main__":
    run(score)
