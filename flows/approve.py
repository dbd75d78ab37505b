"""Approve or refuse what has passed the gate and waits for a person."""

from __future__ import annotations

from datetime import datetime

from prefect import flow

from configs.schema import ProjectRef
from flows.command import run
from flows.retrain import retrain
from models.registry.log import CHAMPION_CHANGED, Entry
from tasks.approve import Word, settle, waiting_for, wake
from tasks.publish import publish_decision
from tasks.report import write_decision


@flow(flow_run_name="approve-{project.name}")
def approve(project: ProjectRef, by: str, reason: str, answer: Word = "approve", of: str | None = None) -> Entry:
    """Approve or refuse what passed the gate and waits."""
    waiting = waiting_for(project, of)
    entry = settle(project, waiting, answer, by, reason)
    publish_decision(project, entry)
    write_decision(project, entry)
    wake(waiting, answer, by, reason)
    if entry.evidence.get("cause") == CHAMPION_CHANGED:  # trained already: it is only judged again
        return retrain(project, datetime.fromisoformat(entry.as_of), str(waiting.evidence.get("trigger")))
    return entry


if __name__ == "__main__":
    run(approve)
