"""Put the previous champion back."""

from __future__ import annotations

from prefect import flow
from prefect.runtime import flow_run

from configs.schema import ProjectRef
from flows.command import run
from models.registry.log import Entry
from tasks.publish import publish_decision
from tasks.report import write_decision
from tasks.restore import restore


@flow(flow_run_name="rollback-{project.name}")
def rollback(project: ProjectRef, reason: str = "no reason given", of: str | None = None) -> Entry:
    """Put the previous champion back; score uses it at once."""
    entry = restore(project, f"rollback {flow_run.id}", reason, of)
    publish_decision(project, entry)
    write_decision(project, entry)
    return entry


if __name__ == "__main__":
    run(rollback)
