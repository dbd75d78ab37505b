"""Promote or refuse a version against the gate, as a person who answers for it."""

from __future__ import annotations

from prefect import flow
from prefect.runtime import flow_run

from configs.schema import ProjectRef
from flows.command import run
from models.registry.log import Entry
from models.registry.versions import VersionId
from tasks.override import Word
from tasks.override import override as say
from tasks.publish import publish_decision
from tasks.report import write_decision


@flow(flow_run_name="override-{project.name}")
def override(project: ProjectRef, version: str, answer: Word, by: str, reason: str) -> Entry:
    """Promote or refuse a version against the gate."""
    entry = say(project, f"override {flow_run.id}", VersionId(version), answer, by, reason)
    publish_decision(project, entry)
    write_decision(project, entry)
    return entry


if __name__ == "__main__":
    run(override)
