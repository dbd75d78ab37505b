"""Train a challenger, and promote it only if it is really better."""

from __future__ import annotations

from datetime import datetime

from prefect import flow

from configs.schema import ProjectRef
from flows.command import run
from models.registry.log import Entry
from tasks import track
from tasks.decide import begin, decide, decline, object_to
from tasks.ingest import ingest, inspect
from tasks.publish import publish_decision
from tasks.report import write_decision
from tasks.step import now
from tasks.train import train


@flow(flow_run_name="retrain-{project.name}")
def retrain(project: ProjectRef, as_of: datetime | None = None, trigger: str = "manual") -> Entry:
    """Train a challenger; promote it only if proven better."""
    as_of = as_of or now()
    with track.tracked(project, "training", as_of):
        attempt = begin(project, as_of, trigger)
        if attempt.answer:
            return attempt.answer
        if attempt.objection:
            entry = decline(project, attempt, attempt.objection)
        else:
            snapshot = ingest(project, attempt.champion, as_of)
            faults = inspect(project, snapshot, attempt.champion)
            if objection := object_to(project, snapshot, faults, attempt.champion):
                entry = decline(project, attempt, objection)
            else:
                challenger = train(project, snapshot, attempt.champion, attempt.id, as_of)
                entry = decide(project, attempt, snapshot, challenger)
        publish_decision(project, entry, write_decision(project, entry))
    return entry


if __name__ == "__main__":
    run(retrain)
